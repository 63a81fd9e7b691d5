"""The edge passes on what it is given, byte for byte, and keeps secrets out of its log."""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from chalicelib.connect import visitor_tokens
from chalicelib.connect.visitor_tokens import Identity
from sandbox import login
from sandbox.edge import FORWARDED, Edge, forwards, loggable
from sandbox.environment import ROOT
from sandbox.guard import HEADER
from sandbox.login import Login
from sandbox.processes import Failed, free_port, require_free
from tests.support.https import tls_context

LONG_QUERY = "/admin/settings/activities/?code=" + "x" * 10_000


@dataclass
class Upstream:
    """An API that remembers what reached it."""

    server: ThreadingHTTPServer
    requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            api.requests.append((self.command, self.path, self.headers.items(), body))
            self.send_response_only(303, "See Other")
            self.send_header("Set-Cookie", "a=1; Path=/")
            self.send_header("Set-Cookie", "b=2; Path=/")
            self.send_header("Keep-Alive", "timeout=5")
            self.send_header("Content-Length", "4")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(b"body")

        do_HEAD = do_POST = do_GET  # noqa: N815 - the base class looks them up by these names

        def log_message(self, *arguments: object) -> None:
            pass

    api = Upstream(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=api.server.serve_forever, args=(0.01,), daemon=True).start()
    yield api
    api.server.shutdown()
    api.server.server_close()


@pytest.fixture
def edge(upstream: Upstream) -> Iterator[Edge]:
    address = ("127.0.0.1", upstream.server.server_port)
    standing = Edge(0, address, "/prefix", upstream.log.append, {HEADER: "the-key"})
    yield standing
    standing.close()


