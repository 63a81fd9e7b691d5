"""What one browser is shown of a tenant's connection (S18). Pure.

Decides nothing but what is seen: it holds no way to change anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from chalicelib.durations import (
    DAY,
    NOTICE_SHOWN_FOR,
    PROCESSING_TIMEOUT,
    RETURN_PATIENCE,
    TOKEN_SHOWN_FOR,
)
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import (
    AuthorizationRequest,
    Browser,
    Connection,
    Reason,
    RequestStatus,
    Status,
    Tenant,
)
from chalicelib.permissions import GoToAccount, Usable, missing


@dataclass(frozen=True, slots=True)
class Whom:
    """A tenant as pages name it: a display name can be chosen to deceive, the rest can't."""

    display_name: str
    tenant: str
    domain: str


@dataclass(frozen=True, slots=True)
class Form:
    """Where a page's form goes: always to the tenant's own host, wherever it is shown (S28).

    ``whom``: for whom, set where all tenants share one host.
    """

    address: str
    whom: Whom | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """How this browser's last authorization request ended, when not in a connection."""

    reason: Reason
    reference: str


@dataclass(frozen=True, slots=True)
class Details:
    """What only a browser that completed an authorization sees (S18)."""

    connection: Connection
    timeline: tuple[JournalEntry, ...]


@dataclass(frozen=True, slots=True)
class SettingsView:
    """Everything the settings page shows. ``token`` is set only where S18 allows it."""

    tenant: Tenant
    status: Status
    now: float
    csrf: str = field(repr=False)
    reconnect_soon: bool = False
    processing: bool = False
    notice: Notice | None = None
    choices: tuple[GoToAccount, ...] = ()
    usable: Usable = Usable.UNKNOWN
    lacking: tuple[str, ...] = ()
    connected: bool = False
    token: str | None = field(default=None, repr=False)
    token_seconds: int = 0
    details: Details | None = None


def whom(tenant: Tenant) -> Whom:
    """How a page names a tenant to somebody who must not be deceived."""
    return Whom(tenant.display_name, tenant.name, tenant.admin_email.rpartition("@")[2])


def facts(connection: Connection | None, browser: Browser | None) -> Connection | None:
    """The connection without its token, for a browser that has ever completed one."""
    if connection is None or browser is None or not browser.completed_at:
        return None
    return replace(connection, access_token=None)


def token_seconds(connection: Connection | None, browser: Browser | None, now: float) -> int:
    """For how long the token may still be seen here: in the browser whose own authorization it
    comes from, for a while. Known by its sequence; two may complete in one second (S18)."""
    if connection is None or browser is None or browser.completed_at is None:
        return 0
    own = browser.sequence is not None and browser.sequence == connection.sequence
    left = browser.completed_at + TOKEN_SHOWN_FOR - now
    return max(0, math.ceil(left)) if own else 0


def waiting(request: AuthorizationRequest | None, now: float) -> bool:
    """Whether the outcome of a request is open, and not for too long yet."""
    if request is None or not request.processing or request.returned_at is None:
        return False
    return now - request.returned_at < PROCESSING_TIMEOUT


def usability(connection: Connection | None, needed: tuple[str, ...]) -> dict[str, Any]:
    """Whether a living connection reads anything, and the scopes that it lacks (S27, F33)."""
    if connection is None or connection.status is not Status.CONNECTED:
        return {}
    return {"usable": connection.usable, "lacking": missing(needed, connection.scope)}


def choices(request: AuthorizationRequest | None) -> tuple[GoToAccount, ...]:
    """The accounts that this browser's newest request asks to choose from, by name."""
    if request is None or request.status is not RequestStatus.CHOOSING:
        return ()
    return tuple(sorted(request.accounts, key=lambda each: (each.name or "", each.key)))


def notice(
    request: AuthorizationRequest | None, connection: Connection | None, now: float
) -> Notice | None:
    """What to tell of a browser's newest request."""
    if request is None:
        return None
    if request.returned_at is None:
        lost = _nobody_came_back(request, connection, now)
        return Notice(Reason.NOT_RETURNED, request.reference) if lost else None
    if request.processing and not waiting(request, now):
        return Notice(Reason.OUTCOME_UNKNOWN, request.reference)
    ended = request.finished_at
    if request.reason is None or ended is None or now - ended > NOTICE_SHOWN_FOR:
        return None
    return Notice(request.reason, request.reference)


def _nobody_came_back(
    request: AuthorizationRequest, connection: Connection | None, now: float
) -> bool:
    """Whether a press came to nothing, for a day; not where somebody has connected since."""
    if request.status is not RequestStatus.STARTED:
        return False
    since = connection is not None and connection.connected_at >= request.started_at
    return RETURN_PATIENCE <= now - request.started_at < DAY and not since
