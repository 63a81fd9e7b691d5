"""`refresh_now`: at most one refresh a version, and an answer that says whose turn it is."""

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.bootstrap import on_demand
from chalicelib.durations import (
    CONFIRM_ALONE,
    CONFIRM_PAUSE,
    DEMAND_AGAIN,
    DEMAND_SAVED,
    LONGEST_MINIMUM,
    READ_AGAIN,
    SETTLED_FOR,
    TICK_WORKS_FOR,
    WHILE_DOWN,
)
from chalicelib.dynamodb.provider_health import Provider
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials, Revocation, Status
from chalicelib.refresh.on_demand import PART, RefreshOutcome
from tests.faults.test_outages import fleet, refresh_requests
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    world.clock.pass_(SETTLED_FOR)
    return world


def test_a_version_that_was_refused_is_replaced_once(connected: World) -> None:
    first = connected.on_demand(tenant="acme", rejected_version=1)
    again = connected.on_demand(tenant="acme", rejected_version=1)
    assert [first.outcome, again.outcome] == [RefreshOutcome.REFRESHED, RefreshOutcome.ALIVE]
    assert (first.version, again.version) == (2, 2)
    assert refresh_requests(connected) == 1
    assert connected.history()[-1] == "token_rejected"


def test_a_token_that_lives_long_enough_is_left_alone(connected: World) -> None:
    answer = connected.on_demand(tenant="acme", min_valid_seconds=60)
    assert (answer.outcome, answer.version) == (RefreshOutcome.ALIVE, 1)
    connected.clock.now = answer.expires_at - 59 if answer.expires_at else 0
    answer = connected.on_demand(tenant="acme", min_valid_seconds=60)
    assert (answer.outcome, answer.version) == (RefreshOutcome.REFRESHED, 2)
    assert refresh_requests(connected) == 1


def test_a_service_that_wants_more_than_goto_gives_costs_one_refresh_a_minute(
    connected: World,
) -> None:
    connected.goto.lifetime = 600
    outcomes = [
        connected.on_demand(tenant="acme", min_valid_seconds=LONGEST_MINIMUM).outcome
        for _ in range(3)
    ]
    assert outcomes == [RefreshOutcome.ALIVE] * 3, "an hour is left of the first"
    connected.clock.pass_(2_000)
    for _ in range(3):
        connected.on_demand(tenant="acme", min_valid_seconds=LONGEST_MINIMUM)
    assert refresh_requests(connected) == 1


def test_f05_who_finds_another_at_it_reads_again_soon(connected: World) -> None:
    meanwhile: list[Any] = []

    def ask() -> None:
        meanwhile.append(connected.on_demand(tenant="acme", rejected_version=1))

    connected.goto.script = [ask]
    assert (
        connected.on_demand(tenant="acme", rejected_version=1).outcome is RefreshOutcome.REFRESHED
    )
    assert [(one.outcome, one.retry_after) for one in meanwhile] == [
        (RefreshOutcome.IN_PROGRESS, READ_AGAIN)
    ]
    assert refresh_requests(connected) == 1


def test_f08_after_a_failure_nobody_hammers(connected: World) -> None:
    connected.goto.script = [ProviderUnreachable("no connection", sent=False)]
    first = connected.on_demand(tenant="acme", rejected_version=1)
    second = connected.on_demand(tenant="acme", rejected_version=1)
    assert [first.outcome, second.outcome] == [RefreshOutcome.LATER] * 2
    assert first.retry_after
    assert refresh_requests(connected) == 1


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_f12_while_goto_is_down_services_are_told_to_wait(connected: World) -> None:
    names = fleet(connected, 12)
    connected.clock.now = max(connected.due(name).at for name in names)
    connected.goto.script = [ProviderUnreachable("no connection", sent=False)] * 100
    for _ in range(2):
        connected.tick()
        connected.clock.pass_(60)
    asked = len(connected.goto.asked)
    alive = connected.due("tenant-0")
    answer = connected.on_demand(tenant=alive.tenant, min_valid_seconds=LONGEST_MINIMUM)
    assert answer.outcome in (RefreshOutcome.LATER, RefreshOutcome.ALIVE)
    assert answer.retry_after is None or answer.retry_after <= WHILE_DOWN
    assert len(connected.goto.asked) == asked


