"""Every path of every function on which AWS is asked for something else, gone once.

Each part leaves its tenants behind; names of tenants are the parts' own.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from chalicelib import opaque
from chalicelib.durations import CONFIRM_ALONE, KEPT_AFTER_REFUSAL, REMINDER_TURN
from chalicelib.errors import HandlerFailed, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import LANES, Revocation, lane
from chalicelib.permissions import GoToAccount
from chalicelib.refresh.on_demand import PART
from chalicelib.web.http import LINK_COOKIE
from infra.cfn_intrinsics import STACK
from tests.support.deployment import Deployment
from tests.support.recorder import acting_as
from tests.support.site import PAGE, Site
from tests.support.stubs import ACCOUNT, account_of, refusal
from tests.support.visitors import Person

DAY = 86_400
HOUR = 3_600
LOST = ProviderUnreachable("read timeout", sent=True)
RATE_LIMITED = Answer(429, b"")

Ask = Callable[[Deployment, str], Any]


def admins(aws: Deployment) -> None:
    """Pages, links and callbacks; completions that end in every way."""
    site = aws.tenant("acme")
    site.press()
    aws.come_back(site, code="a-code")  # the start before is void
    assert "access-1" in site.get(PAGE).body
    site.get(f"{PAGE}status")
    for script in (refusal(400, "invalid_grant"), refusal(401, "invalid_client"), LOST):
        aws.goto.script = [script]
        aws.come_back(site, code="a-code")
    aws.come_back(site, error="access_denied")
    aws.goto.account_key = "another"
    aws.come_back(site, code="a-code")
    aws.goto.account_key = None
    aws.connected("unpinned")
    aws.goto.account_key = ACCOUNT
    _choices(aws)
    _taken(aws)
    _revoked_meanwhile(aws)
    _overtaken(aws)
    aws.rep("link_revoke", tenant="acme")
    aws.clock.pass_(HOUR)
    link = site.jar[LINK_COOKIE]
    assert site.ask_for_fresh_link(link).status == 303
    assert site.ask_for_fresh_link(_ended(aws, aws.link("acme"))).status == 303
    aws.announce()


TWO = (GoToAccount("41", "One"), GoToAccount("42", "Two"))


def _choices(aws: Deployment) -> None:
    """People with two accounts: one chooses, others wait too long, one goes by the queue."""
    for name in ("chosen", "unchosen", "slow"):
        site = aws.tenant(name)
        aws.goto.listed = TWO
        aws.come_back(site, code="a-code")
        aws.goto.listed = None
        if name == "chosen":
            form = {"csrf": site.csrf(), "account": "42"}
            site.post(PAGE, form, sec_fetch_site="same-origin")
            aws.run_queued()
            assert aws.row("Tenants", name)["pinned_account"]["S"] == "42"
    aws.clock.pass_(HOUR)
    first, second = [name for name in aws.tenants_due() if name.startswith("#")]
    at = int(aws.row("Grants", second)["next_refresh_at"]["N"])
    aws.set_row("Grants", second, next_refresh_at=at + DAY)  # its lane may be the same
    aws.invoke("RefreshLane", {"lane": lane(first), "rate": 1.0, "wait": 0.0})
    aws.set_row("Grants", second, next_refresh_at=at)
    aws.tick()
    site = aws.tenant("queued")
    aws.goto.listed = TWO
    _kept_in_the_queue(aws, site)
    aws.goto.listed = None
    aws.rescue()
    site.post(PAGE, {"csrf": site.csrf(), "account": "41"}, sec_fetch_site="same-origin")
    with aws.without("TransactWriteItems"), suppress(HandlerFailed):
        aws.run_queued()
    aws.rescue()
    assert aws.row("Tenants", "queued")["pinned_account"]["S"] == "41"


def _taken(aws: Deployment) -> None:
    """An account that is another tenant's, and one that was until it left (S26)."""
    aws.goto.account_key = "77"
    aws.connected("seventy")
    for name in ("wants-a", "wants-b"):
        aws.come_back(aws.tenant(name), code="a-code")
    aws.rep("disconnect", tenant="seventy")
    aws.announce()
    aws.rep("tenant_remove", tenant="seventy")
    aws.connected("seventh")
    aws.goto.account_key = ACCOUNT


