"""The rep ends connections and tenants: use stops, GoTo hears of it, counters stay."""

import json
from typing import Any

import pytest

from chalicelib.durations import DAY
from chalicelib.errors import DependencyUnavailable, LinkNotUsable
from chalicelib.models import DETAILS, Reason, Revocation, Status, TenantDetails
from chalicelib.opaque import digest
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.rescue import Rescued
from tests.support.reps import connected, show
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


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
    assert "has not confirmed the revocation yet" in show(world)["next_action"]
    world.pass_until_due()
    assert world.tick() == {"transient": 1}
    world.goto.revocation = Revocation.DONE
    world.pass_until_due()
    assert world.tick() == {"revoked": 1}
    assert world.grant().refresh_token is None
    assert show(world)["next_action"].startswith("Nothing. If the customer")


def test_s22_a_client_that_goto_forgot_ends_the_attempts(world: World) -> None:
    connected(world)
    world.goto.revocation = Revocation.REFUSED
    assert world.rep("disconnect", tenant="acme")["withdrawn"] is True
    assert "no longer know" in show(world)["timeline"][0]["text"]


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
    assert world.complete() == [Reason.ENDED]
    assert show(world)["state"] == Status.DISCONNECTED
    world.connect(str(world.rep("link_create", tenant="acme")["url"]).rsplit("/", 1)[1])
    assert show(world)["state"] == Status.CONNECTED


