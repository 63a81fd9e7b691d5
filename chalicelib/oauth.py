"""OAuth 2.0 as this service speaks it. Pure: builds requests and judges answers, no I/O.

Sources: RFC 6749, RFC 7636 (PKCE), RFC 9207 (iss), RFC 7009 (revocation).
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import quote_plus, urlencode

from chalicelib.errors import MalformedRequest
from chalicelib.model import Reason, TokenSet
from chalicelib.times import ASSUMED_LIFETIME, LONGEST_LIFETIME

LONGEST_VALUE = 4_096
"""Characters of a code or token at most (GoTo's own limit)."""


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """A tenant's GoTo client."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from the token endpoint: a complete HTTP response."""

    status: int
    body: bytes = field(repr=False)


class FailureClass(StrEnum):
    """What came of a token request that brought no tokens; `verdicts` says what follows from it.

    ``UNCLEAR`` is an answer behind which GoTo may have acted: a gateway's error, a success that
    can't be read. The last three are no answers at all.
    """

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    UNCLEAR = "unclear"
    GRANT_REFUSED = "grant_refused"
    CLIENT_REFUSED = "client_refused"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    OWN_FAULT = "own_fault"


@dataclass(frozen=True, slots=True)
class Failure:
    """Verdict on an answer without tokens. ``detail`` is from a fixed list, never GoTo's text."""

    kind: FailureClass
    detail: str


@dataclass(frozen=True, slots=True)
class CallbackParameters:
    """The authorization response (RFC 6749 4.1.2), checked in form only."""

    state: str = field(repr=False)
    code: str | None = field(repr=False)
    error: str | None = field(repr=False)
    iss: str | None = field(repr=False)


def new_verifier() -> str:
    """A PKCE code verifier of 32 random bytes (S05)."""
    return secrets.token_urlsafe(32)


def code_challenge(verifier: str) -> str:
    """The S256 challenge (RFC 7636 4.2)."""
    hashed = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")


def authorization_url(
    endpoint: str,
    *,
    client_id: str,
    redirect_uri: str,
    state: str,
    verifier: str,
    scope: str | None,
) -> str:
    """The address at which the admin gives permission (RFC 6749 4.1.1)."""
    parameters = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": code_challenge(verifier),
        "code_challenge_method": "S256",
    }
    if scope:
        parameters["scope"] = scope
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(parameters)}"


def exchange_form(*, code: str, redirect_uri: str, client_id: str, verifier: str) -> dict[str, str]:
    """The code exchange (RFC 6749 4.1.3)."""
    return {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": client_id,
        "code_verifier": verifier,
    }


def refresh_form(refresh_token: str) -> dict[str, str]:
    """The refresh (RFC 6749 6)."""
    return {"grant_type": "refresh_token", "refresh_token": refresh_token}


def basic_authorization(client: ClientCredentials, style: str) -> str:
    """The Authorization header of a client.

    ``raw`` joins id and secret as they are (GoTo); ``rfc6749`` form-encodes both first (2.3.1).
    """
    parts = [client.client_id, client.client_secret]
    if style == "rfc6749":
        parts = [quote_plus(part) for part in parts]
    return "Basic " + base64.b64encode(":".join(parts).encode()).decode("ascii")


def client_value_allowed(value: str) -> bool:
    """Whether a client id or secret is printable ASCII (RFC 6749 appendix A) of sensible length."""
    printable = value.isascii() and value.isprintable() and value == value.strip()
    return printable and 0 < len(value) <= LONGEST_VALUE


def client_id_allowed(value: str, style: str) -> bool:
    """The same for a client id; where it is sent raw it holds no colon (RFC 7617 2)."""
    return client_value_allowed(value) and not (style == "raw" and ":" in value)


def read_callback(parameters: Mapping[str, Sequence[str]]) -> CallbackParameters:
    """Take the authorization response apart.

    Parameters that RFC 6749 does not know are ignored (3.1), its own must not be repeated (S06).
    Raises `MalformedRequest` for anything that no authorization server would send.
    """
    values = {name: _single(parameters, name) for name in ("state", "code", "error", "iss")}
    _single(parameters, "error_description")
    _single(parameters, "error_uri")
    state, code, error = values["state"], values["code"], values["error"]
    if not state:
        raise MalformedRequest("state is missing")
    if not code and not error:
        raise MalformedRequest("neither code nor error was given")
    return CallbackParameters(
        state=state, code=None if error else code, error=error, iss=values["iss"]
    )


