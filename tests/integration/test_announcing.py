"""Who is told what: mails and events from the journal, each once, none lost."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, cast

import jsonschema
import pytest
from moto import mock_aws

from chalicelib.durations import DAY, HEARD_WITHIN
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.links import SentMails
from chalicelib.errors import DependencyUnavailable, LinkNotUsable, MailRefused
from chalicelib.journal_entries import ENDS_LINKS, JournalEntry
from chalicelib.models import PROVIDER, STREAM, Reason, Status, TenantDetails
from chalicelib.notify.announcer import Announcer
from chalicelib.notify.email_templates import Letter, Message, Reader, letters, write
from chalicelib.notify.eventbridge import Bus
from chalicelib.notify.mail_feedback import MailFeedback
from chalicelib.notify.ses import Mail
from sandbox.environment import ROOT
from tests.support.aws import REGION, session
from tests.support.people import ACCOUNTS, RIVAL, THIRD, moved_in, principal, sign_in
from tests.support.people import ADMIN as ADMINS
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

REP = "reps@ha.example"
ADMIN = "admin@acme.example"
Sending = Callable[[str, Message], None]


class Outbox:
    """What would be mailed and published. ``fail`` is asked before each mail."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mails: list[tuple[str, Message]] = []
        self.events: list[JournalEntry] = []
        self.fail: Callable[[], None] = lambda: None
        self.reported: list[Exception] = []
        self.waiting: list[str] = []
        self.unsent = 0
        itself: Any = self  # stands in for the adapters
        self.announcer = Announcer(
            rep_mail=REP,
            tenants=world.tenants,
            fleet=world.fleet_counts,
            invitations=world.invitations,
            sent_mails=SentMails(world.tables),
            mail=itself,
            waiting=itself,
            bus=itself,
            journal=world.journal,
            report=self.reported.append,
            clock=world.clock,
        )

    def send(self, recipient: str, message: Message, *, tenant: str, reader: Reader) -> None:
        self.fail()
        assert tenant
        assert (recipient == REP) is (reader is Reader.REP)
        self.mails.append((recipient, message))

    def add(self, key: str) -> None:
        self.waiting.append(key)

    def publish(self, entry: JournalEntry, key: str) -> None:
        assert key.startswith(f"{entry.tenant}#")
        self.events.append(entry)

    def read(self, *tenants: str) -> None:
        """Offer every entry once more, as a stream does that starts again."""
        rows = self.world.everything()[self.world.settings.journal_table]
        wanted = tenants or ("acme",)
        for row in sorted(rows, key=lambda row: row["at"]["S"]):
            if row["tenant"]["S"] in wanted:
                self.unsent += self.announcer.announce(journal.read(row), journal.key(row))

    def bring_waiting(self) -> int:
        """Bring what waits, as its queue does until it is sent; how many mails still are not."""
        keys, self.waiting = self.waiting, []
        unsent = 0
        for key in keys:
            if still := self.announcer.send_waiting(key):
                self.waiting.append(key)
                unsent += still
        return unsent

    def told(self) -> list[tuple[str, str]]:
        return [(recipient, message.subject) for recipient, message in self.mails]


class NothingSent(SentMails):
    """`SentMails` after its rows have expired, or were restored themselves."""

    def __init__(self) -> None:
        pass

    def told(self, occasion: str) -> tuple[str, ...]:
        return ()


@pytest.fixture
def outbox(world: World) -> Outbox:
    return Outbox(world)


def link_in(message: Message) -> str:
    """The link's own value; the same in text and HTML."""
    [line] = [line for line in message.text.splitlines() if line.startswith("http")]
    assert message.html.count(line) == 3  # the button, and the address as a link
    return line.rsplit("/", 1)[1]


def test_a_tenants_way_in_mails(world: World, outbox: Outbox) -> None:
    """Intake, client, link, connected: each told once to whom it concerns."""
    world.onboarding.add_tenant("acme", TenantDetails("Acme Ltd", ADMIN), TESTER)
    world.invitations.send_intake_link("acme", TESTER)
    outbox.read()
    assert outbox.told() == [(ADMIN, "Set up GoTo access for hireanalytiX (step 1 of 2)")]
    intake = link_in(outbox.mails[0][1])
    outcome = world.credential_intake().take(
        {"link": intake, "browser": "b" * 64, "client_id": "id-acme", "client_secret": "s"}
    )
    assert outcome == "stored"
    world.invitations.send_link("acme", TESTER)
    outbox.read()
    assert outbox.told()[1:] == [
        (REP, "acme: the GoTo client has arrived"),
        (ADMIN, "Connect hireanalytiX to your GoTo phone system"),
    ]
    world.connect(link_in(outbox.mails[2][1]))
    outbox.read()
    assert outbox.told()[3:] == [
        (ADMIN, "hireanalytiX is connected to your GoTo phone system"),
        (REP, "acme: connected"),
    ]
    outbox.read()
    assert len(outbox.mails) == 5


