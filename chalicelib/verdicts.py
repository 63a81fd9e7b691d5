"""What follows from whatever came of a token request: the one table of it (F08-F11, F22).

Pure. `oauth.judge` reads answers and the adapters raise errors; here each of them gets the person
who must act, the next attempt, and its weight for GoTo as a whole.
"""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.model import Reason
from chalicelib.oauth import Failure, FailureClass


class Actor(StrEnum):
    """Who must do something before it can go on."""

    NOBODY = "nobody"
    ADMIN = "admin"
    REP = "rep"
    OPERATOR = "operator"


class Next(StrEnum):
    """When a refresh is tried again. A code exchange never is: a code serves once (F22)."""

    AT_ONCE = "at once, a single time, then with backoff"
    LATER = "with backoff"
    CONFIRMED = "never, once it is confirmed"
    NEVER = "never, unless the secret has changed meanwhile"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the table.

    ``known``: GoTo can't have acted on the request. ``provider``: counts towards GoTo as a whole
    being down (F12). ``reason``: how an authorization request ends by it.
    """

    acts: Actor
    next: Next
    known: bool
    provider: bool
    reason: Reason


_NOBODY, _LATER = Actor.NOBODY, Next.LATER
_ERROR, _UNKNOWN = Reason.PROVIDER_ERROR, Reason.OUTCOME_UNKNOWN

VERDICTS = {
    # 503, 408, 400 without an OAuth error, redirects, anything else that is a clear no.
    FailureClass.TRANSIENT: Verdict(_NOBODY, _LATER, known=True, provider=True, reason=_ERROR),
    # 429: it is we who are too fast; the deployment's rate is halved.
    FailureClass.RATE_LIMITED: Verdict(_NOBODY, _LATER, known=True, provider=False, reason=_ERROR),
    # 500, 502, 504; 200 that is empty, truncated, HTML or without a token.
    FailureClass.UNCLEAR: Verdict(_NOBODY, _LATER, known=False, provider=True, reason=_UNKNOWN),
    # Connection refused, DNS, TLS, no connection in time.
    FailureClass.NOT_SENT: Verdict(_NOBODY, _LATER, known=True, provider=True, reason=_ERROR),
    # Read timeout, connection broken after sending, oversized: the one declared retry (F09).
    FailureClass.NO_ANSWER: Verdict(
        _NOBODY, Next.AT_ONCE, known=False, provider=True, reason=_UNKNOWN
    ),
    # invalid_grant, and invalid_request in GoTo's expired form (F10).
    FailureClass.GRANT_REFUSED: Verdict(
        Actor.ADMIN, Next.CONFIRMED, known=True, provider=False, reason=Reason.CODE_REFUSED
    ),
    # invalid_client, unauthorized_client (F11).
    FailureClass.CLIENT_REFUSED: Verdict(
        Actor.REP, Next.NEVER, known=True, provider=False, reason=Reason.CLIENT_REFUSED
    ),
    # DynamoDB, KMS or Secrets Manager, before GoTo was asked (F16).
    FailureClass.OWN_FAULT: Verdict(
        Actor.OPERATOR, _LATER, known=True, provider=False, reason=Reason.INTERNAL
    ),
}


def failure_of(error: ProviderUnreachable | DependencyUnavailable) -> Failure:
    """What an adapter's error amounts to."""
    if isinstance(error, DependencyUnavailable):
        return Failure(FailureClass.OWN_FAULT, str(error))
    kind = FailureClass.NO_ANSWER if error.sent else FailureClass.NOT_SENT
    return Failure(kind, error.reason)
