"""The rep's commands over a tenant's life: what each changes, refuses, and says to do next."""

import json
from typing import Any

import pytest

from chalicelib.errors import DependencyUnavailable
from chalicelib.model import Revocation, Status
from tests.support.world import World, refusal

DAY = 86_400


def show(world: World, name: str = "acme") -> dict[str, Any]:
    answer = world.rep("tenant_show", tenant=name)
    assert answer["ok"], answer
    return answer


def connected(world: World, name: str = "acme") -> str:
    """A connected tenant; its link."""
    link = world.add_tenant(name)
    world.connect(link)
    return link


def line(number: int, name: str, **changed: str) -> dict[str, Any]:
    """A line of an import."""
    given = {
        "tenant": name,
        "display_name": f"{name} Ltd",
        "admin_email": f"admin@{name}.example",
        "client_id": f"id-{name}",
        "client_secret": f"secret-{name}",
        "refresh_token": f"refresh-of-{name}",
    }
    return {"line": number, **given, **changed}


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
    world.goto.script = [refusal(400, "invalid_grant", "refresh.token.revoked")]
    world.tick()
    shown = show(world)
    assert shown["state"] == Status.REAUTHORIZATION_REQUIRED
    assert shown["why"].startswith("GoTo no longer accepts this connection.")
    assert shown["detail"] == "invalid_grant"
    assert "link send acme" in shown["next_action"]


def test_a_refused_client_names_the_way_to_a_new_one(world: World) -> None:
    connected(world)
    world.pass_until_due()
    world.goto.script = [refusal(401, "invalid_client", "client not found")]
    world.tick()
    shown = show(world)
    assert shown["state"] == Status.CREDENTIALS_REJECTED
    assert "intake send acme" in shown["next_action"]
    world.rep("credentials_set", tenant="acme", client_id="id-acme", client_secret="new")
    world.tick()
    assert show(world)["state"] == Status.CONNECTED


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
    world.connect(link)
    assert show(world)["pinned_account"] == "5000000005"


def test_a_refresh_at_the_reps_word_is_journalled(world: World) -> None:
    connected(world)
    world.clock.pass_(100)
    before = world.grant().version
    answer = world.rep("refresh", tenant="acme")
    assert (answer["ok"], answer["outcome"]) == (True, "refreshed")
    assert world.grant().version == before + 1
    entry = world.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.who) == ("refreshed", "a test")
    world.goto.script = [refusal(400, "invalid_grant")]
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"


# The end of a connection.


def test_s22_disconnecting_stops_use_revokes_and_deletes(world: World) -> None:
    """S22, F07: nothing of the grant is left but its counters."""
    connected(world)
    before = world.grant()
    answer = world.rep("disconnect", tenant="acme")
    assert answer == {"ok": True, "tenant": "acme", "withdrawn": True}
    assert world.goto.revoked == ["refresh-1"]
    rows = json.dumps(world.everything())
    assert "refresh-1" not in rows
    assert "access-1" not in rows
    grant = world.grant()
    assert grant.status is Status.DISCONNECTED
    assert (grant.generation, grant.version) == (before.generation + 1, before.version + 1)
    assert world.history()[-2:] == ["disconnected", "withdrawn"]
    assert world.rep("disconnect", tenant="acme") == answer
    assert world.goto.revoked == ["refresh-1"]
    world.clock.pass_(DAY)
    assert world.tick() == {}


def test_s22_a_revocation_that_fails_is_tried_until_goto_has_heard(world: World) -> None:
    """S22: use has stopped at once; a 503 is retried by the schedule."""
    connected(world)
    world.goto.revocation = Revocation.LATER
    assert world.rep("disconnect", tenant="acme")["withdrawn"] is False
    connection = world.connections.get("acme")
    assert connection is not None
    assert (connection.status, connection.access_token) == (Status.DISCONNECTED, None)
    assert "could not be told yet" in show(world)["next_action"]
    world.pass_until_due()
    assert world.tick() == {"transient": 1}
    world.goto.revocation = Revocation.DONE
    world.pass_until_due()
    assert world.tick() == {"withdrawn": 1}
    assert world.grant().refresh_token is None
    assert show(world)["next_action"].startswith("Nothing. If the customer")


def test_s22_a_client_that_goto_forgot_ends_the_attempts(world: World) -> None:
    connected(world)
    world.goto.revocation = Revocation.REFUSED
    assert world.rep("disconnect", tenant="acme")["withdrawn"] is True
    assert "no longer knows" in show(world)["timeline"][0]["text"]


def test_f07_tokens_that_come_after_a_disconnection_are_given_back(world: World) -> None:
    """F07, S22: what GoTo gave to a refresh in flight neither counts nor lives on."""
    connected(world)
    world.pass_until_due()
    world.goto.rotates = True
    world.goto.script = [lambda: world.rep("disconnect", tenant="acme")]
    assert world.tick() == {"superseded": 1}
    assert world.goto.revoked == ["refresh-1", "refresh-2"]
    assert show(world)["state"] == Status.DISCONNECTED
    assert "refresh-2" not in json.dumps(world.everything())


def test_f23_an_authorization_begun_before_a_disconnection_does_not_undo_it(world: World) -> None:
    link = connected(world)
    visitor = world.browser(link)
    state = world.start(visitor)["state"]
    world.rep("disconnect", tenant="acme")
    world.come_back(visitor, state=state, code="a-code")
    assert world.complete() == ["superseded"]
    assert show(world)["state"] == Status.DISCONNECTED
    world.connect(link)
    assert show(world)["state"] == Status.CONNECTED