def is_callback(parameters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a visit of the settings page is GoTo's answer rather than a plain visit."""
    return any(name in parameters for name in ("state", "code", "error"))


def _single(parameters: Mapping[str, Sequence[str]], name: str) -> str | None:
    given = parameters.get(name, ())
    if len(given) > 1:
        raise MalformedRequest(f"{name} was given more than once")
    if not given:
        return None
    if len(given[0]) > LONGEST_VALUE or not given[0].isprintable() or "\ufffd" in given[0]:
        raise MalformedRequest(f"{name} is too long or not text")
    return given[0]


def callback_reason(error: str) -> Reason:
    """What an error callback means to the admin (RFC 6749 4.1.2.1); any text may be given."""
    return {
        "access_denied": Reason.DENIED,
        "invalid_request": Reason.CLIENT_REFUSED,
        "invalid_scope": Reason.CLIENT_REFUSED,
        "unauthorized_client": Reason.CLIENT_REFUSED,
        "unsupported_response_type": Reason.CLIENT_REFUSED,
        "invalid_client": Reason.CLIENT_REFUSED,
    }.get(error, Reason.PROVIDER_ERROR)


_EXPIRED_FORM = "Required parameter(s) missing or wrong."
"""Description with which GoTo's older hosts refuse an expired refresh token as invalid_request."""

_OAUTH_ERRORS = {
    "invalid_grant": FailureClass.GRANT_REFUSED,
    "invalid_client": FailureClass.CLIENT_REFUSED,
    "unauthorized_client": FailureClass.CLIENT_REFUSED,
}

_STATUSES = {
    429: FailureClass.RATE_LIMITED,
    500: FailureClass.UNCLEAR,
    502: FailureClass.UNCLEAR,
    504: FailureClass.UNCLEAR,
}
"""Statuses that say more than that the request was not served."""


def judge(answer: Answer) -> TokenSet | Failure:
    """Read a token endpoint's answer (RFC 6749 5.1, 5.2).

    Whatever is neither tokens nor a clear refusal is transient: it must never end a grant (F08).
    """
    fields = json_object(answer.body)
    if answer.status == 200:
        tokens = _tokens(fields)
        return tokens or Failure(FailureClass.UNCLEAR, "answer without a usable token")
    error = fields.get("error")
    if answer.status in (400, 401, 403) and isinstance(error, str) and error in _OAUTH_ERRORS:
        return Failure(_OAUTH_ERRORS[error], error)
    expired = error == "invalid_request" and fields.get("error_description") == _EXPIRED_FORM
    if answer.status == 400 and expired:
        return Failure(FailureClass.GRANT_REFUSED, "invalid_request, as for an expired token")
    return Failure(_STATUSES.get(answer.status, FailureClass.TRANSIENT), f"HTTP {answer.status}")


def judge_client(answer: Answer) -> bool | None:
    """Whether GoTo knows a client, by its answer to a made-up refresh token; None: it can't tell.

    401 refuses the client, 400 the token alone (`GOTO.md`, last line); ``invalid_client`` is a
    refusal of the client with either status (RFC 6749 5.2).
    """
    error = json_object(answer.body).get("error")
    if answer.status == 401 or (answer.status == 400 and error == "invalid_client"):
        return False
    return True if answer.status == 400 and isinstance(error, str) else None


def json_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body holds; empty where it is anything else."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _tokens(fields: dict[str, Any]) -> TokenSet | None:
    access_token = _usable(fields.get("access_token"))
    if access_token is None:
        return None
    return TokenSet(
        access_token=access_token,
        refresh_token=_usable(fields.get("refresh_token")),
        token_type=_text(fields.get("token_type")) or "Bearer",
        expires_in=_lifetime(fields.get("expires_in")),
        scope=_text(fields.get("scope")),
        principal=_text(fields.get("principal")),
    )


_FITS_A_HEADER = re.compile(r"[!-~]+")


def _usable(value: object) -> str | None:
    """A token is opaque, but it must fit a header: printable ASCII without spaces (RFC 6750 2.1).

    Longer ones than GoTo's are kept: losing the only refresh token costs more than its bytes.
    """
    if not isinstance(value, str) or len(value) > 4 * LONGEST_VALUE:
        return None
    return value if _FITS_A_HEADER.fullmatch(value) else None


def _text(value: object) -> str | None:
    return value[:LONGEST_VALUE] if isinstance(value, str) and value else None


def _lifetime(value: object) -> int:
    """``expires_in`` in seconds, a string on an old proxy; GoTo's usual where it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ASSUMED_LIFETIME
    try:
        seconds = int(float(value))
    except (ValueError, OverflowError):
        return ASSUMED_LIFETIME
    return max(0, min(seconds, LONGEST_LIFETIME))


def refresh_token_expiry(token: str, issued_at: int, lifetime: int) -> int:
    """When a refresh token ends, in epoch seconds.

    Counted from its issue; where it happens to be a JWT, a readable and plausible ``exp`` refines
    the date. It is never verified and never trusted with anything else.
    """
    assumed = issued_at + lifetime
    try:
        body = token.split(".")[1]
        claims = json_object(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        claimed = int(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return assumed
    return claimed if issued_at < claimed <= issued_at + LONGEST_LIFETIME else assumed
