"""S29: nobody fills an admin's mailbox, nor the history that people decide from."""

import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

import pytest

from chalicelib.connect.authorize import MOST_STARTS, MOST_STARTS_A_DAY
from chalicelib.connect.visitors import BrowserCookies
from chalicelib.durations import DAY, LINK_LIFETIME, MAIL_PAUSE, REQUEST_LIFETIME
from chalicelib.dynamodb.authorization_requests import MOST_TOLD
from chalicelib.dynamodb.journal import MOST_PAGES, PAGE
from chalicelib.errors import LinkNotUsable, TooManyAttempts
from chalicelib.journal_entries import LINES, MOST_REPEATABLE, JournalEntry, Kind, traits
from chalicelib.models import Reason
from chalicelib.opaque import new_value
from tests.integration.test_announcing import ADMIN, REP, Outbox
from tests.support.reps import show
from tests.support.site import PAGE as ADDRESS
from tests.support.site import Site
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

ONLY_MEMORY = pytest.mark.parametrize("world", ["memory"], indirect=True)
"""Days of presses are too many for the other engines; each kind of press runs on all of them."""

OWN, OTHER = "4000000001", "4000000002"
MINUTE, HOUR = 60, 3_600


def fresh_link(world: World, name: str = "acme") -> str:
    return str(world.rep("link_create", tenant=name)["url"]).rsplit("/", 1)[1]


def deny(world: World, visitor: BrowserCookies) -> None:
    world.come_back(visitor, state=world.start(visitor)["state"], error="access_denied")


def fail(world: World, visitor: BrowserCookies) -> None:
    world.come_back(visitor, state=world.start(visitor)["state"], error="server_error")


def mismatch(world: World, visitor: BrowserCookies) -> None:
    world.goto.account_key = OTHER
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    assert world.complete() == [Reason.OTHER_ACCOUNT]


def reconnect(world: World, visitor: BrowserCookies) -> None:
    world.goto.account_key = OWN
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    assert world.complete() == [None]


PRESSES: tuple[Callable[[World, BrowserCookies], None], ...] = (deny, fail, mismatch, reconnect)


def bounced(world: World) -> None:
    text = f"A mail to {ADMIN} bounced: it cannot be delivered."
    world.journal.append(JournalEntry("acme", world.clock(), Kind.MAIL_BOUNCED, "mail", text))


def requested(world: World) -> int:
    return world.history().count(Kind.LINK_REQUESTED)


# The button on a dead link's page.


def test_s29_a_link_that_was_revoked_mails_nobody(world: World) -> None:
    revoked = world.add_tenant()
    world.rep("link_revoke", tenant="acme")
    before = world.everything()
    world.visit.ask_for_fresh_link(revoked)
    assert world.everything() == before


def test_s29_a_link_of_a_tenant_that_is_gone_mails_nobody(world: World) -> None:
    link = world.add_tenant()
    world.dynamodb.delete_item(
        TableName=world.settings.tenants_table, Key={"tenant": {"S": "acme"}}
    )
    before = world.everything()
    world.visit.ask_for_fresh_link(link)
    assert world.everything() == before


def test_s29_an_intake_link_mails_nobody(world: World) -> None:
    """Living, used, or of a series that has ended."""
    world.add_tenant()
    intake = [str(world.rep("intake_create", tenant="acme")["url"])[-43:] for _ in range(2)]
    given = {"browser": "b" * 64, "client_id": "id-acme", "client_secret": "s"}
    assert world.credential_intake().take({"link": intake[0], **given}) == "stored"
    for link in intake:
        world.visit.ask_for_fresh_link(link)
    world.rep("link_revoke", tenant="acme")
    for link in intake:
        world.visit.ask_for_fresh_link(link)
    assert requested(world) == 0


