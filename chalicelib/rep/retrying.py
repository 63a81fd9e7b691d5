"""Use case of the rep: put back tenants that GoTo ended wrongly (F26).

We keep their refresh tokens for a while after a refusal; reps cannot read them. The next tick
tries them. If GoTo refuses again, the tenants end again and we notify people again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import Fleet, FleetPlace, FleetRow
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict, NotConnected
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Actor, Phase, Status
from chalicelib.rep.next_steps import NEEDS_A_PERSON


@dataclass(frozen=True, kw_only=True)
class Retrying:
    tenants: Tenants
    connections: Connections
    fleet: Fleet
    clock: Callable[[], float]

    def retry(self, name: str, by: Actor) -> None:
        """Put one tenant back. Raises `UnknownTenant`, `DependencyUnavailable`, and `NotConnected`
        if it has not ended or its refresh token is no longer kept."""
        self.tenants.known(name)
        if not self._put_back(name, by):
            raise NotConnected(
                f"{name} has not ended, or its refresh token is no longer kept. In that case its"
                f" admin must connect again: link send {name}."
            )

    def retry_since(
        self, since: int, after: str | None, count: int, by: Actor
    ) -> tuple[list[str], str | None]:
        """Put back the next ``count`` tenants that ended at ``since`` (epoch seconds) or later.

        Returns their names, and the name to continue after. Raises `DependencyUnavailable`.
        """
        ended = sorted(
            (row for status in NEEDS_A_PERSON for row in self._ended(status, since)),
            key=lambda row: row.tenant,
        )
        page = [row.tenant for row in ended if after is None or row.tenant > after]
        put_back = [name for name in page[:count] if self._put_back(name, by)]
        return put_back, page[count - 1] if len(page) > count else None

    def _ended(self, status: Status, since: int) -> list[FleetRow]:
        """Every tenant that entered a state at ``since`` or later, from the fleet's counts."""
        found: list[FleetRow] = []
        place = FleetPlace(since - 1, "-")
        while page := self.fleet.attention(status, PAGE, place):
            found += [row for row in page if row.since >= since]
            place = FleetPlace(page[-1].since, page[-1].tenant)
        return found

    def _put_back(self, name: str, by: Actor) -> bool:
        grant = self.connections.grant_summary(name)
        if grant is None or grant.phase is not Phase.ENDED or grant.ended_by is None:
            return False
        text = "Put back into the schedule, to be tried once more."
        entry = JournalEntry(
            name, self.clock(), Kind.RETRIED, by.who, text, by.reference, Status.DEGRADED
        )
        try:
            self.connections.put_back(grant, int(self.clock()), entry)
        except Conflict:  # it just connected, or its token was just deleted
            return False
        return True


PAGE = 100
"""Rows per query of the fleet's counts."""
