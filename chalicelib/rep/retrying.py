"""Use case of the rep: put tenants back that GoTo ended wrongly (F26).

Their refresh tokens are kept for a while after a refusal, out of a rep's sight. The next tick uses
them: where GoTo was right, they end again, and people are told again.
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
        where it has not ended, or its refresh token is no longer kept."""
        self.tenants.known(name)
        if not self._put_back(name, by):
            raise NotConnected(
                f"{name} has not ended, or its refresh token is no longer kept. In that case its"
                f" admin must connect again: link send {name}."
            )

    def retry_since(
        self, since: int, after: str | None, count: int, by: Actor
    ) -> tuple[list[str], str | None]:
        """Put back the next ``count`` tenants that have ended since a moment (epoch seconds).

        Returns who was put back, and after whom to go on. Raises `DependencyUnavailable`.
        """
        ended = sorted(
            (row for status in NEEDS_A_PERSON for row in self._ended(status, since)),
            key=lambda row: row.tenant,
        )
        page = [row.tenant for row in ended if after is None or row.tenant > after]
        put_back = [name for name in page[:count] if self._put_back(name, by)]
        return put_back, page[count - 1] if len(page) > count else None

    def _ended(self, status: Status, since: int) -> list[FleetRow]:
        """Every tenant that is in a state since then, as the fleet's counts have it."""
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
        except Conflict:  # it has connected, or was forgotten, at this very moment
            return False
        return True


PAGE = 100
"""Rows of the fleet's counts in one query."""
