"""F19: a table came back from a backup; what is in it may be old, and GoTo must not see that."""

from typing import Any

import pytest

from chalicelib.models import EndCause, Status
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.restored_backup import Found
from tests.faults.test_outages import refresh_requests
from tests.integration.test_disconnecting import unavailable
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


class Backup:
    """One table as it was."""

    def __init__(self, world: World, table: str) -> None:
        self._client = world.dynamodb
        self._table = getattr(world.settings, f"{table}_table")
        self._rows: list[dict[str, Any]] = self._client.scan(TableName=self._table)["Items"]

    def restore(self) -> None:
        for row in self._client.scan(TableName=self._table)["Items"]:
            self._client.delete_item(TableName=self._table, Key={"tenant": row["tenant"]})
        for row in self._rows:
            self._client.put_item(TableName=self._table, Item=row)


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world


def refresh(world: World) -> None:
    world.pass_until_due()
    assert world.tick() == {Outcome.REFRESHED: 1}


def counters(world: World) -> tuple[int, int]:
    connection = world.connections.get("acme")
    assert connection is not None
    return world.grant().version, connection.version


def test_f19_a_replaced_refresh_token_is_never_shown_again(connected: World) -> None:
    """F19: GoTo has issued another since the backup; only an admin can help."""
    backup = Backup(connected, "grants")
    connected.goto.rotates = True
    refresh(connected)
    backup.restore()
    assert connected.restore() == {Found.QUARANTINED: 1}
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connected.grant().status is connection.status is Status.REAUTHORIZATION_REQUIRED
    assert connected.history()[-1] == Status.REAUTHORIZATION_REQUIRED
    asked = refresh_requests(connected)
    connected.clock.pass_(86_400)
    assert connected.tick() == {}
    assert refresh_requests(connected) == asked


def test_f19_a_refresh_token_that_is_still_gotos_latest_is_used(connected: World) -> None:
    """F19: refreshed since the backup, but not replaced: the counters go on from the higher."""
    backup = Backup(connected, "grants")
    refresh(connected)
    refresh(connected)
    backup.restore()
    assert counters(connected) == (1, 3)
    assert connected.restore() == {Found.RECHECKED: 1}
    assert counters(connected) == (3, 3)
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert counters(connected) == (4, 4)
    assert connected.grant().status is Status.CONNECTED


def test_f19_an_old_access_token_is_replaced(connected: World) -> None:
    """F19: `Tokens` alone came back; no version is ever used for two tokens."""
    backup = Backup(connected, "tokens")
    connected.goto.rotates = True
    refresh(connected)
    backup.restore()
    assert counters(connected) == (2, 1)
    assert connected.restore() == {Found.RECHECKED: 1}
    assert connected.tick() == {Outcome.REFRESHED: 1}
    connection = connected.connections.get("acme")
    assert connection is not None
    assert counters(connected) == (3, 3)
    assert (connection.access_token, connection.status) == ("access-3", Status.CONNECTED)


def test_f19_after_both_tables_goto_decides_and_the_reason_is_told(connected: World) -> None:
    """F19: nothing tells which refresh tokens were replaced; a refusal is then the backup's."""
    grants, tokens = Backup(connected, "grants"), Backup(connected, "tokens")
    connected.goto.rotates = True
    refresh(connected)
    grants.restore()
    tokens.restore()
    assert connected.restore(both=True) == {Found.RECHECKED: 1}
    assert connected.tick_refused(refusal(400, "invalid_grant")) == {Outcome.GRANT_REFUSED: 1}
    grant = connected.grant()
    assert (grant.status, grant.ended_by) == (
        Status.REAUTHORIZATION_REQUIRED,
        EndCause.RESTORED,
    )


def test_f19_f26_a_grant_that_had_ended_is_kept_as_long_as_before(connected: World) -> None:
    """F19, F26: nothing is asked with it, and then it is forgotten."""
    connected.pass_until_due()
    assert connected.tick_refused(refusal(400, "invalid_grant")) == {Outcome.GRANT_REFUSED: 1}
    kept = connected.grant()
    assert connected.restore(both=True) == {Found.RECHECKED: 1}
    grant = connected.grant()
    assert (grant.status, grant.ended_by) == (kept.status, kept.ended_by)
    assert (grant.refresh_token, grant.next_refresh_at) == ("refresh-1", kept.next_refresh_at)
    asked = refresh_requests(connected)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.FORGOTTEN: 1}
    assert refresh_requests(connected) == asked


def test_f19_s22_who_was_disconnected_before_the_backup_is_left_alone(connected: World) -> None:
    assert connected.rep("disconnect", tenant="acme")["ok"]
    connected.tick()
    before = connected.everything()
    assert connected.restore(both=True) == {Found.IN_STEP: 1}
    assert connected.everything() == before


def test_f19_the_command_may_be_run_again_and_touches_nothing_sound(connected: World) -> None:
    connected.connect(connected.add_tenant("beta"))
    before = connected.everything()
    assert connected.restore() == {Found.IN_STEP: 2}
    assert connected.everything() == before