def test_f10_f11_whose_turn_it_is(connected: World) -> None:
    connected.connect(connected.add_tenant("beta"))
    connected.clock.pass_(SETTLED_FOR)
    for _ in range(2):
        connected.goto.script = [refusal(400, "invalid_grant")]
        ended = connected.on_demand(tenant="acme", rejected_version=1)
        connected.goto.script = [refusal(401, "invalid_client")]
        rejected = connected.on_demand(tenant="beta", rejected_version=1)
        connected.clock.pass_(CONFIRM_ALONE)
    assert ended.outcome is RefreshOutcome.REAUTHORIZATION_REQUIRED
    assert rejected.outcome is RefreshOutcome.CREDENTIALS_REJECTED
    assert connected.on_demand(tenant="acme", min_valid_seconds=60).outcome is ended.outcome
    assert connected.on_demand(tenant="beta", min_valid_seconds=60).outcome is rejected.outcome
    assert connected.grant("beta").status is Status.CREDENTIALS_REJECTED


def test_f02_a_refusal_that_must_be_confirmed_is_no_verdict_yet(connected: World) -> None:
    connected.goto.script = [ProviderUnreachable("silence", sent=True)] * 2
    connected.on_demand(tenant="acme", rejected_version=1)
    connected.pass_until_due()
    connected.goto.script = [refusal(400, "invalid_grant")]
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert answer.outcome is RefreshOutcome.LATER
    assert 0 < (answer.retry_after or 0) <= CONFIRM_PAUSE


def test_who_was_never_connected_is_not(world: World) -> None:
    world.add_tenant()
    for name in ("acme", "nobody"):
        assert (
            world.on_demand(tenant=name, min_valid_seconds=60).outcome
            is RefreshOutcome.NOT_CONNECTED
        )


def test_a_payload_that_is_no_object_is_wrong_input(connected: World) -> None:
    wrong: tuple[Any, ...] = (None, [], "acme", 7)
    for event in wrong:
        use_case = on_demand.on_demand(connected.deployment, lambda: connected.time_left)
        assert use_case.refresh(event).outcome is RefreshOutcome.INVALID


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"tenant": "acme"},
        {"tenant": 7, "min_valid_seconds": 60},
        {"tenant": "", "min_valid_seconds": 60},
        {"tenant": "a" * 64, "min_valid_seconds": 60},
        {"tenant": "acme", "min_valid_seconds": 60, "rejected_version": 1},
        {"tenant": "acme", "min_valid_seconds": -1},
        {"tenant": "acme", "min_valid_seconds": LONGEST_MINIMUM + 1},
        {"tenant": "acme", "min_valid_seconds": "60"},
        {"tenant": "acme", "min_valid_seconds": True},
        {"tenant": "acme", "rejected_version": 0},
        {"tenant": "acme", "rejected_version": 2},
    ],
)
def test_wrong_input_is_named_and_changes_nothing(connected: World, event: dict[str, Any]) -> None:
    before = connected.everything()
    answer = connected.on_demand(**event)
    assert answer.outcome is RefreshOutcome.INVALID
    assert answer.detail
    assert connected.everything() == before


@pytest.mark.parametrize("odd", [{"by_hand": True}, {}])
def test_s21_no_reader_forces_more_than_one_refresh_a_minute(
    connected: World, odd: dict[str, Any]
) -> None:
    """S21: whatever it says it is; each one that it forces is in the tenant's history."""
    version, outcomes = 1, Counter[str]()
    for _ in range(300):
        answer = connected.on_demand(tenant="acme", rejected_version=version, **odd)
        outcomes[answer.outcome] += 1
        assert 0 < (answer.retry_after or 1) <= SETTLED_FOR
        version = answer.version or version
        connected.clock.pass_(1)
    assert outcomes == {RefreshOutcome.REFRESHED: 5, RefreshOutcome.LATER: 295}
    assert refresh_requests(connected) == 5
    assert connected.history().count("token_rejected") == 5


