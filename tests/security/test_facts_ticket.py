"""S21: GoTo's answers are compared at the word of the rep's function alone, though readers may
invoke the function that does it; each request counts, and the history says who asked."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import app as entry
from chalicelib.durations import DEMAND_SAVED, FACTS_AGAIN, SETTLED_FOR
from chalicelib.dynamodb.links import FactsTickets
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.opaque import new_value
from chalicelib.refresh.facts import REQUESTS
from chalicelib.refresh.on_demand import PART, RefreshOutcome
from tests.support.world import World

MADE_UP = "A" * 43
"""What has the form of a ticket."""

RefreshNow = Callable[[Any], dict[str, Any]]


@pytest.fixture
def connected(world: World) -> World:
    """Two tenants, of whom either may be compared."""
    for name in ("acme", "beta"):
        world.goto.account_key = f"account-{name}"
        world.connect(world.add_tenant(name))
    world.clock.pass_(SETTLED_FOR)
    return world


@pytest.fixture
def refresh_now(connected: World, monkeypatch: pytest.MonkeyPatch) -> RefreshNow:
    """The function as a reader invokes it."""
    monkeypatch.setattr(entry, "deployment", lambda: connected.deployment)
    context = SimpleNamespace(
        aws_request_id="r",
        invoked_function_arn="arn",
        get_remaining_time_in_millis=lambda: 60_000,
    )
    invoke: RefreshNow = lambda event: entry.refresh_now(event, context)  # noqa: E731
    return invoke


def issued(world: World, tenant: str = "acme") -> str:
    """A ticket as the rep's function writes one."""
    ticket = new_value()
    asked = JournalEntry(tenant, world.clock(), Kind.FACTS_ASKED, "a rep", "Asked.")
    assert FactsTickets(world.tables).issue(ticket, asked)
    return ticket


def refused(world: World, refresh_now: RefreshNow, event: Any) -> None:
    """It is bad input, and nothing else: no request, no write."""
    before, asked = world.everything(), len(world.goto.asked)
    assert refresh_now(event)["outcome"] == "invalid"
    assert (world.everything(), len(world.goto.asked)) == (before, asked)


@pytest.mark.parametrize(
    "event",
    [
        {"facts_of": "acme"},
        {"facts_of": "acme", "tenant": "acme"},
        {"facts_of": "acme", "ticket": MADE_UP},
        {"facts_of": "acme", "ticket": ""},
        {"facts_of": "acme", "ticket": {"S": "x"}},
        {"facts_of": ["acme"], "ticket": MADE_UP},
        {"facts_of": "x" * 3_000, "ticket": MADE_UP},
        {"facts_of": "", "ticket": MADE_UP},
    ],
)
def test_s21_a_reader_without_a_ticket_has_nothing_compared(
    connected: World, refresh_now: RefreshNow, event: dict[str, Any]
) -> None:
    refused(connected, refresh_now, event)
    issued(connected)
    refused(connected, refresh_now, event)


@pytest.mark.parametrize("event", [[], "facts_of", 7, None, True], ids=repr)
def test_s21_what_is_no_object_is_bad_input(
    connected: World, refresh_now: RefreshNow, event: Any
) -> None:
    refused(connected, refresh_now, event)


def test_s21_a_ticket_is_good_once_for_its_tenant_and_a_minute(
    connected: World, refresh_now: RefreshNow
) -> None:
    ticket = issued(connected)
    refused(connected, refresh_now, {"facts_of": "beta", "ticket": ticket})
    assert refresh_now({"facts_of": "acme", "ticket": ticket})["outcome"] == "asked"
    refused(connected, refresh_now, {"facts_of": "acme", "ticket": ticket})
    late = issued(connected, "beta")
    connected.clock.pass_(FACTS_AGAIN)
    refused(connected, refresh_now, {"facts_of": "beta", "ticket": late})


def test_s21_tables_know_a_ticket_by_its_digest(connected: World) -> None:
    """Whoever may read the table can't spend one."""
    assert issued(connected) not in repr(connected.everything())


def test_s21_a_rep_is_named_and_has_it_once_a_minute(connected: World) -> None:
    assert connected.rep("facts", tenant="acme")["facts"]
    [asked, *_] = connected.journal.newest("acme", 1)
    assert (asked.kind, asked.who) == ("facts_asked", "a test")
    connected.clock.pass_(FACTS_AGAIN - 1)
    sent, lines = len(connected.goto.asked), connected.history()
    assert connected.rep("facts", tenant="acme")["kind"] == "unavailable"
    assert (len(connected.goto.asked), connected.history()) == (sent, lines)
    connected.clock.pass_(1)
    assert connected.rep("facts", tenant="acme")["facts"]
    assert connected.rep("facts", tenant="nobody")["kind"] == "unknown_tenant"


def test_s21_a_comparison_takes_a_slot_for_each_request(connected: World) -> None:
    """What readers ask for waits until the share has room again, and so does another tenant's."""
    assert connected.rep("facts", tenant="acme")["facts"]
    slot = PART / connected.settings.token_rate
    connected.clock.pass_(REQUESTS * slot - DEMAND_SAVED)
    assert connected.rep("facts", tenant="beta")["kind"] == "unavailable"
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert answer.outcome is RefreshOutcome.LATER
    connected.clock.pass_(slot)
    answer = connected.on_demand(tenant="acme", rejected_version=1)
    assert answer.outcome is RefreshOutcome.REFRESHED


def test_s21_a_tenant_that_is_not_connected_is_not_written_about(world: World) -> None:
    world.add_tenant()
    before = world.everything()
    assert world.rep("facts", tenant="acme")["kind"] == "not_connected"
    assert world.everything() == before
