"""Use case of the operator: repair the tables after restoring one from a backup (F19).

A restored `Grants` row may hold a refresh token that GoTo has since replaced. GoTo would refuse it;
some providers would end the whole family of tokens. If `Tokens` is newer, we can see that there.
Nothing here asks GoTo.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.setbacks import RestoredTables
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Connection, Grant, Status

OPERATOR = "the operator"

REFRESHED = (Status.CONNECTED, Status.DEGRADED)
"""Statuses in which a connection is refreshed."""


class Found(StrEnum):
    """The result for one tenant."""

    IN_STEP = "in_step"
    QUARANTINED = "quarantined"
    RECHECKED = "rechecked"
    DISCONNECTED = "disconnected"
    CHANGED_MEANWHILE = "changed_meanwhile"


@dataclass(frozen=True, kw_only=True)
class Restore:
    tables: RestoredTables
    connections: Connections
    tenants: Tenants
    clock: Callable[[], float]

    def check(self, lane: int, *, both: bool) -> Counter[str]:
        """Check every tenant of a lane, and bring the two tables in step. ``both``: both tables
        were restored, so nothing shows which refresh tokens were replaced; a refresh then checks
        each grant within minutes. Raises `DependencyUnavailable`; run it again."""
        tenants = self.tables.tenants(lane)
        return Counter(str(self._check(tenant, both=both)) for tenant in sorted(tenants))

    def _check(self, tenant: str, *, both: bool) -> Found:
        grant, connection = self.connections.grant(tenant), self.connections.summary(tenant)
        status = _newest_status(grant, connection)
        in_step = _in_step(grant, connection)
        if in_step and (not both or connection is None):
            return Found.IN_STEP
        # A tombstone overrides rows from a backup: the tenant was removed since. Without any row,
        # `Tenants` may still have to be restored, so nothing ends.
        removed = self.tenants.removed(tenant)
        if in_step and status is Status.DISCONNECTED and not removed:
            return Found.IN_STEP
        try:
            if removed or status is Status.DISCONNECTED:
                self._disconnect(tenant, grant, connection, removed=removed)
                return Found.DISCONNECTED
            if _replaced(grant, connection):
                self._quarantine(tenant, grant, connection)
                return Found.QUARANTINED
            self._recheck(tenant, grant, connection, status)
        except Conflict:
            return Found.CHANGED_MEANWHILE
        return Found.RECHECKED

    def _recheck(
        self, tenant: str, grant: Grant | None, connection: Connection | None, status: Status
    ) -> None:
        """The refresh token seems to be GoTo's latest: try it soon."""
        due = int(self.clock()) if status in REFRESHED else None
        if due is None and grant is not None and grant.ended_by is not None:
            due = grant.next_refresh_at  # its refresh token is kept until then
        self.tables.align(tenant, grant, connection, status=status, next_refresh_at=due)

    def _disconnect(
        self, tenant: str, grant: Grant | None, connection: Connection | None, *, removed: bool
    ) -> None:
        """The rep has ended it since: keep it ended, and revoke the token again (S22)."""
        due = int(self.clock()) if grant is not None and grant.refresh_token else None
        status, entry = Status.DISCONNECTED, None
        if removed:
            text = (
                "A backup was restored. This tenant had been removed; its token will not be used."
            )
            entry = JournalEntry(tenant, self.clock(), Kind(status), OPERATOR, text, status=status)
        self.tables.align(
            tenant,
            grant,
            connection,
            status=status,
            next_refresh_at=due,
            entry=entry,
            removed=removed,
        )

    def _quarantine(self, tenant: str, grant: Grant | None, connection: Connection | None) -> None:
        """The refresh token is missing, or GoTo has replaced it: never use it again."""
        status = Status.REAUTHORIZATION_REQUIRED
        text = (
            "A backup was restored, and the refresh token in it is out of date."
            " An admin must connect again."
        )
        entry = JournalEntry(tenant, self.clock(), Kind(status), OPERATOR, text, status=status)
        self.tables.align(tenant, grant, connection, status=status, entry=entry)


def _counts(row: Grant | Connection) -> tuple[int, int]:
    return row.generation, row.version


def _newest_status(grant: Grant | None, connection: Connection | None) -> Status:
    """The newer row's status. If both are equally new, one that is refreshed: GoTo then decides."""
    rows = [row for row in (grant, connection) if row is not None]
    newest = max(map(_counts, rows))
    statuses = {row.status for row in rows if _counts(row) == newest}
    return next((status for status in REFRESHED if status in statuses), min(statuses))


def _in_step(grant: Grant | None, connection: Connection | None) -> bool:
    """Whether both rows agree. A removed tenant has only its grant's counters."""
    if grant is None or connection is None:
        return connection is None and grant is not None and grant.status is Status.DISCONNECTED
    return (*_counts(grant), grant.status) == (*_counts(connection), connection.status)


def _replaced(grant: Grant | None, connection: Connection | None) -> bool:
    """Whether GoTo has issued another refresh token since: the authorization is newer, or the end
    differs."""
    if grant is None:
        return True
    if connection is None or connection.generation < grant.generation:
        return False
    another = connection.reconnect_by != grant.refresh_expires_at
    return connection.generation > grant.generation or (
        another and connection.version > grant.version
    )
