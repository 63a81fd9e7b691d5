"""Use case: keep the fleet's counts in step with what the journal says has changed.

Every entry makes the truth be read anew, so it does not matter in which order entries come, or how
often.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.model import FleetRow, JournalEntry, state_of

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
    from chalicelib.store.fleet import Fleet
    from chalicelib.store.tenants import Tenants

ATTEMPTS = 5

LONG_AGO = 0
"""A moment at which no token is dead: death by time alone is no change that the journal knows."""


class FleetCounts:
    def __init__(self, *, tenants: "Tenants", connections: "Connections", fleet: "Fleet") -> None:
        self._tenants = tenants
        self._connections = connections
        self._fleet = fleet

    def note(self, entry: JournalEntry) -> None:
        """Bring the tenant's row in step. Raises `DependencyUnavailable`."""
        for _ in range(ATTEMPTS):
            before = self._fleet.get(entry.tenant)
            after = self._now(entry, before)
            if after == before:
                return
            try:
                self._fleet.replace(before, after)
            except Conflict:
                continue
            return
        raise DependencyUnavailable("dynamodb", "conflicts")

    def _now(self, entry: JournalEntry, before: FleetRow | None) -> FleetRow | None:
        tenant = self._tenants.get(entry.tenant)
        if tenant is None:
            return None
        status = state_of(tenant, self._connections.facts(entry.tenant), LONG_AGO)
        row = FleetRow(tenant.name, tenant.display_name, status, int(entry.at))
        if before is None:
            return row
        if before.status is status:
            row = replace(row, since=before.since)
        if replace(row, edition=before.edition) == before:
            return before
        return replace(row, edition=before.edition + 1)