def test_s15_a_fresh_link_is_mailed_to_the_registered_admin(world: World, outbox: Outbox) -> None:
    link = world.add_tenant()
    world.visit.ask_for_fresh_link(link)
    outbox.read()
    [(recipient, message)] = outbox.mails
    assert recipient == ADMIN
    fresh = link_in(message)
    assert fresh != link
    world.visit.open_link(fresh)
    assert world.history().count("link_created") == 1  # the rep's own, none for the mail


def test_s25_the_rep_is_mailed_who_connected_and_who_tried_the_admin_is_not(
    world: World, outbox: Outbox
) -> None:
    """S25: three times a day at most, and without a command that confirms whoever tried last."""
    moved_in(world)
    link = world.add_tenant()
    sign_in(world, link, ADMINS)
    for who in (RIVAL, RIVAL, THIRD):
        sign_in(world, link, who)
    outbox.read()
    to_rep = [message.text for recipient, message in outbox.mails if recipient == REP]
    to_admin = "".join(message.text for recipient, message in outbox.mails if recipient == ADMIN)
    assert f"Connected to GoTo account {ACCOUNTS[ADMINS]} by {principal(ADMINS)}." in to_rep[0]
    for text, who in zip(to_rep[1:], (RIVAL, RIVAL, THIRD), strict=True):
        assert f"GoTo account {ACCOUNTS[who]}, by {principal(who)}" in text
        assert f"--account {ACCOUNTS[who]}" not in text
    for who in (RIVAL, THIRD):
        assert ACCOUNTS[who] not in to_admin
        assert principal(who) not in to_admin


def test_s25_the_rep_is_mailed_that_an_account_could_not_be_read(
    world: World, outbox: Outbox
) -> None:
    world.goto.account_key = None
    world.connect(world.add_tenant())
    outbox.read()
    [text] = [message.text for recipient, message in outbox.mails if recipient == REP]
    assert "it will be pinned by the first refresh that can read it" in text


def test_s03_both_sides_are_told_of_another_account_a_few_times_a_day(
    world: World, outbox: Outbox
) -> None:
    """S03: whoever holds the link can repeat it; the mailboxes are not filled."""
    link = world.add_tenant()
    world.connect(link)
    world.goto.account_key = "4000000002"
    for _ in range(5):
        visitor = world.browser(link)
        world.come_back(visitor, state=world.start(visitor)["state"], code="b-code")
        assert world.complete() == [Reason.OTHER_ACCOUNT]
        world.clock.pass_(700)
    outbox.read()
    refused = [told for told in outbox.told() if "different GoTo account" in told[1]]
    assert [recipient for recipient, _ in refused] == [ADMIN, REP, REP, REP]
    assert [entry.kind for entry in outbox.events].count("authorization_mismatched") == 5
    to_admin = [message.text for recipient, message in outbox.mails if recipient == ADMIN]
    assert "4000000002" not in "".join(to_admin)
    world.clock.pass_(DAY)
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="b-code")
    world.complete()
    outbox.read()
    assert len([told for told in outbox.told() if "different GoTo account" in told[1]]) == 6


def test_a_grant_that_ended_brings_the_admin_a_link_and_the_rep_a_word(
    world: World, outbox: Outbox
) -> None:
    world.connect(world.add_tenant())
    outbox.read()
    outbox.mails.clear()
    world.clock.pass_(3_000)
    world.tick_refused(refusal(400, "invalid_grant"))
    outbox.read()
    assert outbox.told() == [
        (ADMIN, "Please reconnect hireanalytiX to GoTo"),
        (REP, "acme: the admin must reconnect"),
    ]
    world.connect(link_in(outbox.mails[0][1]))


