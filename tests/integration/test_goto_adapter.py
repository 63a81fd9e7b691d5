"""The GoTo adapter against a real server on the loopback interface that misbehaves on demand."""

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from chalicelib import config
from chalicelib.bootstrap import deployment
from chalicelib.bootstrap.intake import credential_intake
from chalicelib.bootstrap.rep import onboarding
from chalicelib.durations import CHECK_DEADLINE
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto import client, http
from chalicelib.goto.client import GoTo
from chalicelib.goto.http import Outbound
from chalicelib.models import ClientCredentials, Revocation
from chalicelib.permissions import GoToAccount
from tests.support.aws import environment
from tests.unit.test_config import TABLES

SCIM = b'{"urn:scim:schemas:extension:getgo:1.0":{"accounts":[{"value":"41"}]}}'

CLIENT = ClientCredentials("id", "secret")

TLS_HANDSHAKE = b"\x16"

Behaviour = Callable[[socket.socket, bytes], None]


@contextmanager
def server(*behaviours: Behaviour) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one connection for each behaviour; yields the address and the requests seen."""
    listener = socket.create_server(("127.0.0.1", 0))
    seen: list[bytes] = []

    def serve() -> None:
        for behaviour in behaviours:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = _read_request(connection)
                seen.append(request)
                behaviour(connection, request)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        listener.close()
        thread.join(5)


def _read_request(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if data.startswith(TLS_HANDSHAKE):
        return data
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    given = re.search(rb"(?i)content-length: (\d+)", head)
    while len(body) < (int(given[1]) if given else 0):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes, *headers: str) -> Behaviour:
    def behave(connection: socket.socket, _: bytes) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
        connection.sendall("\r\n".join([*lines, *headers, "", ""]).encode() + body)

    return behave


def adapter(address: str, **other: str) -> client.GoTo:
    changed = {
        "GOTO_TOKEN_URL": f"{address}/oauth/token",
        "GOTO_REVOKE_URL": f"{address}/oauth/revoke",
        "GOTO_API_URL": address,
    }
    return client.GoTo(config.load(environment(TABLES, **changed | other)), Outbound(2))


def test_a_complete_answer_comes_back_as_it_was() -> None:
    with server(answer(400, b'{"error":"invalid_grant"}')) as (address, seen):
        got = adapter(address).token(CLIENT, {"grant_type": "refresh_token", "refresh_token": "r+"})
    assert (got.status, got.body) == (400, b'{"error":"invalid_grant"}')
    assert b"Authorization: Basic aWQ6c2VjcmV0\r\n" in seen[0]
    assert seen[0].endswith(b"grant_type=refresh_token&refresh_token=r%2B")


def test_s17_redirects_are_not_followed() -> None:
    """S17: a 307 would send the refresh token on to wherever it says."""
    with server(answer(307, b"", "Location: http://127.0.0.1:1/elsewhere")) as (address, seen):
        assert adapter(address).token(CLIENT, {}).status == 307
    assert len(seen) == 1


def test_s17_the_environment_changes_no_credentials(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Neither a .netrc nor a proxy setting of the machine has a say."""
    netrc = tmp_path_factory.mktemp("home") / ".netrc"
    netrc.write_text("machine 127.0.0.1 login evil password evil")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with server(answer(200, b"{}")) as (address, seen):
        adapter(address).token(CLIENT, {})
    assert b"Basic aWQ6c2VjcmV0" in seen[0]


def test_s17_a_huge_answer_is_cut_off() -> None:
    with (
        server(answer(200, b"x" * 1_000_000)) as (address, _),
        pytest.raises(ProviderUnreachable, match="too large") as error,
    ):
        adapter(address).token(CLIENT, {})
    assert error.value.sent


def test_nobody_listening_means_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ProviderUnreachable) as error:
        adapter(f"http://127.0.0.1:{port}").token(CLIENT, {})
    assert not error.value.sent


def test_an_unknown_host_means_nothing_was_sent() -> None:
    with pytest.raises(ProviderUnreachable) as error:
        adapter("https://nowhere.invalid").token(CLIENT, {})
    assert not error.value.sent


def test_a_connection_closed_without_an_answer_is_ambiguous() -> None:
    with (
        server(lambda connection, _: connection.close()) as (address, _),
        pytest.raises(ProviderUnreachable) as error,
    ):
        adapter(address).token(CLIENT, {})
    assert error.value.sent


