"""Reads the answers of token requests: tokens, or why there are none.

Pure, no I/O. Sources: RFC 6749 5.1 and 5.2, RFC 9110 10.2.3 (Retry-After). Servers bend both, and
the tokens may be the only valid ones, so every usable part is used (F27, F28).
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from chalicelib import untrusted_text
from chalicelib.durations import ASSUMED_LIFETIME, LONGEST_LIFETIME, LONGEST_WAIT
from chalicelib.goto.oauth import Answer, Failure, FailureClass

LONGEST_TOKEN = 64 * 1_024
"""Most bytes of a token: two with their data fit an SQS message, one fits a DynamoDB item. Longer
than GoTo's tokens, because losing the only refresh token costs more."""

_EXPIRED_FORM = "Required parameter(s) missing or wrong."
"""Description with which GoTo's older hosts refuse an expired refresh token as invalid_request."""

_REFUSALS = {
    "invalid_grant": FailureClass.GRANT_REFUSED,
    "invalid_client": FailureClass.CLIENT_REFUSED,
    "unauthorized_client": FailureClass.CLIENT_REFUSED,
}

_KNOWN_ERRORS = (
    *_REFUSALS,
    "invalid_request",
    "invalid_scope",
    "unsupported_grant_type",
    "server_error",
    "temporarily_unavailable",
    "access_denied",
)
"""Codes that a failure may name: RFC 6749's own. Any other text stays out of rows and logs."""

_REFUSING = (400, 401, 403)
"""Statuses of a refusal, besides 2xx."""

_STATUSES = {
    429: FailureClass.RATE_LIMITED,
    500: FailureClass.AMBIGUOUS,
    502: FailureClass.AMBIGUOUS,
    504: FailureClass.AMBIGUOUS,
}
"""Statuses that are not simply `TRANSIENT`."""


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A successful token response (RFC 6749 5.1). ``bearer`` False: we can't use the access token,
    so its lifetime is 0; its refresh token may still be the only valid one."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    bearer: bool = True
    expires_in: int = ASSUMED_LIFETIME
    scope: str | None = None
    principal: str | None = None
    refresh_expires_in: int | None = None


def judge(answer: Answer) -> TokenSet | Failure:
    """Read a token endpoint's answer.

    Tokens in any 2xx count. After a 2xx without tokens or a clear refusal, GoTo may have acted.
    Anything but tokens and clear refusals must never end a grant (F08).
    """
    fields = json_object(answer.body)
    success = 200 <= answer.status <= 299
    if success and (tokens := _tokens(fields)) is not None:
        return tokens
    code = error_code(fields)
    if success or answer.status in _REFUSING:
        if code in _REFUSALS:
            return Failure(_REFUSALS[code], code)
        if code == "invalid_request" and fields.get("error_description") == _EXPIRED_FORM:
            return Failure(FailureClass.GRANT_REFUSED, "invalid_request, as for an expired token")
    if success:
        return Failure(FailureClass.AMBIGUOUS, "answer without a usable token")
    kind = _STATUSES.get(answer.status, FailureClass.TRANSIENT)
    named = f" {code}" if code in _KNOWN_ERRORS else ""
    return Failure(kind, f"HTTP {answer.status}{named}", retry_after=answer.retry_after)


def judge_client(answer: Answer) -> bool | None:
    """Whether GoTo recognizes the client, by its error answer; None if that doesn't show it.

    Only an OAuth error counts: a proxy's 401 page has none (F36). 401 refuses the client, 400 only
    the token; ``invalid_client`` refuses the client with either status (RFC 6749 5.2).
    """
    code = error_code(json_object(answer.body))
    if not code or answer.status not in (400, 401):
        return None
    return not (answer.status == 401 or _REFUSALS.get(code) is FailureClass.CLIENT_REFUSED)


def error_code(fields: dict[str, Any]) -> str:
    """The OAuth error of an answer, in lower case; empty if there is none. Some servers send it in
    capitals, as an object, or as a list of ``errors``."""
    listed = fields.get("errors")
    errors = [fields.get("error"), *(listed if isinstance(listed, list) else [])]
    codes = [code.strip().lower() for each in errors if (code := _code_of(each))]
    return next((code for code in codes if code in _KNOWN_ERRORS), codes[0] if codes else "")


