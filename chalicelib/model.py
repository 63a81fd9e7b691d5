"""The nouns of the service as frozen values, and the arithmetic of when a refresh is due.

Times are epoch seconds. Fields that hold a secret never appear in a repr.
Owns no I/O; dictionaries of DynamoDB or GoTo never come this far.
"""

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from chalicelib.times import (
    ASSUMED_LIFETIME,
    BACKOFF_BASE,
    BACKOFF_CAP,
    BACKOFF_LEAST,
    DAY,
    LONGEST_REFRESH_PAUSE,
    REFRESH_LEAD,
    WARN_DAYS,
)

LANES = 16
"""Partitions of the due index. Part of the data format: never change it on a live fleet."""

JITTER = 0.1
"""Largest share of the pause by which a tenant's refresh is moved ahead, fixed per tenant."""

PROVIDER = "#provider"
"""Key of the row for GoTo as a whole, and of its history: no tenant can have such a name."""

RESTORED = "restored from a backup"
"""``last_error`` of a grant that is checked because a table was restored (F19)."""


class Status(StrEnum):
    """State of a tenant's connection."""

    AWAITING_CREDENTIALS = "awaiting_credentials"
    AWAITING_AUTHORIZATION = "awaiting_authorization"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CREDENTIALS_REJECTED = "credentials_rejected"
    DISCONNECTED = "disconnected"


class RequestStatus(StrEnum):
    """State of one authorization request: one press of the button."""

    STARTED = "started"
    EXCHANGING = "exchanging"
    DONE = "done"
    DENIED = "denied"
    MISMATCHED = "mismatched"
    FAILED = "failed"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why an authorization request did not end in a connection; each has its own sentence."""

    DENIED = "denied"
    PROVIDER_ERROR = "provider_error"
    CLIENT_REFUSED = "client_refused"
    CODE_REFUSED = "code_refused"
    OUTCOME_UNKNOWN = "outcome_unknown"
    WRONG_ISSUER = "wrong_issuer"
    OTHER_ACCOUNT = "other_account"
    ACCOUNT_UNREADABLE = "account_unreadable"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - a word, not a secret
    SUPERSEDED = "superseded"
    ENDED = "ended"
    INTERNAL = "internal"


class IntakeProblem(StrEnum):
    """What was wrong with a GoTo client that a customer entered; each has its own sentence."""

    ID_MISSING = "id_missing"
    ID_IMPOSSIBLE = "id_impossible"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a word, not a secret
    SECRET_IMPOSSIBLE = "secret_impossible"  # noqa: S105 - a word, not a secret
    REFUSED = "refused"
    UNCHECKED = "unchecked"


class LinkKind(StrEnum):
    """What an emailed link opens; also the first part of its path."""

    CONNECT = "connect"
    INTAKE = "intake"


class Revocation(StrEnum):
    """What came of telling GoTo that a token is given up (RFC 7009)."""

    DONE = "done"
    REFUSED = "refused"
    LATER = "later"


class Caller(NamedTuple):
    """Who acts, as the journal names them, and the number under which AWS knows the call."""

    who: str
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer of HA, with the GoTo client that the customer made.

    ``link_series``: links of earlier series are revoked. ``imported``: digest of the line that the
    tenant was imported from.
    """

    name: str
    display_name: str
    admin_email: str
    redirect_uri: str
    client_id: str | None = None
    secret_version: str | None = None
    pinned_account: str | None = None
    link_series: int = 0
    imported: str | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """An emailed link; ``key`` is the SHA-256 of its text, which is kept nowhere.

    ``used_by`` is the digest of the browser that an intake link has served; it serves once.
    ``series``: the tenant's, when it was made.
    """

    key: str
    tenant: str
    expires_at: int
    kind: LinkKind = LinkKind.CONNECT
    used_by: str | None = None
    series: int = 0

    def usable(self, now: float, kind: LinkKind = LinkKind.CONNECT) -> bool:
        """Whether it still opens what a link of this kind opens; ``now`` in epoch seconds."""
        return self.kind == kind and self.used_by is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One press of Get Access Token, with everything its exchange will need (S04).

    ``link_series``: that of the link it was pressed at; None where the version before began it.
    """

    key: str
    tenant: str
    sequence: int
    browser: str
    client_id: str
    secret_version: str
    redirect_uri: str
    reference: str
    started_at: int
    expires_at: int
    verifier: str = field(repr=False)
    link_series: int | None = None
    status: RequestStatus = RequestStatus.STARTED
    returned_at: int | None = None
    finished_at: int | None = None
    reason: Reason | None = None
    code: str | None = field(default=None, repr=False)

    @property
    def processing(self) -> bool:
        """Whether the admin is back from GoTo and the outcome is still open."""
        if self.status is RequestStatus.EXCHANGING:
            return True
        return self.status is RequestStatus.STARTED and self.returned_at is not None


@dataclass(frozen=True, slots=True)
class Browser:
    """What is known of one browser at one tenant: its newest request, its last completed one."""

    key: str
    current: str
    completed_at: int | None = None


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A successful token response (RFC 6749 5.1), as far as it was given."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = ASSUMED_LIFETIME
    scope: str | None = None
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """The `Tokens` row: what a reader sees. A token always comes with its own expiry."""

    tenant: str
    status: Status
    generation: int
    version: int
    access_token: str | None = field(default=None, repr=False)
    scope: str | None = None
    expires_at: int = 0
    refreshed_at: int = 0
    connected_at: int = 0
    reconnect_by: int | None = None
    next_refresh_at: int | None = None
    principal: str | None = None


@dataclass(frozen=True, slots=True)
class Inflight:
    """Mark of a claim whose outcome is not yet known."""

    fence: int
    version: int
    claimed_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The `Grants` row: the refresh token and the counters that protect it."""

    tenant: str
    status: Status
    generation: int
    version: int
    client_id: str
    secret_version: str
    fence: int = 0
    sequence: int = 0
    refresh_token: str | None = field(default=None, repr=False)
    refresh_issued_at: int = 0
    refresh_expires_at: int = 0
    access_expires_at: int = 0
    lease_until: int = 0
    inflight: Inflight | None = None
    outcome_unknown_since: int | None = None
    refused_since: int | None = None
    failures: int = 0
    next_refresh_at: int | None = None
    last_error: str | None = None
    warned: int | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """The `#provider` row: GoTo as a whole, as the fleet's requests find it.

    ``asked``, ``failed`` and ``limited`` (429) count since the last turn. The trends are in
    thousandths of a request and fade from turn to turn; ``rate`` is in thousandths of a request a
    second, None for the cap. ``ticked_at``: when the last tick came to its end.
    """

    turn: int = 0
    turned_at: int = 0
    asked: int = 0
    failed: int = 0
    limited: int = 0
    ticked_at: int = 0
    trend_asked: int = 0
    trend_failed: int = 0
    open_since: int | None = None
    rate: int | None = None


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A tenant as the fleet's counts know it; ``edition`` grows with each change of the row."""

    tenant: str
    display_name: str
    status: Status
    since: int
    edition: int = 1


