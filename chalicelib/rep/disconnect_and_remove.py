"""Use cases of the rep: end a connection, remove a tenant.

A connection ends at once, with one write. The scheduler revokes it at GoTo: a disconnected grant
stays due until that is done (S22).
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
"""Attempts to disconnect before giving up: a refresh may commit during each."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """``revoked``: nothing is left to revoke at GoTo."""

    tenant: str
    revoked: bool


@dataclass(frozen=True, kw_only=True)
class Disconnecting:
    """``revoke_now`` has `refresh_now` revoke one tenant at GoTo; returns whether that is done."""

    tenants: Tenants
    connections: Connections
    disconnections: Disconnections
    secret_store: SecretStore
    rescue_queue: RescueQueue
    revoke_now: Callable[[str], bool]
    clock: Callable[[], float]

    def disconnect(self, name: str, by: Actor) -> Disconnected:
        """End a tenant's connection and revoke it at GoTo. Safe to repeat.

        Raises `UnknownTenant`, `NotConnected`, `DependencyUnavailable`.
        """
        self.tenants.known(name)
        grant = self._stop(name, by)
        if grant is None:
            raise NotConnected(f"{name} was never connected.")
        return Disconnected(name, self._revoked(name))

    def disconnect_all(self, after: str | None, count: int, by: Actor) -> tuple[int, str | None]:
        """End the next ``count`` tenants' connections; the next ticks revoke them at GoTo. Returns
        how many were connected, and the name to continue after. Raises `DependencyUnavailable`.
        """
        tenants, next_one = self.tenants.page(after, count)
        stopped = 0
        for tenant in tenants:
            before = self.connections.grant_summary(tenant.name)
            if before is not None and before.status is not Status.DISCONNECTED:
                with suppress(UnknownTenant):  # just removed
                    stopped += self._stop(tenant.name, by) is not None
        return stopped, next_one

    def remove(self, name: str, by: Actor) -> None:
        """Disconnect a tenant and delete all but its journal and counters. Safe to repeat: the
        secret is deleted last, and a repeated call deletes it if that failed.

        Raises `UnknownTenant`, `DependencyUnavailable`, and `StillConnected` while this or another
        token of the tenant may not be revoked yet: revoking takes its client.
        """
        if not self.tenants.removed(name):
            self._remove(name, by)
        self.secret_store.delete(name)

    def _remove(self, name: str, by: Actor) -> None:
        self.tenants.known(name)
        if self._stop(name, by) is not None and not self._revoked(name):
            raise StillConnected(
                f"{name} is disconnected, but GoTo has not confirmed the revocation yet. The"
                " service keeps trying; remove the tenant once `tenant show` says that it is"
                " withdrawn."
            )
        self._check_nothing_waits(name)
        entry = self._entry(name, Kind.TENANT_REMOVED, by, "Tenant removed.", None)
        try:
            self.disconnections.remove(self.tenants.known(name), entry)
        except Conflict:
            raise StillConnected(
                f"{name} was changed at the same time. Please try again."
            ) from None

    def _check_nothing_waits(self, name: str) -> None:
        """Revoking tokens outside the grant takes the tenant's client, too (S22). The queue does
        not reveal whose tokens it holds, and SQS may count a message a minute late."""
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
        """The grant as it was, or None without one. A disconnected grant is left alone.

        The new sequence number voids every earlier authorization request.
        """
        for _ in range(ATTEMPTS):
            before = self.connections.grant_summary(name)
            if before is None or before.status is Status.DISCONNECTED:
                return before
            text = (
                "Disconnected: the token is no longer used, and is being revoked at GoTo. All"
                " existing links were revoked."
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
            return False  # the next tick revokes it

    def _entry(
        self, name: str, kind: Kind, by: Actor, text: str, status: Status | None
    ) -> JournalEntry:
        return JournalEntry(name, self.clock(), kind, by.who, text, by.reference, status)