def test_s29_an_expired_link_has_a_fresh_one_mailed_once_a_day(world: World) -> None:
    expired = world.add_tenant()
    world.clock.pass_(LINK_LIFETIME)
    for _ in range(3):
        world.visit.ask_for_fresh_link(expired)
        world.clock.pass_(MAIL_PAUSE // 3)
    assert (requested(world), MAIL_PAUSE) == (1, DAY)
    world.visit.ask_for_fresh_link(expired)
    assert requested(world) == 2


@ONLY_MEMORY
def test_s29_three_days_of_presses_are_a_few_mails_a_day(world: World) -> None:
    """A press a minute on dead links, and all that somebody can do who holds a living link and has
    the customer's GoTo account, which they also withdraw there again and again."""
    outbox = Outbox(world)
    revoked = world.add_tenant()
    world.rep("link_revoke", tenant="acme")
    expired = fresh_link(world)
    world.clock.pass_(LINK_LIFETIME)
    visitor = world.browser(fresh_link(world))
    reconnect(world, visitor)
    outbox.read()
    outbox.mails.clear()
    world.clock.now = (world.clock.now // DAY + 1) * DAY
    world.tick()  # the schedule did not stand still until midnight
    mails: list[Counter[str]] = []
    pressed, minutes = 0, count()
    while len(mails) < 3:
        tomorrow = world.clock.now - world.clock.now % DAY + DAY
        while world.clock.now < tomorrow:
            minute = next(minutes)
            for link in (revoked, expired, new_value()):
                world.visit.ask_for_fresh_link(link)
            try:
                PRESSES[minute % 4](world, visitor)
                pressed += 1
            except TooManyAttempts:
                pass
            if minute % 10 == 0:
                world.tick_refused(refusal(400, "invalid_grant"))
                world.goto.script = []
            world.clock.pass_(MINUTE)
        outbox.read()
        mails.append(Counter(recipient for recipient, _ in outbox.mails))
        outbox.mails.clear()
    assert pressed == 3 * MOST_STARTS_A_DAY
    assert all(day[ADMIN] <= 8 and day[REP] <= 8 for day in mails), mails
    assert world.reported == []


@ONLY_MEMORY
def test_s29_whoever_only_holds_a_link_causes_a_few_mails_a_day(world: World) -> None:
    """Without the customer's GoTo account: one on the refused account, one with a fresh link."""
    outbox = Outbox(world)
    expired = world.add_tenant()
    world.clock.pass_(LINK_LIFETIME)
    link = fresh_link(world)
    world.connect(link)
    outbox.read()
    outbox.mails.clear()
    world.clock.now = (world.clock.now // DAY + 1) * DAY
    for _ in range(24 * 6 - 1):
        world.visit.ask_for_fresh_link(expired)
        for press in PRESSES[:3]:
            try:
                press(world, world.browser(link))
            except TooManyAttempts:
                break
        world.clock.pass_(10 * MINUTE)
    outbox.read()
    assert Counter(recipient for recipient, _ in outbox.mails) == {ADMIN: 2, REP: 3}


def test_s29_reconnections_are_told_three_times_a_day_and_published_each(world: World) -> None:
    outbox = Outbox(world)
    link = world.add_tenant()
    for _ in range(6):
        world.connect(link)
        world.clock.pass_(1)
    outbox.read()
    outbox.read()  # the stream starts again: nobody is told twice
    assert Counter(recipient for recipient, _ in outbox.mails) == {ADMIN: 3, REP: 3}
    published = Counter(entry.kind for entry in outbox.events)
    assert published[Kind.RECONNECTED] == 2 * 5
    world.clock.pass_(DAY)
    world.connect(link)
    outbox.read()
    assert len(outbox.mails) == 8


def test_s29_what_follows_a_reps_act_is_told_whatever_was_told_that_day(world: World) -> None:
    """S29: else three reconnections in the morning hide that another account has connected."""
    outbox = Outbox(world)
    link = world.add_tenant()
    for _ in range(4):
        world.connect(link)
        world.clock.pass_(1)
    outbox.read()
    told = len(outbox.mails)
    world.rep("pin_lift", tenant="acme")
    world.connect(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    outbox.read()
    assert Counter(recipient for recipient, _ in outbox.mails[told:])[REP] >= 1
    told = len(outbox.mails)
    world.rep("tenant_remove", tenant="acme")
    world.connect(world.add_tenant())
    outbox.read()
    assert {recipient for recipient, _ in outbox.mails[told:]} == {ADMIN, REP}


# The history.


def test_s29_sixty_denials_hide_neither_cause_nor_advice_nor_lines(world: World) -> None:
    """S29: the holder of a link presses Deny; twenty minutes, as the red team did."""
    link = world.add_tenant()
    world.connect(link)
    bounced(world)
    before = show(world)
    visitor = world.browser(link)
    for _ in range(60):
        world.clock.pass_(20)
        deny(world, visitor)
    after = show(world)
    for told in ("next_action", "since", "why", "state"):
        assert after[told] == before[told] is not None
    assert after["next_action"].startswith("Mails do not reach the admin")
    kinds = [line["kind"] for line in after["timeline"]]
    assert kinds.count(Kind.AUTHORIZATION_DENIED) == LINES - len(before["timeline"])
    assert [line for line in after["timeline"] if line in before["timeline"]] == before["timeline"]
    assert world.history().count(Kind.AUTHORIZATION_DENIED) == MOST_TOLD


def test_s29_the_browser_reads_how_its_own_request_ended_however_full_the_day_is(
    world: World,
) -> None:
    link = world.add_tenant()
    for _ in range(MOST_TOLD):
        deny(world, world.browser(link))
    admin = world.browser(link)
    deny(world, admin)
    notice = world.visit.settings_page(admin).notice
    assert notice is not None
    assert notice.reason is Reason.DENIED
    fail(world, world.browser(link))
    assert world.history().count(Kind.AUTHORIZATION_FAILED) == 1, "counted by kind"
    world.clock.pass_(DAY)
    deny(world, world.browser(link))
    assert world.history().count(Kind.AUTHORIZATION_DENIED) == MOST_TOLD + 1


def test_s29_an_ending_that_is_repeated_is_counted_once(world: World) -> None:
    """The back button leads through GoTo to a state that is used up."""
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    for _ in range(MOST_TOLD + 1):
        world.come_back(visitor, state=state, error="access_denied")
    other = world.browser(fresh_link(world))
    for _ in range(MOST_TOLD):
        deny(world, other)
    assert world.history().count(Kind.AUTHORIZATION_DENIED) == MOST_TOLD


@ONLY_MEMORY
def test_s29_a_link_allows_its_share_of_starts_in_a_day(world: World) -> None:
    link = world.add_tenant()
    world.clock.now = (world.clock.now // DAY + 1) * DAY
    opened = 0
    for _ in range(24):
        with suppress(TooManyAttempts):
            for _ in range(MOST_STARTS + 1):
                world.start(world.browser(link))
                opened += 1
        world.clock.pass_(HOUR - 1)
    assert opened == MOST_STARTS_A_DAY
    with pytest.raises(TooManyAttempts):
        world.start(world.browser(link))
    world.start(world.browser(fresh_link(world)))


@ONLY_MEMORY
@pytest.mark.parametrize(
    ("presses", "a_day"),
    [
        pytest.param(PRESSES[:3], 3 * MOST_TOLD + 3, id="link alone"),
        pytest.param(PRESSES, MOST_STARTS_A_DAY, id="link and GoTo account"),
    ],
)
def test_s29_ninety_days_of_presses_leave_tenant_show_right_and_cheap(
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    presses: tuple[Callable[[World, BrowserCookies], None], ...],
    a_day: int,
) -> None:
    """S29: all that a link's holder can add to the history in the link's whole life."""
    world.goto.lifetime = LINK_LIFETIME * 2
    world.connect(world.add_tenant())
    since = int(world.clock.now)
    world.rep("intake_send", tenant="acme")
    bounced(world)
    world.rep("link_send", tenant="acme")
    visitor, link = world.browser(fresh_link(world)), fresh_link(world)
    for _ in range(90):
        for number in range(a_day):
            press = presses[number % len(presses)]
            press(world, visitor)
            since = int(world.clock.now) if press is reconnect else since
            world.clock.pass_(REQUEST_LIFETIME // 20)
        world.clock.now = (world.clock.now // DAY + 1) * DAY
    for _ in range(MOST_TOLD):
        deny(world, world.browser(link))
    queries, query = [], world.dynamodb.query

    def counted(**asked: Any) -> Any:
        queries.append(asked)
        return query(**asked)

    monkeypatch.setattr(world.dynamodb, "query", counted)
    shown = show(world)
    assert shown["next_action"].startswith("Mails do not reach the admin")
    assert shown["since"] == since
    why = "Reconnected to GoTo" if reconnect in presses else "Connected to GoTo"
    assert shown["why"] == f"{why} account 4000000001 by admin@acme.example."
    kinds = [line["kind"] for line in shown["timeline"]]
    assert len(kinds) == LINES
    assert sum(traits(kind).repeatable for kind in kinds) == MOST_REPEATABLE
    if reconnect not in presses:
        assert {Kind.LINK_SENT, Kind.MAIL_BOUNCED, Kind.INTAKE_SENT, Kind.CONNECTED} < set(kinds)
    rows = world.everything()[world.settings.journal_table]
    assert len(rows) < 91 * MOST_STARTS_A_DAY < PAGE * MOST_PAGES / 10
    assert len(queries) <= 2 + len(rows) // PAGE


def appended(world: World, *kinds: str) -> None:
    for kind in kinds:
        world.clock.pass_(1)
        world.journal.append(JournalEntry("acme", world.clock(), kind, "x", "x"))


def test_s29_a_history_is_read_page_by_page_back_to_its_beginning(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S29: what a stranger repeats is passed over beyond the newest entries, all else is found."""
    monkeypatch.setattr("chalicelib.dynamodb.journal.NEWEST", 3)
    monkeypatch.setattr("chalicelib.dynamodb.journal.PAGE", 2)
    denied = Kind.AUTHORIZATION_DENIED
    appended(world, "tenant_added", "connected", denied, "tenant_removed")
    appended(
        world, "tenant_added", "link_sent", *[denied] * 5, "degraded", "made_up", *[denied] * 3
    )
    found = [entry.kind for entry in world.journal.history("acme")]
    assert found == [*[denied] * 3, "made_up", "degraded", "link_sent", "tenant_added"]
    monkeypatch.setattr("chalicelib.dynamodb.journal.MOST_PAGES", 2)
    found = [entry.kind for entry in world.journal.history("acme")]
    assert found == [*[denied] * 3, "made_up", "degraded"]
    assert list(world.journal.history("nobody")) == []


# Who else may not read on.


def test_s18_a_changed_address_ends_the_former_admins_links(world: World) -> None:
    """Links, what was begun at them, the details in that browser, and the way to a fresh link."""
    link = world.add_tenant()
    former = world.connect(link)
    started = world.browser(link)
    state = world.start(started)["state"]
    answer = world.rep("tenant_change", tenant="acme", admin_email="new@acme.example")
    assert answer["links_revoked"]
    for visit in (world.visit.settings_page, world.visit.processing):
        with pytest.raises(LinkNotUsable):
            visit(former)
    world.come_back(started, state=state, code="a-code")
    assert world.complete() == [Reason.ENDED]
    world.visit.ask_for_fresh_link(link)
    assert requested(world) == 0
    view = world.visit.settings_page(BrowserCookies(fresh_link(world), former.browser))
    assert (view.details, view.token) == (None, None)


def test_s29_a_second_contact_who_is_taken_out_keeps_no_link(world: World) -> None:
    """S29: each reminder held one, for 90 days."""
    world.add_tenant()
    world.rep("tenant_change", tenant="acme", also_email="boss@acme.example")
    link = fresh_link(world)
    answer = world.rep("tenant_change", tenant="acme", also_email="")
    assert answer["links_revoked"]
    assert world.tenants.known("acme").also_email is None
    with pytest.raises(LinkNotUsable):
        world.visit.open_link(link)
    newest = world.journal.newest("acme", 1)[0]
    assert newest.kind == "address_changed"
    assert newest.text.startswith("Changed: also email (removed).")


@pytest.mark.parametrize("value", ["", " ", "\x1b", 7])
@pytest.mark.parametrize("field", ["admin_email", "also_email", "display_name"])
def test_what_must_be_there_or_is_not_is_not_taken_out(
    world: World, field: str, value: object
) -> None:
    """And no link ends by it."""
    world.add_tenant()
    before = world.everything()
    assert world.rep("tenant_change", tenant="acme", **{field: value})["kind"] == "invalid_input"
    assert world.everything() == before


def test_a_changed_display_name_leaves_the_links_alone(world: World) -> None:
    link = world.add_tenant()
    visitor = world.connect(link)
    answer = world.rep("tenant_change", tenant="acme", display_name="Acme Limited")
    assert not answer["links_revoked"]
    assert world.visit.settings_page(visitor).details is not None


def test_the_next_action_after_a_changed_address_is_a_new_link(world: World) -> None:
    world.connect(world.add_tenant())
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))
    assert "mailed to them" in show(world)["next_action"]
    world.rep("tenant_change", tenant="acme", admin_email="new@acme.example")
    assert show(world)["next_action"] == "Send the admin a new link to connect: link send acme."
    world.rep("link_send", tenant="acme")
    assert "mailed to them" in show(world)["next_action"]


def test_s18_a_name_that_is_given_to_another_customer_shows_nothing_of_the_first(
    world: World,
) -> None:
    """Timeline, cause, detail, and the trust in the first one's browsers."""
    first = world.connect(world.add_tenant())
    bounced(world)
    world.clock.pass_(HOUR)
    world.rep("tenant_remove", tenant="acme")
    world.clock.pass_(HOUR)
    link = world.add_tenant()
    shown = show(world)
    beginning = [Kind.LINK_CREATED, Kind.CREDENTIALS_SET, Kind.TENANT_ADDED]
    assert [line["kind"] for line in shown["timeline"]] == beginning
    assert (shown["by"], shown["detail"], shown["since"]) == (None, None, int(world.clock.now))
    second = world.connect(link)
    details = world.visit.settings_page(second).details
    assert details is not None
    assert [entry.kind for entry in details.timeline] == [Kind.CONNECTED, Kind.CREDENTIALS_SET]
    view = world.visit.settings_page(BrowserCookies(link, first.browser))
    assert (view.details, view.token) == (None, None)


def test_s18_a_timeline_that_is_older_than_its_newest_entries_is_cut_as_well(world: World) -> None:
    world.connect(world.add_tenant())
    world.rep("tenant_remove", tenant="acme")
    world.clock.pass_(1)
    world.add_tenant()
    appended(world, *[Kind.REFRESH_ASKED] * 60)
    kinds = {entry.kind for entry in world.journal.history("acme")}
    assert not kinds & {Kind.CONNECTED, Kind.TENANT_REMOVED}


def test_customers_read_no_names_of_hireanalytixs_people(site: Site) -> None:
    """The rep reads them."""
    link = site.world.add_tenant()
    appended(site.world, Kind.MAIL_BOUNCED, Kind.TOKEN_REJECTED)
    body = site.connect(link).body
    shown = body[body.index('class="timeline"') :]
    assert set(re.findall(r"<em>(.*?)</em>", shown)) == {"You", "hireanalytiX"}
    assert "a test" not in shown
    site.world.clock.pass_(DAY)
    site.world.tick()
    site.world.pass_until_due()
    site.world.tick_refused(refusal(400, "invalid_grant"))
    body = site.get(ADDRESS).body
    assert "<em>GoTo</em> ended" in body
    assert "scheduler" not in body
    who: set[Any] = {line["who"] for line in show(site.world)["timeline"]}
    assert {"a test", "the scheduler", "admin@acme.example"} <= who
