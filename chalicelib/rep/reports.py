"""Read-only use cases of the rep: one tenant, all tenants, the fleet at a glance.

Answers hold plain values that are ready to send, and no secrets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from chalicelib.connection_state import account_known, state_of
from chalicelib.durations import HEARD_WITHIN, OVERDUE_AFTER, TICK_LATE
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import ACCOUNT_NOT_KNOWN, NOT_USABLE, Fleet, FleetPlace, FleetRow
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.provider_health import FleetIndexes, ProviderRow
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import InvalidInput
from chalicelib.journal_entries import JournalEntry, Kind, lines, without_presses
from chalicelib.models import Connection, Status, Tenant
from chalicelib.permissions import missing, writing
from chalicelib.rep.next_steps import NEEDS_A_PERSON, Case, meaning, next_action

PAGE = 100
"""Tenants per page."""

_LIVE = (Status.CONNECTED, Status.DEGRADED)
"""States of connections that are kept alive."""

RECENT = 50
"""Entries of a tenant that a search for a reference number reads."""

_REFERENCE = re.compile(r"[a-z2-9]{5}-[a-z2-9]{1,5}|[0-9a-f]{8}(-[0-9a-f-]*)?")
"""In lower case: one of ours, or at least the first eight characters of one of AWS's."""

LISTED = 10
"""Tenants named in each part of the status."""

_POSITION = re.compile(r"([a-z_]+)/([0-9]{1,12})/([a-z0-9-]{1,63})")
"""Where a page ended: state, since, tenant."""


