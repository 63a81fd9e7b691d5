"""Every path of every function on which AWS is asked for something else, gone once.

Each part leaves its tenants behind; names of tenants are the parts' own.
"""

from collections.abc import Callable
from typing import Any

from chalicelib.errors import ProviderUnreachable
from chalicelib.model import LANES, lane
from chalicelib.oauth import Answer
from chalicelib.web import LINK_COOKIE
from tests.support.deployment import Deployment
from tests.support.site import PAGE, Site
from tests.support.standins import refusal

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
    aws.goto.account_key = "4000000001"
    _revoked_meanwhile(aws)
    _overtaken(aws)
    aws.rep("link_revoke", tenant="acme")
    aws.clock.pass_(HOUR)
    link = site.jar[LINK_COOKIE]
    assert site.post(f"/connect/{link}", {}).status == 200
    aws.announce()


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
    first, second = aws.tenant("two"), Site(aws)  # type: ignore[arg-type]  # as in `tenant`
    second.open(aws.link("two"))
    for site in (first, second):
        site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    aws.queued.reverse()
    aws.run_queued()


def intakes(aws: Deployment) -> None:
    """A customer enters a client, wrongly and rightly, and again after it was refused."""
    aws.rep("tenant_add", tenant="new", display_name="New", admin_email="a@new.example")
    aws.goto.script = [refusal(401, "invalid_client")]
    _enter(aws, "new")
    _enter(aws, "new")
    aws.rep("intake_send", tenant="new")
    aws.connected("refused")
    _due(aws, "refused")
    aws.goto.script = [refusal(401, "invalid_client")]
    aws.tick()
    _enter(aws, "refused", "id-refused")
    aws.tick()
    assert aws.row("Grants", "refused")["status"]["S"] == "connected"


def _enter(aws: Deployment, name: str, client_id: str = "id-2") -> None:
    link = str(aws.rep("intake_create", tenant=name)["url"]).rsplit("/", 1)[1]
    site = Site(aws)  # type: ignore[arg-type]  # as in `tenant`
    page = site.get(f"/intake/{link}").body
    csrf = page.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "client_id": client_id, "client_secret": "s-2"}
    assert site.post(f"/intake/{link}", form, sec_fetch_site="same-origin").status in (303, 400)


def refreshes(aws: Deployment, ask: Ask, way: str) -> None:
    """All that a refresh comes to, be it asked for by the schedule, a lane or a service."""
    _succeed_and_fail(aws, ask, f"{way}-a")
    _be_lost_and_found(aws, ask, f"{way}-b")
    _meet_others(aws, ask, f"{way}-c")
    _have_its_client_refused(aws, ask, f"{way}-d")
    _be_disconnected(aws, ask, f"{way}-e")


def _succeed_and_fail(aws: Deployment, ask: Ask, name: str) -> None:
    aws.connected(name)
    for script in ([], [refusal(503, "busy")], [RATE_LIMITED], [], [refusal(400, "invalid_grant")]):
        _due(aws, name)
        aws.goto.script = list(script)
        ask(aws, name)
    assert aws.row("Grants", name)["status"]["S"] == "reauthorization_required"


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

    aws.goto.script = [enter_anew]
    ask(aws, name)


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
    """With the version that was refused to it; for a rep, where he has ended it."""
    version = int(aws.row("Tokens", name)["version"]["N"])
    event: dict[str, Any] = {"tenant": name, "rejected_version": version}
    if aws.row("Tokens", name)["status"]["S"] == "disconnected":
        event["by_hand"] = True
    aws.invoke("RefreshNow", event)


def fleets(aws: Deployment) -> None:
    """More due than a tick takes upon itself, which is handed over; GoTo is down meanwhile."""
    aws.take_over([f"fleet-{number}" for number in range(75)])
    assert "lanes" in aws.tick()
    aws.goto.script = [refusal(503, "busy")] * 75
    aws.run_queued()
    aws.goto.script = []
    aws.clock.pass_(60)
    aws.tick()


def rescues(aws: Deployment) -> None:
    """What waits in the queue is committed, or meets what came meanwhile."""
    site = aws.tenant("late")
    for account in (None, "4000000001", "4000000001"):
        aws.goto.account_key = account
        _kept_in_the_queue(aws, site)
        aws.rescue()
    assert aws.row("Tokens", "late")["status"]["S"] == "connected"
    aws.goto.account_key = "another"
    _kept_in_the_queue(aws, site)
    aws.rescue()
    aws.goto.account_key = "4000000001"
    _kept_in_the_queue(aws, site)
    other = Site(aws)  # type: ignore[arg-type]  # as in `tenant`
    other.open(aws.link("late"))
    aws.come_back(other, code="a-code")
    aws.rescue()
    _due(aws, "late")
    with aws.without("TransactWriteItems"):
        aws.tick()
    aws.rep("disconnect", tenant="late")
    aws.rescue()


def _kept_in_the_queue(aws: Deployment, site: Site) -> None:
    site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    with aws.without("TransactWriteItems"):
        aws.run_queued()


def restores(aws: Deployment) -> None:
    """Tables that came back from a backup: in step, apart, or one of them empty."""
    for name in ("old-a", "old-b", "old-c", "old-d"):
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
    for number in range(LANES):
        aws.invoke("AfterRestore", {"lane": number})
    for name in ("old-a", "gone-b"):
        aws.invoke("AfterRestore", {"lane": lane(name), "both": True})


def reps(aws: Deployment) -> None:
    """Every command, and a tenant's end."""
    aws.connected("gone")
    aws.rep("tenant_change", tenant="gone", display_name="Gone Ltd")
    aws.rep("link_send", tenant="gone")
    aws.rep("pin_lift", tenant="gone")
    aws.rep("refresh", tenant="gone")
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
    aws.invoke("MailFeedback", aws.bounce("mailed"))


def everything(aws: Deployment) -> None:
    """All of it."""
    admins(aws)
    intakes(aws)
    refreshes(aws, by_schedule, "tick")
    refreshes(aws, by_lane, "lane")
    refreshes(aws, by_service, "now")
    rescues(aws)
    restores(aws)
    reps(aws)
    mails(aws)
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
