"""Use cases of the rep: end a connection, remove a tenant.

A connection ends at once, with one write. Revoking it at GoTo is the scheduler's work: a
disconnected grant stays due until that is done (S22).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.tenants import Disconnections, Tenants
from chalicelib.errors import (
    Conflict,
    DependencyUnavailable,
    NotConnected,
    StillConnected,
    UnknownTenant,
)
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Actor, Status
from chalicelib.tokens.rescue_queue import RescueQueue

ATTEMPTS = 5
"""Refreshes that may commit in between before a disconnection is given up for now."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """``revoked``: GoTo has heard of it already."""

    tenant: str
    revoked: bool


@dataclass(frozen=True, kw_only=True)
class Disconnecting:
    """``revoke_now`` has a refresh function tell GoTo of one tenant, and says whether it did."""

    tenants: Tenants
    connections: Connections
    disconnections: Disconnections
    secret_store: SecretStore
    rescue_queue: RescueQueue
    revoke_now: Callable[[str], bool]
    clock: Callable[[], float]

    def disconnect(self, name: str, by: Actor) -> Disconnected:
        """Stop the use of a tenant's connection and tell GoTo. May be repeated.

        Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`: nothing has changed then.
        """
        self.tenants.known(name)
        grant = self._stop(name, by)
        if grant is None:
            raise NotConnected(f"{name} was never connected.")
        return Disconnected(name, self._revoked(name))

    def disconnect_all(self, after: str | None, count: int, by: Actor) -> tuple[int, str | None]:
        """Stop the use of the next ``count`` tenants' connections; GoTo hears of it in the next
        ticks. Returns how many were connected, and where to go on. Raises `DependencyUnavailable`.
        """
        tenants, next_one = self.tenants.page(after, count)
        stopped = 0
        for tenant in tenants:
            before = self.connections.grant_summary(tenant.name)
            if before is not None and before.status is not Status.DISCONNECTED:
                with suppress(UnknownTenant):  # removed at this very moment
                    stopped += self._stop(tenant.name, by) is not None
        return stopped, next_one

    def remove(self, name: str, by: Actor) -> None:
        """Disconnect, and leave nothing of a tenant but its journal and its counters. May be
        repeated: the secret goes last, and what kept it from going may be over.

        Raises `UnknownTenant`, `DependencyUnavailable`, and `StillConnected` while GoTo has not
        heard of it, or there may be other tokens of the tenant's: its client is needed until then.
        """
        if not self.tenants.removed(name):
            self._remove(name, by)
        self.secret_store.delete(name)

    def _remove(self, name: str, by: Actor) -> None:
        self.tenants.known(name)
        if self._stop(name, by) is not None and not self._revoked(name):
            raise StillConnected(
                f"{name} is disconnected, but GoTo could not be told yet. The service tries on by"
                " itself; please remove the tenant once `tenant show` says that it is withdrawn."
            )
        self._check_nothing_waits(name)
        entry = self._entry(name, Kind.TENANT_REMOVED, by, "Tenant removed.", None)
        try:
            self.disconnections.remove(self.tenants.known(name), entry)
        except Conflict:
            raise StillConnected(
                f"Something changed {name} at the same moment. Please try again."
            ) from None

    def _check_nothing_waits(self, name: str) -> None:
        """Tokens outside the tenant's grant are revoked as its client, too (S22). The queue can't
        be asked whose it has, and SQS may count a message a minute late."""
        if self.tenants.choosing(name):
            raise StillConnected(
                f"A sign-in for {name} is waiting for the admin to choose a GoTo account, for an"
                " hour at most. If nobody chooses, its tokens are revoked. Please remove the tenant"
                " after that."
            )
        if self.rescue_queue.pending():
            raise StillConnected(
                f"The rescue queue holds tokens, perhaps some of {name}, and revoking them takes"
                " the tenant's client. The service works through the queue by itself. Please try"
                " again in a quarter of an hour."
            )

    def _stop(self, name: str, by: Actor) -> GrantSummary | None:
        """The grant as it was; None where there is none. One that is ended already is left alone.

        The number drawn voids every authorization request that was started before.
        """
        for _ in range(ATTEMPTS):
            before = self.connections.grant_summary(name)
            if before is None or before.status is Status.DISCONNECTED:
                return before
            text = (
                "Disconnected: the token is no longer used, and GoTo is told. All links given so"
                " far were revoked."
            )
            entry = self._entry(name, Kind.DISCONNECTED, by, text, Status.DISCONNECTED)
            sequence = self.tenants.next_sequence(name)
            try:
                self.disconnections.disconnect(before, sequence, int(self.clock()), entry)
            except Conflict:
                continue
            return before
        raise DependencyUnavailable("dynamodb", "conflicts")

    def _revoked(self, name: str) -> bool:
        current = self.connections.grant_summary(name)
        if current is None or current.next_refresh_at is None:
            return True
        try:
            return self.revoke_now(name)
        except DependencyUnavailable:
            return False  # the next tick does it

    def _entry(
        self, name: str, kind: Kind, by: Actor, text: str, status: Status | None
    ) -> JournalEntry:
        return JournalEntry(name, self.clock(), kind, by.who, text, by.reference, status)