@dataclass(frozen=True, kw_only=True)
class Overview:
    """``accounts``: whether this deployment reads GoTo accounts; if not, none counts as unknown."""

    tenants: Tenants
    connections: Connections
    journal: Journal
    fleet: Fleet
    fleet_indexes: FleetIndexes
    provider: ProviderRow
    accounts: bool
    needed_scopes: tuple[str, ...]
    clock: Callable[[], float]

    def show(self, name: str) -> dict[str, Any]:
        """Everything about one tenant. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self.tenants.known(name)
        connection = self.connections.summary(name)
        now = self.clock()
        status = state_of(tenant, connection, now)
        case = Case(
            tenant,
            status,
            now,
            connection,
            self.connections.grant_summary(name),
            status is Status.DEGRADED and self.provider.get().open_since is not None,
            tuple(without_presses(self.journal.history(name), now)),
        )
        since, why = _cause(case)
        return {
            **self._brief(tenant, connection, now),
            "meaning": meaning(case),
            "why": why,
            "since": since,
            "detail": case.grant.last_error if case.grant and connection else None,
            **_known(tenant),
            **self._permission(connection),
            "timeline": [_told(entry) for entry in lines(case.timeline)],
            "next_action": next_action(case),
        }

    def listed(self, after: str | None) -> dict[str, Any]:
        """A page of all tenants, unordered, and the name to continue after. Removed tenants count
        toward a page, so it may be short. Raises `DependencyUnavailable`.
        """
        rows, last = self._page(after)
        now = self.clock()
        return {"tenants": [self._brief(*pair, now) for pair in rows], "after": last}

    def found(self, text: str, after: str | None) -> dict[str, Any]:
        """Like `listed`, for tenants with ``text`` in their names, admin email or client id, or at
        the start of a recent entry's reference number."""
        rows, last = self._page(after)
        now, wanted = self.clock(), text.strip().casefold()
        number = wanted.upper() if _REFERENCE.fullmatch(wanted) else None
        matches = [
            self._brief(*pair, now)
            for pair in rows
            if _mentions(pair[0], wanted) or (number and self._knows(pair[0].name, number))
        ]
        return {"tenants": matches, "after": last}

    def _knows(self, tenant: str, number: str) -> bool:
        entries = self.journal.newest(tenant, RECENT)
        return any((entry.reference or "").upper().startswith(number) for entry in entries)

    def exported(self, after: str | None) -> dict[str, Any]:
        """Like `listed`, with every non-secret field."""
        rows, last = self._page(after)
        now = self.clock()
        return {"tenants": [self._full(*pair, now) for pair in rows], "after": last}

    def in_state(self, state: str, after: str | None) -> dict[str, Any]:
        """Tenants in one state other than ``connected``, or connected ones that are not usable or
        whose account is not known, longest first. Reads the fleet's counts, which may be seconds
        behind. ``after``: from the previous page; it stays valid if that tenant has changed since.
        Raises `InvalidInput`, `DependencyUnavailable`."""
        states = (*Status, ACCOUNT_NOT_KNOWN, NOT_USABLE)
        if state not in states:
            raise InvalidInput(f"There is no state {state!r}; there are {', '.join(states)}.")
        if state == Status.CONNECTED:
            raise InvalidInput("Tenants that are connected are listed among all, not by state.")
        rows = self.fleet.attention(state, PAGE, _place(state, after) if after else None)
        last = _position(rows[-1]) if len(rows) == PAGE else None
        return {"tenants": [_counted(row) for row in rows], "after": last}

    def status(self) -> dict[str, Any]:
        """The fleet, at equal cost for 10 tenants or a million. Raises `DependencyUnavailable`."""
        now = int(self.clock())
        counts = self.fleet.counts()
        provider = self.provider.get()
        overdue, more = self.fleet_indexes.overdue(now - OVERDUE_AFTER)
        needing = [row for status in NEEDS_A_PERSON for row in self._attention(counts, status)]
        return {
            "at": now,
            "total": sum(counts[status] for status in Status),
            "counts": {str(status): counts[status] for status in Status},
            "needs_a_person": [_counted(row) for row in needing],
            **self._without_account(counts),
            "not_usable": counts[NOT_USABLE],
            "not_usable_tenants": [row.tenant for row in self._attention(counts, NOT_USABLE)],
            "ending_soonest": [
                {"tenant": tenant, "reconnect_by": at}
                for at, tenant in self.fleet_indexes.ending(now, LISTED)
            ],
            "last_tick": provider.ticked_at or None,
            "tick_late": now - provider.ticked_at > TICK_LATE,
            "overdue": overdue,
            "overdue_or_more": more,
            "provider_down_since": provider.open_since,
        }

    def look_at_ticks(self) -> str | None:
        """What is wrong with the schedule, if anything. Raises `DependencyUnavailable`."""
        ticked = self.provider.get().ticked_at
        if not ticked:
            return "It has never run."
        late = int(self.clock()) - ticked
        return (
            f"It last ran {late} seconds ago; it should run every minute."
            if late > TICK_LATE
            else None
        )

    def look_at_overdue(self) -> str | None:
        """Why refreshes fall behind, if they do. Raises `DependencyUnavailable`."""
        overdue, _ = self.fleet_indexes.overdue(int(self.clock()) - OVERDUE_AFTER)
        if self.provider.get().open_since is not None:
            return "GoTo counts as down; refreshes are held back."
        return f"{overdue} are overdue." if overdue else None

    def look_at_stream(self) -> str | None:
        """What is wrong with the journal's stream, judging by the ticks' heartbeats (F35). Raises
        `DependencyUnavailable`."""
        heard = self.fleet.heard_at()
        if heard is None:
            return "Nothing has come through it yet, so no mail or event is sent."
        silent = int(self.clock()) - heard
        return f"Nothing has come through it for {silent} s." if silent > HEARD_WITHIN else None

    def _attention(self, counts: dict[str, int], attention: str) -> list[FleetRow]:
        return self.fleet.attention(attention, LISTED) if counts[attention] else []

    def _without_account(self, counts: dict[str, int]) -> dict[str, Any]:
        """How many connected tenants' accounts are not known (S25), and some of their names."""
        if not self.accounts:
            return {"account_not_known": 0, "account_not_known_tenants": []}
        some = self._attention(counts, ACCOUNT_NOT_KNOWN)
        return {
            "account_not_known": counts[ACCOUNT_NOT_KNOWN],
            "account_not_known_tenants": [row.tenant for row in some],
        }

    def _brief(self, tenant: Tenant, connection: Connection | None, now: float) -> dict[str, Any]:
        """``account_known``: whether GoTo has reported that a live connection is to the pinned
        account; None without a live connection, or if this deployment reads no accounts."""
        live = connection if connection and connection.status in _LIVE else None
        known = account_known(tenant, live) if live and self.accounts else None
        return {
            "tenant": tenant.name,
            "display_name": tenant.display_name,
            "state": str(state_of(tenant, connection, now)),
            "by": connection.principal if connection else None,
            "account_known": known,
            "usable": str(live.usable) if live else None,
            "expires_at": (connection.expires_at or None) if connection else None,
            "refreshed_at": (connection.refreshed_at or None) if connection else None,
            "next_refresh_at": connection.next_refresh_at if connection else None,
            "reconnect_by": connection.reconnect_by if connection else None,
        }

    def _full(self, tenant: Tenant, connection: Connection | None, now: float) -> dict[str, Any]:
        return {
            **self._brief(tenant, connection, now),
            **_known(tenant),
            "connected_at": (connection.connected_at or None) if connection else None,
            **self._permission(connection),
            "generation": connection.generation if connection else None,
            "version": connection.version if connection else None,
        }

    def _permission(self, connection: Connection | None) -> dict[str, Any]:
        """Scopes: granted, missing, writing. When we last checked whether they are usable."""
        held = connection.scope if connection else None
        return {
            "scope": held,
            "missing_scopes": list(missing(self.needed_scopes, held)),
            "writing_scopes": list(writing(held)),
            "usable_checked_at": (connection.usable_checked_at or None) if connection else None,
        }

    def look_at_scopes(self) -> str | None:
        """Which tenants on the first page hold writing scopes. Raises `DependencyUnavailable`."""
        rows, _ = self._page(None)
        held = [(one.name, writing(each.scope)) for one, each in rows if each is not None]
        found = [f"{name} ({', '.join(scopes)})" for name, scopes in held if scopes]
        return f"Tokens may write: {'; '.join(found[:LISTED])}." if found else None

    def _page(
        self, after: str | None
    ) -> tuple[Iterable[tuple[Tenant, Connection | None]], str | None]:
        tenants, last = self.tenants.page(after, PAGE)
        facts = self.connections.summaries([tenant.name for tenant in tenants])
        return [(tenant, facts.get(tenant.name)) for tenant in tenants], last


