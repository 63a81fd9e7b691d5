"""Use case of the rep: have a refresh function do now what the schedule would do in time.

The rep's function itself can neither read a refresh token nor ask GoTo for one.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.errors import NotConnected
from chalicelib.model import Caller

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
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
        ask: Callable[[Mapping[str, Any]], dict[str, Any]],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._ask = ask

    def refresh(self, name: str, by: Caller) -> dict[str, Any]:
        """Have a new access token made, once for each press.

        Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`.
        """
        self._tenants.known(name)
        connection = self._connections.facts(name)
        if connection is None:
            raise NotConnected(_ENDED["not_connected"])
        answer = self._ask({"tenant": name, "rejected_version": connection.version, "who": by.who})
        if answer["outcome"] in _ENDED:
            raise NotConnected(_ENDED[answer["outcome"]])
        return {name: answer.get(name) for name in ("outcome", "expires_at", "retry_after")}

    def withdraw(self, name: str) -> bool:
        """Have GoTo told of a disconnection; False when it could not be told.

        Raises `DependencyUnavailable`.
        """
        self._ask({"tenant": name, "rejected_version": 1, "who": "the rep"})
        current = self._connections.grant_facts(name)
        return current is None or current.next_refresh_at is None