def test_s21_a_token_that_dies_at_once_makes_no_hot_loop(connected: World) -> None:
    """S21: it is due all the time, and its service asks all the time."""
    connected.goto.lifetime = 1
    connected.on_demand(tenant="acme", rejected_version=1)
    asked = refresh_requests(connected)
    for _ in range(120):
        connected.clock.pass_(1)
        answer = connected.on_demand(tenant="acme", min_valid_seconds=60)
        assert answer.outcome in (RefreshOutcome.LATER, RefreshOutcome.REFRESHED)
    assert refresh_requests(connected) == asked + 2


def test_s21_a_clock_that_is_behind_makes_nobody_wait_for_more_than_a_minute(
    connected: World,
) -> None:
    """S21, F15: it finds that the token was refreshed in its future."""
    connected.clock.pass_(-300 - SETTLED_FOR)
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert (answer.outcome, answer.retry_after) == (RefreshOutcome.LATER, SETTLED_FOR)


def test_what_is_due_anyway_is_done_now_and_nobody_is_said_to_have_forced_it(
    connected: World,
) -> None:
    connected.pass_until_due()
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert answer.outcome is RefreshOutcome.REFRESHED
    assert "token_rejected" not in connected.history()


def test_s22_a_reader_may_bring_about_a_withdrawal_that_is_due_and_no_other(
    connected: World,
) -> None:
    """S22: the schedule would do it in the same minute; a failed one waits its time."""
    desk = connected.desk()
    connected.goto.revocation = Revocation.LATER
    desk.disconnecting._stop("acme", TESTER)
    event = {"tenant": "acme", "rejected_version": 1}
    for _ in range(3):
        assert connected.on_demand(**event).outcome is RefreshOutcome.NOT_CONNECTED
    assert len(connected.goto.revoked) == 1, "the next attempt is not due yet"
    connected.goto.revocation = Revocation.DONE
    connected.pass_until_due()
    assert connected.on_demand(**event).outcome is RefreshOutcome.NOT_CONNECTED
    assert connected.grant().refresh_token is None
    assert connected.history()[-2:] == ["disconnected", "withdrawn"]


IN_MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)


def hammer(world: World, names: list[str], seconds: int) -> dict[str, list[float]]:
    """All services of these tenants reject every token, again and again; a tick comes each minute.
    When GoTo was asked, by whom."""
    asked: dict[str, list[float]] = {"schedule": [], "services": []}
    token, acting = world.goto.token, ["services"]

    def noted(client: ClientCredentials, form: dict[str, str]) -> Answer:
        asked[acting[0]].append(world.clock.now)
        return token(client, form)

    world.goto.answer_by(noted)
    versions = dict.fromkeys(names, 1)
    for second in range(0, seconds, 3):
        if second % 60 == 0:
            acting[0] = "schedule"
            world.tick()
            acting[0] = "services"
        for name in names:
            answer = world.on_demand(tenant=name, rejected_version=versions[name])
            versions[name] = answer.version or versions[name]
        world.clock.pass_(3)
    return asked


def most_in_a_minute(times: list[float]) -> int:
    return max(sum(at <= other < at + 60 for other in times) for at in times)