def _known(tenant: Tenant) -> dict[str, Any]:
    """A tenant's non-secret fields."""
    return {
        **tenant.details,
        "redirect_uri": tenant.redirect_uri,
        "client_id": tenant.client_id,
        "pinned_account": tenant.pinned_account,
        "pin_lifted": tenant.pin_lifted,
    }


def _mentions(tenant: Tenant, wanted: str) -> bool:
    fields = (tenant.name, tenant.display_name, tenant.admin_email, tenant.client_id or "")
    return any(wanted in field.casefold() for field in fields)


def _position(row: FleetRow) -> str:
    return f"{row.attention}/{row.since}/{row.tenant}"


def _place(attention: str, position: str) -> FleetPlace:
    """The inverse of `_position`. The caller sends it. Raises `InvalidInput`."""
    found = _POSITION.fullmatch(position)
    if found is None or found[1] != attention:
        raise InvalidInput(f"after is no page cursor of {attention}; start from the first page.")
    return FleetPlace(int(found[2]), found[3])


def _cause(case: Case) -> tuple[int | None, str | None]:
    """When the tenant entered its state, and why."""
    kinds = _AWAITED.get(case.status)
    entry = case.last(*kinds) if kinds else case.change
    if entry is not None and (kinds or entry.status is case.status):
        return int(entry.at), entry.text
    if case.connection is not None and case.connection.status is not case.status:
        return case.connection.expires_at, "The token has expired and has not been renewed."
    return None, None


_AWAITED = {
    Status.AWAITING_CREDENTIALS: (Kind.TENANT_ADDED,),
    Status.AWAITING_AUTHORIZATION: (Kind.CREDENTIALS_SET, Kind.CREDENTIALS_RECEIVED),
}


def _counted(row: FleetRow) -> dict[str, Any]:
    return {
        "tenant": row.tenant,
        "display_name": row.display_name,
        "state": str(row.status),
        "since": row.since,
        "account_known": row.account_known,
    }


def _told(entry: JournalEntry) -> dict[str, Any]:
    return {
        "at": int(entry.at),
        "kind": entry.kind,
        "who": entry.who,
        "text": entry.text,
        "detail": entry.detail,
        "reference": entry.reference,
    }
