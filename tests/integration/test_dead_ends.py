"""What customers meet first: links as mail programs paste them, presses that lead nowhere, a client
with another redirect URI. Each is said, with its cause, before anybody calls."""

import pytest

from chalicelib import journal_entries
from chalicelib.durations import DAY, RETURN_PATIENCE
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.journal_entries import NOT_RETURNED, Kind
from chalicelib.models import EndCause, Reason, TenantDetails
from chalicelib.web.texts import NOTICES
from tests.support.reps import show
from tests.support.site import PAGE, Site
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

NO = Answer(400, b"<html><h1>Error</h1>redirect_uri is not registered for this client</html>")
LOST = "You didn\u2019t come back from GoTo"
INTAKE = {"client_id": "customer-id", "client_secret": "a-secret"}


@pytest.mark.parametrize(
    "ending", [".", ",", ")", ">", "%3E", "%20", "%20.", '"', "_", "-", ").", "%0A", "]"]
)
def test_a_link_opens_with_what_sticks_to_its_end(site: Site, ending: str) -> None:
    link = site.world.add_tenant()
    answer = site.get(f"/connect/{link}{ending}")
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert "Get Access Token" in site.get(PAGE).body


def test_an_intake_link_opens_with_what_sticks_to_its_end(site: Site) -> None:
    site.world.onboarding.add_tenant("acme", TenantDetails("Acme", "admin@acme.example"), TESTER)
    link = site.world.invitations.create_intake_link("acme", TESTER).rsplit("/", 1)[1]
    csrf = site.csrf(f"/intake/{link}.")
    site.world.goto.script = [refusal(400, "invalid_grant")]
    answer = site.post(f"/intake/{link}.", {"csrf": csrf, **INTAKE}, sec_fetch_site="same-origin")
    assert (answer.status, answer.headers["location"]) == (303, f"/intake/{link}")


@pytest.mark.parametrize("wrong", ["", "x", "a-letter-more"])
def test_another_value_stays_another_value(site: Site, wrong: str) -> None:
    link = site.world.add_tenant()
    assert site.get(f"/connect/{link[:-1] if not wrong else link + wrong}").status == 404


# A press that nobody comes back from.


def pressed(site: Site) -> World:
    site.open(site.world.add_tenant())
    site.press()
    return site.world


def test_a_press_without_a_return_is_told_after_fifteen_minutes(site: Site) -> None:
    world = pressed(site)
    world.clock.pass_(RETURN_PATIENCE - 1)
    assert LOST not in site.get(PAGE).body
    assert show(world)["timeline"][0]["kind"] != Kind.AUTHORIZATION_STARTED
    world.clock.pass_(1)
    assert LOST in site.get(PAGE).body
    shown = show(world)
    assert shown["timeline"][0]["text"] == NOT_RETURNED
    assert "Is the redirect URI" in shown["next_action"]
    assert "link send acme" in shown["next_action"]


def test_the_three_usual_causes_are_named() -> None:
    for cause in ("redirect URI", "administrator", "closed"):
        assert cause in NOT_RETURNED


def test_who_comes_back_leaves_no_such_line(site: Site) -> None:
    world = pressed(site)
    site.get(f"{PAGE}?error=access_denied&state={site.press()['state']}")
    world.clock.pass_(RETURN_PATIENCE)
    kinds = [line["kind"] for line in show(world)["timeline"]]
    assert Kind.AUTHORIZATION_STARTED not in kinds, "neither of the press nor of the one before it"
    assert LOST not in site.get(PAGE).body


