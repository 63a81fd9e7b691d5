"""The pages at https, for a real browser: `app.py` behind TLS, on a world's tables and clock.

Every host answers here: those of the tenants, GoTo's (a page with an Allow link), and any other
that a test has given a page, such as an attacker's beside a tenant's.
"""

import ssl
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html import escape
from http.client import HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import app as entry
from tests.support.site import PAGE, proxy_event
from tests.support.world import World

DOMAIN = "hireanalytix.test"
ORIGIN = "https://{tenant}." + DOMAIN
ONE_HOST = "https://goto." + DOMAIN
GOTO = "goto.example"


class SecureSite(ThreadingHTTPServer):
    """``world`` is what stands behind it; ``pages``: HTML by host; ``decoding``: of header bytes,
    as nobody has told how API Gateway reads those that are not ASCII."""

    daemon_threads = True
    world: World

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, str] = {}
        self.decoding = "utf-8"
        self.lock = threading.Lock()
        self.socket = tls_context().wrap_socket(self.socket, server_side=True)

    @property
    def rules(self) -> str:
        """What Chromium is told to look names up by."""
        return f"MAP * 127.0.0.1:{self.server_address[1]}"

    def ask(self, address: str, cookies: Mapping[str, str]) -> str:
        """A page as another machine gets it."""
        parts = urlsplit(address)
        # A certificate of our own making; nothing leaves the machine.
        trusting = ssl._create_unverified_context()
        connection = HTTPSConnection("127.0.0.1", self.server_address[1], context=trusting)
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection.request("GET", parts.path, headers={"Host": parts.netloc, "Cookie": cookie})
        body = connection.getresponse().read().decode()
        connection.close()
        return body

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: a browser that hangs up is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: SecureSite

    def answer(self) -> None:
        host, parts = self.headers["Host"], urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode("ascii")
        if host == GOTO:
            self._page(_consent(parts.query))
        elif host in self.server.pages:
            self._page(self.server.pages[host])
        else:
            self._pages_own(parts.path, parts.query, body)

    def _pages_own(self, path: str, query: str, body: str) -> None:
        headers = [(name.lower(), self._decoded(value)) for name, value in self.headers.items()]
        event = proxy_event(self.command, path, parse_qsl(query, True), body, headers)
        with self.server.lock:
            answer = entry.app(event, None)
            if path == PAGE and not query:
                self.server.world.complete()  # after the callback's answer, as a function would
        several = answer["multiValueHeaders"].items()
        lines = [(name, value) for name, values in several for value in values]
        self._send(answer["statusCode"], answer["body"], [*answer["headers"].items(), *lines])

    do_GET = do_HEAD = do_POST = answer  # noqa: N815 - names of the base class

    def _decoded(self, value: str) -> str:
        return value.encode("latin-1").decode(self.server.decoding, "replace")

    def _page(self, html: str) -> None:
        self._send(200, html, [("Content-Type", "text/html; charset=utf-8")])

    def _send(self, status: int, text: str, headers: list[tuple[str, str]]) -> None:
        body = text.encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        """Nothing: the base class would write whole addresses."""


def _consent(query: str) -> str:
    """GoTo's page, where a person is logged in: Allow leads back with a code."""
    asked = {name: values[0] for name, values in parse_qs(query).items()}
    back = f"{asked['redirect_uri']}?{urlencode({'state': asked['state'], 'code': 'a-code'})}"
    return f'<!doctype html><title>GoTo</title><a href="{escape(back)}">Allow</a>'


def tls_context() -> ssl.SSLContext:
    """A server's, with a certificate of its own making, which a browser must be told to accept."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"*.{DOMAIN}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "both.pem")
        file.write_bytes(private + certificate.public_bytes(pem))
        context.load_cert_chain(file)
    return context


@contextmanager
def secure_site() -> Iterator[SecureSite]:
    """The server, until the end of the block."""
    server = SecureSite()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
