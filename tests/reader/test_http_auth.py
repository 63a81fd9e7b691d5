"""The auth classes for requests and httpx: the header, one 401, and no token to strangers."""

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

import httpx
import pytest
import requests

from fakes import CANARY, Bench, run
from ha_goto_tokens import AsyncTokenReader, NotConnected, TokenReader, Unavailable
from ha_goto_tokens.httpx_auth import GoToAuth as HttpxAuth
from ha_goto_tokens.requests_auth import GoToAuth as RequestsAuth

FIRST, SECOND = (f"Bearer {CANARY}-acme-{version}" for version in (1, 2))
NO_TIME = 10
"""Seconds until a test gives up."""


class Server(ThreadingHTTPServer):
    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # without asking DNS for this machine's name


class API:
    """A resource server. ``accepts``: the header it takes; None takes any, "" takes none."""

    def __init__(self) -> None:
        self.seen: list[tuple[str | None, bytes]] = []
        self.accepts: str | None = None
        self.redirect: str | None = None

    def status(self, authorization: str | None, body: bytes) -> int:
        self.seen.append((authorization, body))
        if self.redirect:
            return 302
        return 200 if self.accepts in (None, authorization) else 401


def handler(api: API) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            status = api.status(self.headers.get("Authorization"), self._body())
            self.send_response(status)
            if api.redirect:
                self.send_header("Location", api.redirect)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return self.rfile.read(int(self.headers.get("Content-Length") or 0))
            whole = b""
            while size := int(self.rfile.readline(), 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - likewise
            """Say nothing."""

    return Handler


@contextmanager
def serving(api: API) -> Iterator[int]:
    server = Server(("127.0.0.1", 0), handler(api))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.dynamodb.put()
    made.function.answer = made.refreshing
    return made


@pytest.fixture
def reader(bench: Bench) -> TokenReader:
    return bench.reader


@pytest.fixture
def api() -> API:
    return API()


@pytest.fixture
def url(api: API) -> Iterator[str]:
    with serving(api) as port:
        yield f"http://127.0.0.1:{port}/call-reports"


def test_requests_sends_the_token(api: API, url: str, reader: TokenReader) -> None:
    assert requests.get(url, auth=RequestsAuth(reader, "acme"), timeout=NO_TIME).ok
    assert api.seen == [(FIRST, b"")]


def test_requests_handles_one_401_with_a_new_token(
    api: API, url: str, reader: TokenReader, bench: Bench
) -> None:
    api.accepts = SECOND
    auth = RequestsAuth(reader, "acme")
    with requests.Session() as session:
        answer = session.post(url, data=b"the body", auth=auth, timeout=NO_TIME)
    assert answer.status_code == 200
    assert [one.status_code for one in answer.history] == [401]
    assert api.seen == [(FIRST, b"the body"), (SECOND, b"the body")]
    assert bench.function.asked == [{"tenant": "acme", "rejected_version": 1}]


def test_requests_hands_on_a_second_401(api: API, url: str, reader: TokenReader) -> None:
    api.accepts = ""
    answer = requests.get(url, auth=RequestsAuth(reader, "acme"), timeout=NO_TIME)
    assert answer.status_code == 401
    assert [header for header, _ in api.seen] == [FIRST, SECOND]


def test_requests_sends_a_file_from_its_beginning_again(
    api: API, url: str, reader: TokenReader, tmp_path: Path
) -> None:
    api.accepts = SECOND
    file = tmp_path / "file"
    file.write_bytes(b"skipped" + b"sent")
    with file.open("rb") as opened:
        opened.seek(7)
        auth = RequestsAuth(reader, "acme")
        assert requests.post(url, data=opened, auth=auth, timeout=NO_TIME).ok
    assert [body for _, body in api.seen] == [b"sent", b"sent"]


def test_requests_does_not_repeat_what_can_be_read_only_once(
    api: API, url: str, reader: TokenReader
) -> None:
    """The 401 is handed on; the next request has the new token already."""
    api.accepts = SECOND
    auth = RequestsAuth(reader, "acme")
    answer = requests.post(url, data=(part for part in [b"once"]), auth=auth, timeout=NO_TIME)
    assert (answer.status_code, len(api.seen)) == (401, 1)
    assert requests.get(url, auth=auth, timeout=NO_TIME).ok


def test_requests_says_whose_turn_it_is_where_no_new_token_can_be_had(
    api: API, url: str, reader: TokenReader, bench: Bench
) -> None:
    api.accepts = ""
    bench.function.answer = {"outcome": "later"}
    with pytest.raises(Unavailable):
        requests.get(url, auth=RequestsAuth(reader, "acme"), timeout=NO_TIME)
    with pytest.raises(NotConnected):
        requests.get(url, auth=RequestsAuth(reader, "nobody"), timeout=NO_TIME)


def test_a_redirect_to_a_stranger_takes_no_token_along(
    api: API, url: str, reader: TokenReader, bench: Bench
) -> None:
    """Nor does the stranger's 401 make a new token, or get it."""
    with ExitStack() as servers:
        stranger = API()
        stranger.accepts = ""
        port = servers.enter_context(serving(stranger))
        api.redirect = f"http://localhost:{port}/stolen"
        answer = requests.get(url, auth=RequestsAuth(reader, "acme"), timeout=NO_TIME)
        assert answer.status_code == 401
        with httpx.Client(auth=HttpxAuth(reader, "acme"), follow_redirects=True) as client:
            assert client.get(url).status_code == 401
        assert {header for header, _ in stranger.seen} == {None}
    assert bench.function.asked == []


@pytest.mark.parametrize("send", [requests.get, httpx.get])
def test_a_token_is_not_sent_in_the_clear(reader: TokenReader, send: Any) -> None:
    auth = RequestsAuth(reader, "acme") if send is requests.get else HttpxAuth(reader, "acme")
    with pytest.raises(ValueError, match="https only"):
        send("http://api.example/users/v1/me", auth=auth, timeout=NO_TIME)


def test_httpx_sends_the_token_and_handles_one_401(
    api: API, url: str, reader: TokenReader, bench: Bench
) -> None:
    api.accepts = SECOND
    with httpx.Client(auth=HttpxAuth(reader, "acme")) as client:
        assert client.post(url, content=b"the body").status_code == 200
        assert client.get(url).status_code == 200
    assert api.seen == [
        (FIRST, b"the body"),
        (SECOND, b"the body"),
        (SECOND, b""),
    ]
    assert bench.function.asked == [{"tenant": "acme", "rejected_version": 1}]


def test_httpx_hands_on_a_second_401(api: API, url: str, reader: TokenReader) -> None:
    api.accepts = ""
    with httpx.Client(auth=HttpxAuth(reader, "acme")) as client:
        assert client.get(url).status_code == 401
    assert len(api.seen) == 2


def test_httpx_does_not_repeat_what_can_be_read_only_once(
    api: API, url: str, reader: TokenReader
) -> None:
    api.accepts = SECOND
    with httpx.Client(auth=HttpxAuth(reader, "acme")) as client:
        once = io.BytesIO(b"once")
        assert client.post(url, content=iter(once)).status_code == 401
        assert client.get(url).status_code == 200


def test_httpx_asynchronously(api: API, url: str, reader: TokenReader, bench: Bench) -> None:
    api.accepts = SECOND

    async def ask() -> list[int]:
        auth = HttpxAuth(AsyncTokenReader(reader), "acme")
        async with httpx.AsyncClient(auth=auth) as client:
            answers = await asyncio.gather(*(client.get(url) for _ in range(8)))
        return [answer.status_code for answer in answers]

    assert run(ask()) == [200] * 8
    assert bench.function.asked == [{"tenant": "acme", "rejected_version": 1}]


def test_httpx_asynchronously_once_only(api: API, url: str, reader: TokenReader) -> None:
    api.accepts = SECOND

    async def parts() -> Any:
        yield b"once"

    async def ask() -> int:
        async with httpx.AsyncClient(auth=HttpxAuth(reader, "acme")) as client:
            return (await client.post(url, content=parts())).status_code

    assert run(ask()) == 401
    assert len(api.seen) == 1
