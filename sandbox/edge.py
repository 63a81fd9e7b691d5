"""The edge replaces HA's own web front, for every `<tenant>.localhost`.

It forwards the paths that the front forwards, byte for byte, and answers 404 to the rest. It adds
headers with the requested host, the local cloud's key and, with a login, who is logged in, and
drops the same headers from the browser. Its log lines contain no query and no link's secret.
"""

import errno
import http.client
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from urllib.parse import unquote

from sandbox import login, mailbox
from sandbox.login import Login
from sandbox.mailbox import Mailbox

FORWARDED = ("/connect/", "/intake/", "/admin/settings/activities")
"""Beginnings of the paths that docs/deploying.md requires of every front."""

_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade".split()
)
_UPSTREAM_SECONDS = 35.0
"""API Gateway gives up after 29 s; this must be longer."""
_MAX_BODY = 10 * 1024 * 1024
"""API Gateway's limit, in bytes."""
_PLAIN = MappingProxyType({"Content-Type": "text/plain; charset=utf-8"})
_NOT_FOUND = "Nothing is served here.\nThe connect link of your mail leads to the page.\n"
_NO_ANSWER = "The service does not answer just now: please try again in a minute.\n"

Log = Callable[[str], None]


def forwards(path: str) -> bool:
    """Whether the front forwards this path (no query in it) to the API."""
    if any(part in (".", "..") for part in unquote(path).split("/")):
        return False
    return path.startswith(FORWARDED)


def loggable(path: str) -> str:
    """The path without a link's secret."""
    for secret in ("/connect/", "/intake/"):
        if path.startswith(secret):
            return f"{secret}..."
    return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: "_Server"

    def forward(self) -> None:
        """Answer one request, by the API or by the edge itself."""
        begun = time.monotonic()
        path = self.path.partition("?")[0]
        box = self.server.mailbox
        if box is not None and secrets.compare_digest(path.encode(), box.path.encode()):
            status = self._say(200, box.page(), mailbox.HEADERS)
        elif self.server.login is not None and (headers := self.server.login.answer(path)):
            status = self._say(303, "", headers)
        else:
            status = self._forward() if forwards(path) else self._say(404, _NOT_FOUND)
        took = (time.monotonic() - begun) * 1000
        shown = loggable(path) if forwards(path) else "(not forwarded)"
        self.server.log(f"{self.command} {shown} {status} {took:.0f} ms")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward

    def log_message(self, format: str, *arguments: object) -> None:
        """Log nothing: the base class would write whole request lines."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse a request, without the base class's page, which repeats the request."""
        self._say(code, "The request is not a valid one.\n")

    def _forward(self) -> int:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not (length.isascii() and length.isdigit()):
            return self._say(411, "A request's body needs a Content-Length.\n")
        if int(length) > _MAX_BODY:
            return self._say(413, "The request is too large.\n")
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=_UPSTREAM_SECONDS)
        try:
            answer, body = self._ask(upstream, self.rfile.read(int(length)))
        except (ValueError, http.client.InvalidURL):
            return self._say(400, "The address is not a valid one.\n")
        except (OSError, http.client.HTTPException):
            return self._say(502, _NO_ANSWER)
        finally:
            upstream.close()
        self._answer(answer, body)
        return answer.status

    def _ask(
        self, upstream: http.client.HTTPConnection, body: bytes
    ) -> tuple[http.client.HTTPResponse, bytes]:
        target = self.server.edge.prefix + self.path
        upstream.putrequest(self.command, target, skip_host=True, skip_accept_encoding=True)
        host, cookies = self.headers.get("Host", ""), self.headers.get_all("Cookie", [])
        own = {"X-Forwarded-Host": host, **self.server.key}
        if self.server.login is not None:
            own |= self.server.login.headers(host, "; ".join(cookies))
        forwarded = _end_to_end(self.headers.items(), [*own, login.HEADER])
        for name, value in [*forwarded, *own.items()]:
            upstream.putheader(name, value)
        upstream.endheaders(body or None)
        answer = upstream.getresponse()
        return answer, answer.read()

    def _answer(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in _end_to_end(answer.getheaders()):
            if name.lower() != "content-length" or self.command == "HEAD":
                self.send_header(name, value)
        if self.command != "HEAD" and answer.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _say(self, status: int, text: str, headers: Mapping[str, str] = _PLAIN) -> int:
        body = text.encode()
        self.close_connection = True
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        return status


def _end_to_end(
    headers: Iterable[tuple[str, str]], replaced: Iterable[str] = ()
) -> list[tuple[str, str]]:
    """The end-to-end headers, with repeated ones kept separate (RFC 9110 7.6.1)."""
    pairs = list(headers)
    dropped = _HOP_BY_HOP | {name.lower() for name in replaced}
    for name, value in pairs:
        if name.lower() == "connection":
            dropped |= {option.strip(" \t").lower() for option in value.split(",")}
    return [(name, value) for name, value in pairs if name.lower() not in dropped]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, family: socket.AddressFamily, address: str, port: int, edge: "Edge", log: Log
    ) -> None:
        self.address_family = family
        self.upstream = edge.upstream
        self.edge = edge
        self.key = edge.key
        self.log = log
        self.mailbox = edge.mailbox
        self.login = edge.login
        super().__init__((address, port), _Handler)
        if edge.tls is not None:
            # Each connection's own thread does the handshake: a silent browser blocks no other.
            self.socket = edge.tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def handle_error(self, request: object, client_address: object) -> None:
        """Report nothing: browsers do hang up."""


class Edge:
    """The edge on 127.0.0.1, and on ::1 if there is IPv6: browsers may try that first."""

    def __init__(
        self,
        port: int,
        upstream: tuple[str, int],
        prefix: str,
        log: Log,
        key: Mapping[str, str] = MappingProxyType({}),
        mailbox: Mailbox | None = None,
        login: Login | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen. `prefix` goes before each path sent upstream and can be changed later; `key` is
        the header that upstream requires; `mailbox` is a page of the edge; `login` names visitors
        to the service; `tls` makes it https. Raises `OSError` if the port is taken."""
        self.upstream = upstream
        self.prefix = prefix
        self.key = key
        self.mailbox = mailbox
        self.login = login
        self.tls = tls
        self._servers = [_Server(socket.AF_INET, "127.0.0.1", port, self, log)]
        self.port = int(self._servers[0].server_address[1])
        try:
            self._servers.append(_Server(socket.AF_INET6, "::1", self.port, self, log))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                self._servers[0].server_close()
                raise
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