def people(aws: Deployment) -> None:
    """Somebody whom HA's front names, and who holds no link."""
    aws.tenant("named")
    person = Person(aws, "named")
    aws.come_back(person, error="access_denied")
    aws.come_back(person, code="a-code")
    assert "access-" in person.get(PAGE).body


def _ended(aws: Deployment, link: str) -> str:
    """A link whose time is over, though it was never revoked."""
    key = {"link": {"S": opaque.digest(link)}}
    with acting_as(None):
        row = aws.dynamodb.get_item(TableName=f"{STACK}-Links", Key=key)["Item"]
    aws.put_row("Links", row | {"expires_at": {"N": "1"}})
    return link


def _revoked_meanwhile(aws: Deployment) -> None:
    """The rep revokes the links of a tenant, twice, while its admin is at GoTo (S14)."""
    site = aws.tenant("revoked")
    for _ in range(2):
        state = site.press()["state"]
        aws.rep("link_revoke", tenant="revoked")
        site.get(f"{PAGE}?state={state}&code=a-code")
        aws.run_queued()
        site.open(aws.link("revoked"))
    aws.come_back(site, code="a-code")


def _overtaken(aws: Deployment) -> None:
    """Two admins finish; the later one first (F23)."""
    first, second = aws.tenant("two"), Site(aws)
    second.open(aws.link("two"))
    for site in (first, second):
        site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    aws.queued.reverse()
    aws.run_queued()


def intakes(aws: Deployment) -> None:
    """A customer enters a client, wrongly and rightly, and again after it was refused."""
    aws.rep("tenant_add", tenant="new", display_name="New", admin_email="a@new.example")
    aws.announce()
    aws.goto.script = [refusal(401, "invalid_client")]
    _enter(aws, "new")
    _enter(aws, "new")
    aws.rep("intake_send", tenant="new")
    aws.connected("refused")
    _due(aws, "refused")
    for _ in range(2):
        aws.goto.script = [refusal(401, "invalid_client")]
        aws.tick()
        aws.clock.pass_(CONFIRM_ALONE)
    aws.announce()
    _enter(aws, "refused", "id-refused")
    aws.tick()
    assert aws.row("Grants", "refused")["status"]["S"] == "connected"


def _enter(aws: Deployment, name: str, client_id: str = "id-2") -> None:
    link = str(aws.rep("intake_create", tenant=name)["url"]).rsplit("/", 1)[1]
    site = Site(aws)
    page = site.get(f"/intake/{link}").body
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "client_id": client_id, "client_secret": "s-2"}
    assert site.post(f"/intake/{link}", form, sec_fetch_site="same-origin").status in (303, 400)


def refreshes(aws: Deployment, ask: Ask, way: str) -> None:
    """All that a refresh comes to, be it asked for by the schedule, a lane or a service."""
    _succeed_and_fail(aws, ask, f"{way}-a")
    _get_another_refresh_token(aws, ask, f"{way}-f")
    _be_lost_and_found(aws, ask, f"{way}-b")
    _meet_others(aws, ask, f"{way}-c")
    _have_its_client_refused(aws, ask, f"{way}-d")
    _be_disconnected(aws, ask, f"{way}-e")
    _turn_out_to_be_anothers(aws, ask, f"{way}-g")


