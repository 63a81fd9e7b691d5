"""A tenant's state at a given time, and facts about its connection. Pure."""

from __future__ import annotations

from typing import Protocol

from chalicelib.durations import DAY, WARN_DAYS
from chalicelib.models import Connection, EndCause, Phase, Status, Tenant


class GrantSummary(Protocol):
    """A grant without its secrets. `connect`, `web` and `rep` see nothing else, so the type checker
    rejects a refresh token there (S19)."""

    @property
    def tenant(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def generation(self) -> int: ...
    @property
    def version(self) -> int: ...
    @property
    def client_id(self) -> str: ...
    @property
    def secret_version(self) -> str: ...
    @property
    def fence(self) -> int: ...
    @property
    def sequence(self) -> int: ...
    @property
    def lease_until(self) -> int: ...
    @property
    def refresh_expires_at(self) -> int: ...
    @property
    def failures(self) -> int: ...
    @property
    def next_refresh_at(self) -> int | None: ...
    @property
    def last_error(self) -> str | None: ...
    @property
    def account_key(self) -> str | None: ...
    @property
    def ended_by(self) -> EndCause | None: ...
    @property
    def phase(self) -> Phase: ...
    @property
    def revoking(self) -> bool: ...
    @property
    def stands(self) -> bool: ...


def state_of(tenant: Tenant, connection: Connection | None, now: float) -> Status:
    """The state to show. An expired token counts as degraded even before the scheduler records it:
    the scheduler may be down."""
    if connection is None:
        return Status.AWAITING_AUTHORIZATION if tenant.client_id else Status.AWAITING_CREDENTIALS
    if connection.status is Status.CONNECTED and connection.expires_at <= now:
        return Status.DEGRADED
    return connection.status


def account_known(tenant: Tenant, connection: Connection) -> bool:
    """Whether the pin is the account that GoTo itself named for this connection (S25)."""
    pin = tenant.pinned_account
    return pin is not None and pin == connection.account_key


def ends_soon(connection: Connection, now: float) -> bool:
    """Whether GoTo is overdue to extend the grant, so that only the admin can save it. Also after
    its end date, until the grant is ended (F25), unless GoTo still issues tokens."""
    alive = connection.status in (Status.CONNECTED, Status.DEGRADED)
    ends = connection.reconnect_by
    if not alive or ends is None:
        return False
    return ends - now < max(WARN_DAYS) * DAY and (now < ends or connection.expires_at <= now)
