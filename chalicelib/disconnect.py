"""Use cases of the rep: end a connection, remove a tenant.

Use ends at once, with one write. That GoTo hears of it is the schedule's work: a disconnected
grant stays due until it is withdrawn there (S22).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib.errors import (
    Conflict,
    DependencyUnavailable,
    NotConnected,
    StillConnected,
    UnknownTenant,
)
from chalicelib.model import Caller, Grant, JournalEntry, Status

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
    from chalicelib.store.disconnections import Disconnections
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

ATTEMPTS = 5
"""Refreshes that may commit in between before a disconnection is given up for now."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """``withdrawn``: GoTo has heard of it already."""

    tenant: str
    withdrawn: bool


class Disconnecting:
    """``withdraw_now`` has a refresh function tell GoTo of one tenant, and says whether it did."""

    def __init__(
        self,
        *,
        tenants: "Tenants",
        connections: "Connections",
        disconnections: "Disconnections",
        vault: "Vault",
        withdraw_now: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._disconnections = disconnections
        self._vault = vault
        self._withdraw_now = withdraw_now
        self._clock = clock

    def disconnect(self, name: str, by: Caller) -> Disconnected:
        """Stop the use of a tenant's connection and tell GoTo. May be repeated.

        Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`: nothing has changed then.
        """
        self._tenants.known(name)
        grant = self._stop(name, by)
        if grant is None:
            raise NotConnected(f"{name} was never connected.")
        return Disconnected(name, self._withdrawn(name))

    def disconnect_all(self, after: str | None, count: int, by: Caller) -> tuple[int, str | None]:
        """Stop the use of the next ``count`` tenants' connections; GoTo hears of it in the next
        ticks. Returns how many were connected, and where to go on. Raises `DependencyUnavailable`.
        """
        tenants, next_one = self._tenants.page(after, count)
        stopped = 0
        for tenant in tenants:
            before = self._connections.grant_facts(tenant.name)
            if before is not None and before.status is not Status.DISCONNECTED:
                with suppress(UnknownTenant):  # removed at this very moment
                    stopped += self._stop(tenant.name, by) is not None
        return stopped, next_one

    def remove(self, name: str, by: Caller) -> None:
        """Disconnect, and leave nothing of a tenant but its journal and its counters. May be
        repeated: the secret goes last, and what kept it from going may be over.

        Raises `UnknownTenant`, `DependencyUnavailable`, and `StillConnected` while GoTo has not
        heard of it: its client is needed until then.
        """
        if not self._tenants.removed(name):
            self._remove(name, by)
        self._vault.delete(name)

    def _remove(self, name: str, by: Caller) -> None:
        self._tenants.known(name)
        if self._stop(name, by) is not None and not self._withdrawn(name):
            raise StillConnected(
                f"{name} is disconnected, but GoTo could not be told yet. The service tries on by"
                " itself; please remove the tenant once `tenant show` says that it is withdrawn."
            )
        entry = self._entry(name, "tenant_removed", by, "Tenant removed.", None)
        try:
            self._disconnections.remove(self._tenants.known(name), entry)
        except Conflict:
            raise StillConnected(
                f"Something changed {name} at the same moment. Please try again."
            ) from None

    def _stop(self, name: str, by: Caller) -> Grant | None:
        """The grant as it was; None where there is none. One that is ended already is left alone.

        The number drawn voids every authorization request that was started before.
        """
        for _ in range(ATTEMPTS):
            before = self._connections.grant_facts(name)
            if before is None or before.status is Status.DISCONNECTED:
                return before
            text = "Disconnected: the token is not used any more, and GoTo is told."
            entry = self._entry(name, "disconnected", by, text, Status.DISCONNECTED)
            sequence = self._tenants.next_sequence(name)
            try:
                self._disconnections.disconnect(before, sequence, int(self._clock()), entry)
            except Conflict:
                continue
            return before
        raise DependencyUnavailable("dynamodb", "conflicts")

    def _withdrawn(self, name: str) -> bool:
        current = self._connections.grant_facts(name)
        if current is None or current.next_refresh_at is None:
            return True
        try:
            return self._withdraw_now(name)
        except DependencyUnavailable:
            return False  # the next tick does it

    def _entry(
        self, name: str, kind: str, by: Caller, text: str, status: Status | None
    ) -> JournalEntry:
        return JournalEntry(name, self._clock(), kind, by.who, text, by.reference, status)