def test_a_client_that_is_refused_is_the_reps_affair(world: World, outbox: Outbox) -> None:
    world.connect(world.add_tenant())
    outbox.read()
    outbox.mails.clear()
    world.clock.pass_(3_000)
    world.tick_refused(refusal(401, "invalid_client"))
    outbox.read()
    assert outbox.told() == [(REP, "acme: GoTo refuses the client")]


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_the_last_week_is_told_twice_with_a_link(world: World, outbox: Outbox) -> None:
    """Seven and two days before the end, once each."""
    world.connect(world.add_tenant())
    outbox.read()
    outbox.mails.clear()
    for hour in range(31 * 24):
        world.clock.pass_(3_500)
        world.tick()
        if hour % 12 == 0:
            outbox.read()
    told = [subject for recipient, subject in outbox.told() if recipient == ADMIN]
    assert told[:2] == ["Please reconnect hireanalytiX to GoTo soon"] * 2
    texts = [message.text for recipient, message in outbox.mails if recipient == ADMIN][:2]
    assert all("about to expire" in text for text in texts)
    assert texts[0] != texts[1]


def test_f34_a_mail_that_fails_waits_and_is_not_sent_twice(world: World, outbox: Outbox) -> None:
    """F34: the rep's mail fails after the admin's was sent; the event goes out, the mail waits."""
    world.connect(world.add_tenant())
    failures = iter([None, DependencyUnavailable("ses", "Throttling"), None])

    def sometimes() -> None:
        error = next(failures, None)
        if error is not None:
            raise error

    outbox.fail = sometimes
    outbox.read()
    assert [recipient for recipient, _ in outbox.mails] == [ADMIN]
    assert [entry.kind for entry in outbox.events][-1] == "connected"
    assert (outbox.unsent, len(outbox.waiting)) == (1, 1)
    assert outbox.bring_waiting() == 0
    assert [recipient for recipient, _ in outbox.mails] == [ADMIN, REP]
    assert outbox.waiting == []


def test_f34_a_sender_that_ses_refuses_is_no_fault_of_the_customer_s(
    world: World, outbox: Outbox
) -> None:
    """F34: nothing counts as sent, nobody's address is blamed; once SES takes it, it goes out.

    AWS: "Verified identities in Amazon SES" and "Amazon SES API errors", SES Developer Guide: an
    unverified sender, and in the sandbox an unverified recipient, are `MessageRejected`.
    """
    with mock_aws():
        ses: Any = session().create_client("sesv2", REGION)
        mail = Mail(client=ses, sender=world.settings.mail_from, configuration=None)
        announcer = replace(outbox.announcer, mail=mail)
        outbox.announcer = announcer
        world.add_tenant()
        world.invitations.send_link("acme", TESTER)
        outbox.read()
        assert [str(error) for error in outbox.reported] == ["ses: MessageRejected"]
        assert "mail_bounced" not in world.history()
        assert "right address" not in str(world.rep("tenant_show", tenant="acme")["next_action"])
        assert outbox.bring_waiting() == 1, "and again, until an operator has verified it"
        ses.create_email_identity(EmailIdentity=world.settings.mail_from)
        assert outbox.bring_waiting() == 0
        quota: Any = session().create_client("ses", REGION)
        assert quota.get_send_quota()["SentLast24Hours"] == 1


def test_f35_what_came_back_from_a_backup_is_told_to_nobody(world: World, outbox: Outbox) -> None:
    """F35: a stream's record lives a day, so an older entry was written again by a restore.

    AWS: "Change data capture for DynamoDB Streams", DynamoDB Developer Guide (Streams.html).
    """
    world.add_tenant()
    world.invitations.send_link("acme", TESTER)
    outbox.read()
    assert len(outbox.mails) == 1
    outbox.mails.clear()
    outbox.events.clear()
    world.clock.pass_(30 * DAY)
    outbox.announcer = replace(outbox.announcer, sent_mails=NothingSent())
    outbox.read()
    assert (outbox.mails, outbox.events) == ([], [])
    assert sum(world.fleet.counts().values()) == 1, "the fleet's counts are kept all the same"


def test_f35_a_heartbeat_is_noted_and_told_to_nobody(world: World, outbox: Outbox) -> None:
    """F35: the doctor sees a stream that nobody reads."""
    look = world.desk().overview.look_at_stream
    assert look() == "Nothing has come through it yet, so no mail or event is sent."
    world.journal.beat(int(world.clock()))
    outbox.read(STREAM)
    assert look() is None
    assert (outbox.mails, outbox.events) == ([], [])
    world.clock.pass_(HEARD_WITHIN + 1)
    assert look() == "Nothing has come through it for 901 s."


