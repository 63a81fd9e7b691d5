"""The token in which HA's front names a visitor: a JWT signed with a key that we share.

PyJWT checks form and signature; this module checks the claims, by our own clock. Pure. No part of a
token is ever logged or shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from chalicelib.durations import VISITOR_TOKEN_LIFETIME
from chalicelib.untrusted_text import address_fault, printable

ALGORITHM = "HS256"
"""The only one accepted (RFC 8725 3.1), whatever a token's header says."""

LONGEST_TOKEN = 2_048
LONGEST_SUBJECT = 128
"""Characters."""

_TENANT = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""As in `rep/onboarding.py`; no such name can be the key of an internal row."""


class Identity(NamedTuple):
    """A person logged in to hireanalytiX, and the tenant whose page they may open."""

    tenant: str
    subject: str
    email: str


class Refusal(StrEnum):
    """Why a token is refused, in words for the log."""

    REPEATED = "the header occurs more than once"
    NOT_SIGNED = "not an HS256 JWT signed with one of our keys"
    EXPIRED = "exp has passed, is missing, or is more than five minutes away"
    NO_TENANT = "tenant is not a valid tenant name"
    OTHER_ORIGIN = "aud is not the tenant's origin"
    OTHER_HOST = "the visitor's host is not the tenant's"
    NO_PERSON = "sub is not printable, or email is not an email address"


def read(
    token: str,
    keys: Sequence[str],
    *,
    host: str | None,
    origin_of: Callable[[str], str],
    now: float,
) -> Identity | Refusal:
    """The person whom a token names, or why it is refused.

    ``host``: the visitor's host without its port; None if unknown. ``origin_of`` returns a tenant's
    origin; ``now`` is in epoch seconds.
    """
    claims = _claims(token, keys)
    if claims is None:
        return Refusal.NOT_SIGNED
    return _identity(claims, host, origin_of, now)


def _identity(
    claims: Mapping[str, Any], host: str | None, origin_of: Callable[[str], str], now: float
) -> Identity | Refusal:
    if not _in_time(claims.get("exp"), now):
        return Refusal.EXPIRED
    tenant = claims.get("tenant")
    if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
        return Refusal.NO_TENANT
    origin = origin_of(tenant)
    if claims.get("aud") != origin:
        return Refusal.OTHER_ORIGIN
    if host != urlsplit(origin).hostname:
        return Refusal.OTHER_HOST
    person = _person(claims.get("sub"), claims.get("email"))
    return Identity(tenant, *person) if person else Refusal.NO_PERSON


def _claims(token: str, keys: Sequence[str]) -> dict[str, Any] | None:
    """A token's claims, if one of the keys has signed it."""
    if not token.isascii() or len(token) > LONGEST_TOKEN:
        return None
    # Imported here to spare cold starts where no front names visitors.
    import jwt

    for key in keys:
        try:
            signed: bytes = jwt.PyJWS().decode(token, key, algorithms=[ALGORITHM])
        except jwt.PyJWTError:
            continue
        return _object(signed)
    return None


def _object(signed: bytes) -> dict[str, Any] | None:
    try:
        claims = json.loads(signed)
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None


def _in_time(expires: object, now: float) -> bool:
    """Whether a token is valid now and ends soon: a copy is of use for minutes only."""
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return False
    return now < expires <= now + VISITOR_TOKEN_LIFETIME


def _person(subject: object, email: object) -> tuple[str, str] | None:
    """Both values unchanged, if they are safe to log and show (S30)."""
    if not isinstance(subject, str) or not isinstance(email, str):
        return None
    shown = 0 < len(subject) <= LONGEST_SUBJECT and printable(subject)
    return (subject, email) if shown and address_fault(email) is None else None
