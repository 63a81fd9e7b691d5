"""`refresh_now`: at most one refresh a version, and an answer that says whose turn it is."""

import json
from typing import Any

import pytest

from chalicelib.errors import ProviderUnreachable
from chalicelib.model import Status
from chalicelib.on_demand import Answered, OnDemand
from chalicelib.times import CONFIRM_PAUSE, LONGEST_MINIMUM, READ_AGAIN, SETTLED_FOR, WHILE_DOWN
from tests.faults.test_outages import fleet, refresh_requests
from tests.support.standins import refusal
from tests.support.world import World


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    world.clock.pass_(SETTLED_FOR)
    return world


def test_a_version_that_was_refused_is_replaced_once(connected: World) -> None:
    first = connected.on_demand(tenant="acme", rejected_version=1)
    again = connected.on_demand(tenant="acme", rejected_version=1)
    assert [first.outcome, again.outcome] == [Answered.REFRESHED, Answered.ALIVE]
    assert (first.version, again.version) == (2, 2)
    assert refresh_requests(connected) == 1
    assert connected.history()[-1] == "token_rejected"


def test_a_token_that_lives_long_enough_is_left_alone(connected: World) -> None:
    answer = connected.on_demand(tenant="acme", min_valid_seconds=60)
    assert (answer.outcome, answer.version) == (Answered.ALIVE, 1)
    connected.clock.now = answer.expires_at - 59 if answer.expires_at else 0
    answer = connected.on_demand(tenant="acme", min_valid_seconds=60)
    assert (answer.outcome, answer.version) == (Answered.REFRESHED, 2)
    assert refresh_requests(connected) == 1


def test_a_service_that_wants_more_than_goto_gives_costs_one_refresh_a_minute(
    connected: World,
) -> None:
    connected.goto.lifetime = 600
    outcomes = [
        connected.on_demand(tenant="acme", min_valid_seconds=LONGEST_MINIMUM).outcome
        for _ in range(3)
    ]
    assert outcomes == [Answered.ALIVE] * 3, "an hour is left of the first"
    connected.clock.pass_(2_000)
    for _ in range(3):
        connected.on_demand(tenant="acme", min_valid_seconds=LONGEST_MINIMUM)
    assert refresh_requests(connected) == 1


def test_f05_who_finds_another_at_it_reads_again_soon(connected: World) -> None:
    meanwhile: list[Any] = []

    def ask() -> None:
        meanwhile.append(connected.on_demand(tenant="acme", rejected_version=1))

    connected.goto.script = [ask]
    assert connected.on_demand(tenant="acme", rejected_version=1).outcome is Answered.REFRESHED
    assert [(one.outcome, one.retry_after) for one in meanwhile] == [
        (Answered.IN_PROGRESS, READ_AGAIN)
    ]
    assert refresh_requests(connected) == 1


def test_f08_after_a_failure_nobody_hammers(connected: World) -> None:
    connected.goto.script = [ProviderUnreachable("no connection", sent=False)]
    first = connected.on_demand(tenant="acme", rejected_version=1)
    second = connected.on_demand(tenant="acme", rejected_version=1)
    assert [first.outcome, second.outcome] == [Answered.LATER] * 2
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
    assert answer.outcome in (Answered.LATER, Answered.ALIVE)
    assert answer.retry_after is None or answer.retry_after <= WHILE_DOWN
    assert len(connected.goto.asked) == asked


def test_f10_f11_whose_turn_it_is(connected: World) -> None:
    connected.connect(connected.add_tenant("beta"))
    connected.clock.pass_(SETTLED_FOR)
    connected.goto.script = [refusal(400, "invalid_grant")]
    ended = connected.on_demand(tenant="acme", rejected_version=1)
    connected.goto.script = [refusal(401, "invalid_client")] * 2
    rejected = connected.on_demand(tenant="beta", rejected_version=1)
    assert ended.outcome is Answered.REAUTHORIZATION_REQUIRED
    assert rejected.outcome is Answered.CREDENTIALS_REJECTED
    assert connected.on_demand(tenant="acme", min_valid_seconds=60).outcome is ended.outcome
    assert connected.on_demand(tenant="beta", min_valid_seconds=60).outcome is rejected.outcome
    assert connected.grant("beta").status is Status.CREDENTIALS_REJECTED


def test_f02_a_refusal_that_must_be_confirmed_is_no_verdict_yet(connected: World) -> None:
    connected.goto.script = [ProviderUnreachable("silence", sent=True)] * 2
    connected.on_demand(tenant="acme", rejected_version=1)
    connected.pass_until_due()
    connected.goto.script = [refusal(400, "invalid_grant")]
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert answer.outcome is Answered.LATER
    assert 0 < (answer.retry_after or 0) <= CONFIRM_PAUSE


def test_who_was_never_connected_is_not(world: World) -> None:
    world.add_tenant()
    for name in ("acme", "nobody"):
        assert world.on_demand(tenant=name, min_valid_seconds=60).outcome is Answered.NOT_CONNECTED


def test_a_payload_that_is_no_object_is_wrong_input(connected: World) -> None:
    wrong: tuple[Any, ...] = (None, [], "acme", 7)
    for event in wrong:
        use_case = OnDemand(
            connections=connected.connections,
            provider=connected.provider,
            refresher=connected.refresher(),
            clock=connected.clock,
        )
        assert use_case.refresh(event).outcome is Answered.INVALID


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
        {"tenant": "acme", "rejected_version": 1, "by_hand": "the rep"},
    ],
)
def test_wrong_input_is_named_and_changes_nothing(connected: World, event: dict[str, Any]) -> None:
    before = connected.everything()
    answer = connected.on_demand(**event)
    assert answer.outcome is Answered.INVALID
    assert answer.detail
    assert connected.everything() == before


@pytest.mark.parametrize("who", ["user/rep@ha.example", "x" * 500_000])
def test_s21_no_reader_writes_history_in_anybodys_name(connected: World, who: str) -> None:
    """S21: nor can what it sends be too much for the journal, and keep tokens from the tables."""
    answer = connected.on_demand(tenant="acme", rejected_version=1, who=who)
    assert (answer.outcome, answer.version) == (Answered.REFRESHED, 2)
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