def _succeed_and_fail(aws: Deployment, ask: Ask, name: str) -> None:
    aws.goto.account_key = None
    aws.connected(name)
    aws.goto.account_key = ACCOUNT  # the first refresh reads the tenant's own, and pins it
    dead = [refusal(400, "invalid_grant")]
    aws.set_row("Grants", name, probe_at=0)
    for script in ([], [refusal(503, "busy")], [RATE_LIMITED], [], dead, dead):
        _due(aws, name)
        aws.goto.script = list(script)
        ask(aws, name)
        aws.clock.pass_(CONFIRM_ALONE)
    assert aws.row("Grants", name)["status"]["S"] == "reauthorization_required"
    aws.rep("retry", tenant=name)
    aws.rep("retry_since", ended_since=0)
    aws.goto.script = [refusal(400, "invalid_grant")] * 2
    for _ in range(2):
        _due(aws, name)
        ask(aws, name)
        aws.clock.pass_(CONFIRM_ALONE)
    aws.clock.pass_(KEPT_AFTER_REFUSAL)
    aws.tick()
    assert aws.row("Tenants", name)["pinned_account"]["S"] == account_of(f"id-{name}")


def _turn_out_to_be_anothers(aws: Deployment, ask: Ask, name: str) -> None:
    """The rep has pinned another account than the one that the connection is of (S25)."""
    aws.connected(name)
    aws.rep("pin_set", tenant=name, account=f"9{name}")
    _due(aws, name)
    ask(aws, name)
    assert aws.row("Grants", name)["status"]["S"] == "reauthorization_required"


def _get_another_refresh_token(aws: Deployment, ask: Ask, name: str) -> None:
    """Once to the tables, once to the queue."""
    aws.connected(name)
    aws.goto.rotates = True
    _due(aws, name)
    ask(aws, name)
    _due(aws, name)
    with aws.without("TransactWriteItems"):
        ask(aws, name)
    aws.rescue()
    aws.goto.rotates = False


def _be_lost_and_found(aws: Deployment, ask: Ask, name: str) -> None:
    """An outcome unknown, a refusal after it, and an answer that only the queue would take."""
    aws.connected(name)
    _due(aws, name)
    aws.goto.script = [LOST, LOST]
    ask(aws, name)
    _due(aws, name)
    aws.goto.script = [refusal(400, "invalid_grant")]
    ask(aws, name)
    _due(aws, name)
    ask(aws, name)
    _due(aws, name)
    with aws.without("TransactWriteItems"):
        ask(aws, name)
    assert aws.queued == []
    aws.rescue()


def _meet_others(aws: Deployment, ask: Ask, name: str) -> None:
    """Another worker's commit comes between, which is then read back."""
    aws.connected(name)
    _due(aws, name)
    aws.goto.script = [lambda: _overtake(aws, name)]
    ask(aws, name)


def _overtake(aws: Deployment, name: str) -> None:
    version = int(aws.row("Grants", name)["version"]["N"]) + 1
    aws.set_row("Grants", name, version=version)
    aws.set_row("Tokens", name, version=version)


def _have_its_client_refused(aws: Deployment, ask: Ask, name: str) -> None:
    """A client of before, one that is entered anew while GoTo's refusal is written."""
    aws.connected(name)
    aws.rep("credentials_set", tenant=name, client_id="another", client_secret="s-2")
    _due(aws, name)

    def enter_anew() -> Answer:
        aws.rep("credentials_set", tenant=name, client_id=f"id-{name}", client_secret="s-3")
        aws.goto.script = [enter_once_more]
        return refusal(401, "invalid_client")

    def enter_once_more() -> Answer:
        aws.rep("credentials_set", tenant=name, client_id=f"id-{name}", client_secret="s-4")
        return refusal(401, "invalid_client")

    for _ in range(2):
        aws.goto.script = [enter_anew]
        ask(aws, name)
        aws.clock.pass_(CONFIRM_ALONE)
        _due(aws, name)


def _be_disconnected(aws: Deployment, ask: Ask, name: str) -> None:
    """The rep ends a connection while it is refreshed, and GoTo hears of it."""
    aws.connected(name)
    _due(aws, name)
    with aws.without("Invoke"):
        aws.goto.script = [lambda: aws.rep("disconnect", tenant=name)]
        ask(aws, name)
    _due(aws, name)
    ask(aws, name)
    assert "next_refresh_at" not in aws.row("Grants", name)


