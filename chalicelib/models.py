"""The service's data types as frozen values, and the life of a grant.

Times are epoch seconds. Reprs omit secrets. No I/O, and no DynamoDB or GoTo dictionaries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import NamedTuple

from chalicelib.permissions import GoToAccount, Usable

LANES = 16
"""Partitions of the due index. Part of the data format: never change it on a live fleet."""

PROVIDER = "#provider"
"""Key of the row for GoTo as a whole, and of its history. No tenant can have this name."""

STREAM = "#stream"
"""Key of the heartbeat in the journal's stream, and of the last heartbeat received."""


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
    CHOOSING = "choosing"
    CHOSEN = "chosen"
    DONE = "done"
    DENIED = "denied"
    SCOPE_REFUSED = "scope_refused"
    MISMATCHED = "mismatched"
    FAILED = "failed"
    EXPIRED = "expired"


class Reason(StrEnum):
    """Why an authorization request did not end in a connection. Each has its own page text."""

    DENIED = "denied"
    SCOPE_REFUSED = "scope_refused"
    PROVIDER_ERROR = "provider_error"
    PROVIDER_BUSY = "provider_busy"
    SIGN_IN_FAILED = "sign_in_failed"
    CLIENT_REFUSED = "client_refused"
    CODE_REFUSED = "code_refused"
    OUTCOME_UNKNOWN = "outcome_unknown"
    WRONG_ISSUER = "wrong_issuer"
    OTHER_ACCOUNT = "other_account"
    ACCOUNT_TAKEN = "account_taken"
    ACCOUNT_TO_CHOOSE = "account_to_choose"
    ACCOUNT_NOT_CHOSEN = "account_not_chosen"
    ACCOUNT_UNREADABLE = "account_unreadable"
    ACCOUNT_NOT_CONFIRMED = "account_not_confirmed"
    NO_REFRESH_TOKEN = "no_refresh_token"  # noqa: S105 - a word, not a secret
    SUPERSEDED = "superseded"
    ENDED = "ended"
    NOT_RETURNED = "not_returned"
    INTERNAL = "internal"


class LinkKind(StrEnum):
    """What an emailed link opens; also the first part of its path."""

    CONNECT = "connect"
    INTAKE = "intake"


class Revocation(StrEnum):
    """Result of revoking a token at GoTo (RFC 7009)."""

    DONE = "done"
    REFUSED = "refused"
    ENDED = "ended"
    LATER = "later"


class Actor(NamedTuple):
    """A person's name for the journal, with AWS's request id of their call (``reference``).
    ``proved``: AWS has confirmed their identity for this one command (S32)."""

    who: str
    reference: str | None = None
    proved: bool = False


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A tenant's GoTo client."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantDetails:
    """Facts a rep enters about a tenant; `rep/onboarding.py` checks them. A field added here (text,
    or None if optional) is stored, shown, exported, imported, and removed with the tenant."""

    display_name: str
    admin_email: str
    also_email: str | None = None  # a second contact; gets the reminders too


DETAILS = tuple(each.name for each in fields(TenantDetails))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant(TenantDetails):
    """A customer of HA, with its GoTo client. ``link_series``: links of earlier series are revoked.
    ``imported``: digest of the tenant's line in the import. ``pin_lifted``: the rep allows another
    GoTo account at the next sign-in."""

    name: str
    redirect_uri: str
    client_id: str | None = None
    secret_version: str | None = None
    pinned_account: str | None = None
    link_series: int = 0
    imported: str | None = None
    pin_lifted: bool = False

    @property
    def details(self) -> dict[str, str | None]:
        """The fields of `TenantDetails`, by name."""
        return {name: getattr(self, name) for name in DETAILS}

    @property
    def unpinned(self) -> bool:
        """Whether the tenant has no pin yet, and a refresh should set it (S25)."""
        return self.pinned_account is None and not self.pin_lifted

    def wants_look_up(self, read: str | None) -> bool:
        """Whether a refresh should ask GoTo for the tokens' account: ``read``, the account GoTo
        named for this grant, is not the pin. A pin alone may be only a person's claim (S25)."""
        return not self.pin_lifted and (read is None or read != self.pinned_account)


