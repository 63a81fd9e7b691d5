"""Every way in which GoTo's answer can fail to come (F08, F09), through a whole refresh.

The real adapter asks a server on the loopback interface that misbehaves; what counts is the
connection's row afterwards.
"""

import contextlib
import datetime as dt
import json
import socket
import ssl
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from chalicelib import config
from chalicelib.bootstrap import deployment, intake, rep, rescue
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, TIME_FOR_ONE
from chalicelib.goto.client import GoTo
from chalicelib.goto.http import Outbound
from chalicelib.models import Connection, EndCause, Status
from chalicelib.refresh.outcomes import Outcome
from tests.integration.test_goto_adapter import Behaviour, answer, server
from tests.support import fleet
from tests.support.aws import create_tables, environment
from tests.support.memory import MemoryDynamoDB
from tests.support.world import World
from tests.unit.test_config import TABLES

Address = str
Serving = Callable[[int], AbstractContextManager[tuple[Address, list[bytes]]]]
"""Serves so many connections; yields the address and the requests seen."""

TENANT = "acme"
ALIVE_FOR = 1_200
"""Seconds that the access token lives when its refresh falls due."""

READ_TIMEOUT = "chalicelib.goto.http.OUTBOUND_READ_TIMEOUT"

TOKENS = json.dumps({"access_token": "access-2", "refresh_token": "refresh-2", "expires_in": 3600})
INVALID_GRANT = answer(400, b'{"error":"invalid_grant"}')


@pytest.fixture
def due() -> World:
    """A connected tenant whose refresh is due."""
    client = MemoryDynamoDB()
    world = World(client, create_tables(client, ""))
    world.stand_in(secret_store=fleet.Secrets())
    now = int(world.clock.now)
    seed = fleet.Seed(TENANT, now - 2_400, now + ALIVE_FOR, now, "access-1", "refresh-1")
    for table, row in fleet.rows(world.settings, seed).items():
        client.put_item(TableName=table, Item=row)
    return world


def tick(world: World, address: Address) -> dict[str, int]:
    """One tick with the real adapter, GoTo being at the address."""
    settings = config.load({**world.environment, "GOTO_TOKEN_URL": f"{address}/oauth/token"})
    goto = GoTo(settings, Outbound(2))
    world.stand_in(goto=lambda connections, ask_deadline=None: goto)
    return world.tick()


def seen_by_readers(world: World) -> Connection:
    found = world.connections.get(TENANT)
    assert found is not None
    return found


def misbehaving(behaviour: Behaviour) -> Serving:
    return lambda connections: server(*[behaviour] * connections)


def says(raw: bytes) -> Behaviour:
    """An answer byte for byte; then the connection is closed."""
    return lambda connection, _: connection.sendall(raw)


