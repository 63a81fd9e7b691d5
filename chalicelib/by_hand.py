"""Use case of the rep: have a refresh function do now what the schedule would do in time.

The rep's function itself can neither read a refresh token nor ask GoTo for one. But it alone knows
who the rep is: it writes that down, and tells nobody.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.errors import NotConnected
from chalicelib.model import Caller, JournalEntry

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
    from chalicelib.store.journal import Journal
    from chalicelib.store.tenants import Tenants

_ENDED = {
    "reauthorization_required": "GoTo no longer accepts the permission: the admin must connect"
    " again.",
    "credentials_rejected": "GoTo no longer accepts the client id or secret.",
    "not_connected": "The tenant is not connected.",
}
"""Outcomes of a refresh on demand after which there is nothing to refresh."""


class ByHand:
    """``ask`` invokes the function that refreshes on demand."""

    def __init__(
        self,
        *,
        tenants: "Tenants",
        connections: "Connections",
        journal: "Journal",
        ask: Callable[[Mapping[str, Any]], dict[str, Any]],
        clock: Callable[[], float],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._journal = journal
        self._ask = ask
        self._clock = clock

    def refresh(self, name: str, by: Caller) -> dict[str, Any]:
        """Have a new access token made, once for each press.

        Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`.
        """
        self._tenants.known(name)
        connection = self._connections.facts(name)
        if connection is None:
            raise NotConnected(_ENDED["not_connected"])
        answer = self._ask(_wish(name, connection.version))
        if answer["outcome"] in _ENDED:
            raise NotConnected(_ENDED[answer["outcome"]])
        if answer["outcome"] == "refreshed":
            self._journal.append(self._entry(name, by))
        return {name: answer.get(name) for name in ("outcome", "expires_at", "retry_after")}

    def withdraw(self, name: str) -> bool:
        """Have GoTo told of a disconnection; False when it could not be told.

        Raises `DependencyUnavailable`.
        """
        self._ask(_wish(name, 1))
        current = self._connections.grant_facts(name)
        return current is None or current.next_refresh_at is None

    def _entry(self, name: str, by: Caller) -> JournalEntry:
        text = "A new access token was made."
        return JournalEntry(name, self._clock(), "refreshed", by.who, text, by.reference)


def _wish(name: str, version: int) -> dict[str, Any]:
    return {"tenant": name, "rejected_version": version, "by_hand": True}