def test_f19_a_tenant_missing_from_the_backup_must_connect_again(connected: World) -> None:
    """F19: it connected after the backup was made."""
    empty = Backup(connected, "grants")
    empty._rows = []
    empty.restore()
    assert connected.restore() == {Found.QUARANTINED: 1}
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.status) == ("reauthorization_required", entry.kind)
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.REAUTHORIZATION_REQUIRED
    connected.connect(connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    assert connected.grant().status is Status.CONNECTED
    assert counters(connected)[0] == counters(connected)[1] > 1


def disconnected(world: World) -> None:
    """Both rows say so, no token is left, and GoTo has heard."""
    world.tick()
    grant, connection = world.grant(), world.connections.get("acme")
    assert connection is not None
    assert grant.status is connection.status is Status.DISCONNECTED
    assert (grant.refresh_token, grant.next_refresh_at) == (None, None)
    assert not connection.access_token
    assert counters(world)[0] == counters(world)[1]
    assert world.restore() == {Found.IN_STEP: 1}
    assert world.rep("tenant_remove", tenant="acme")["ok"]


@pytest.mark.parametrize("table", ["grants", "tokens"])
def test_f19_s22_what_the_rep_has_disconnected_stays_so(connected: World, table: str) -> None:
    """F19, S22: and the tenant can be removed; GoTo is not asked for a token."""
    backup = Backup(connected, table)
    connected.rep("disconnect", tenant="acme")
    connected.tick()
    backup.restore()
    asked = refresh_requests(connected)
    assert connected.restore() == {Found.DISCONNECTED: 1}
    disconnected(connected)
    assert refresh_requests(connected) == asked


@pytest.mark.engines
@pytest.mark.parametrize("tables", [("grants",), ("tokens",), ("grants", "tokens")])
def test_f19_s22_who_was_removed_since_the_backup_is_not_refreshed_again(
    connected: World, monkeypatch: pytest.MonkeyPatch, tables: tuple[str, ...]
) -> None:
    """F19, S22: the client is deleted with the tenant; what came back ends once more, and the name
    is free."""
    backups = [Backup(connected, table) for table in tables]
    connected.rep("tenant_remove", tenant="acme")
    connected.secret_store._cache.clear()
    for backup in backups:
        backup.restore()
    asked = refresh_requests(connected)
    assert connected.restore(both=len(tables) == 2) == {Found.DISCONNECTED: 1}
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.status) == ("disconnected", Status.DISCONNECTED)
    with monkeypatch.context() as patched:
        patched.setattr(connected.secret_store, "newest_of", unavailable)
        patched.setattr(connected.secret_store, "credentials", unavailable)
        assert connected.tick() in ({}, {Outcome.INTERNAL: 1}), "no word of GoTo's (F12)"
    if connected.grant().next_refresh_at:
        connected.pass_until_due()
    connected.tick()
    assert refresh_requests(connected) == asked
    assert (connected.grant().status, connected.grant().refresh_token) == (
        Status.DISCONNECTED,
        None,
    )
    assert connected.connections.get("acme") is None
    assert connected.restore(both=len(tables) == 2) == {Found.IN_STEP: 1}
    connected.connect(connected.add_tenant())


def test_f19_an_old_tombstone_ends_no_living_connection(world: World) -> None:
    """F19: only `Tenants` came back, and knows less than the tables of tokens."""
    world.connect(world.add_tenant())
    world.rep("tenant_remove", tenant="acme")
    backup = Backup(world, "tenants")
    world.connect(world.add_tenant())
    backup.restore()
    assert world.restore() == {Found.IN_STEP: 1}
    assert world.grant().status is Status.CONNECTED


def test_f19_a_table_of_tenants_that_is_lost_itself_ends_no_connection(connected: World) -> None:
    """F19: the operator may have it put back after the check."""
    tenants = Backup(connected, "tenants")
    table = connected.settings.tenants_table
    connected.dynamodb.delete_item(TableName=table, Key={"tenant": {"S": "acme"}})
    assert connected.restore(both=True) == {Found.RECHECKED: 1}
    tenants.restore()
    connected.tick()
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.CONNECTED


@pytest.mark.parametrize("table", ["grants", "tokens"])
def test_f19_connected_again_since_the_backup(connected: World, table: str) -> None:
    """F19: the backup knows a disconnection that is past."""
    connected.rep("disconnect", tenant="acme")
    connected.tick()
    backup = Backup(connected, table)
    connected.connect(connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    backup.restore()
    found = Found.QUARANTINED if table == "grants" else Found.RECHECKED
    assert connected.restore() == {found: 1}
    connected.tick()
    wanted = Status.REAUTHORIZATION_REQUIRED if table == "grants" else Status.CONNECTED
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connected.grant().status is connection.status is wanted


@pytest.mark.parametrize("table", ["grants", "tokens"])
def test_f19_an_end_that_the_backup_does_not_know_is_found_again(
    connected: World, table: str
) -> None:
    """F19: the counters don't tell; GoTo does."""
    backup = Backup(connected, table)
    connected.pass_until_due()
    assert connected.tick_refused(refusal(400, "invalid_grant")) == {Outcome.GRANT_REFUSED: 1}
    backup.restore()
    assert connected.restore() == {Found.RECHECKED: 1}
    assert connected.tick_refused(refusal(400, "invalid_grant")) == {Outcome.GRANT_REFUSED: 1}
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connected.grant().status is connection.status is Status.REAUTHORIZATION_REQUIRED