@dataclass(frozen=True, slots=True)
class Link:
    """An emailed link. ``key``: SHA-256 of its text, which we never store. ``used_by``: digest of
    the browser that used an intake link, which works once. ``series``: the tenant's series when the
    link was made."""

    key: str
    tenant: str
    expires_at: int
    kind: LinkKind = LinkKind.CONNECT
    used_by: str | None = None
    series: int = 0

    def usable(self, now: float, kind: LinkKind = LinkKind.CONNECT) -> bool:
        """Whether this is a link of that kind that still works; ``now`` in epoch seconds."""
        return self.kind == kind and self.used_by is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """One click on Get Access Token, with everything its code exchange needs (S04).

    ``link_series``: series of the link in use; None if an earlier release began the request.
    ``pressed_by``: the person's email address, if HA's front named one.
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
    pressed_by: str | None = None
    status: RequestStatus = RequestStatus.STARTED
    returned_at: int | None = None
    finished_at: int | None = None
    reason: Reason | None = None
    code: str | None = field(default=None, repr=False)
    accounts: tuple[GoToAccount, ...] = ()
    account: str | None = None

    @property
    def processing(self) -> bool:
        """Whether the admin is back from GoTo and the outcome is still open."""
        back = self.status is RequestStatus.STARTED and self.returned_at is not None
        return back or self.status in (RequestStatus.EXCHANGING, RequestStatus.CHOSEN)


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser at one tenant: its newest request (``current``) and its last completed one.

    ``link_series`` and ``sequence`` are those of the completed request. ``sequence`` is None if an
    earlier release completed it.
    """

    key: str
    current: str
    completed_at: int | None = None
    link_series: int = 0
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """The `Tokens` row, which readers see. A token always comes with its own expiry.

    ``sequence``: the authorization request that connected, if known. ``account_key``: the account
    that GoTo named for the token. ``usable_doubt``: a probe's finding, not yet confirmed (F33).
    """

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
    sequence: int | None = None
    account_key: str | None = None
    usable: Usable = Usable.UNKNOWN
    usable_checked_at: int = 0
    usable_doubt: Usable | None = None


class Phase(StrEnum):
    """Stage of a grant's life. `Grant.phase` reads it from the row: the first that fits.

        idle --due--> claimed --tokens, or a clear failure--> idle
                      claimed --no clear answer, or its worker died--> unknown --due--> claimed
                      claimed --refused--> refused once --due, minutes later--> claimed
                      claimed --refused again while GoTo is well--> ended
                      claimed --anything but tokens, past the refresh token's own end--> ended
        ended --connect, new secret, `ha-goto retry`--> idle
        ended --7 days--> forgotten: its refresh token is deleted
        any --disconnect, another account--> revoking --GoTo confirms--> forgotten

    Only a commit of tokens clears *unknown* and *refused once*.
    """

    REVOKING = "revoking"
    FORGOTTEN = "forgotten"
    ENDED = "ended"
    CLAIMED = "claimed"
    REFUSED_ONCE = "refused_once"
    UNKNOWN = "unknown"
    IDLE = "idle"


class EndCause(StrEnum):
    """Why a grant ended. Stored: never rename one."""

    REFUSED = "refused"
    CLIENT_REFUSED = "client_refused"
    RESPONSE_LOST = "response_lost"
    RESTORED = "restored"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Inflight:
    """Mark of a claim whose outcome is not yet known."""

    fence: int
    version: int
    claimed_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """The `Grants` row: the refresh token and the counters that protect it.

    ``account_key``: the account that GoTo itself named for this grant. ``restored``: we are
    checking the grant after a restored backup (F19). ``ended_by``: why the grant ended; it keeps
    its refresh token until due. ``told_stuck``: the rep was notified that this tenant alone fails
    (F25). ``last_error`` is for people; no code depends on it.
    """

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
    account_key: str | None = None
    probe_at: int = 0
    restored: bool = False
    ended_by: EndCause | None = None
    told_stuck: bool = False

    @property
    def phase(self) -> Phase:
        """An expired lease still counts as claimed; the next claim makes it unknown."""
        due = self.next_refresh_at is not None
        ended = self.status is Status.REAUTHORIZATION_REQUIRED
        if self.status is Status.DISCONNECTED or (ended and due and self.ended_by is None):
            return Phase.REVOKING
        if ended:
            return Phase.ENDED if due else Phase.FORGOTTEN
        if self.lease_until:
            return Phase.CLAIMED
        if self.status is Status.CREDENTIALS_REJECTED:
            return Phase.ENDED
        if self.refused_since is not None:
            return Phase.REFUSED_ONCE
        unknown = self.outcome_unknown_since is not None or self.inflight is not None
        return Phase.UNKNOWN if unknown else Phase.IDLE

    @property
    def revoking(self) -> bool:
        """Whether the rep disconnected it, or its account may not serve this tenant (S25, S26). It
        is due only until it is revoked at GoTo."""
        return self.phase is Phase.REVOKING

    @property
    def stands(self) -> bool:
        """Whether the tenant has connected, and the rep has not disconnected it since."""
        return self.generation > 0 and self.status is not Status.DISCONNECTED


@dataclass(frozen=True, slots=True)
class Due:
    """A row of the due index: a tenant, and when it fell due."""

    tenant: str
    at: int


@dataclass(frozen=True, slots=True)
class NewTokens:
    """Tokens about to be committed. A None ``refresh_token`` or an empty ``access_token`` keeps the
    stored one. ``refresh_expires_at`` without a refresh token moves the stored one's end up."""

    access_token: str = field(repr=False)
    token_type: str
    issued_at: int
    expires_at: int
    next_refresh_at: int
    scope: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    refresh_expires_at: int | None = None


def lane(tenant: str) -> int:
    """The due-index partition of a tenant."""
    return hashlib.sha256(tenant.encode()).digest()[0] % LANES
