"""Several at one tenant at once, clocks apart, and tokens that find no table."""

import threading
from collections import Counter
from typing import Any

import pytest

from chalicelib.durations import LEASE_MARGIN, refresh_pause
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, RequestStatus, Status
from chalicelib.refresh.on_demand import RefreshOutcome
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.commit import ATTEMPTS_BEFORE_RESCUE
from chalicelib.tokens.rescue import Rescued
from tests.faults.test_outages import ON_THREADS, refresh_requests
from tests.support.world import World

pytestmark = pytest.mark.engines

SKEW = 300
"""Seconds that a clock may be off (F15)."""


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    world.pass_until_due()
    return world


@ON_THREADS
def test_f05_eight_at_once_ask_once(connected: World) -> None:
    """F05: four ticks and four services; who comes too late is told so, and asks nothing."""
    begin, quick, counting = threading.Barrier(8), connected.goto.token, threading.Lock()
    everybody_came, came = threading.Event(), Counter[str]()

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        assert everybody_came.wait(10), "the others must not wait for this one"
        return quick(client, form)

    vars(connected.goto).update(token=token)
    outcomes: list[object] = []

    def work(number: int) -> None:
        begin.wait()
        if number % 2:
            said: object = connected.on_demand(tenant="acme", rejected_version=1).outcome
        else:
            said = connected.tick()
        outcomes.append(said)
        with counting:
            came["done"] += 1
            if came["done"] == 7:
                everybody_came.set()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refresh_requests(connected) == 1
    assert connected.grant().version == 2
    winners = [
        said for said in outcomes if said in ({Outcome.REFRESHED: 1}, RefreshOutcome.REFRESHED)
    ]
    assert len(winners) == 1
    others = [said for said in outcomes if said not in winners]
    assert all(said in ({}, {Outcome.NOT_TAKEN: 1}, RefreshOutcome.IN_PROGRESS) for said in others)


@pytest.mark.parametrize("fast", [True, False])
def test_f15_clocks_five_minutes_apart_do_not_ask_twice(connected: World, fast: bool) -> None:
    """F15: the other's clock is ahead or behind; this worker uses all of its time."""
    meanwhile: list[dict[str, int]] = []

    def slow() -> None:
        begun = connected.clock.now
        connected.clock.now = begun + connected.time_left - 1 + (SKEW if fast else -SKEW)
        meanwhile.append(connected.tick())
        connected.clock.now = begun + connected.time_left - 1

    connected.goto.script = [slow]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert meanwhile in ([{}], [{Outcome.NOT_TAKEN: 1}])
    assert refresh_requests(connected) == 1
    assert LEASE_MARGIN >= SKEW


def test_f15_a_token_is_renewed_before_any_clock_says_it_is_dead() -> None:
    """F15: ours five minutes behind, the reader's five ahead, and a lease spent for nothing."""
    lifetime, lease = 3_600, 120 + LEASE_MARGIN
    latest = max(refresh_pause(f"tenant-{number}", lifetime, 0.33) for number in range(1_000))
    assert latest + 2 * SKEW + lease <= lifetime


def refuse_connect(world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let DynamoDB refuse that many commits of an exchange."""
    refusals = [DependencyUnavailable("dynamodb", "Throttling")] * times
    commit = world.connections.commit_connect

    def refuse(*arguments: Any, **named: Any) -> None:
        if refusals:
            raise refusals.pop()
        commit(*arguments, **named)

    monkeypatch.setattr(world.connections, "commit_connect", refuse)


def press(world: World, link: str) -> str:
    """An admin comes back from GoTo; returns the key of the authorization request."""
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    return world.completions[-1]


def test_f24_tokens_of_an_exchange_that_find_no_table_are_rescued(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F24: the code is used up; the tokens must not be lost."""
    key = press(world, world.add_tenant())
    refuse_connect(world, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    world.complete()
    assert len(world.rescue_queue.messages) == 1
    assert world.connections.get("acme") is None
    assert world.rescue() == [Rescued.COMMITTED]
    connection, request = world.connections.get("acme"), world.requests.get(key)
    assert connection is not None
    assert (connection.status, connection.access_token) == (Status.CONNECTED, "access-1")
    assert request is not None
    assert request.status is RequestStatus.DONE
    assert world.grant().refresh_token == "refresh-1"
    assert len(world.goto.asked) == 1


def test_f24_a_rescued_exchange_that_a_newer_one_overtook_is_withdrawn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F23, F24: the later sequence stands, the rescued grant is revoked at GoTo."""
    link = world.add_tenant()
    press(world, link)
    refuse_connect(world, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    world.complete()
    world.connect(link)
    assert world.rescue() == [Rescued.REFUSED]
    assert world.goto.revoked == ["refresh-1"]
    assert world.grant().refresh_token == "refresh-2"