def test_s14_an_authorization_begun_at_a_link_that_was_revoked_since_connects_nothing(
    world: World,
) -> None:
    """S14, S22: a leaked link of a tenant that nobody has connected yet, opened before it was
    revoked. What GoTo gave is withdrawn, and no sentence speaks of another account."""
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    world.rep("link_revoke", tenant="acme")
    world.come_back(visitor, state=state, code="a-code")
    assert world.complete() == [Reason.ENDED]
    assert world.goto.revoked == ["refresh-1"]
    assert show(world)["state"] == Status.AWAITING_AUTHORIZATION
    assert show(world)["pinned_account"] is None
    assert world.history()[-1] == "authorization_expired"
    world.connect(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    assert show(world)["state"] == Status.CONNECTED


def test_s14_a_link_revoked_in_the_moment_of_the_commit_connects_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S14: after the last look at the tenant; the commit itself depends on it."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    commit = world.connections.commit_connect

    def revoke_first(*arguments: Any, **named: Any) -> None:
        world.rep("link_revoke", tenant="acme")
        commit(*arguments, **named)

    monkeypatch.setattr(world.connections, "commit_connect", revoke_first)
    assert world.complete() == [Reason.ENDED]
    assert world.goto.revoked == ["refresh-1"]
    assert show(world)["state"] == Status.AWAITING_AUTHORIZATION


def test_s14_an_authorization_begun_before_a_removal_connects_no_tenant_of_that_name(
    world: World,
) -> None:
    """S14: the tenant that comes back under the name is another customer, for all we know."""
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    world.rep("tenant_remove", tenant="acme")
    world.add_tenant()
    world.come_back(visitor, state=state, code="a-code")
    assert world.complete() == [Reason.ENDED]
    assert show(world)["state"] == Status.AWAITING_AUTHORIZATION


def test_s14_a_link_revoked_while_the_connection_waits_to_be_rescued_connects_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S14, F03: also where GoTo's account could not be read."""
    world.goto.account_key = None
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    with monkeypatch.context() as patched:
        patched.setattr(world.connections, "commit_connect", unavailable)
        assert world.complete() == [None]
    world.rep("link_revoke", tenant="acme")
    assert world.rescue() == [Rescued.REFUSED]
    assert world.goto.revoked == ["refresh-1"]
    assert show(world)["timeline"][0]["kind"] == "authorization_expired"


def test_f07_a_removed_tenant_leaves_counters_and_comes_back_new(world: World) -> None:
    """F07: and links of its former life stay dead."""
    link = connected(world)
    generation = world.grant().generation
    details = {"display_name": "Acme", "admin_email": "a@acme.example", "also_email": "b@c.example"}
    assert details.keys() == set(DETAILS), "whatever the rep says of a customer goes with it"
    assert world.rep("tenant_change", tenant="acme", **details)["ok"]
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    assert world.goto.revoked == ["refresh-1"]
    rows = world.everything()[world.settings.tenants_table]
    [row] = [row for row in rows if "acme" in str(row["tenant"])]
    assert set(row) == {"tenant", "removed", "link_series", "sequence"}
    assert world.rep("tenant_show", tenant="acme")["kind"] == "unknown_tenant"
    assert world.rep("tenant_list")["tenants"] == []
    fresh = world.add_tenant()
    assert show(world)["state"] == Status.AWAITING_AUTHORIZATION
    with pytest.raises(Exception, match="links were revoked"):
        world.visit.open_link(link)
    world.connect(fresh)
    assert world.grant().generation == generation + 2
    assert world.history()[0] == "tenant_added"


def test_s22_a_name_takes_nothing_over_that_a_version_without_it_has_left(world: World) -> None:
    world.add_tenant()
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    key, left = {"tenant": {"S": "acme"}}, {"also_email": {"S": "first@acme.example"}}
    table = world.settings.tenants_table
    row = world.dynamodb.get_item(TableName=table, Key=key)["Item"]
    world.dynamodb.put_item(TableName=table, Item=row | left)
    world.add_tenant()
    assert world.rep("tenant_show", tenant="acme")["also_email"] is None


def test_s22_tokens_that_come_late_are_given_back_until_goto_has_heard(world: World) -> None:
    """S22: a 503 is retried, from the rescue queue."""
    connected(world)
    world.pass_until_due()
    world.goto.rotates = True
    world.goto.script = [lambda: world.rep("disconnect", tenant="acme")]
    world.goto.revocation = Revocation.LATER
    assert world.tick() == {"superseded": 1}
    assert world.rescue() == [Rescued.POSTPONED]
    assert len(world.rescue_queue.messages) == 1
    world.goto.revocation = Revocation.DONE
    world.goto.revoked.clear()
    assert world.rescue() == [Rescued.SUPERSEDED]
    assert world.goto.revoked == ["refresh-2"]


@pytest.mark.parametrize("added_again", [False, True])
@pytest.mark.engines
@pytest.mark.parametrize("deleted_for_good", [False, True])
def test_s22_what_is_rescued_for_a_tenant_that_is_gone_ends(
    world: World, monkeypatch: pytest.MonkeyPatch, deleted_for_good: bool, added_again: bool
) -> None:
    """S22: with the tenant its client is deleted, and nobody is left whom GoTo would hear. What
    waits must not wait for ever: others' verdicts wait for it (F10)."""
    link = connected(world)
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")
    world.goto.rotates = True
    with monkeypatch.context() as patched:
        patched.setattr(world.connections, "commit_refresh", unavailable)
        patched.setattr(world.connections, "commit_connect", unavailable)
        world.pass_until_due()
        world.tick()
        assert world.complete() == [None]
    assert len(world.rescue_queue.messages) == 2
    with monkeypatch.context() as patched:
        patched.setattr(world.rescue_queue, "pending", lambda: 0)  # SQS counts a minute late
        assert world.rep("tenant_remove", tenant="acme")["ok"]
    if deleted_for_good:
        world.secret_store._client.delete_secret(
            SecretId=f"{world.settings.secret_prefix}acme", ForceDeleteWithoutRecovery=True
        )
    world.secret_store._cache.clear()
    if added_again:
        world.onboarding.add_tenant("acme", TenantDetails("Acme", "admin@acme.example"), TESTER)
    assert sorted(world.rescue()) == [Rescued.REFUSED, Rescued.SUPERSEDED]
    assert world.rescue_queue.messages == []


def test_s22_no_tenant_is_removed_while_tokens_wait_in_the_rescue_queue(world: World) -> None:
    """S22: they may be its own, and GoTo must hear of them as its client."""
    connected(world)
    world.pass_until_due()
    world.goto.rotates = True
    world.goto.script = [lambda: world.rep("disconnect", tenant="acme")]
    world.goto.revocation = Revocation.LATER
    assert world.tick() == {"superseded": 1}
    world.goto.revocation = Revocation.DONE
    world.pass_until_due()
    assert world.tick() == {"revoked": 1}
    answer = world.rep("tenant_remove", tenant="acme")
    assert answer["kind"] == "still_connected"
    assert "in a quarter of an hour" in answer["error"]
    assert world.rescue() == [Rescued.SUPERSEDED]
    assert world.goto.revoked[-1] == "refresh-2"
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s22_a_secret_that_is_away_by_mistake_ends_no_withdrawal(world: World) -> None:
    """S22: the tenant is still there, so the secret will be: GoTo hears of it then."""
    connected(world)
    world.secret_store.delete("acme")
    world.secret_store._cache.clear()
    assert world.rep("disconnect", tenant="acme")["withdrawn"] is False
    assert world.grant().refresh_token == "refresh-1"
    assert "InvalidRequestException" in str(world.reported[-1])
    world.secret_store._restore(f"{world.settings.secret_prefix}acme")
    world.pass_until_due()
    assert world.tick() == {"revoked": 1}
    assert world.goto.revoked == ["refresh-1"]


def test_s22_a_secret_that_is_lost_for_good_ends_a_withdrawal_with_the_token(world: World) -> None:
    """S22: else the tenant could never be removed. It is our fault, not GoTo's (F12)."""
    connected(world)
    world.secret_store._client.delete_secret(
        SecretId=f"{world.settings.secret_prefix}acme", ForceDeleteWithoutRecovery=True
    )
    world.secret_store._cache.clear()
    assert world.rep("tenant_remove", tenant="acme")["kind"] == "still_connected"
    world.pass_until_due()
    assert world.tick() == {Outcome.INTERNAL: 1}
    world.clock.now = world.grant().refresh_expires_at
    assert world.tick() == {Outcome.REVOKED: 1}
    assert world.goto.revoked == []
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s22_tokens_that_come_late_wait_where_no_table_can_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S22: neither withdrawn nor lost."""
    connected(world)
    world.pass_until_due()
    world.goto.rotates = True

    def disconnect() -> None:
        world.rep("disconnect", tenant="acme")
        monkeypatch.setattr(world.tenants, "get", unavailable)

    world.goto.script = [disconnect]
    assert world.tick() == {Outcome.SUPERSEDED: 1}
    assert len(world.rescue_queue.messages) == 1


def test_s22_a_secret_that_is_away_by_mistake_ends_no_rescue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = connected(world)
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")
    with monkeypatch.context() as patched:
        patched.setattr(world.connections, "commit_connect", unavailable)
        assert world.complete() == [None]
    world.rep("disconnect", tenant="acme")
    world.secret_store.delete("acme")
    world.secret_store._cache.clear()
    assert world.rescue() == [Rescued.POSTPONED]
    assert len(world.rescue_queue.messages) == 1


def test_what_the_version_before_began_is_finished(world: World) -> None:
    """F18: its requests name no series, and their links were looked at when they began."""
    world.add_tenant()
    world.rep("link_revoke", tenant="acme")
    visitor = world.browser(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    state = world.start(visitor)["state"]
    world.dynamodb.update_item(
        TableName=world.settings.requests_table,
        Key={"request": {"S": digest(state)}},
        UpdateExpression="REMOVE link_series",
    )
    world.come_back(visitor, state=state, code="a-code")
    assert world.complete() == [None]


def test_the_error_of_a_connection_ends_with_it(world: World) -> None:
    connected(world)
    world.pass_until_due()
    world.goto.script = [refusal(503, "busy")]
    world.tick()
    assert show(world)["detail"] == "HTTP 503"
    world.rep("disconnect", tenant="acme")
    assert show(world)["detail"] is None


def test_a_secret_that_would_not_go_goes_with_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S22: the tenant is gone from the tables by then; its client secret must not stay for ever."""
    connected(world)
    with monkeypatch.context() as patched:
        patched.setattr(world.secret_store, "_call", unavailable)
        assert world.rep("tenant_remove", tenant="acme")["kind"] == "unavailable"
    assert world.rep("tenant_show", tenant="acme")["kind"] == "unknown_tenant"
    history = world.history()
    for _ in range(2):
        assert world.rep("tenant_remove", tenant="acme") == {"ok": True, "tenant": "acme"}
        with pytest.raises(DependencyUnavailable, match="InvalidRequestException"):
            world.secret_store.newest_of("acme", "id-acme")
    assert world.history() == history
    world.add_tenant()
    assert world.secret_store.newest_of("acme", "id-acme").client_secret == "secret-acme+/="


def unavailable(*_: object, **__: object) -> None:
    raise DependencyUnavailable("secretsmanager", "InternalServiceError")


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
    assert world.tick() == {"revoked": 4}
    assert len(world.goto.revoked) == 4
    assert world.rep("disconnect_all")["disconnected"] == 0


def test_s22_one_that_is_removed_meanwhile_does_not_stop_the_command(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S22: two reps at once; the others must be disconnected all the same."""
    for number in range(3):
        connected(world, f"tenant-{number}")
    draw = world.tenants.next_sequence

    def remove_meanwhile(name: str) -> int:
        monkeypatch.undo()
        assert world.rep("tenant_remove", tenant=name)["ok"]
        return draw(name)

    monkeypatch.setattr(world.tenants, "next_sequence", remove_meanwhile)
    answer = world.rep("disconnect_all")
    assert (answer["ok"], answer["disconnected"]) == (True, 2)


def test_an_admin_who_presses_while_the_tenant_is_removed_finds_a_dead_link(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = world.browser(world.add_tenant())
    count = world.links.count_start

    def remove_meanwhile(*arguments: Any, **named: Any) -> bool:
        assert world.rep("tenant_remove", tenant="acme")["ok"]
        return count(*arguments, **named)

    monkeypatch.setattr(world.links, "count_start", remove_meanwhile)
    with pytest.raises(LinkNotUsable):
        world.start(visitor)


def test_who_was_never_connected_cannot_be_disconnected(world: World) -> None:
    world.add_tenant()
    assert world.rep("disconnect", tenant="acme")["kind"] == "not_connected"
    assert world.rep("refresh", tenant="acme")["kind"] == "not_connected"
    assert world.rep("tenant_remove", tenant="acme")["ok"]