def test_a_connection_by_somebody_else_since_ends_the_notice(site: Site) -> None:
    world = pressed(site)
    world.connect(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    world.clock.pass_(RETURN_PATIENCE)
    assert LOST not in site.get(PAGE).body


def test_the_notice_is_gone_after_a_day(site: Site) -> None:
    world = pressed(site)
    world.clock.pass_(DAY)
    assert LOST not in site.get(PAGE).body


def test_s29_presses_fill_no_history(site: Site) -> None:
    world = pressed(site)
    for _ in range(25):
        site.press()
    assert world.history().count(Kind.AUTHORIZATION_STARTED) == 10
    world.clock.pass_(RETURN_PATIENCE)
    entries = journal_entries.without_presses(world.journal.history("acme"), world.clock.now)
    assert [entry.kind for entry in entries].count(Kind.AUTHORIZATION_STARTED) == 1


# Whether GoTo knows the client with this redirect URI.


def test_another_redirect_uri_is_said_at_the_intake_and_nothing_is_stored(site: Site) -> None:
    site.world.onboarding.add_tenant("acme", TenantDetails("Acme", "admin@acme.example"), TESTER)
    link = "/intake/" + site.world.invitations.create_intake_link("acme", TESTER).rsplit("/", 1)[1]
    form = {"csrf": site.csrf(link), **INTAKE}
    site.world.goto.script = [refusal(400, "invalid_grant")]
    site.world.goto.authorize_answer = NO
    assert site.post(link, form, sec_fetch_site="same-origin").status == 303
    page = site.get(link).body
    assert "this client has a different redirect URI" in page
    assert site.world.tenants.known("acme").client_id is None
    site.world.goto.authorize_answer = Answer(302, b"")
    site.world.goto.script = [refusal(400, "invalid_grant")]
    assert site.post(link, form, sec_fetch_site="same-origin").status == 303
    assert site.world.tenants.known("acme").client_id == "customer-id"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(302, b"redirect_uri"), id="sent on"),
        pytest.param(Answer(200, b"<html>redirect_uri</html>"), id="a page"),
        pytest.param(Answer(400, b"<html>Bad request</html>"), id="no cause named"),
        pytest.param(Answer(503, b"redirect_uri"), id="a fault of theirs"),
    ],
)
def test_what_is_no_clear_no_passes(world: World, answer: Answer) -> None:
    world.add_tenant()
    world.goto.authorize_answer = answer
    assert world.rep("link_send", tenant="acme")["ok"]


def test_a_silent_goto_passes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(client_id: str, redirect_uri: str) -> Answer:
        raise ProviderUnreachable("no connection", sent=False)

    world.add_tenant()
    monkeypatch.setattr(world.goto, "authorize", silent)
    assert world.rep("link_send", tenant="acme")["ok"]


def test_a_link_is_not_sent_to_another_redirect_uri(world: World) -> None:
    world.add_tenant()
    world.goto.authorize_answer = NO
    before = world.history()
    refused = world.rep("link_send", tenant="acme")
    assert (refused["kind"], world.history()) == ("not_ready", before)
    assert "https://acme.analytics.example/admin/settings/activities/" in refused["error"]
    assert world.rep("link_send", tenant="acme", anyway=True)["ok"]


def test_a_link_before_there_is_a_client_is_refused_with_what_to_send(world: World) -> None:
    world.onboarding.add_tenant("acme", TenantDetails("Acme", "admin@acme.example"), TESTER)
    refused = world.rep("link_send", tenant="acme")
    assert refused["kind"] == "not_ready"
    assert "ha-goto intake send acme" in refused["error"]
    assert world.history() == ["tenant_added"]


def test_an_end_that_a_newer_version_wrote_is_read_as_a_failure(site: Site) -> None:
    """That version was rolled back since: the page works, and so does the button."""
    world = pressed(site)
    site.get(f"{PAGE}?error=access_denied&state={site.press()['state']}")
    table, unknown = world.settings.requests_table, {"S": "made_up"}
    for row in world.dynamodb.scan(TableName=table)["Items"]:
        if "reason" in row:
            changed = row | {"reason": unknown, "status": unknown}
            world.dynamodb.put_item(TableName=table, Item=changed)
    assert NOTICES[Reason.INTERNAL][0] in site.get(PAGE).body
    assert site.press()["state"]


def test_a_grant_that_a_newer_version_ended_is_read_as_refused(world: World) -> None:
    world.connect(world.add_tenant())
    table = world.settings.grants_table
    [row] = world.dynamodb.scan(TableName=table)["Items"]
    world.dynamodb.put_item(TableName=table, Item=row | {"ended_by": {"S": "made_up"}})
    assert world.grant().ended_by is EndCause.REFUSED