def test_a_mail_that_ses_will_never_send_holds_nothing_up(world: World, outbox: Outbox) -> None:
    world.add_tenant()
    world.invitations.send_link("acme", TESTER)

    def refused() -> None:
        raise MailRefused("BadRequestException")

    outbox.fail = refused
    outbox.read()
    assert len(outbox.reported) == 1
    assert world.history()[-1] == "mail_bounced"
    outbox.fail = lambda: None
    outbox.read()
    assert outbox.told() == [(REP, "acme: our emails don't reach the admin")]


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_a_thousand_tenants_failing_at_once_are_one_alert(world: World, outbox: Outbox) -> None:
    text = "No new token could be had from GoTo before the old one ran out. Trying on."
    for number in range(1_000):
        name = f"t{number}"
        world.onboarding.add_tenant(name, TenantDetails(name, f"a@{name}.example"), TESTER)
        entry = JournalEntry(name, world.clock.now, "degraded", "x", text, None, Status.DEGRADED)
        outbox.announcer.announce(entry, f"{name}#1")
    for moment, kind in ((1, "provider_down"), (2, "provider_recovered")):
        entry = JournalEntry(PROVIDER, world.clock.now, kind, "the schedule", "GoTo ...")
        outbox.announcer.announce(entry, f"{PROVIDER}#{moment}")
        outbox.announcer.announce(entry, f"{PROVIDER}#{moment}")
    assert outbox.told() == [
        (REP, "GoTo fails for the fleet: refreshes are held back"),
        (REP, "GoTo is answering again"),
    ]


def test_a_removed_tenant_gets_no_mail(world: World, outbox: Outbox) -> None:
    world.add_tenant()
    world.invitations.send_link("acme", TESTER)
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    outbox.read()
    assert outbox.mails == []
    assert outbox.events


def feedback(world: World, kind: str, address: str = ADMIN, **detail: Any) -> None:
    tags = {"tenant": ["acme"], "reader": ["admin"]}
    mail = {"tags": tags, "destination": [address]}
    MailFeedback(tenants=world.tenants, journal=world.journal, clock=world.clock).note(
        {"eventType": kind, "mail": mail, **detail}
    )


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("Bounce", "acme: our emails don't reach the admin"),
        ("Reject", "acme: our emails don't reach the admin"),
        ("Complaint", "acme: the admin reported our email as spam"),
    ],
)
def test_a_bounce_reaches_the_rep_and_the_next_action(
    world: World, outbox: Outbox, kind: str, told: str
) -> None:
    world.add_tenant()
    feedback(world, kind)
    outbox.read()
    assert outbox.told() == [(REP, told)]
    assert "right address" in world.rep("tenant_show", tenant="acme")["next_action"]
    world.rep("tenant_change", tenant="acme", admin_email="new@acme.example")
    assert "right address" not in world.rep("tenant_show", tenant="acme")["next_action"]


def test_what_is_no_bounce_of_the_admins_is_no_news(world: World) -> None:
    world.add_tenant()
    before = world.history()
    feedback(world, "Bounce", bounce={"bounceType": "Transient"})
    feedback(world, "Bounce", address="old@acme.example")
    feedback(world, "Delivery")
    for detail in ({}, {"eventType": "Bounce"}, {"eventType": "Bounce", "mail": {"tags": {}}}):
        MailFeedback(tenants=world.tenants, journal=world.journal, clock=world.clock).note(detail)
    assert world.history() == before


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def test_what_is_filled_in_is_never_markup() -> None:
    entry = JournalEntry("acme", 0.0, "connected", "x", "<img src=x>")
    name = 'A & <script>alert("x")</script>'
    for letter in letters(entry).values():
        message = write(letter, name=name, tenant="acme", text=entry.text, link=None)
        parser = _Texts()
        parser.feed(message.html)
        assert set(parser.tags) <= {
            "html",
            "head",
            "meta",
            "title",
            "body",
            "div",
            "span",
            "br",
            "p",
        }
        assert name in message.text


