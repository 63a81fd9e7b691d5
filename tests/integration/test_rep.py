"""The rep's commands over a tenant's life: what each changes, refuses, and says to do next."""

import json

import pytest

from chalicelib.connection_state import GrantSummary
from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, DAY, DEMAND_AGAIN
from chalicelib.errors import DependencyUnavailable, LinkNotUsable, ProviderUnreachable
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status
from tests.support.reps import connected, show
from tests.support.stubs import refusal
from tests.support.world import World

# One tenant, and what to do next.


def test_each_state_has_its_next_action(world: World) -> None:
    world.rep("tenant_add", tenant="acme", display_name="Acme", admin_email="a@acme.example")
    shown = show(world)
    assert shown["state"] == Status.AWAITING_CREDENTIALS
    assert "intake send acme" in shown["next_action"]
    assert shown["redirect_uri"] == "https://acme.analytics.example/admin/settings/activities/"
    world.rep("credentials_set", tenant="acme", client_id="id", client_secret="secret")
    shown = show(world)
    assert shown["state"] == Status.AWAITING_AUTHORIZATION
    assert shown["next_action"] == "Send the admin the link to connect: link send acme."
    url = world.rep("link_create", tenant="acme")["url"]
    assert "The admin has had the link since" in show(world)["next_action"]
    world.connect(url.rsplit("/", 1)[1])
    shown = show(world)
    assert (shown["state"], shown["next_action"]) == (Status.CONNECTED, "Nothing.")
    assert shown["by"] == "admin@acme.example"
    assert shown["since"] == int(world.clock.now)
    assert shown["timeline"][0]["kind"] == "connected"


def test_a_failed_connection_names_cause_and_next_action(world: World) -> None:
    connected(world)
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant", "refresh.token.revoked"))
    shown = show(world)
    assert shown["state"] == Status.REAUTHORIZATION_REQUIRED
    assert shown["why"].startswith("GoTo no longer accepts this connection.")
    assert shown["detail"] == "invalid_grant"
    assert "link send acme" in shown["next_action"]


def test_a_refused_client_names_the_way_to_a_new_one(world: World) -> None:
    connected(world)
    world.pass_until_due()
    world.tick_refused(refusal(401, "invalid_client", "client not found"))
    shown = show(world)
    assert shown["state"] == Status.CREDENTIALS_REJECTED
    assert "intake send acme" in shown["next_action"]
    world.rep("credentials_set", tenant="acme", client_id="id-acme", client_secret="new")
    world.tick()
    assert show(world)["state"] == Status.CONNECTED


def test_f11_another_client_is_connected_by_the_admin_and_not_tried_on_the_old_grant(
    world: World,
) -> None:
    """F11: GoTo is not asked again with the client that it refuses, nor is the rep mailed again."""
    connected(world)
    world.pass_until_due()
    world.tick_refused(refusal(401, "invalid_client", "client not found"))
    world.rep("credentials_set", tenant="acme", client_id="another", client_secret="new")
    history = world.history()
    assert world.tick() == {}
    assert world.history() == history
    assert "link send acme" in show(world)["next_action"]
    assert "intake send" not in show(world)["next_action"]


def test_what_is_told_is_the_state_that_stands_not_one_of_before(world: World) -> None:
    connected(world)
    world.pass_until_due()
    world.tick_refused(refusal(400, "invalid_grant"))
    world.connect(world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1])
    world.clock.pass_(world.goto.lifetime)
    shown = show(world)
    assert shown["state"] == Status.DEGRADED, "dead by time alone"
    assert shown["since"] == shown["expires_at"]
    assert shown["why"] == "The token has expired and has not been renewed."


def test_mails_that_bounce_are_told_until_the_address_is_another(world: World) -> None:
    world.add_tenant()
    entry = JournalEntry("acme", world.clock.now, "mail_bounced", "mail", "It came back.")
    world.journal.append(entry)
    world.rep("tenant_change", tenant="acme", display_name="Acme Limited")
    assert "Mails do not reach the admin" in show(world)["next_action"]
    world.rep("tenant_change", tenant="acme", admin_email="right@acme.example")
    assert "Mails do not reach the admin" not in show(world)["next_action"]


def test_what_was_told_of_links_that_are_dead_is_told_no_more(world: World) -> None:
    """Revoked, or of a tenant of that name that was removed."""
    world.add_tenant()
    assert "The admin has had the link since" in show(world)["next_action"]
    world.rep("link_revoke", tenant="acme")
    assert show(world)["next_action"] == "Send the admin the link to connect: link send acme."
    world.journal.append(JournalEntry("acme", world.clock.now, "mail_bounced", "mail", "Back."))
    world.rep("intake_send", tenant="acme")
    world.rep("tenant_remove", tenant="acme")
    world.clock.pass_(1)
    world.rep("tenant_add", tenant="acme", display_name="Acme", admin_email="a@acme.example")
    assert show(world)["next_action"].startswith("Send the customer the one-time form")


