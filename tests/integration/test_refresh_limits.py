"""A refresh at its limits: how long it holds a tenant, when it begins, and what it reports."""

from typing import Any

import pytest

from chalicelib.durations import LEASE_MARGIN, TIME_FOR_ONE, TIME_TO_ASK
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.models import Due, Grant
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.rescue import Rescued
from tests.support.world import World


class Busy(DependencyUnavailable):
    def __init__(self) -> None:
        super().__init__("dynamodb", "Busy")


def refuse(*_: object, **__: object) -> Any:
    raise Busy


def fail(*_: object) -> Any:
    raise KeyError("a fault of ours")


def test_f05_a_lease_outlasts_the_function(connected: World) -> None:
    connected.pass_until_due()
    now = int(connected.clock.now)
    held: list[Grant] = []
    connected.goto.script = [lambda: held.append(connected.grant())]
    connected.tick()
    until = now + int(connected.time_left) + LEASE_MARGIN
    assert [(grant.lease_until, grant.next_refresh_at) for grant in held] == [(until, until)]


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_FOR_ONE, Outcome.REFRESHED), (TIME_FOR_ONE - 1, Outcome.OUT_OF_TIME)],
)
def test_f20_a_refresh_begins_with_just_enough_time(
    connected: World, left: float, outcome: Outcome
) -> None:
    connected.pass_until_due()
    connected.time_left = left
    assert connected.tick() == {outcome: 1}


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_TO_ASK, Outcome.REFRESHED), (TIME_TO_ASK - 1, Outcome.INTERNAL)],
)
def test_f20_goto_is_asked_with_just_enough_time(
    connected: World, monkeypatch: pytest.MonkeyPatch, left: float, outcome: Outcome
) -> None:
    connected.pass_until_due()
    claim = connected.connections.claim

    def slow(due: Due, now: int, lease_until: int) -> Grant | None:
        connected.time_left = left
        return claim(due, now, lease_until)

    monkeypatch.setattr(connected.connections, "claim", slow)
    assert connected.tick() == {outcome: 1}


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_FOR_ONE, Outcome.REFRESHED), (TIME_FOR_ONE - 1, Outcome.TRANSIENT)],
)
def test_f09_goto_is_asked_again_with_just_enough_time(
    connected: World, left: float, outcome: Outcome
) -> None:
    """F09: the one declared retry."""
    connected.pass_until_due()

    def slow() -> None:
        connected.time_left = left
        raise ProviderUnreachable("no answer in time", sent=True)

    connected.goto.script = [slow]
    assert connected.tick() == {outcome: 1}


def test_f14_a_claim_that_the_table_refuses_is_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.connections, "claim", refuse)
    assert connected.tick() == {Outcome.STORE_FAILED: 1}
    assert [type(error) for error in connected.reported] == [Busy]


def test_f14_what_nobody_foresaw_is_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.connections, "claim", fail)
    assert connected.tick() == {Outcome.UNEXPECTED: 1}
    assert [type(error) for error in connected.reported] == [KeyError]


def test_a_secret_that_cannot_be_read_is_reported_and_tried_again(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.tenants, "get", refuse)
    refresher = connected.refresher()
    assert refresher.refresh(connected.due()) is Outcome.INTERNAL
    assert [type(error) for error in connected.reported] == [Busy]
    grant = connected.grant()
    # GoTo was not asked, so that nothing can be lost.
    assert (grant.failures, grant.inflight, grant.outcome_unknown_since) == (1, None, None)
    assert len(connected.goto.asked) == 1


def test_seconds_that_the_tokens_had_left_are_kept(connected: World) -> None:
    connected.pass_until_due()
    refresher = connected.refresher()
    left = connected.grant().access_expires_at - int(connected.clock.now)
    refresher.refresh(connected.due())
    assert refresher.lives_left == [left]


def test_tokens_are_as_old_as_the_question(connected: World) -> None:
    """No life is overestimated, however slowly GoTo answers."""
    connected.pass_until_due()
    asked_at = int(connected.clock.now)
    connected.goto.script = [lambda: connected.clock.pass_(20)]
    connected.tick()
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.expires_at == asked_at + connected.goto.lifetime


def test_f29_an_answer_that_waits_for_rescue_is_as_old_as_its_question(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    asked_at = int(connected.clock.now)
    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.refresh.refresher.judge", fail)
        assert connected.tick() == {Outcome.RESCUED: 1}
    assert [type(error) for error in connected.reported] == [KeyError]
    connected.clock.pass_(100)
    assert connected.rescue() == [Rescued.COMMITTED]
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.expires_at == asked_at + connected.goto.lifetime
