"""Use case: keep the fleet's counts in step with the journal. Each entry makes us re-read the
tenant's state, so order and repetition don't matter."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chalicelib.connection_state import account_known, state_of
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import Fleet, FleetRow
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status
from chalicelib.permissions import USELESS

ATTEMPTS = 5

LONG_AGO = 0
"""A time when no token has expired: the journal does not record expiry by time alone."""


@dataclass(frozen=True, kw_only=True)
class FleetCounts:
    tenants: Tenants
    connections: Connections
    fleet: Fleet

    def note(self, entry: JournalEntry) -> None:
        """Update the tenant's row. Raises `DependencyUnavailable`."""
        for _ in range(ATTEMPTS):
            before = self.fleet.get(entry.tenant)
            after = self._now(entry, before)
            if after == before:
                return
            try:
                self.fleet.replace(before, after)
            except Conflict:
                continue
            return
        raise DependencyUnavailable("dynamodb", "conflicts")

    def has_ended(self, tenant: str) -> bool:
        """Whether the tenant's admin must reconnect now. Raises `DependencyUnavailable`."""
        connection = self.connections.summary(tenant)
        return connection is not None and connection.status is Status.REAUTHORIZATION_REQUIRED

    def heard(self, beat: int) -> None:
        """Note a heartbeat of the journal's stream. Raises `DependencyUnavailable`."""
        self.fleet.heard(beat)

    def _now(self, entry: JournalEntry, before: FleetRow | None) -> FleetRow | None:
        tenant = self.tenants.get(entry.tenant)
        if tenant is None:
            return None
        connection = self.connections.summary(entry.tenant)
        status = state_of(tenant, connection, LONG_AGO)
        live = connection if status is Status.CONNECTED else None
        usable = live is None or live.usable not in USELESS
        row = FleetRow(
            tenant.name,
            tenant.display_name,
            status,
            int(entry.at),
            # A tenant is listed for one reason; a useless token is the more urgent one.
            account_known=live is None or not usable or account_known(tenant, live),
            usable=usable,
        )
        if before is None:
            return row
        if before.status is status:
            row = replace(row, since=before.since)
        if replace(row, edition=before.edition) == before:
            return before
        return replace(row, edition=before.edition + 1)