def test_f07_a_removed_tenant_leaves_counters_and_comes_back_new(world: World) -> None:
    """F07: and links of its former life stay dead."""
    link = connected(world)
    generation = world.grant().generation
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    assert world.goto.revoked == ["refresh-1"]
    rows = json.dumps(world.everything()[world.settings.tenants_table])
    assert "admin@acme.example" not in rows
    assert world.rep("tenant_show", tenant="acme")["kind"] == "unknown_tenant"
    assert world.rep("tenant_list")["tenants"] == []
    fresh = world.add_tenant()
    assert show(world)["state"] == Status.AWAITING_AUTHORIZATION
    with pytest.raises(Exception, match="links were revoked"):
        world.visit.open_link(link)
    world.connect(fresh)
    assert world.grant().generation == generation + 2
    assert world.history()[0] == "tenant_added"


def test_a_tenant_is_kept_until_goto_has_heard_of_its_end(world: World) -> None:
    connected(world)
    world.goto.revocation = Revocation.LATER
    assert world.rep("tenant_remove", tenant="acme")["kind"] == "still_connected"
    assert show(world)["state"] == Status.DISCONNECTED
    world.goto.revocation = Revocation.DONE
    world.pass_until_due()
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s22_one_command_disconnects_everybody(world: World) -> None:
    for number in range(4):
        connected(world, f"tenant-{number}")
    world.add_tenant("never-connected")
    after, stopped = None, 0
    while True:
        answer = world.rep("disconnect_all", after=after)
        stopped, after = stopped + answer["disconnected"], answer["after"]
        if after is None:
            break
    assert stopped == 4
    assert world.tick() == {"withdrawn": 4}
    assert len(world.goto.revoked) == 4
    assert world.rep("disconnect_all")["disconnected"] == 0


def test_who_was_never_connected_cannot_be_disconnected(world: World) -> None:
    world.add_tenant()
    assert world.rep("disconnect", tenant="acme")["kind"] == "not_connected"
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"
    assert world.rep("tenant_remove", tenant="acme")["ok"]


# Import.


def test_an_import_is_checked_as_a_whole_first(world: World) -> None:
    world.add_tenant("taken")
    lines = [
        line(2, "good"),
        line(3, "Bad_Name"),
        line(4, "taken"),
        line(5, "mail", admin_email="nobody"),
        line(6, "token", refresh_token="a\nb"),
        {"line": 7, "tenant": "few"},
    ]
    before = world.everything()
    told = {each["line"]: each["error"] for each in world.rep("import_check", lines=lines)["lines"]}
    assert [number for number, error in told.items() if error] == [3, 4, 5, 6, 7]
    assert told[4] == "There is a tenant 'taken' already."
    told = world.rep("import_lines", lines=lines)["lines"]
    assert len([each for each in told if each["error"]]) == 5
    assert world.everything() == before


def test_an_imported_tenant_is_refreshed_with_its_own_client(world: World) -> None:
    answer = world.rep("import_lines", lines=[line(2, "acme"), line(3, "beta")])
    assert [each["error"] for each in answer["lines"]] == [None, None]
    assert show(world)["state"] == Status.DEGRADED
    assert "its first refresh comes within minutes" in show(world)["next_action"]
    assert world.tick() == {"refreshed": 2}
    assert {form["refresh_token"] for form in world.goto.asked} == {
        "refresh-of-acme",
        "refresh-of-beta",
    }
    assert {client.client_secret for client in world.goto.clients} == {"secret-acme", "secret-beta"}
    assert show(world)["state"] == Status.CONNECTED


def test_an_import_that_was_cut_off_goes_on_without_a_duplicate(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme")])
    world.tick()
    version = world.grant().version
    answer = world.rep("import_lines", lines=[line(2, "acme"), line(3, "beta")])
    assert [each["done"] for each in answer["lines"]] == [True, False]
    assert world.grant().version == version
    assert world.history().count("imported") == 1
    another = line(2, "acme", refresh_token="another")
    assert world.rep("import_check", lines=[another])["lines"][0]["error"] is not None


def test_f07_an_imported_name_goes_on_counting(world: World) -> None:
    connected(world)
    world.rep("tenant_remove", tenant="acme")
    before = world.grant()
    world.rep("import_lines", lines=[line(2, "acme")])
    assert (world.grant().generation, world.grant().version) == (
        before.generation + 1,
        before.version + 1,
    )
    assert world.tick() == {"refreshed": 1}


def test_an_imported_token_that_is_dead_is_told_as_such(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme")])
    world.goto.script = [refusal(400, "invalid_grant")]
    world.tick()
    assert show(world)["state"] == Status.REAUTHORIZATION_REQUIRED


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
    world.goto.script = [refusal(400, "invalid_grant")] * 2
    world.tick()
    world.rep("tenant_remove", tenant="three")
    count(world, "one", "two", "three")
    status = world.rep("status")
    assert status["total"] == 2
    assert status["counts"]["reauthorization_required"] == len(status["needs_a_person"]) > 0
    assert status["last_tick"] == int(world.clock.now)
    listed = world.rep("tenant_list", state="reauthorization_required")["tenants"]
    assert listed == status["needs_a_person"]
    assert world.rep("tenant_list", state="asleep")["kind"] == "invalid_input"


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
    world.goto.script = [refusal(400, "invalid_grant")]
    world.tick()
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
    given = {"admin_email": "a@b.example", "client_id": "id", "client_secret": "s"}
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
