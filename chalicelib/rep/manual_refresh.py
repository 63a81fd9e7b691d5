"""Use cases of the rep: refresh a tenant now, or compare GoTo's answers with our assumptions.

The rep's function can neither read a refresh token nor request one from GoTo. It makes the tenant
due and records who asked; `refresh_now` then does whatever is due, no matter who invokes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.links import FactsTickets
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict, GoToSilent, NotConnected
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Actor, Status
from chalicelib.opaque import new_value

_ENDED = {
    "reauthorization_required": "The permission has ended: the admin must connect again.",
    "credentials_rejected": "GoTo no longer accepts the client id or secret.",
    "not_connected": "The tenant is not connected.",
}
"""Outcomes of a refresh on demand that leave nothing to refresh."""

_TOLD = ("outcome", "expires_at", "retry_after")


@dataclass(frozen=True, kw_only=True)
class ManualRefresh:
    """``ask`` invokes the function that refreshes on demand."""

    tenants: Tenants
    tickets: FactsTickets
    connections: Connections
    ask: Callable[[Mapping[str, Any]], dict[str, Any]]
    clock: Callable[[], float]

    def refresh(self, name: str, by: Actor) -> dict[str, Any]:
        """Renew the tenant's access token, once per call.

        A tenant that another worker holds, or that waits after a failure, is left alone; the
        answer says so. Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`.
        """
        self.tenants.known(name)
        connection = self.connections.summary(name)
        if connection is None:
            raise NotConnected(_ENDED["not_connected"])
        self._hurry(name, by)
        answer = self.ask({"tenant": name, "rejected_version": connection.version})
        if answer["outcome"] in _ENDED:
            raise NotConnected(_ENDED[answer["outcome"]])
        result = {member: answer.get(member) for member in _TOLD}
        # "alive": the token is newer than the version we read. Another worker was faster.
        return result | {"outcome": "refreshed"} if result["outcome"] == "alive" else result

    def facts(self, name: str, by: Actor) -> dict[str, Any]:
        """How GoTo answers this tenant's client and token, without either. Once a minute each.

        Raises `UnknownTenant`, `NotConnected`, `GoToSilent`, `DependencyUnavailable`.
        """
        self.tenants.known(name)
        if self.connections.summary(name) is None:
            raise NotConnected(_ENDED["not_connected"])
        text, ticket = "Asked for a comparison of GoTo's answers with what we assume.", new_value()
        entry = JournalEntry(name, self.clock(), Kind.FACTS_ASKED, by.who, text, by.reference)
        issued = self.tickets.issue(ticket, entry)
        answer = self.ask({"facts_of": name, "ticket": ticket}) if issued else {"outcome": "later"}
        if answer["outcome"] == "not_connected":
            raise NotConnected(_ENDED["not_connected"])
        if answer["outcome"] != "asked":
            raise GoToSilent("GoTo was asked too recently. Try again in a minute.")
        return {"facts": answer["facts"]}

    def revoke(self, name: str) -> bool:
        """Have `refresh_now` revoke a disconnected grant at GoTo; False if that is still to be
        done. Raises `DependencyUnavailable`."""
        self.ask({"tenant": name, "rejected_version": 1})
        current = self.connections.grant_summary(name)
        return current is None or current.next_refresh_at is None

    def _hurry(self, name: str, by: Actor) -> None:
        now = self.clock()
        grant = self.connections.grant_summary(name)
        if grant is None or not _may_be_hurried(grant, now):
            return
        text = "Asked for a new access token."
        entry = JournalEntry(name, now, Kind.REFRESH_ASKED, by.who, text, by.reference)
        with suppress(Conflict):  # another worker just claimed it
            self.connections.hurry(grant, int(now), entry)


def _may_be_hurried(grant: GrantSummary, now: float) -> bool:
    """False if the grant has ended, a worker holds it, or it waits after a failure: hurrying then
    could confirm a refusal too soon (F10)."""
    alive = grant.status in (Status.CONNECTED, Status.DEGRADED)
    at = grant.next_refresh_at
    if not alive or at is None or grant.lease_until > now:
        return False
    return at <= now or not grant.failures
