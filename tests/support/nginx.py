"""nginx with the example of docs/examples, in front of an API on this machine."""

import http.client
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from sandbox.environment import ROOT

EXAMPLE = ROOT / "docs" / "examples" / "front.nginx.conf"
DOMAIN = "example.com"
"""The example's own."""

_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def program() -> str:
    """Path of nginx; the test is skipped where it is missing."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        pytest.skip("nginx is missing: install it (Debian: `nginx`)")
    return found


def example(
    port: int, pages: str, domain: str = DOMAIN, key: Mapping[str, str] = MappingProxyType({})
) -> str:
    """The example, with addresses of this machine in place of AWS's, and without TLS.

    ``pages``: host, port and path of the API; ``key``: headers that it asks for, as AWS does not.
    """
    text = EXAMPLE.read_text()
    host_line = "proxy_set_header X-Forwarded-Host $host;"
    for old, new in {
        "listen 443 ssl;": f"listen 127.0.0.1:{port};",
        DOMAIN.replace(".", r"\.") + "$": domain.replace(".", r"\.") + "$",
        "https://$pages": "http://$pages",
        "abc123.execute-api.eu-west-1.amazonaws.com/api;": f"{pages};",
        host_line: "\n".join(
            [host_line, *(f"proxy_set_header {name} {value};" for name, value in key.items())]
        ),
    }.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    kept = [line for line in text.splitlines() if not line.strip().startswith("ssl_")]
    return "\n".join(kept)


class Nginx:
    """One nginx process; its logs and everything else of it are in its folder."""

    def __init__(self, folder: Path, port: int, servers: str) -> None:
        """Start it. ``servers``: what would be in /etc/nginx/conf.d."""
        self.port = port
        self.folder = folder
        temporary = [f"{kind}_temp_path {folder}/{kind};" for kind in _KINDS]
        config = folder / "nginx.conf"
        config.touch(0o600)  # the local cloud's key may be in it
        config.write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
            f"events {{}} http {{ access_log {folder}/access.log;\n"
            + "\n".join([*temporary, servers, "}\n"])
        )
        self._command = [program(), "-p", str(folder), "-c", str(config)]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = subprocess.Popen(self._command)
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    def _wait(self) -> None:
        for _ in range(200):
            assert self._process.poll() is None, "nginx has ended"
            try:
                self.ask("GET", "/nothing")
            except OSError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("nginx does not answer")

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> int:
        """The status of an answer. In a header's name, ``_`` stands for a hyphen."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": f"acme.{DOMAIN}", **named})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def logged(self) -> str:
        """Everything that it has written down."""
        return "".join(file.read_text() for file in sorted(self.folder.glob("*.log")))

    def stop(self) -> None:
        """End it, if it has not ended."""
        self._process.terminate()
        self._process.wait(10)
