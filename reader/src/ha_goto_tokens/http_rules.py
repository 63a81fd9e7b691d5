"""Where an access token may be sent, and what GoTo's answer says about it."""

import json
from enum import Enum
from urllib.parse import urlsplit

_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})

LONGEST_BODY = 65_536
"""Bytes. A 403 with a longer body is not parsed; GoTo's errors have some hundred."""


class Verdict(Enum):
    """What GoTo says about a token."""

    FINE = "fine"
    REJECTED = "rejected"
    FORBIDDEN = "forbidden"


def check(url: str) -> None:
    """Raise `ValueError` if a token would travel unencrypted, except to this machine (practice)."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in _THIS_MACHINE or host.endswith(".localhost"):
        return
    raise ValueError("an access token is sent over https only")


def verdict(status: int, body: bytes) -> Verdict:
    """A 401 rejects the token; so does a 403 with `InvalidToken`, with which GoTo's older hosts
    answer a dead one. Any other 403 forbids the request."""
    if status == 401 or (status == 403 and _invalid_token(body)):
        return Verdict.REJECTED
    return Verdict.FORBIDDEN if status == 403 else Verdict.FINE


def _invalid_token(body: bytes) -> bool:
    try:
        parsed = json.loads(body) if len(body) <= LONGEST_BODY else None
    except ValueError:
        return False
    return isinstance(parsed, dict) and "InvalidToken" in (
        parsed.get("int_err_code"),
        parsed.get("errorCode"),
    )