def test_links_that_are_revoked_twice_stay_dead(world: World) -> None:
    """S14: the series only grows."""
    links = [world.add_tenant()]
    for series in (1, 2):
        world.rep("link_revoke", tenant="acme")
        tenant = world.tenants.known("acme")
        assert tenant.link_series == series
        links.append(world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1])
    world.visit.open_link(links.pop())
    for link in links:
        with pytest.raises(LinkNotUsable):
            world.visit.open_link(link)
    assert world.rep("link_revoke", tenant="nobody")["kind"] == "unknown_tenant"


def test_what_is_shown_holds_no_secret(world: World) -> None:
    connected(world)
    for answer in (show(world), world.rep("export"), world.rep("tenant_list"), world.rep("status")):
        text = json.dumps(answer)
        assert not any(value in text for value in ("access-1", "refresh-1", "secret-acme"))


def test_a_permission_about_to_end_is_named_with_its_date(world: World) -> None:
    connected(world)
    world.clock.pass_(25 * DAY)
    world.tick()
    assert "press Get Access Token before" in show(world)["next_action"]


def test_a_tenant_is_corrected(world: World) -> None:
    world.add_tenant()
    answer = world.rep("tenant_change", tenant="acme", admin_email="new@acme.example")
    assert answer["admin_email"] == "new@acme.example"
    assert show(world)["admin_email"] == "new@acme.example"
    assert world.rep("tenant_change", tenant="acme")["kind"] == "invalid_input"


# Clients and links.


def test_a_client_that_goto_refuses_is_not_stored(world: World) -> None:
    world.add_tenant()
    before = world.everything()
    world.goto.script = [refusal(401, "invalid_client")]
    answer = world.rep("credentials_set", tenant="acme", client_id="id", client_secret="wrong")
    assert (answer["kind"], world.everything()) == ("client_refused", before)
    world.goto.script = [refusal(503, "")]
    answer = world.rep("credentials_set", tenant="acme", client_id="id", client_secret="right")
    assert (answer["kind"], world.everything()) == ("unavailable", before)


def test_revoked_links_are_dead_and_later_ones_serve(world: World) -> None:
    link = world.add_tenant()
    visitor = world.connect(link)
    assert world.rep("link_revoke", tenant="acme")["ok"]
    with pytest.raises(Exception, match="links were revoked"):
        world.visit.open_link(link)
    with pytest.raises(Exception, match="links were revoked"):
        world.visit.settings_page(visitor)
    fresh = world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1]
    world.visit.open_link(fresh)
    world.connect(fresh)
    assert world.history().count("links_revoked") == 1


def test_a_revoked_intake_link_takes_no_client(world: World) -> None:
    world.add_tenant()
    link = world.rep("intake_create", tenant="acme")["url"].rsplit("/", 1)[1]
    world.rep("link_revoke", tenant="acme")
    event = {"link": link, "browser": "b", "client_id": "id", "client_secret": "stolen"}
    assert world.credential_intake().take(event) == "link_dead"
    fresh = world.rep("intake_create", tenant="acme")["url"].rsplit("/", 1)[1]
    assert world.credential_intake().take({**event, "link": fresh}) == "stored"


def test_s03_the_pin_is_lifted_for_a_customer_who_moved(world: World) -> None:
    """S03: until then the other account is refused."""
    link = connected(world)
    world.goto.account_key = "5000000005"
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    assert world.complete() == ["other_account"]
    assert world.rep("pin_lift", tenant="acme")["ok"]
    world.connect(world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1])
    assert show(world)["pinned_account"] == "5000000005"


def test_a_refresh_at_the_reps_word_is_journalled(world: World) -> None:
    connected(world)
    world.clock.pass_(100)
    before = world.grant().version
    for pressed in (1, 2):
        answer = world.rep("refresh", tenant="acme")
        assert (answer["ok"], answer["outcome"]) == (True, "refreshed")
        assert world.grant().version == before + pressed, "once for each press"
    entry = world.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.who) == ("refresh_asked", "a test")
    assert "token_rejected" not in world.history(), "GoTo has refused nothing"
    world.goto.script = [refusal(503, "busy")]
    assert world.rep("refresh", tenant="acme")["outcome"] == "later"
    assert world.history().count("refresh_asked") == 3
    assert world.rep("refresh", tenant="acme")["outcome"] == "later"
    assert world.history().count("refresh_asked") == 3, "it waits after a failure"
    world.pass_until_due()
    world.goto.script = [refusal(400, "invalid_grant")] * 2
    assert world.rep("refresh", tenant="acme")["outcome"] == "later", "it is to be confirmed"
    world.clock.pass_(CONFIRM_ALONE)
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"


