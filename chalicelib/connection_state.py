"""What a tenant's state is at a moment, and what is known of its connection. Pure."""

from __future__ import annotations

from typing import Protocol

from chalicelib.durations import DAY, WARN_DAYS
from chalicelib.models import Connection, EndCause, Phase, Status, Tenant


class GrantSummary(Protocol):
    """A grant that was read without its secrets: all that `connect`, `web` and `rep` ever see of
    one, so that the type checker refuses a refresh token there (S19)."""

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
    """The state as it is shown. A dead token is shown as what it is, even before the schedule has
    come round to writing it down (the function that would may be what is down)."""
    if connection is None:
        return Status.AWAITING_AUTHORIZATION if tenant.client_id else Status.AWAITING_CREDENTIALS
    if connection.status is Status.CONNECTED and connection.expires_at <= now:
        return Status.DEGRADED
    return connection.status


def account_known(tenant: Tenant, connection: Connection) -> bool:
    """Whether the pin is what GoTo itself has told of this connection (S25)."""
    pin = tenant.pinned_account
    return pin is not None and pin == connection.account_key


def ends_soon(connection: Connection, now: float) -> bool:
    """Whether GoTo should have extended the grant long ago, and only the admin can save it.

    Past that day too, until the grant is ended (F25); not where GoTo gives tokens all the same.
    """
    alive = connection.status in (Status.CONNECTED, Status.DEGRADED)
    ends = connection.reconnect_by
    if not alive or ends is None:
        return False
    return ends - now < max(WARN_DAYS) * DAY and (now < ends or connection.expires_at <= now)