def test_s20_a_mails_repr_holds_no_link() -> None:
    entry = JournalEntry("acme", 0.0, "link_sent", "x", "x")
    link = "https://acme.example/connect/canary"
    letter = letters(entry)[Reader.ADMIN]
    message = write(letter, name="Acme", tenant="acme", text="", link=link)
    assert link in message.text
    assert "canary" not in repr(message)


class _Client:
    """botocore's client, as far as the adapters use it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def send_email(self, **wanted: Any) -> None:
        self.asked.append(wanted)

    def put_events(self, **wanted: Any) -> dict[str, Any]:
        self.asked.append(wanted)
        return {"FailedEntryCount": 0}


def test_a_mail_names_its_tenant_and_configuration_to_ses() -> None:
    client: Any = _Client()
    mail = Mail(client=client, sender="no-reply@ha.example", configuration="set")
    message = Message("subject", "text", "<p>html</p>")
    mail.send(ADMIN, message, tenant="acme", reader=Reader.ADMIN)
    [asked] = client.asked
    assert asked["ConfigurationSetName"] == "set"
    assert {"Name": "tenant", "Value": "acme"} in asked["EmailTags"]
    body = asked["Content"]["Simple"]["Body"]
    assert (body["Text"]["Data"], body["Html"]["Data"]) == ("text", "<p>html</p>")
    mail.send(REP, message, tenant=PROVIDER, reader=Reader.REP)
    tags = [tag["Value"] for tag in client.asked[1]["EmailTags"]]
    assert all(re.fullmatch("[A-Za-z0-9_-]+", tag) for tag in tags)  # SES takes no others


def test_events_are_as_their_schema_says(world: World) -> None:
    """HA's other systems read them by `docs/event.schema.json`; no secret is among them."""
    schema = json.loads(Path(ROOT / "docs" / "event.schema.json").read_text())
    client: Any = _Client()
    bus = Bus(client=client, name="bus")
    link = world.add_tenant()
    world.connect(link)
    for row in world.everything()[world.settings.journal_table]:
        bus.publish(journal.read(row), journal.key(row))
    details = [json.loads(asked["Entries"][0]["Detail"]) for asked in client.asked]
    assert [detail["kind"] for detail in details].count("connected") == 1
    for detail in details:
        jsonschema.validate(detail, schema)
    shown = json.dumps(details)
    assert not any(value in shown for value in (link, "access-1", "refresh-1", "secret-acme"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**details[0], "schema": 2}, schema)


def test_a_customers_mail_says_why_it_comes_and_that_a_reply_is_read() -> None:
    """A rep's says neither; nor does one that nobody would read the answers to."""
    letter = Letter("{tenant}", ("{name}",))
    written = [
        write(
            letter,
            name="Acme",
            tenant="acme",
            text="",
            link=None,
            reader=reader,
            answered=answered,
        )
        for reader, answered in [(Reader.ADMIN, True), (Reader.ADMIN, False), (Reader.REP, True)]
    ]
    why, reply = "You get this email because you are the administrator", "Reply to this email"
    for part in ("text", "html"):
        said = [getattr(message, part) for message in written]
        assert [why in each for each in said] == [True, True, False]
        assert [reply in each for each in said] == [True, False, False]


def test_a_mail_program_without_styles_for_links_still_draws_a_button() -> None:
    letter = letters(JournalEntry("acme", 0.0, "link_sent", "x", "x"))[Reader.ADMIN]
    html = write(letter, name="Acme", tenant="acme", text="", link="https://a.example/b").html
    assert '<td bgcolor="#1257c7" style="background-color:#1257c7' in html
    assert "max-width:600px" in html
    assert '<meta name="color-scheme" content="light dark">' in html


def test_ses_gets_a_name_and_where_answers_go() -> None:
    client: Any = _Client()
    mail = Mail(
        client=cast(Any, client), sender="a@a.example", configuration=None, reply_to="s@a.example"
    )
    mail.send("b@b.example", Message("s", "t", "h"), tenant="acme", reader=Reader.ADMIN)
    [asked] = client.asked
    assert asked["FromEmailAddress"] == "hireanalytiX <a@a.example>"
    assert asked["ReplyToAddresses"] == ["s@a.example"]


def ses_is_down() -> None:
    raise DependencyUnavailable("ses", "ServiceUnavailable")


def opens(world: World, message: Message) -> bool:
    try:
        world.visit.open_link(link_in(message))
    except LinkNotUsable:
        return False
    return True