def test_a_truncated_answer_is_ambiguous() -> None:
    def half(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    with server(half) as (address, _), pytest.raises(ProviderUnreachable) as error:
        adapter(address).token(CLIENT, {})
    assert error.value.sent


def test_f09_silence_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    """F09: GoTo may have acted; one request only."""
    monkeypatch.setattr(http, "OUTBOUND_READ_TIMEOUT", 0.2)
    silent = threading.Event()

    def hold(_connection: socket.socket, _request: bytes) -> None:
        silent.wait(3)

    with server(hold) as (address, seen):
        with pytest.raises(ProviderUnreachable, match="in time") as error:
            adapter(address).token(CLIENT, {})
        silent.set()
    assert error.value.sent
    assert len(seen) == 1


def test_who_asks_while_a_person_waits_asks_for_a_shorter_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment(TABLES).items():
        monkeypatch.setenv(name, value)
    process = deployment.live()
    for asking in (credential_intake(process), onboarding(process)):
        assert isinstance(asking.goto, GoTo)
        assert asking.goto._ask_deadline == CHECK_DEADLINE


def test_s17_a_plain_server_behind_https_is_no_connection() -> None:
    with (
        server(answer(200, b"{}")) as (address, _),
        pytest.raises(ProviderUnreachable, match="TLS") as error,
    ):
        adapter(address.replace("http:", "https:").replace("127.0.0.1", "localhost")).token(
            CLIENT, {}
        )
    assert not error.value.sent


@pytest.mark.parametrize(
    ("behaviours", "keys"),
    [
        pytest.param(
            [answer(200, b'{"items":[{"accountKey":"40"}]}')], ["40"], id="the documented answer"
        ),
        pytest.param([answer(200, b'{"items":[{"accountKey":40}]}')], ["40"], id="a number"),
        pytest.param([answer(403, b"{}"), answer(200, SCIM)], ["41"], id="the fall-back"),
        pytest.param([answer(200, b'{"items":[]}'), answer(404, b"")], [], id="no account"),
        pytest.param([answer(200, b"<html>"), answer(200, b"[]")], None, id="no JSON"),
        pytest.param([answer(200, b"[" * 50_000), answer(200, SCIM)], ["41"], id="too deep a JSON"),
    ],
)
def test_the_account_is_read_where_it_can_be(
    behaviours: list[Behaviour], keys: list[str] | None
) -> None:
    with server(*behaviours) as (address, seen):
        found = adapter(address).accounts("a-token")
    assert (None if found is None else [each.key for each in found]) == keys
    assert b"Authorization: Bearer a-token\r\n" in seen[0]


@pytest.mark.parametrize(
    "key", ['"4\\u001b[2J"', '"[bold]4[/]"', f'"{"4" * 65}"', "true", "[4]", '""']
)
def test_s30_an_account_key_that_is_none_counts_as_unreadable(key: str) -> None:
    """S30: the other API may still tell."""
    bad = answer(200, f'{{"items":[{{"accountKey":{key}}}]}}'.encode())
    with server(bad, answer(200, SCIM)) as (address, _):
        assert adapter(address).accounts("a-token") == (GoToAccount("41"),)


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        pytest.param(200, b"", Revocation.DONE, id="200"),
        pytest.param(503, b"", Revocation.LATER, id="503"),
        pytest.param(400, b"", Revocation.LATER, id="400"),
        pytest.param(400, b'{"error":"invalid_client"}', Revocation.REFUSED, id="400 with error"),
        pytest.param(401, b'{"error":"invalid_client"}', Revocation.REFUSED, id="401 with error"),
        pytest.param(401, b"", Revocation.LATER, id="401, empty"),
        pytest.param(401, b"<html>Sign in</html>", Revocation.LATER, id="401, a proxy's page"),
    ],
)
def test_s22_a_revocation_is_done_when_goto_says_so(
    status: int, body: bytes, told: Revocation
) -> None:
    """S22, F36: a client that GoTo itself no longer knows is the only refusal that ends the
    attempts, told in OAuth's form: whoever answers 401 without it may be a proxy."""
    with server(answer(status, body)) as (address, seen):
        assert adapter(address).revoke(CLIENT, "a-token") is told
    assert seen[0].endswith(b"token=a-token")


def test_a_server_without_revocation_and_api_is_asked_for_neither() -> None:
    plain = adapter("http://127.0.0.1:1", GOTO_REVOKE_URL="", GOTO_API_URL="")
    assert plain.revoke(CLIENT, "a-token") is Revocation.REFUSED
    assert plain.accounts("a-token") is None


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_s17_a_drip_ends_at_the_deadline(start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """S17, F14: a byte now and then keeps every timeout from byte to byte happy, not the total."""
    monkeypatch.setattr(client, "ASK_DEADLINE", 0.5)
    done = threading.Event()

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(start)
        with contextlib.suppress(OSError):
            while not done.wait(0.05):
                connection.sendall(b"x")

    begun = time.monotonic()
    with server(drip) as (address, _):
        with pytest.raises(ProviderUnreachable, match="too slow") as error:
            adapter(address).token(CLIENT, {})
        took = time.monotonic() - begun
        done.set()
    assert error.value.sent
    assert took < 5


def test_s17_the_deadline_of_one_request_is_not_that_of_the_next() -> None:
    answers = [answer(200, b"{}")] * 3
    with server(*answers) as (address, seen):
        asked = adapter(address)
        for _ in range(3):
            assert asked.token(CLIENT, {}).status == 200
    assert len(seen) == 3