def by_schedule(aws: Deployment, name: str) -> None:
    aws.tick()


def by_lane(aws: Deployment, name: str) -> None:
    aws.invoke("RefreshLane", {"lane": lane(name), "rate": 1.0, "wait": 0.0})


def by_service(aws: Deployment, name: str) -> None:
    """With the version that was refused to it; twice, so that slots are drawn in both ways."""
    version = int(aws.row("Tokens", name)["version"]["N"])
    for _ in range(2):
        aws.invoke("RefreshNow", {"tenant": name, "rejected_version": version})
    aws.invoke("RefreshNow", {"tenant": name, "forbidden_version": version})
    aws.clock.pass_(PART)


def fleets(aws: Deployment) -> None:
    """More due than a tick takes upon itself, which is handed over; GoTo is down meanwhile."""
    aws.take_over([f"fleet-{number}" for number in range(75)])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.refresh.scheduler.TICK_CARRIES", 0.0)
        assert "lanes" in aws.tick()
    aws.goto.script = [refusal(503, "busy")] * 75
    aws.run_queued()
    aws.goto.script = []
    aws.clock.pass_(60)
    aws.tick()


def rescues(aws: Deployment) -> None:
    """What waits in the queue is committed, or meets what came meanwhile."""
    site = aws.tenant("late")
    for account in (None, ACCOUNT, ACCOUNT):
        aws.goto.account_key = account
        _kept_in_the_queue(aws, site)
        aws.rescue()
        _due(aws, "late")
        with aws.without("TransactWriteItems"):
            aws.tick()
        aws.rescue()
    assert aws.row("Tokens", "late")["status"]["S"] == "connected"
    _kept_in_the_queue(aws, site)
    aws.rep("pin_set", tenant="late", account="another")
    aws.rescue()
    aws.rep("pin_set", tenant="late", account=account_of("id-late"))
    _kept_in_the_queue(aws, site)
    other = Site(aws)
    other.open(aws.link("late"))
    aws.come_back(other, code="a-code")
    aws.rescue()
    _due(aws, "late")
    with aws.without("TransactWriteItems"):
        aws.tick()
    aws.rep("disconnect", tenant="late")
    aws.goto.revocation = Revocation.LATER
    aws.rescue()
    aws.goto.revocation = Revocation.DONE
    aws.purge("RescueQueue")  # it comes again in a quarter of an hour, and no tenant goes before


def _kept_in_the_queue(aws: Deployment, site: Site) -> None:
    site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    # What is refused at once cannot be written down then: the page says to press again (F21).
    with aws.without("TransactWriteItems"), suppress(HandlerFailed):
        aws.run_queued()


def restores(aws: Deployment) -> None:
    """Tables that came back from a backup: in step, apart, or one of them empty."""
    for name in ("old-a", "old-b", "old-c", "old-d", "old-e"):
        aws.connected(name)
    for name in ("gone-a", "gone-b"):
        aws.connected(name)
        was = {table: aws.row(table, name) for table in ("Grants", "Tokens")}
        aws.rep("tenant_remove", tenant=name)
        aws.put_row("Grants", was["Grants"])
        if name == "gone-b":
            aws.put_row("Tokens", was["Tokens"])
    aws.delete_row("Grants", "old-b")
    aws.delete_row("Tokens", "old-c")
    aws.set_row("Grants", "old-d", version=7)
    aws.set_row("Grants", "old-e", generation=9)
    for number in range(LANES):
        aws.invoke("AfterRestore", {"lane": number})
    for name in ("old-a", "gone-b"):
        aws.invoke("AfterRestore", {"lane": lane(name), "both": True})


