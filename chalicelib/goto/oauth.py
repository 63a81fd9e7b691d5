"""OAuth 2.0 as this service uses it: builds requests, reads callbacks, classifies failures.

Pure, no I/O. Sources: RFC 6749, RFC 7636 (PKCE), RFC 9207 (iss), RFC 7009 (revocation).
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from urllib.parse import quote_plus, urlencode

from chalicelib.errors import DependencyUnavailable, MalformedRequest, ProviderUnreachable
from chalicelib.models import ClientCredentials, Reason, Revocation
from chalicelib.permissions import GoToAccount, Usable

BEARER = "Bearer"
"""The only token type that is stored (RFC 6750)."""

LONGEST_VALUE = 4_096
"""Most characters of a code or token (GoTo's own limit)."""

_REDIRECT = re.compile(rb"redirect[ _-]?ur[il]", re.IGNORECASE)


class GoToClient(Protocol):
    """GoTo's endpoints for use cases; `client.GoTo` says what each raises."""

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer: ...

    def revoke(self, client: ClientCredentials, token: str) -> Revocation: ...

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None: ...

    def read_calls(self, access_token: str, account: str | None) -> Usable: ...

    def authorize(self, client_id: str, redirect_uri: str) -> Answer: ...


NOTICES = ("Deprecation", "Sunset")
"""Headers that announce the end of an address (RFC 9745, RFC 8594)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response. ``retry_after``: that header, as sent. ``notices``: the headers
    among `NOTICES` that it has."""

    status: int
    body: bytes = field(repr=False)
    retry_after: str | None = None
    notices: tuple[str, ...] = ()


class FailureClass(StrEnum):
    """Why a token request brought no tokens; `refresh/failure_decisions.py` says what follows.

    ``AMBIGUOUS``: GoTo may have acted, but answered with a gateway's error or an unreadable
    success. The last three are no answers at all.
    """

    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    AMBIGUOUS = "ambiguous"
    GRANT_REFUSED = "grant_refused"
    CLIENT_REFUSED = "client_refused"
    NOT_SENT = "not_sent"
    NO_ANSWER = "no_answer"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Failure:
    """Verdict on an answer without tokens. ``detail`` is from a fixed list, never GoTo's text."""

    kind: FailureClass
    detail: str
    retry_after: str | None = None

    @property
    def known(self) -> bool:
        """Whether GoTo can't have acted: it said so, or never got the request."""
        return self.kind not in (FailureClass.AMBIGUOUS, FailureClass.NO_ANSWER)


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
    """Like `client_value_allowed`; a client id that is sent raw holds no colon (RFC 7617 2)."""
    return client_value_allowed(value) and not (style == "raw" and ":" in value)


def read_callback(parameters: Mapping[str, Sequence[str]]) -> CallbackParameters:
    """Parse the authorization response.

    Unknown parameters are ignored, empty ones count as missing (RFC 6749 3.1), its own must not be
    repeated (S06). An error's description may be any text and is never read (S08). Raises
    `MalformedRequest` for anything that no authorization server would send.
    """
    values = {name: _single(parameters, name) for name in ("state", "code", "error", "iss")}
    for words in ("error_description", "error_uri"):
        _once(parameters, words)
    state, code, error = values["state"], values["code"], values["error"] or None
    if not state:
        raise MalformedRequest("state is missing")
    if not code and not error:
        raise MalformedRequest("neither code nor error was given")
    return CallbackParameters(
        state=state, code=None if error else code, error=error, iss=values["iss"]
    )


def is_callback(parameters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a request for the settings page is GoTo's callback."""
    return any(name in parameters for name in ("state", "code", "error"))


def _once(parameters: Mapping[str, Sequence[str]], name: str) -> Sequence[str]:
    values = parameters.get(name, ())
    if len(values) > 1:
        raise MalformedRequest(f"{name} was given more than once")
    return values


def _single(parameters: Mapping[str, Sequence[str]], name: str) -> str | None:
    values = _once(parameters, name)
    if not values:
        return None
    if len(values[0]) > LONGEST_VALUE or not values[0].isprintable() or "\ufffd" in values[0]:
        raise MalformedRequest(f"{name} is too long or not text")
    return values[0]


CALLBACK_REASONS = {
    "access_denied": Reason.DENIED,
    "invalid_request": Reason.CLIENT_REFUSED,
    "invalid_scope": Reason.SCOPE_REFUSED,
    "unauthorized_client": Reason.CLIENT_REFUSED,
    "unsupported_response_type": Reason.CLIENT_REFUSED,
    "invalid_client": Reason.CLIENT_REFUSED,
    "server_error": Reason.SIGN_IN_FAILED,
    "temporarily_unavailable": Reason.PROVIDER_BUSY,
}
"""What an error callback means to the admin (RFC 6749 4.1.2.1)."""


def callback_reason(error: str) -> Reason:
    """Why the request ends with an error callback; ``error`` may be any text."""
    return CALLBACK_REASONS.get(error, Reason.PROVIDER_ERROR)


def is_redirect_refusal(answer: Answer) -> bool:
    """Whether the authorize address clearly refuses the redirect URI: the server then shows the
    person a page and redirects nowhere (RFC 6749 4.1.2.1). We don't know GoTo's wording, so only a
    4xx that names the redirect URI counts."""
    return 400 <= answer.status < 500 and _REDIRECT.search(answer.body) is not None


REASONS = {
    FailureClass.TRANSIENT: Reason.PROVIDER_ERROR,
    FailureClass.RATE_LIMITED: Reason.PROVIDER_ERROR,
    FailureClass.AMBIGUOUS: Reason.OUTCOME_UNKNOWN,
    FailureClass.NOT_SENT: Reason.PROVIDER_ERROR,
    FailureClass.NO_ANSWER: Reason.OUTCOME_UNKNOWN,
    FailureClass.GRANT_REFUSED: Reason.CODE_REFUSED,
    FailureClass.CLIENT_REFUSED: Reason.CLIENT_REFUSED,
    FailureClass.INTERNAL: Reason.INTERNAL,
}
"""Why an authorization request ends after a failure. A code works once: there is no retry (F22)."""


def failure_of(error: ProviderUnreachable | DependencyUnavailable) -> Failure:
    """An adapter's error as a `Failure`."""
    if isinstance(error, DependencyUnavailable):
        return Failure(FailureClass.INTERNAL, str(error))
    kind = FailureClass.NO_ANSWER if error.sent else FailureClass.NOT_SENT
    return Failure(kind, error.reason)