def ask(
    edge: Edge, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", edge.port, timeout=10)
    connection.putrequest(method, path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body or None)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()
    return answer, said


@pytest.mark.parametrize(
    "path",
    ["/connect/a?x=1&x=2&y", "/connect/a?q=%FF%20%2f+&&=", "/intake/%7Ea", LONG_QUERY],
    ids=["repeated", "not UTF-8", "needlessly encoded", "10 kB"],
)
def test_path_and_query_arrive_byte_for_byte(edge: Edge, upstream: Upstream, path: str) -> None:
    ask(edge, "GET", path)
    assert upstream.requests[0][1] == "/prefix" + path


def test_method_body_and_headers_arrive_but_hop_by_hop_ones(edge: Edge, upstream: Upstream) -> None:
    ask(edge, "POST", "/connect/a", b"\xff\x00=1", X_One="1", Connection="X-Two", X_Two="2")
    method, _, headers, body = upstream.requests[0]
    names = {name for name, _ in headers}
    assert (method, body) == ("POST", b"\xff\x00=1")
    assert "X-One" in names
    assert not names & {"X-Two", "Connection"}


def test_the_edge_says_which_host_was_asked_for_and_shows_the_key(
    edge: Edge, upstream: Upstream
) -> None:
    """S34: and whatever of these the browser sent is dropped."""
    host = f"127.0.0.1:{edge.port}"
    ask(edge, "GET", "/connect/a")
    ask(edge, "GET", "/connect/a", X_Forwarded_Host="evil.example", X_Sandbox_Key="guessed")
    for _, _, headers, _ in upstream.requests:
        assert sorted(headers) == [
            ("Accept-Encoding", "identity"),
            ("Host", host),
            ("X-Forwarded-Host", host),
            ("X-Sandbox-Key", "the-key"),
        ]


@pytest.fixture
def logged(upstream: Upstream) -> Iterator[Edge]:
    """An edge with HA's login, at whatever port."""
    address = ("127.0.0.1", upstream.server.server_port)
    login = Login("k" * 32, lambda tenant: f"http://{tenant}.localhost")
    standing = Edge(0, address, "", upstream.log.append, login=login)
    yield standing
    standing.close()


def test_s14_a_token_that_the_visitor_sent_is_dropped(
    edge: Edge, logged: Edge, upstream: Upstream
) -> None:
    """S14: by every edge, with a login and without, logged in or not."""
    for each in (edge, logged):
        ask(each, "GET", "/connect/a", X_Visitor_Token="forged")
    ask(logged, "GET", "/connect/a", Cookie="sandbox-login=1", x_visitor_token="forged")
    sent = [pair for _, _, headers, _ in upstream.requests for pair in headers]
    assert "forged" not in [value for _, value in sent]


def test_the_edge_names_who_is_logged_in_to_the_service(logged: Edge, upstream: Upstream) -> None:
    """As HA's front does: for the tenant of the host, until they log out."""
    answer, _ = ask(logged, "GET", "/login", Host="acme.localhost:1")
    assert (answer.status, answer.headers["Location"]) == (303, "/admin/settings/activities/")
    cookie = answer.headers["Set-Cookie"].split(";")[0]
    ask(logged, "GET", "/connect/a", Cookie=f"a=b; {cookie}", Host="acme.localhost:1")
    answer, _ = ask(logged, "GET", "/logout")
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    for strange in ("", "a=b", "\x7f=;;=", "other-sandbox-login=1"):
        ask(logged, "GET", "/connect/a", Cookie=strange)
    tokens = [dict(headers).get(login.HEADER) for _, _, headers, _ in upstream.requests]
    assert tokens[1:] == [None] * 4
    named = visitor_tokens.read(
        str(tokens[0]),
        ["k" * 32],
        host="acme.localhost",
        origin_of=lambda tenant: f"http://{tenant}.localhost",
        now=time.time(),
    )
    assert named == Identity("acme", "ann@acme", "ann@acme.example")


def test_without_a_login_the_edge_has_no_such_page(edge: Edge) -> None:
    assert ask(edge, "GET", "/login")[0].status == 404


def test_repeated_cookies_stay_apart(edge: Edge) -> None:
    answer, body = ask(edge, "GET", "/connect/a")
    assert (answer.status, body) == (303, b"body")
    assert answer.headers.get_all("Set-Cookie") == ["a=1; Path=/", "b=2; Path=/"]
    assert "Keep-Alive" not in answer.headers


def test_head_keeps_the_length_and_has_no_body(edge: Edge) -> None:
    answer, body = ask(edge, "HEAD", "/connect/a")
    assert (answer.headers["Content-Length"], body) == ("4", b"")


@pytest.mark.parametrize(
    "path",
    ["/", "/connect", "/admin", "/healthz", "/connect/../admin", "/connect/%2e%2e/x"],
)
def test_other_paths_are_not_forwarded(edge: Edge, upstream: Upstream, path: str) -> None:
    answer, body = ask(edge, "GET", path)
    assert (answer.status, len(body.splitlines())) == (404, 2)
    assert upstream.requests == []


def test_the_edge_forwards_what_is_asked_of_every_front() -> None:
    """What it forwarded besides would work here and nowhere else."""
    page = (ROOT / "docs" / "deploying.md").read_text()
    [asked] = re.findall(r"your front forwards (.*?) to the output", page)
    assert {f"{path}*" for path in FORWARDED} == set(re.findall(r"`([^`]+)`", asked))


def test_a_dead_api_is_one_sentence() -> None:
    edge = Edge(0, ("127.0.0.1", free_port()), "", lambda _line: None)
    answer, body = ask(edge, "GET", "/intake/a")
    edge.close()
    assert answer.status == 502
    assert len(body.splitlines()) == 1


def test_the_log_holds_neither_link_nor_query(edge: Edge, upstream: Upstream) -> None:
    ask(edge, "GET", "/connect/CANARY?code=CANARY")
    ask(edge, "GET", "/admin/settings/activities/?code=CANARY")
    ask(edge, "GET", "/elsewhere/CANARY")
    # A line is written after its answer has been sent.
    deadline = time.monotonic() + 5
    while len(upstream.log) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(upstream.log) == 3
    assert "CANARY" not in "".join(upstream.log)


def test_what_opens_a_door_is_not_loggable() -> None:
    assert loggable("/intake/secret") == "/intake/..."
    assert forwards("/admin/settings/activities")


def test_a_taken_port_is_one_sentence_that_names_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Failed, match=rf"^Port {port} is taken: .*`PORT=`\.$"):
            require_free(port)


def test_at_https_a_silent_browser_holds_up_no_other(upstream: Upstream) -> None:
    address = ("127.0.0.1", upstream.server.server_port)
    edge = Edge(0, address, "", upstream.log.append, tls=tls_context())
    with socket.create_connection(("127.0.0.1", edge.port)):  # it never shakes hands
        trusting = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", edge.port, timeout=5, context=trusting
        )
        connection.request("GET", "/connect/x")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (303, b"body")
        connection.close()
    edge.close()
