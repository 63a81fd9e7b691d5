"""The reader and the real service behind it: what each state of a tenant comes to, and races."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.connection_state import GrantSummary
from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, SETTLED_FOR
from chalicelib.errors import ProviderUnreachable
from chalicelib.models import Status
from ha_goto_tokens import (
    AccessToken,
    NotConnected,
    ReauthorizationRequired,
    Refreshing,
    TokenError,
    TokenReader,
    Unavailable,
)
from tests.reader.service import Invoked, reader_of
from tests.support.stubs import refusal
from tests.support.world import World

THREADS = 64
CONCURRENT = pytest.mark.parametrize("world", ["dynamodb-local", "memory"], indirect=True)


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world


def expire(world: World) -> None:
    connection = world.connections.get("acme")
    assert connection is not None
    world.clock.now = connection.expires_at + 1


def at_once(readers: list[TokenReader], work: Any) -> list[Any]:
    """``work(reader)`` in 64 threads that start together, spread over the readers."""
    gate = threading.Barrier(THREADS)

    def go(number: int) -> Any:
        gate.wait()
        return work(readers[number % len(readers)])

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(go, range(THREADS)))


def test_a_connected_tenants_token_is_read(connected: World) -> None:
    token = reader_of(connected).get("acme")
    assert (token.value, token.version, token.tenant) == ("access-1", 1, "acme")
    assert token.expires_at == int(connected.clock.now) + 3600
    assert token.scope == "identity: cr.v1.read users.v1.read users.v1.lines.read"
    assert token.account_key == "4000000001"


def test_an_expired_token_is_refreshed_and_handed_out(connected: World) -> None:
    expire(connected)
    assert reader_of(connected).get("acme").value == "access-2"
    assert len(connected.goto.asked) == 2


def test_a_token_that_goto_refused_is_replaced_once(connected: World) -> None:
    """Two readers, as on two machines: one refresh for the version, whoever says so first."""
    connected.clock.pass_(SETTLED_FOR)
    first, second = reader_of(connected), reader_of(connected)
    tokens = [first.get("acme"), second.get("acme")]
    newer = [first.rejected(tokens[0]), second.rejected(tokens[1])]
    assert [token.value for token in newer] == ["access-2", "access-2"]
    assert len(connected.goto.asked) == 2
    assert connected.history()[-1] == "token_rejected"


def test_s21_a_token_rejected_right_after_its_refresh_is_waited_for_without_asking_again(
    connected: World,
) -> None:
    """S21: a service that GoTo answers 401 whatever the token does not make the reader hammer."""
    invoked = Invoked(connected)
    reader = reader_of(connected, invoked)
    connected.clock.pass_(SETTLED_FOR)
    token = reader.rejected(reader.get("acme"))
    connected.clock.pass_(10)
    for _ in range(20):
        with pytest.raises(Unavailable) as told:
            reader.rejected(token)
        assert told.value.retry_after == SETTLED_FOR - 10
        assert "it was refreshed a moment ago" in told.value.happened
    assert [event["rejected_version"] for event in invoked.asked] == [1, 2]
    assert len(connected.goto.asked) == 2
    connected.clock.pass_(SETTLED_FOR - 10)
    assert reader.rejected(token).value == "access-3"


def test_a_living_token_is_served_while_goto_is_down(
    connected: World, caplog: pytest.LogCaptureFixture
) -> None:
    connected.goto.script = [ProviderUnreachable("refused", sent=False)] * 10
    connected.clock.now += 3600 - 340
    reader, invoked = reader_of(connected), Invoked(connected)
    reader = reader_of(connected, invoked)
    assert reader.get("acme").value == "access-1"
    assert reader.get("acme").value == "access-1"
    assert len(invoked.asked) == 1
    assert [record.name for record in caplog.records] == ["ha_goto_tokens"]
    expire(connected)
    with pytest.raises(Unavailable):
        reader.get("acme")


def test_a_degraded_tenant_comes_back_by_a_readers_asking(connected: World) -> None:
    expire(connected)
    connected.goto.script = [ProviderUnreachable("refused", sent=False)]
    connected.tick()
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.DEGRADED
    reader = reader_of(connected)
    with pytest.raises(Unavailable) as told:
        reader.get("acme")
    connected.clock.pass_(told.value.retry_after or 0)
    assert reader.get("acme").value == "access-2"


@pytest.mark.parametrize(
    ("answer", "turn"),
    [
        pytest.param(refusal(400, "invalid_grant", "refresh.token.revoked"), "admin", id="grant"),
        pytest.param(refusal(401, "invalid_client", "client not found"), "rep", id="client"),
    ],
)
def test_what_goto_refuses_says_whose_turn_it_is(connected: World, answer: Any, turn: str) -> None:
    """The refusal comes while the token lives: it is served to its end."""
    connected.pass_until_due()
    connected.tick_refused(answer)
    reader = reader_of(connected)
    assert reader.get("acme").value == "access-1"
    expire(connected)
    with pytest.raises(ReauthorizationRequired) as told:
        reader.get("acme")
    assert told.value.whose_turn == turn


@pytest.mark.parametrize(
    ("answer", "turn"),
    [
        pytest.param(refusal(400, "invalid_grant", "refresh.token.revoked"), "admin", id="grant"),
        pytest.param(refusal(401, "invalid_client", "client not found"), "rep", id="client"),
    ],
)
def test_a_refusal_met_by_the_reader_itself(connected: World, answer: Any, turn: str) -> None:
    """F26: one refusal is no verdict; readers are told to ask again until it is confirmed."""
    connected.goto.script = [answer] * 2
    expire(connected)
    with pytest.raises(Unavailable) as unconfirmed:
        reader_of(connected).get("acme")
    assert 0 < (unconfirmed.value.retry_after or 0) <= CONFIRM_PAUSE
    connected.clock.pass_(CONFIRM_ALONE)
    with pytest.raises(ReauthorizationRequired) as told:
        reader_of(connected).get("acme")
    assert told.value.whose_turn == turn


def test_a_tenant_that_never_connected(world: World) -> None:
    world.add_tenant()
    with pytest.raises(NotConnected):
        reader_of(world).get("acme")


def test_a_disconnected_tenant(connected: World) -> None:
    """With a token that would live: it is not for use any more."""
    connected.dynamodb.update_item(
        TableName=connected.settings.tokens_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET #status = :set_status",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":set_status": {"S": "disconnected"}},
    )
    with pytest.raises(NotConnected):
        reader_of(connected).get("acme")


def test_an_item_without_a_token_gets_one(connected: World) -> None:
    """`Tokens` lost its row and was put in step after a restore: state and counters, no token."""
    connected.dynamodb.delete_item(
        TableName=connected.settings.tokens_table, Key={"tenant": {"S": "acme"}}
    )
    connected.restore()
    assert reader_of(connected).get("acme").value == "access-2"


@pytest.mark.parametrize("world", ["dynamodb-local"], indirect=True)
def test_a_batch_refreshes_what_is_dead(world: World) -> None:
    world.connect(world.add_tenant())
    expire(world)
    world.connect(world.add_tenant("beta"))
    found = reader_of(world).get_many(["acme", "beta", "nobody"])
    versions = [one.version for one in found.values() if isinstance(one, AccessToken)]
    assert versions == [2, 1]
    assert isinstance(found["nobody"], NotConnected)


@CONCURRENT
def test_64_threads_asking_for_one_expired_token_make_one_refresh(connected: World) -> None:
    expire(connected)
    invoked = Invoked(connected)
    reader = reader_of(connected, invoked)
    tokens = at_once([reader], lambda one: one.get("acme").value)
    assert tokens == ["access-2"] * THREADS
    assert (len(invoked.asked), len(connected.goto.asked)) == (1, 2)


@CONCURRENT
def test_64_threads_of_8_processes_make_one_refresh_too(connected: World) -> None:
    """Without a cache in common each asks once at most, and the service refreshes once."""
    expire(connected)
    invoked = Invoked(connected)
    readers = [reader_of(connected, invoked) for _ in range(8)]
    tokens = at_once(readers, lambda one: one.get("acme").value)
    assert tokens == ["access-2"] * THREADS
    assert len(invoked.asked) <= len(readers)
    assert len(connected.goto.asked) == 2


@CONCURRENT
def test_64_threads_of_8_processes_rejecting_one_version_make_one_refresh(
    connected: World,
) -> None:
    connected.clock.pass_(SETTLED_FOR)
    invoked = Invoked(connected)
    readers = [reader_of(connected, invoked) for _ in range(8)]
    token = readers[0].get("acme")
    tokens = at_once(readers, lambda one: one.rejected(token).value)
    assert tokens == ["access-2"] * THREADS
    assert len(invoked.asked) <= len(readers)
    assert all(event["rejected_version"] == 1 for event in invoked.asked)
    assert len(connected.goto.asked) == 2


def test_a_reader_that_meets_a_refresh_under_way_is_told_to_ask_again(connected: World) -> None:
    """The other worker is in the middle of it: it has claimed the tenant and asks GoTo."""
    expire(connected)
    told: list[TokenError] = []

    def meanwhile() -> None:
        with pytest.raises(Refreshing) as refused:
            reader_of(connected).get("acme")
        told.append(refused.value)

    connected.goto.script = [meanwhile]
    assert reader_of(connected).get("acme").value == "access-2"
    assert [error.retry_after for error in told] == [2]


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_a_version_rejected_twice_at_the_same_moment_is_refreshed_once(connected: World) -> None:
    """Another function's refresh commits between the two reads of this one."""
    connected.clock.pass_(SETTLED_FOR)
    grant_of = connected.connections.grant_summary

    def late(tenant: str) -> GrantSummary | None:
        vars(connected.connections).update(grant_summary=grant_of)
        assert connected.on_demand(tenant="acme", rejected_version=1).outcome == "refreshed"
        return grant_of(tenant)

    vars(connected.connections).update(grant_summary=late)
    assert connected.on_demand(tenant="acme", rejected_version=1).outcome == "alive"
    assert len(connected.goto.asked) == 2
