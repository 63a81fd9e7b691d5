"""Use cases of the rep that change nothing: one tenant, all of them, the fleet at a glance.

What is told here holds no secret, and is plain values, ready to be sent.
"""

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from chalicelib.advice import MEANINGS, NEEDS_A_PERSON, Case, next_action
from chalicelib.errors import InvalidInput
from chalicelib.model import (
    Connection,
    FleetPlace,
    FleetRow,
    JournalEntry,
    Status,
    Tenant,
    state_of,
)
from chalicelib.times import OVERDUE_AFTER, TICK_LATE

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
    from chalicelib.store.fleet import Fleet
    from chalicelib.store.glance import Glance
    from chalicelib.store.journal import Journal
    from chalicelib.store.provider import ProviderRow
    from chalicelib.store.tenants import Tenants

TIMELINE = 50
"""Entries of the journal that are looked at; `SHOWN` of them are told."""

SHOWN = 10

PAGE = 100
"""Tenants in one answer of `listed` and `exported`."""

LISTED = 10
"""Tenants named in each part of the status."""

_POSITION = re.compile(r"([a-z_]+)/([0-9]{1,12})/([a-z0-9-]{1,63})")
"""Where a page ended: state, since, tenant."""


class Overview:
    def __init__(
        self,
        *,
        tenants: "Tenants",
        connections: "Connections",
        journal: "Journal",
        fleet: "Fleet",
        glance: "Glance",
        provider: "ProviderRow",
        clock: Callable[[], float],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._journal = journal
        self._fleet = fleet
        self._glance = glance
        self._provider = provider
        self._clock = clock

    def show(self, name: str) -> dict[str, Any]:
        """Everything about one tenant. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self._tenants.known(name)
        connection = self._connections.facts(name)
        now = self._clock()
        status = state_of(tenant, connection, now)
        case = Case(
            tenant,
            status,
            now,
            connection,
            self._connections.grant_facts(name),
            status is Status.DEGRADED and self._provider.get().open_since is not None,
            self._journal.newest(name, TIMELINE),
        )
        since, why = _cause(case)
        return {
            **_brief(tenant, connection, now),
            "meaning": MEANINGS[status],
            "why": why,
            "since": since,
            "detail": case.grant.last_error if case.grant else None,
            "admin_email": tenant.admin_email,
            "redirect_uri": tenant.redirect_uri,
            "client_id": tenant.client_id,
            "pinned_account": tenant.pinned_account,
            "timeline": [_told(entry) for entry in case.timeline[:SHOWN]],
            "next_action": next_action(case),
        }

    def listed(self, after: str | None) -> dict[str, Any]:
        """A page of all tenants, in no order, and where to go on. Raises `DependencyUnavailable`.

        A page may be short: the names of removed tenants count towards it.
        """
        rows, last = self._page(after)
        now = self._clock()
        return {"tenants": [_brief(*pair, now) for pair in rows], "after": last}

    def exported(self, after: str | None) -> dict[str, Any]:
        """The same with all that is known of each but secrets."""
        rows, last = self._page(after)
        now = self._clock()
        return {"tenants": [_full(*pair, now) for pair in rows], "after": last}

    def in_state(self, state: str, after: str | None) -> dict[str, Any]:
        """Tenants in one state other than ``connected``, the longest first; as the fleet's counts
        have it, which may be seconds behind. ``after`` is what the page before answered, and holds
        though its tenant has changed since. Raises `InvalidInput`, `DependencyUnavailable`."""
        try:
            status = Status(state)
        except ValueError:
            known = ", ".join(Status)
            raise InvalidInput(f"There is no state {state!r}; there are {known}.") from None
        if status is Status.CONNECTED:
            raise InvalidInput("Tenants that are connected are listed among all, not by state.")
        rows = self._fleet.attention(status, PAGE, _place(status, after) if after else None)
        last = _position(rows[-1]) if len(rows) == PAGE else None
        return {"tenants": [_counted(row) for row in rows], "after": last}

    def status(self) -> dict[str, Any]:
        """The fleet at a glance, at the same cost for ten tenants and a million.

        Raises `DependencyUnavailable`.
        """
        now = int(self._clock())
        counts = self._fleet.counts()
        provider = self._provider.get()
        overdue, more = self._glance.overdue(now - OVERDUE_AFTER)
        needing = [row for status in NEEDS_A_PERSON for row in self._attention(counts, status)]
        return {
            "at": now,
            "total": sum(counts.values()),
            "counts": {str(status): number for status, number in counts.items()},
            "needs_a_person": [_counted(row) for row in needing],
            "ending_soonest": [
                {"tenant": tenant, "reconnect_by": at}
                for at, tenant in self._glance.ending(now, LISTED)
            ],
            "last_tick": provider.ticked_at or None,
            "tick_late": now - provider.ticked_at > TICK_LATE,
            "overdue": overdue,
            "overdue_or_more": more,
            "provider_down_since": provider.open_since,
        }

    def look_at_ticks(self) -> str | None:
        """What is wrong with the schedule, if anything. Raises `DependencyUnavailable`."""
        ticked = self._provider.get().ticked_at
        if not ticked:
            return "It has never run."
        late = int(self._clock()) - ticked
        return (
            f"It last ran {late} seconds ago; it should each minute." if late > TICK_LATE else None
        )

    def look_at_overdue(self) -> str | None:
        """Whether refreshes fall behind. Raises `DependencyUnavailable`."""
        overdue, _ = self._glance.overdue(int(self._clock()) - OVERDUE_AFTER)
        if self._provider.get().open_since is not None:
            return "GoTo counts as down; refreshes are held back."
        return f"{overdue} are overdue." if overdue else None

    def _attention(self, counts: dict[Status, int], status: Status) -> list[FleetRow]:
        return self._fleet.attention(status, LISTED) if counts[status] else []

    def _page(
        self, after: str | None
    ) -> tuple[Iterable[tuple[Tenant, Connection | None]], str | None]:
        tenants, last = self._tenants.page(after, PAGE)
        facts = self._connections.facts_of([tenant.name for tenant in tenants])
        return [(tenant, facts.get(tenant.name)) for tenant in tenants], last


def _position(row: FleetRow) -> str:
    return f"{row.status}/{row.since}/{row.tenant}"


def _place(status: Status, position: str) -> FleetPlace:
    """The inverse. It comes from the caller: raises `InvalidInput`."""
    found = _POSITION.fullmatch(position)
    if found is None or found[1] != status:
        raise InvalidInput(f"after is not what a page of {status} has answered: begin anew.")
    return FleetPlace(int(found[2]), found[3])


def _cause(case: Case) -> tuple[int | None, str | None]:
    """Since when the tenant is in its state, and why; as far as the timeline goes back."""
    kinds = _AWAITED.get(case.status)
    entry = case.last(*kinds) if kinds else case.change
    if entry is not None and (kinds or entry.status is case.status):
        return int(entry.at), entry.text
    if case.connection is not None and case.connection.status is not case.status:
        return case.connection.expires_at, "The token has run out and has not been renewed."
    return None, None


_AWAITED = {
    Status.AWAITING_CREDENTIALS: ("tenant_added",),
    Status.AWAITING_AUTHORIZATION: ("credentials_set", "credentials_received"),
}


def _brief(tenant: Tenant, connection: Connection | None, now: float) -> dict[str, Any]:
    return {
        "tenant": tenant.name,
        "display_name": tenant.display_name,
        "state": str(state_of(tenant, connection, now)),
        "by": connection.principal if connection else None,
        "expires_at": (connection.expires_at or None) if connection else None,
        "refreshed_at": (connection.refreshed_at or None) if connection else None,
        "next_refresh_at": connection.next_refresh_at if connection else None,
        "reconnect_by": connection.reconnect_by if connection else None,
    }


def _full(tenant: Tenant, connection: Connection | None, now: float) -> dict[str, Any]:
    return {
        **_brief(tenant, connection, now),
        "admin_email": tenant.admin_email,
        "redirect_uri": tenant.redirect_uri,
        "client_id": tenant.client_id,
        "pinned_account": tenant.pinned_account,
        "connected_at": (connection.connected_at or None) if connection else None,
        "scope": connection.scope if connection else None,
        "generation": connection.generation if connection else None,
        "version": connection.version if connection else None,
    }


def _counted(row: FleetRow) -> dict[str, Any]:
    return {
        "tenant": row.tenant,
        "display_name": row.display_name,
        "state": str(row.status),
        "since": row.since,
    }


def _told(entry: JournalEntry) -> dict[str, Any]:
    return {
        "at": int(entry.at),
        "kind": entry.kind,
        "who": entry.who,
        "text": entry.text,
        "reference": entry.reference,
    }