class FleetPlace(NamedTuple):
    """Where a list of the tenants in one state goes on: after this tenant, in it since then."""

    since: int
    tenant: str


@dataclass(frozen=True, slots=True)
class Due:
    """A row of the due index: a tenant, and the moment at which it fell due."""

    tenant: str
    at: int


@dataclass(frozen=True, slots=True)
class Fresh:
    """Tokens about to be committed. ``refresh_token`` None keeps the stored one."""

    access_token: str = field(repr=False)
    token_type: str
    issued_at: int
    expires_at: int
    next_refresh_at: int
    scope: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of a tenant's history, in plain words; never a secret."""

    tenant: str
    at: float
    kind: str
    who: str
    text: str
    reference: str | None = None
    status: Status | None = None


def state_of(tenant: Tenant, connection: Connection | None, now: float) -> Status:
    """The state as it is shown. A dead token is shown as what it is, even before the schedule has
    come round to writing it down (the function that would may be what is down)."""
    if connection is None:
        return Status.AWAITING_AUTHORIZATION if tenant.client_id else Status.AWAITING_CREDENTIALS
    if connection.status is Status.CONNECTED and connection.expires_at <= now:
        return Status.DEGRADED
    return connection.status


def ends_soon(connection: Connection, now: float) -> bool:
    """Whether GoTo should have extended the grant long ago, and only the admin can save it."""
    alive = connection.status in (Status.CONNECTED, Status.DEGRADED)
    ends = connection.reconnect_by
    return alive and ends is not None and ends - now < max(WARN_DAYS) * DAY


def lane(tenant: str) -> int:
    """The due-index partition of a tenant."""
    return hashlib.sha256(tenant.encode()).digest()[0] % LANES


def refresh_pause(tenant: str, lifetime: int) -> int:
    """Seconds from a token's issue to its refresh.

    Two thirds of the life, or two minutes before its end if that is earlier; a third of the life
    where it is shorter than that; never more than a day. Moved ahead by a share fixed per tenant,
    so that tenants who connected together do not refresh together.
    """
    pause = max(lifetime / 3, min(lifetime * 2 / 3, lifetime - REFRESH_LEAD))
    share = int.from_bytes(hashlib.sha256(tenant.encode()).digest()[1:5], "big") / 2**32
    return int(min(pause, LONGEST_REFRESH_PAUSE) * (1 - JITTER * share))


def backoff(failures: int, alive_for: float, random: float) -> int:
    """Seconds until the next attempt after ``failures`` refreshes failed in a row.

    Exponential with full jitter and a cap; while the access token lives, a quarter of what is left
    at most, so that several attempts fit into it. ``random`` is uniform in [0, 1).
    """
    limit = min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures - 1, 10))
    if alive_for > 0:
        limit = min(limit, max(BACKOFF_BASE, alive_for / 4))
    return max(BACKOFF_LEAST, int(limit * random))