def reset(connection: socket.socket, _request: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def silence(connection: socket.socket, _request: bytes) -> None:
    """No answer, until the other side gives up."""
    connection.settimeout(10)
    connection.recv(1)


def drip(connection: socket.socket, _request: bytes) -> None:
    """A byte now and then, which no timeout from byte to byte notices."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n")
    never = threading.Event()
    with contextlib.suppress(OSError):
        for _ in range(60):
            connection.sendall(b" ")
            never.wait(0.05)


@contextmanager
def nobody(_connections: int) -> Iterator[tuple[Address, list[bytes]]]:
    """Nothing listens there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield f"http://127.0.0.1:{port}", []


@contextmanager
def no_name(_connections: int) -> Iterator[tuple[Address, list[bytes]]]:
    """A name that no server knows (RFC 6761 6.4)."""
    yield "https://goto.invalid", []


@contextmanager
def crowded(_connections: int) -> Iterator[tuple[Address, list[bytes]]]:
    """Too many wait to be let in: no connection comes about, and none is refused."""
    with contextlib.ExitStack() as opened:
        listener = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", []


@contextmanager
def untrusted(connections: int) -> Iterator[tuple[Address, list[bytes]]]:
    """TLS with a certificate that nobody we know has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with contextlib.ExitStack() as folder:
        context.load_cert_chain(folder.enter_context(_own_certificate()))
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        for _ in range(connections):
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection, context.wrap_socket(connection, server_side=True) as safe:
                    seen.extend(filter(None, [safe.recv(65_536)]))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", seen
    thread.join(5)
    listener.close()


@contextmanager
def not_tls(connections: int) -> Iterator[tuple[Address, list[bytes]]]:
    """A plain server where TLS is expected: it sees a greeting, and no request."""
    with server(*[answer(200, b"{}")] * connections) as (address, _):
        yield address.replace("http://127.0.0.1", "https://localhost"), []


@contextmanager
def _own_certificate() -> Iterator[Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with tempfile.NamedTemporaryFile() as file:
        file.write(private + certificate.public_bytes(serialization.Encoding.PEM))
        file.flush()
        yield Path(file.name)


@dataclass(frozen=True, slots=True)
class Fault:
    """``known``: GoTo can't have acted. ``asks``: requests that it sees in one refresh, of which
    the second is the declared retry. ``timeouts``: constants of the adapter, made short."""

    serving: Serving
    detail: str
    known: bool
    asks: int = 1
    outcome: Outcome = Outcome.TRANSIENT
    timeouts: tuple[tuple[str, float], ...] = ()


def _status(status: int, *, known: bool, body: bytes = b"") -> Fault:
    return Fault(misbehaving(answer(status, body)), f"HTTP {status}", known)


def _unreadable(body: bytes, *headers: str, status: int = 200) -> Fault:
    serving = misbehaving(answer(status, body, *headers))
    return Fault(serving, "answer without a usable token", False)


def _broken(
    behaviour: Behaviour, detail: str = "connection broken", *timeouts: tuple[str, float]
) -> Fault:
    return Fault(misbehaving(behaviour), detail, False, asks=2, timeouts=timeouts)


def _never_there(serving: Serving, detail: str, *timeouts: tuple[str, float]) -> Fault:
    return Fault(serving, detail, True, asks=0, timeouts=timeouts)


FAULTS = {
    "429": Fault(
        misbehaving(answer(429, b"")), "HTTP 429", known=True, outcome=Outcome.RATE_LIMITED
    ),
    "408": _status(408, known=True),
    "500": _status(500, known=False),
    "502 with HTML": _status(502, known=False, body=b"<html>bad gateway</html>"),
    "503": _status(503, known=True),
    "504": _status(504, known=False),
    "redirect": _status(307, known=True),
    "400 without JSON": _status(400, known=True, body=b"nope"),
    "400 without an OAuth error": _status(400, known=True, body=b'{"errorCode":"BAD"}'),
    "400 with an error that is no text": _status(400, known=True, body=b'{"error":["x"]}'),
    "200 with HTML": _unreadable(b"<html>welcome</html>", "Content-Type: text/html"),
    "200 empty": _unreadable(b""),
    "200 of another content type": _unreadable(b"<tokens/>", "Content-Type: application/xml"),
    "200 cut in the middle of its JSON": _unreadable(b'{"access_token":"acc'),
    "200 with an error": _unreadable(b'{"error":"server_error"}'),
    "201 empty": _unreadable(b"", status=201),
    "shorter than announced": _broken(says(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}")),
    "a chunk cut off": _broken(
        says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}")
    ),
    "compressed, but not so": _broken(answer(200, b"{}", "Content-Encoding: gzip")),
    "a header without end": _broken(says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000)),
    "no HTTP at all": _broken(says(b"SSH-2.0-server\r\n")),
    "closed without an answer": _broken(says(b"")),
    "reset after the request": _broken(reset),
    "oversized": _broken(answer(200, b" " * 1_000_000), "answer too large"),
    "read timeout": _broken(silence, "no answer in time", (READ_TIMEOUT, 0.3)),
    "slow drip": _broken(drip, "answer too slow", ("chalicelib.goto.client.ASK_DEADLINE", 0.4)),
    "connection refused": _never_there(nobody, "no connection"),
    "no connection in time": _never_there(
        crowded, "no connection in time", ("chalicelib.goto.http.OUTBOUND_CONNECT_TIMEOUT", 0.3)
    ),
    "DNS failure": _never_there(no_name, "no connection"),
    "certificate not trusted": _never_there(untrusted, "TLS failed"),
    "no TLS": _never_there(not_tls, "TLS failed"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_f08_f09_no_hiccup_ends_a_connection(
    due: World, fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connected while the token lives, asked again soon, degraded after it, recovered at once."""
    for name, seconds in fault.timeouts:
        monkeypatch.setattr(name, seconds)
    before, now = seen_by_readers(due), int(due.clock.now)
    _suffer(due, fault)
    grant = due.grant()
    assert (grant.status, grant.failures) == (Status.CONNECTED, 1)
    assert (grant.refresh_token, grant.version, grant.lease_until) == ("refresh-1", 1, 0)
    assert grant.last_error == fault.detail
    assert (grant.inflight is None) is fault.known
    assert now + 5 <= due.due().at <= now + 30
    after = seen_by_readers(due)
    assert (after.access_token, after.expires_at) == (before.access_token, before.expires_at)
    assert after.status is Status.CONNECTED
    assert due.history() == []

    due.clock.now = before.expires_at
    _suffer(due, fault)
    assert seen_by_readers(due).status is Status.DEGRADED
    assert due.history() == ["degraded"]

    due.pass_until_due()
    with server(answer(200, TOKENS.encode())) as (address, _):
        assert tick(due, address) == {Outcome.REFRESHED: 1}
    grant = due.grant()
    assert (grant.status, grant.refresh_token, grant.inflight) == (
        Status.CONNECTED,
        "refresh-2",
        None,
    )
    assert (grant.outcome_unknown_since, grant.last_error, grant.failures) == (None, None, 0)
    assert seen_by_readers(due).access_token == "access-2"
    assert due.history() == ["degraded", "recovered"]


def _suffer(world: World, fault: Fault) -> None:
    """One tick with the fault; GoTo sees the stored refresh token as often as it should."""
    with fault.serving(fault.asks or 1) as (address, seen):
        assert tick(world, address) == {fault.outcome: 1}
        assert len(seen) == fault.asks
        assert all(request.endswith(b"refresh_token=refresh-1") for request in seen)


def test_f08_tokens_under_a_wrong_content_type_are_kept(due: World) -> None:
    """F08: they may hold the only valid refresh token; what is complete is never thrown away."""
    with server(answer(200, TOKENS.encode(), "Content-Type: text/html")) as (address, _):
        assert tick(due, address) == {Outcome.REFRESHED: 1}
    assert due.grant().refresh_token == "refresh-2"


def test_f09_the_answer_to_the_declared_retry_is_kept(
    due: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F09: a provider that does not rotate, or lets the old token live on for a while."""
    monkeypatch.setattr(READ_TIMEOUT, 0.3)
    with server(silence, answer(200, TOKENS.encode())) as (address, seen):
        assert tick(due, address) == {Outcome.REFRESHED: 1}
    assert len(seen) == 2
    assert due.grant().refresh_token == "refresh-2"
    assert due.history() == []


def test_f20_the_declared_retry_is_not_begun_without_the_time_for_it(due: World) -> None:
    """F20: one request; that GoTo may have acted on it stays noted, and is known to the next."""

    def slow_reset(connection: socket.socket, request: bytes) -> None:
        due.time_left = TIME_FOR_ONE - 1
        reset(connection, request)

    with server(slow_reset, INVALID_GRANT) as (address, seen):
        assert tick(due, address) == {Outcome.TRANSIENT: 1}
        assert len(seen) == 1
        assert due.grant().inflight is not None
        due.time_left = 2 * TIME_FOR_ONE
        due.pass_until_due()
        assert tick(due, address) == {Outcome.UNCONFIRMED: 1}


@pytest.mark.parametrize(
    ("unseen", "outcomes"),
    [
        pytest.param(reset, [Outcome.UNCONFIRMED], id="reset, and asked again at once"),
        pytest.param(answer(502, b""), [Outcome.TRANSIENT, Outcome.UNCONFIRMED], id="502"),
        pytest.param(
            answer(200, b"<html>"), [Outcome.TRANSIENT, Outcome.UNCONFIRMED], id="unreadable"
        ),
    ],
)
def test_f02_f09_a_rotation_whose_answer_was_lost_on_the_way_is_flagged(
    due: World, unseen: Behaviour, outcomes: list[Outcome]
) -> None:
    """F02, F09: GoTo acted, its answer was lost, and it refuses the old token: confirmed once,
    then an admin is asked, and told why. The token that readers have stays till its end."""
    with server(unseen, INVALID_GRANT) as (address, _):
        for outcome in outcomes:
            due.pass_until_due()
            assert tick(due, address) == {outcome: 1}
    assert seen_by_readers(due).status is Status.CONNECTED
    assert seen_by_readers(due).access_token == "access-1"
    assert due.history() == []
    assert due.due().at - int(due.clock.now) == CONFIRM_PAUSE
    due.clock.pass_(CONFIRM_ALONE)
    with server(INVALID_GRANT) as (address, _):
        assert tick(due, address) == {Outcome.GRANT_REFUSED: 1}
    grant = due.grant()
    assert grant.status is Status.REAUTHORIZATION_REQUIRED
    assert grant.ended_by is EndCause.RESPONSE_LOST
    assert due.history() == ["reauthorization_required"]


@pytest.mark.parametrize(
    "use_case", [rep.caller_identity, intake.credential_intake, rep.desk, rescue.rescue]
)
def test_what_the_rep_and_the_customer_ask_goes_over_a_connection_of_this_invocation(
    use_case: Callable[[Deployment], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle one may be dead once a frozen function goes on, and nothing tells of it (F08)."""
    made: list[Outbound] = []

    class Told(Outbound):
        def __init__(self, connections: int) -> None:
            super().__init__(connections)
            made.append(self)

    for name, value in environment(TABLES, AWS_DEFAULT_REGION="us-east-1").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("chalicelib.goto.client.Outbound", Told)
    monkeypatch.setattr(rep, "Outbound", Told)
    process = deployment.live()
    for _invocation in range(2):
        use_case(process)
    assert len(made) == 2
