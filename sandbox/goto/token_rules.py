"""GoTo's rules for codes, grants and refresh tokens: pure decisions over frozen values.

No HTTP, no storage, no clock, no randomness: `now` (epoch seconds) and new ids are handed in, so
that a year's simulation runs through the very same rules. Rows named are those of GoTo's tables
in the product's notes: lifetimes, rotation, errors.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sandbox.goto.switches import Switches

# A code's lifetime is not published; RFC 6749 4.1.2 recommends 10 minutes at most.
CODE_LIFETIME = 600
# A refresh answers with a new refresh token once this part of the old one's life has passed.
ROTATE_AFTER = 0.6


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One refresh token by its id; times are epoch seconds. `retired_at`: when it was replaced."""

    id: str
    issued_at: float
    expires_at: float
    retired_at: float | None = None

    def is_expired(self, now: float) -> bool:
        return now >= self.expires_at

    def is_retired(self, now: float, grace: float) -> bool:
        return self.retired_at is not None and now >= self.retired_at + grace


@dataclass(frozen=True, slots=True)
class Grant:
    """What one user allowed one client: the family of refresh tokens that descend from it."""

    id: str
    client_id: str
    email: str
    scope: str
    tokens: tuple[RefreshToken, ...]
    revoked: bool = False

    def token(self, token_id: str) -> RefreshToken | None:
        """Return the family's refresh token of that id, or None."""
        return next((token for token in reversed(self.tokens) if token.id == token_id), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An OAuth error of the token endpoint (RFC 6749 5.2); every one goes out with status 400."""

    error: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a refresh comes to: the grant as it now is, and a new refresh token or a refusal."""

    grant: Grant
    new: RefreshToken | None = None
    refusal: Refusal | None = None


REVOKED = Refusal("invalid_grant", "refresh.token.revoked")
EXPIRED = {
    "invalid_grant": Refusal("invalid_grant"),
    "invalid_request": Refusal("invalid_request", "Required parameter(s) missing or wrong."),
}


def open_grant(grant: Grant, token_id: str, now: float, switches: Switches) -> Grant:
    """Return a new grant with its first refresh token, issued `now`."""
    return replace(grant, tokens=(_issue(token_id, now, switches),))


def refresh(
    grant: Grant, token_id: str, now: float, switches: Switches, new_id: Callable[[], str]
) -> Outcome:
    """Decide one refresh with the token of that id.

    Within the grace a replaced token still works, and is answered with another new one: whoever
    lost the first answer is not lost. With `always`, use after it revokes the whole family
    (RFC 9700 4.14.2).
    """
    token = grant.token(token_id)
    if grant.revoked or token is None:
        return Outcome(grant, refusal=REVOKED)
    if token.is_retired(now, switches.rotation_grace):
        reused = switches.rotation == "always" and not token.is_expired(now)
        return Outcome(revoke(grant) if reused else grant, refusal=REVOKED)
    if token.is_expired(now):
        return Outcome(grant, refusal=EXPIRED[switches.expired_form])
    if not is_renewed(token, now, switches):
        return Outcome(grant)
    new = _issue(new_id(), now, switches)
    kept = (_retire(one, token, now) for one in grant.tokens if _still_matters(one, now))
    return Outcome(replace(grant, tokens=(*kept, new)), new=new)


def is_renewed(token: RefreshToken, now: float, switches: Switches) -> bool:
    """Whether a refresh with this token, `now`, brings a new refresh token."""
    if switches.rotation == "never":
        return False
    if switches.rotation == "always" or token.retired_at is not None:
        return True
    life = token.expires_at - token.issued_at
    return now - token.issued_at >= ROTATE_AFTER * life


def revoke(grant: Grant) -> Grant:
    """Return the grant revoked: none of its tokens works again."""
    return replace(grant, revoked=True)


def is_allowed_redirect_uri(uri: str) -> bool:
    """Whether a client may register this redirect URI.

    https anywhere, http on loopback names alone (RFC 8252 7.3); absolute, without a fragment or
    credentials.
    """
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port  # a ValueError when it is not a number
    except ValueError:
        return False
    if not host or parts.username is not None or "#" in uri or not _is_plain(uri):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback_name(host))


def is_loopback_name(host: str) -> bool:
    """Whether a host name or address always means this machine (RFC 6761 6.3 for `.localhost`)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_plain(uri: str) -> bool:
    return uri.isascii() and uri.isprintable() and not set(uri) & set(' "\\<>')


def _issue(token_id: str, now: float, switches: Switches) -> RefreshToken:
    return RefreshToken(token_id, now, now + switches.refresh_token_lifetime)


def _retire(token: RefreshToken, presented: RefreshToken, now: float) -> RefreshToken:
    if token.id != presented.id or token.retired_at is not None:
        return token
    return replace(token, retired_at=now)


def _still_matters(token: RefreshToken, now: float) -> bool:
    # A token both replaced and expired answers like an unknown one; kept, families never shrink.
    return token.retired_at is None or not token.is_expired(now)
