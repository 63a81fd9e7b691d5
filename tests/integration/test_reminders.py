"""A connection that has ended is asked for again on days 1, 3 and 7, until it is back."""

import math
import random
from collections.abc import Sequence

import pytest

from chalicelib.bootstrap import refresh
from chalicelib.durations import DAY, REMINDED_AFTER, REMINDER_TURN
from chalicelib.errors import DependencyUnavailable
from chalicelib.journal_entries import REMINDERS
from chalicelib.notify.email_templates import Reader, letters, write
from tests.integration.test_announcing import Outbox
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

ADMIN, SECOND = "admin@acme.example", "boss@acme.example"

memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)


@pytest.fixture
def outbox(world: World) -> Outbox:
    return Outbox(world)


def ended(world: World, outbox: Outbox) -> str:
    """A connection that GoTo has ended, and the link it was made with."""
    link = world.add_tenant()
    world.rep("tenant_change", tenant="acme", also_email=SECOND)
    link = world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    world.connect(link)
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))
    outbox.read()
    outbox.mails.clear()
    world.clock.now = (world.clock.now // REMINDER_TURN + 1) * REMINDER_TURN
    return link


def days(world: World, outbox: Outbox, count: float) -> list[tuple[float, str]]:
    """Live through some days; who was mailed on which."""
    begun, found = world.clock.now, []
    for _ in range(int(count * DAY / REMINDER_TURN)):
        refresh.reminders(world.deployment).send()
        outbox.read()
        day = float(round((world.clock.now - begun) / DAY))
        found += [(day, recipient) for recipient, _ in outbox.mails]
        outbox.mails.clear()
        world.clock.pass_(REMINDER_TURN)
    return found


@memory_only
def test_both_contacts_are_reminded_on_days_1_3_and_7_and_never_again(
    world: World, outbox: Outbox
) -> None:
    """With the first mail the admin has four: at most five were promised."""
    ended(world, outbox)
    told = days(world, outbox, 9)
    assert told == [(day, who) for day in (1.0, 3.0, 7.0) for who in (ADMIN, SECOND)]


@memory_only
def test_a_recovery_ends_the_reminders(world: World, outbox: Outbox) -> None:
    link = ended(world, outbox)
    assert [day for day, _ in days(world, outbox, 2)] == [1.0, 1.0]
    world.connect(link)
    outbox.read()
    outbox.mails.clear()
    assert days(world, outbox, 7) == []


@memory_only
def test_a_reminder_that_a_recovery_overtakes_is_not_sent(world: World, outbox: Outbox) -> None:
    """It is in the journal already; nobody is mailed after the recovery."""
    link = ended(world, outbox)
    world.clock.pass_(DAY)
    assert refresh.reminders(world.deployment).send() == 1
    world.connect(link)
    outbox.read()
    assert [subject for _, subject in outbox.told() if "Reminder" in subject] == []


@memory_only
def test_an_outage_of_the_tick_for_hours_loses_none(world: World, outbox: Outbox) -> None:
    ended(world, outbox)
    world.clock.pass_(DAY + 5 * 3_600)
    assert refresh.reminders(world.deployment).send() == 1
    assert refresh.reminders(world.deployment).send() == 0, "once"


@memory_only
def test_a_second_end_is_reminded_of_again(world: World, outbox: Outbox) -> None:
    link = ended(world, outbox)
    assert days(world, outbox, 2)
    world.connect(link)
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))
    outbox.read()
    outbox.mails.clear()
    world.clock.now = (world.clock.now // REMINDER_TURN + 1) * REMINDER_TURN
    assert [day for day, _ in days(world, outbox, 2)] == [1.0, 1.0]


@memory_only
def test_without_a_second_contact_the_admin_alone_is_reminded(world: World, outbox: Outbox) -> None:
    world.connect(world.add_tenant())
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))
    outbox.read()
    outbox.mails.clear()
    world.clock.now = (world.clock.now // REMINDER_TURN + 1) * REMINDER_TURN
    assert [who for _, who in days(world, outbox, 2)] == [ADMIN]


@memory_only
def test_the_words_differ_and_say_what_is_missing(world: World, outbox: Outbox) -> None:
    ended(world, outbox)
    world.clock.pass_(DAY)
    refresh.reminders(world.deployment).send()
    entry = world.journal.newest("acme", 1)[0]
    assert "no new calls since January 15" in entry.text
    subjects = set()
    for kind in REMINDERS:
        letter = letters(entry.__class__("acme", 0.0, kind, "x", entry.text))[Reader.SECOND]
        message = write(
            letter, name="Acme", tenant="acme", text=entry.text, link="https://a.example/b"
        )
        assert "no new calls since January 15" in message.text
        subjects.add(message.subject)
    assert len(subjects) == len(REMINDERS)


@memory_only
def test_refreshing_goes_on_where_reminders_cannot_be_looked_for(
    world: World, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise DependencyUnavailable("dynamodb", "Throttling")

    ended(world, outbox)
    monkeypatch.setattr("chalicelib.dynamodb.fleet.Fleet.ended_between", down)
    assert refresh.reminders(world.deployment).send() == 0
    assert [str(error) for error in world.reported] == ["dynamodb: Throttling"]


def days_to_reconnect(messages: Sequence[float], drawn: random.Random) -> float:
    """When somebody who answers each message with probability 0.3, after an hour to four days, has
    reconnected; infinite: never. ``messages``: days on which one of the customer's people gets one.
    """
    answers = [day + 10 ** drawn.uniform(-1.4, 0.6) for day in messages if drawn.random() < 0.3]
    return min(answers, default=math.inf)


def test_a_year_of_admins_who_seldom_answer_reconnects_sooner() -> None:
    """Ten thousand ends of connections: one mail, as it was; reminded; reminded with a second
    contact. Nobody is asked after the recovery, which the tests above hold."""
    ways = {
        "one mail": [0.0],
        "reminders": [0.0, *REMINDED_AFTER],
        "two contacts": [0.0, *REMINDED_AFTER, *REMINDED_AFTER],
    }
    drawn = random.Random(26)
    found = {
        name: sorted(days_to_reconnect(messages, drawn) for _ in range(10_000))
        for name, messages in ways.items()
    }
    within = {name: sum(each <= 14 for each in every) / 10_000 for name, every in found.items()}
    print(
        {name: (round(e[5_000], 1), round(e[9_500], 1), within[name]) for name, e in found.items()}
    )
    assert within["one mail"] < 0.35
    assert within["reminders"] > 0.7
    assert within["two contacts"] > 0.9
    assert found["one mail"][5_000] == math.inf
    assert found["two contacts"][5_000] < 3