def reps(aws: Deployment) -> None:
    """Every command, and a tenant's end."""
    aws.connected("gone")
    aws.rep("tenant_change", tenant="gone", display_name="Gone Ltd")
    for second in ("b@gone.example", ""):
        aws.rep("tenant_change", tenant="gone", also_email=second)
    aws.rep("link_send", tenant="gone")
    aws.rep("pin_set", tenant="gone", account=account_of("id-gone"))
    lent = {"display_name": "L", "admin_email": "a@l.example", "account_key": "88"}
    aws.rep("tenant_add", tenant="lent", **lent)
    aws.rep("pin_share", tenant="gone", account="88")
    aws.rep("tenant_remove", tenant="lent")
    aws.rep("pin_set", tenant="gone", account="88")
    aws.rep("pin_lift", tenant="gone")
    aws.rep("refresh", tenant="gone")
    aws.clock.pass_(DAY)
    aws.rep("facts", tenant="gone")
    aws.announce()
    aws.rep("tenant_list")
    aws.rep("tenant_list", state="degraded", after="degraded/1800000000/acme")
    aws.rep("tenant_show", tenant="gone")
    for command in ("status", "export", "doctor"):
        aws.rep(command)
    aws.rep("disconnect", tenant="gone")
    aws.announce()
    aws.rep("tenant_remove", tenant="gone")
    aws.announce()
    aws.rep("credentials_set", tenant="acme", client_id="id-9", client_secret="s-9")
    again = {"display_name": "Gone", "admin_email": "a@gone.example"}
    aws.rep("tenant_add", tenant="gone", **again)
    aws.rep("credentials_set", tenant="gone", client_id="id-gone", client_secret="s-5")
    aws.rep("disconnect_all")


def mails(aws: Deployment) -> None:
    """A mail that SES refuses, and one that comes back."""
    aws.tenant("mailed")
    aws.rep("link_send", tenant="mailed")
    with aws.refusing_mails():
        aws.announce()
    aws.clock.pass_(HOUR)
    aws.bring_waiting_mails()
    aws.rep("link_send", tenant="mailed")
    with aws.refusing("SendEmail", "BadRequestException"):
        aws.announce()
    aws.invoke("MailFeedback", aws.bounce("mailed"))


def reminders(aws: Deployment) -> None:
    """A connection that ended a day ago, and nobody has reconnected."""
    aws.goto.account_key = "88"
    aws.connected("reminded")
    aws.goto.account_key = ACCOUNT
    aws.announce()
    for _ in range(5):  # the refusals of what came before are not GoTo's affair any longer (F26)
        aws.clock.pass_(60)
        aws.tick()
    for _ in range(2):  # refused, and confirmed some minutes later
        _due(aws, "reminded")
        aws.goto.script = [refusal(400, "invalid_grant")]
        aws.tick()
        aws.clock.pass_(CONFIRM_ALONE)
    assert aws.row("Grants", "reminded")["status"]["S"] == "reauthorization_required"
    aws.announce()
    aws.clock.now = (aws.clock.now // REMINDER_TURN + 1) * REMINDER_TURN + DAY
    aws.tick()
    aws.announce()


def everything(aws: Deployment) -> None:
    """All of it."""
    admins(aws)
    people(aws)
    intakes(aws)
    for refreshed, name in ((by_schedule, "tick"), (by_lane, "lane")):
        aws.set_row("Grants", "#provider", forms=None)  # whoever meets a form first tells of it
        refreshes(aws, refreshed, name)
    refreshes(aws, by_service, "now")
    rescues(aws)
    restores(aws)
    reps(aws)
    mails(aws)
    reminders(aws)
    fleets(aws)
    aws.announce()


def _due(aws: Deployment, name: str) -> None:
    """Let time pass until the tenant is due, and put every other off."""
    at = aws.row("Grants", name).get("next_refresh_at")
    if at is not None:
        aws.clock.now = max(aws.clock.now, float(at["N"]))
    for other in aws.tenants_due():
        if other != name:
            aws.set_row("Grants", other, next_refresh_at=int(aws.clock.now) + DAY)
