"""What one browser may see of a tenant's connection (S18). Pure; changes nothing."""

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
    """How pages name a tenant. A display name can be chosen to deceive, the rest can't."""

    display_name: str
    tenant: str
    domain: str


@dataclass(frozen=True, slots=True)
class Form:
    """Where a page's form goes: always to the tenant's own host (S28).

    ``whom``: the tenant that the page names, set if all tenants share one host.
    """

    address: str
    whom: Whom | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """Why this browser's last authorization request led to no connection."""

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
    return Whom(tenant.display_name, tenant.name, tenant.admin_email.rpartition("@")[2])


def facts(connection: Connection | None, browser: Browser | None) -> Connection | None:
    """The connection without its token; None for a browser that has never completed one."""
    if connection is None or browser is None or not browser.completed_at:
        return None
    return replace(connection, access_token=None)


def token_seconds(connection: Connection | None, browser: Browser | None, now: float) -> int:
    """Seconds for which this browser may still see the token; 0 unless its own authorization got it
    (S18). Compares sequences, since two requests may complete in the same second."""
    if connection is None or browser is None or browser.completed_at is None:
        return 0
    own = browser.sequence is not None and browser.sequence == connection.sequence
    left = browser.completed_at + TOKEN_SHOWN_FOR - now
    return max(0, math.ceil(left)) if own else 0


def waiting(request: AuthorizationRequest | None, now: float) -> bool:
    """Whether the page still waits for a request's outcome, at most `PROCESSING_TIMEOUT`."""
    if request is None or not request.processing or request.returned_at is None:
        return False
    return now - request.returned_at < PROCESSING_TIMEOUT


def usability(connection: Connection | None, needed: tuple[str, ...]) -> dict[str, Any]:
    """Whether a live connection can read calls, and which scopes it lacks (S27, F33)."""
    if connection is None or connection.status is not Status.CONNECTED:
        return {}
    return {"usable": connection.usable, "lacking": missing(needed, connection.scope)}


def choices(request: AuthorizationRequest | None) -> tuple[GoToAccount, ...]:
    """The accounts that the admin must choose from, sorted by name."""
    if request is None or request.status is not RequestStatus.CHOOSING:
        return ()
    return tuple(sorted(request.accounts, key=lambda each: (each.name or "", each.key)))


def notice(
    request: AuthorizationRequest | None, connection: Connection | None, now: float
) -> Notice | None:
    """The notice about a browser's newest request, if the page needs one."""
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
    """Whether nobody came back from GoTo in time; False after a day or a later connection."""
    if request.status is not RequestStatus.STARTED:
        return False
    since = connection is not None and connection.connected_at >= request.started_at
    return RETURN_PATIENCE <= now - request.started_at < DAY and not since