@pytest.mark.parametrize(
    ("command", "given"),
    [
        ("link_revoke", {}),
        ("disconnect", {}),
        ("pin_lift", {}),
        ("tenant_change", {"admin_email": "new@acme.example"}),
    ],
)
def test_s14_a_mail_that_waited_brings_no_link_that_outlives_a_revocation(
    world: World, outbox: Outbox, command: str, given: dict[str, str]
) -> None:
    """S14: the rep has ended the links meanwhile, perhaps because those people have left."""
    world.connect(world.add_tenant())
    assert world.rep("link_send", tenant="acme")["ok"]
    outbox.fail = ses_is_down
    outbox.read()
    world.clock.pass_(3_600)
    assert world.rep(command, tenant="acme", **given)["ok"]
    outbox.fail = lambda: None
    outbox.bring_waiting()
    assert outbox.waiting == []
    sent = [message for recipient, message in outbox.mails if recipient == ADMIN]
    assert not any("/connect/" in message.text for message in sent)


def test_s14_a_link_that_is_sent_after_a_revocation_works(world: World, outbox: Outbox) -> None:
    world.connect(world.add_tenant())
    world.rep("link_revoke", tenant="acme")
    world.clock.pass_(1)
    world.rep("link_send", tenant="acme")
    outbox.read()
    [sent] = [message for _, message in outbox.mails if "/connect/" in message.text]
    assert opens(world, sent)


def test_s29_the_former_admin_gets_no_link_that_works(
    world: World, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S29: the address is changed between two reads of the tenant, as the mail is written."""
    world.add_tenant()
    world.rep("link_send", tenant="acme")
    make = type(world.invitations).link_for_mail

    def late(self: Any, tenant: Any, kind: Any) -> str:
        assert world.rep("tenant_change", tenant="acme", admin_email="new@acme.example")["ok"]
        return make(self, tenant, kind)

    with monkeypatch.context() as patched:
        patched.setattr(type(world.invitations), "link_for_mail", late)
        outbox.read()
    [(recipient, message)] = [mail for mail in outbox.mails if "/connect/" in mail[1].text]
    assert recipient == ADMIN
    assert not opens(world, message)


def test_a_mail_that_waited_tells_a_new_customer_nothing_of_the_one_before(
    world: World, outbox: Outbox
) -> None:
    world.connect(world.add_tenant())
    outbox.fail = ses_is_down
    outbox.read()
    assert outbox.waiting
    world.rep("disconnect", tenant="acme")
    world.tick()
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    world.clock.pass_(1)
    added = {"display_name": "Another Acme", "admin_email": "boss@another.example"}
    assert world.rep("tenant_add", tenant="acme", **added)["ok"]
    outbox.fail = lambda: None
    outbox.bring_waiting()
    assert outbox.told() == []


def test_s30_an_admins_mail_names_nobody_who_is_no_address(world: World, outbox: Outbox) -> None:
    """S30: the words of a stranger beside a link of ours."""
    words = "GoTo locked you out. Sign in at https://evil.example/goto"
    visitor = world.browser(world.add_tenant())
    world.goto.scope = "users.v1.read"
    world.goto.script = [world.goto.tokens(refresh=True, principal=words)]
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    world.complete()
    outbox.read()
    assert any(recipient == ADMIN for recipient, _ in outbox.mails)
    assert not any("evil" in message.text + message.html for _, message in outbox.mails)


def test_every_command_that_ends_links_is_told_as_such(world: World) -> None:
    """Else a mail that waited brings a link all the same."""
    world.connect(world.add_tenant())
    world.clock.pass_(1)
    seen = {}
    for command, given in (
        ("link_revoke", {}),
        ("pin_lift", {}),
        ("tenant_change", {"admin_email": "new@acme.example"}),
        ("disconnect", {}),
        ("link_send", {}),
        ("tenant_change", {"display_name": "Acme & Co"}),
        ("credentials_set", {"client_id": "another", "client_secret": "s"}),
    ):
        before = world.tenants.known("acme").link_series
        assert world.rep(command, tenant="acme", **given)["ok"]
        ended = world.tenants.known("acme").link_series > before
        told = [each for each in world.journal.newest("acme", 5) if each.at >= world.clock.now]
        seen[told[-1].kind] = ended
        world.clock.pass_(1)
    assert {kind for kind, ended in seen.items() if ended} == set(ENDS_LINKS)