def test_f10_a_rep_in_a_hurry_confirms_no_refusal_too_early(world: World) -> None:
    """F10, S21: the answer that was thought lost may still be on its way to the table."""
    connected(world)
    world.pass_until_due()
    world.goto.script = [ProviderUnreachable("silence", sent=True)] * 2
    world.tick()
    world.pass_until_due()
    world.goto.script = [refusal(400, "invalid_grant")] * 2
    assert world.tick() == {"unconfirmed": 1}
    due = world.due()
    for _ in range(CONFIRM_PAUSE // 60):
        answer = world.rep("refresh", tenant="acme")
        left = due.at - int(world.clock.now)
        assert (answer["outcome"], answer["retry_after"]) == ("later", left)
        assert world.due() == due
        world.clock.pass_(59)
    assert len(world.goto.script) == 1
    world.clock.pass_(CONFIRM_ALONE)
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"
    assert world.history()[-1] == Status.REAUTHORIZATION_REQUIRED


@pytest.mark.parametrize("end", ["reauthorization_required", "credentials_rejected", "disconnect"])
def test_s21_a_rep_in_a_hurry_brings_nothing_back_that_has_ended(world: World, end: str) -> None:
    """S21: nor is anything written down."""
    connected(world)
    world.pass_until_due()
    error = {"reauthorization_required": (400, "invalid_grant")}.get(end, (401, "invalid_client"))
    if end == "disconnect":
        world.rep("disconnect", tenant="acme")
    else:
        world.tick_refused(refusal(*error))
    before, asked = world.everything(), len(world.goto.asked)
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"
    assert (world.everything(), len(world.goto.asked)) == (before, asked)


def test_f05_a_rep_in_a_hurry_disturbs_no_refresh_under_way(world: World) -> None:
    """F05: the answer says that another worker has it, or that it was faster."""
    connected(world)
    world.pass_until_due()
    world.goto.rotates = True
    answers = []
    world.goto.script = [lambda: answers.append(world.rep("refresh", tenant="acme"))]
    assert world.tick() == {"refreshed": 1}
    assert [one["outcome"] for one in answers] == ["in_progress"]
    assert "refresh_asked" not in world.history()
    assert world.grant().refresh_token == "refresh-2"


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_f05_a_rep_who_comes_as_the_schedule_commits_gets_its_token(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(world)
    world.pass_until_due()
    grant_of = world.connections.grant_summary

    def tick_meanwhile(name: str) -> GrantSummary | None:
        found = grant_of(name)
        monkeypatch.undo()
        assert world.tick() == {"refreshed": 1}
        return found

    monkeypatch.setattr(world.connections, "grant_summary", tick_meanwhile)
    asked = len(world.goto.asked)
    answer = world.rep("refresh", tenant="acme")
    assert (answer["outcome"], len(world.goto.asked)) == ("refreshed", asked + 1)
    assert world.grant().version == 2
    assert "refresh_asked" not in world.history()


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_what_a_rep_asked_for_when_no_slot_was_left_the_next_tick_does(world: World) -> None:
    """S21: services have used up what requests on demand may take."""
    connected(world)
    world.clock.pass_(100)
    row = {"tenant": {"S": "#provider"}, "demanded_until": {"N": str(10**15)}}
    world.dynamodb.put_item(TableName=world.settings.grants_table, Item=row)
    answer = world.rep("refresh", tenant="acme")
    assert (answer["outcome"], answer["retry_after"]) == ("later", DEMAND_AGAIN)
    assert world.tick() == {"refreshed": 1}


# The fleet.


def count(world: World, *names: str) -> None:
    """What the journal's stream would have had counted."""
    for name in names:
        for entry in world.journal.newest(name, 100):
            world.fleet_counts.note(entry)


def test_the_fleet_is_counted_as_it_changes(world: World) -> None:
    connected(world, "one")
    connected(world, "two")
    world.add_tenant("three")
    count(world, "one", "two", "three", "one")
    counts = world.rep("status")["counts"]
    assert (counts["connected"], counts["awaiting_authorization"]) == (2, 1)
    world.clock.now = world.due("one").at
    world.tick_refused(*[refusal(400, "invalid_grant")] * 2)
    world.rep("tenant_remove", tenant="three")
    count(world, "one", "two", "three")
    status = world.rep("status")
    assert status["total"] == 2
    assert status["counts"]["reauthorization_required"] == len(status["needs_a_person"]) > 0
    assert status["last_tick"] == int(world.clock.now)
    listed = world.rep("tenant_list", state="reauthorization_required")["tenants"]
    assert listed == status["needs_a_person"]
    assert world.rep("tenant_list", state="asleep")["kind"] == "invalid_input"


@pytest.fixture
def waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Five tenants that wait for their admins, by name with their links; two are on a page."""
    monkeypatch.setattr("chalicelib.rep.reports.PAGE", 2)
    links = {}
    for name in ("one", "two", "three", "four", "five"):
        links[name] = world.add_tenant(name)
        count(world, name)
        world.clock.pass_(60)
    return links


def page(world: World, after: str | None) -> tuple[list[str], str | None]:
    answer = world.rep("tenant_list", state="awaiting_authorization", after=after)
    assert answer["ok"], answer
    return [row["tenant"] for row in answer["tenants"]], answer["after"]


@pytest.mark.parametrize("change", ["nothing", "recovered", "removed"])
def test_a_list_by_state_goes_on_whatever_its_last_tenant_does(
    world: World, waiting: dict[str, str], change: str
) -> None:
    names, after = page(world, None)
    assert names == ["one", "two"]
    if change == "recovered":
        world.connect(waiting["two"])
    if change == "removed":
        world.rep("tenant_remove", tenant="two")
    count(world, "two")
    names, after = page(world, after)
    assert names == ["three", "four"]
    names, after = page(world, after)
    assert (names, after) == (["five"], None)


@pytest.mark.parametrize(
    "after",
    [
        "two",
        "degraded/1800000000/two",
        "awaiting_authorization/1800000000",
        "awaiting_authorization/-1/two",
        "awaiting_authorization/1e9/two",
        "awaiting_authorization/\u0661/two",
        "awaiting_authorization/1800000000/#lane#1",
        "awaiting_authorization/1800000000/two\n",
        f"awaiting_authorization/1800000000/{'x' * 64}",
        7,
    ],
)
def test_a_place_in_a_list_that_no_page_gave_is_refused(world: World, after: object) -> None:
    before = world.everything()
    answer = world.rep("tenant_list", state="awaiting_authorization", after=after)
    assert (answer["ok"], answer["kind"]) == (False, "invalid_input")
    assert "after" in answer["error"]
    assert world.everything() == before


def test_counting_the_same_entry_again_changes_nothing(world: World) -> None:
    connected(world)
    count(world, "acme")
    before = world.everything()
    count(world, "acme", "acme")
    assert world.everything() == before


def test_the_status_tells_what_is_overdue_and_what_ends_soonest(world: World) -> None:
    for name in ("one", "two", "three"):
        connected(world, name)
        world.clock.pass_(DAY)
    world.clock.pass_(1_000)
    status = world.rep("status")
    assert (status["overdue"], status["tick_late"]) == (3, True)
    assert [each["tenant"] for each in status["ending_soonest"]] == ["one", "two", "three"]
    world.tick_refused(refusal(400, "invalid_grant"))
    status = world.rep("status")
    assert (status["overdue"], status["tick_late"]) == (0, False)
    assert [each["tenant"] for each in status["ending_soonest"]] == ["two", "three"]


def test_every_tenant_is_listed_and_exported_once(world: World) -> None:
    names = {f"tenant-{number}" for number in range(7)}
    for name in names:
        world.add_tenant(name)
    for command in ("tenant_list", "export"):
        found = world.rep(command)
        assert {each["tenant"] for each in found["tenants"]} == names
        assert len(found["tenants"]) == 7


# What may go wrong.


@pytest.mark.parametrize(
    "command",
    [
        "tenant_show",
        "tenant_change",
        "tenant_remove",
        "credentials_set",
        "link_create",
        "link_send",
        "link_revoke",
        "intake_create",
        "intake_send",
        "pin_set",
        "pin_lift",
        "refresh",
        "disconnect",
    ],
)
@pytest.mark.parametrize("name", ["nobody", "No Name", "", None])
def test_a_wrong_name_is_one_sentence_and_changes_nothing(
    world: World, command: str, name: str | None
) -> None:
    before = world.everything()
    given = {"admin_email": "a@b.example", "client_id": "id", "client_secret": "s", "account": "1"}
    answer = world.rep(command, tenant=name, **given)
    assert answer["kind"] == ("unknown_tenant" if name == "nobody" else "invalid_input")
    assert answer["error"].endswith(".")
    assert world.everything() == before


def test_aws_down_is_one_sentence(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def down(*_: object, **__: object) -> None:
        raise DependencyUnavailable("dynamodb", "InternalServerError")

    monkeypatch.setattr(world.tenants, "get", down)
    answer = world.rep("tenant_show", tenant="acme")
    assert (answer["ok"], answer["kind"]) == (False, "unavailable")
    assert answer["error"].count("\n") == 0