def _code_of(error: object) -> str:
    if isinstance(error, dict):
        named = (error.get(name) for name in ("error", "code", "errorCode"))
        error = next((value for value in named if isinstance(value, str)), "")
    return error if isinstance(error, str) else ""


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body; empty if it is anything else.

    Undecodable bytes are replaced, and control characters in strings are accepted: a name in
    another charset must not cost the tokens beside it (F28).
    """
    try:
        text = body.decode(json.detect_encoding(body), "replace")
        parsed = json.loads(text.lstrip("\ufeff"), strict=False)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _tokens(fields: dict[str, Any]) -> TokenSet | None:
    """None if neither token is usable. A refresh token alone is kept: it may be the only valid
    one."""
    access_token = _access_token(fields.get("access_token"))
    refresh_token = _refresh_token(fields.get("refresh_token"))
    if access_token is None and refresh_token is None:
        return None
    bearer = access_token is not None and untrusted_text.is_bearer(fields.get("token_type"))
    return TokenSet(
        access_token=access_token or "",
        refresh_token=refresh_token,
        bearer=bearer,
        expires_in=_lifetime(fields.get("expires_in")) or ASSUMED_LIFETIME if bearer else 0,
        refresh_expires_in=_lifetime(fields.get("refresh_token_expires_in")),
        scope=untrusted_text.scope(fields.get("scope")),
        principal=untrusted_text.principal(fields.get("principal")),
    )


_FITS_A_HEADER = re.compile(r"[!-~]+")


def _access_token(value: object) -> str | None:
    """It must fit a header: printable ASCII without spaces (RFC 6750 2.1)."""
    token = _stripped(value)
    return token if token and _FITS_A_HEADER.fullmatch(token) else None


def _refresh_token(value: object) -> str | None:
    """It goes into a form, which takes any text (RFC 6749 appendix A.17). An undecodable byte has
    broken it."""
    token = _stripped(value)
    return token if token and token.isprintable() and "\ufffd" not in token else None


def _stripped(value: object) -> str | None:
    """A token without white space around it; None if it is too long or no text."""
    if not isinstance(value, str):
        return None
    token = value.strip()
    return token if len(token.encode("utf-8", "replace")) <= LONGEST_TOKEN else None


def _lifetime(value: object) -> int | None:
    """A lifetime in seconds (a string from old proxies); None unless it is a positive number: no
    server issues dead tokens, but some send 0 for a lifetime that they don't know."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = int(float(value))
    except (ValueError, OverflowError):
        return None
    return min(seconds, LONGEST_LIFETIME) if seconds > 0 else None


def seconds_to_wait(retry_after: str | None, now: float) -> int:
    """Seconds to wait by a Retry-After header (RFC 9110 10.2.3), which has seconds or a date: an
    hour at most, 0 if it is missing or unreadable. ``now`` in epoch seconds."""
    text = (retry_after or "").strip()
    try:
        seconds = int(text) if text.isdecimal() else _seconds_until(text, now)
    except (ValueError, OverflowError):
        return 0
    return max(0, min(seconds, LONGEST_WAIT))


def _seconds_until(date: str, now: float) -> int:
    until = parsedate_to_datetime(date)
    aware = until if until.tzinfo else until.replace(tzinfo=UTC)
    return int((aware - datetime.fromtimestamp(now, UTC)).total_seconds()) + 1


def refresh_token_expiry(token: str, issued_at: int, lifetime: int) -> int:
    """When a refresh token ends, in epoch seconds: ``lifetime`` seconds after its issue, or at the
    plausible ``exp`` of a JWT, which is never verified and never trusted with anything else."""
    assumed = issued_at + lifetime
    try:
        body = token.split(".")[1]
        claims = json_object(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        claimed = int(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return assumed
    return claimed if issued_at < claimed <= issued_at + LONGEST_LIFETIME else assumed