@IN_MEMORY
@pytest.mark.parametrize("cap", [1, 10])
def test_s21_f13_requests_on_demand_leave_the_schedule_its_rate(world: World, cap: int) -> None:
    """S21, F13: 40 tenants' services hammer for ten minutes in which 20 other tenants fall due.
    Whatever minute one looks at, all that the schedule may send fits in beside them."""
    world.settings = replace(world.settings, token_rate=cap)
    names = fleet(world, 60)
    quiet, hammered = names[:20], names[20:]
    world.clock.now = min(world.due(name).at for name in quiet)
    due = {name: world.due(name).at for name in quiet}
    assert max(due.values()) < world.clock.now + 540
    asked = hammer(world, hammered, 600)
    most = most_in_a_minute(asked["services"])
    assert most >= 60 * cap // PART, "what may be taken is taken"
    assert most + int(TICK_WORKS_FOR * cap) + 1 <= 60 * cap
    assert most_in_a_minute(asked["schedule"] + asked["services"]) <= 60 * cap
    for name in quiet:
        connection = world.connections.summary(name)
        assert connection is not None
        assert connection.version == 2
        assert 0 <= connection.refreshed_at - due[name] < 60, "in the next tick"
    assert all(world.due(name).at > world.clock.now - 60 for name in hammered)


@IN_MEMORY
def test_s21_whoever_comes_when_the_share_is_used_up_is_told_to_wait(connected: World) -> None:
    """S21: GoTo is not asked, and the tenant is left as it was, for the schedule."""
    names = fleet(connected, 12)
    connected.clock.pass_(SETTLED_FOR)
    asked = refresh_requests(connected)
    answers = [connected.on_demand(tenant=name, rejected_version=1) for name in names]
    done = connected.settings.token_rate * DEMAND_SAVED // PART
    assert [one.outcome for one in answers[:done]] == [RefreshOutcome.REFRESHED] * done
    assert {(one.outcome, one.retry_after) for one in answers[done:]} == {
        (RefreshOutcome.LATER, DEMAND_AGAIN)
    }
    assert refresh_requests(connected) == asked + done
    before = connected.everything()
    assert connected.on_demand(tenant=names[-1], rejected_version=1).outcome is RefreshOutcome.LATER
    assert connected.everything() == before


@IN_MEMORY
def test_s21_after_429_requests_on_demand_slow_down_with_the_schedule(connected: World) -> None:
    """S21, F13: their share is of the rate as it is now."""
    names = fleet(connected, 4)
    connected.clock.pass_(SETTLED_FOR)
    row = replace(Provider(), turn=1, turned_at=int(connected.clock.now), rate=1_000)
    connected.provider.save(Provider(), row, None)
    answers = [connected.on_demand(tenant=name, rejected_version=1).outcome for name in names]
    assert answers == [RefreshOutcome.REFRESHED, *[RefreshOutcome.LATER] * 3]


@IN_MEMORY
def test_s21_where_no_slot_can_be_had_nothing_is_asked(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S21: nor is an outcome that was unknown believed to be known (F10)."""

    def down(*_: object) -> bool:
        raise DependencyUnavailable("dynamodb", "InternalServerError")

    def lost() -> None:
        monkeypatch.setattr(connected.provider, "acquire_slot", down)
        raise ProviderUnreachable("silence", sent=True)

    connected.goto.script = [lost]
    asked = refresh_requests(connected)
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert (answer.outcome, refresh_requests(connected)) == (RefreshOutcome.LATER, asked + 1)
    assert connected.grant().inflight is not None
    connected.pass_until_due()
    assert connected.on_demand(tenant="acme", rejected_version=1).outcome is RefreshOutcome.LATER
    assert refresh_requests(connected) == asked + 1


@pytest.mark.parametrize("who", ["user/rep@ha.example", "x" * 500_000])
def test_s21_no_reader_writes_history_in_anybodys_name(connected: World, who: str) -> None:
    """S21: nor can what it sends be too much for the journal, and keep tokens from the tables."""
    answer = connected.on_demand(tenant="acme", rejected_version=1, who=who)
    assert (answer.outcome, answer.version) == (RefreshOutcome.REFRESHED, 2)
    assert connected.rescue_queue.messages == []
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.who) == ("token_rejected", "a service")


def test_no_answer_ever_holds_a_token(connected: World) -> None:
    answers = [
        connected.on_demand(tenant="acme", rejected_version=1),
        connected.on_demand(tenant="acme", min_valid_seconds=60),
    ]
    text = json.dumps([answer.to_dict() for answer in answers])
    assert "access-" not in text
    assert "refresh-" not in text
