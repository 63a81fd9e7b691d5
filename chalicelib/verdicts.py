"""What follows from whatever came of a token request: the one table of it (F08-F11, F22).

Pure. `oauth.judge` reads answers and the adapters raise errors; here each of them gets the next
attempt, whether GoTo may have acted, and what the admin reads.
"""

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.model import Reason
from chalicelib.oauth import Failure, FailureClass


class Next(StrEnum):
    """When a refresh is tried again. A code exchange never is: a code serves once (F22)."""

    AT_ONCE = "at once, a single time, then with backoff"
    LATER = "with backoff"
    CONFIRMED = "never, once it is confirmed"
    NEVER = "never, unless the secret has changed meanwhile"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of the table.

    ``known``: GoTo can't have acted on the request. ``reason``: how an authorization request ends
    by it.
    """

    next: Next
    known: bool
    reason: Reason


_ERROR, _UNKNOWN = Reason.PROVIDER_ERROR, Reason.OUTCOME_UNKNOWN

VERDICTS = {
    # 503, 408, 400 without an OAuth error, redirects, anything else that is a clear no.
    FailureClass.TRANSIENT: Verdict(Next.LATER, known=True, reason=_ERROR),
    # 429: it is we who are too fast; the deployment's rate is halved.
    FailureClass.RATE_LIMITED: Verdict(Next.LATER, known=True, reason=_ERROR),
    # 500, 502, 504; 200 that is empty, truncated, HTML or without a token.
    FailureClass.UNCLEAR: Verdict(Next.LATER, known=False, reason=_UNKNOWN),
    # Connection refused, DNS, TLS, no connection in time.
    FailureClass.NOT_SENT: Verdict(Next.LATER, known=True, reason=_ERROR),
    # Read timeout, connection broken after sending, oversized: the one declared retry (F09).
    FailureClass.NO_ANSWER: Verdict(Next.AT_ONCE, known=False, reason=_UNKNOWN),
    # invalid_grant, and invalid_request in GoTo's expired form: the admin must act (F10).
    FailureClass.GRANT_REFUSED: Verdict(Next.CONFIRMED, known=True, reason=Reason.CODE_REFUSED),
    # invalid_client, unauthorized_client: the rep must act (F11).
    FailureClass.CLIENT_REFUSED: Verdict(Next.NEVER, known=True, reason=Reason.CLIENT_REFUSED),
    # DynamoDB, KMS or Secrets Manager, before GoTo was asked: the operator hears of it (F16).
    FailureClass.OWN_FAULT: Verdict(Next.LATER, known=True, reason=Reason.INTERNAL),
}


def failure_of(error: ProviderUnreachable | DependencyUnavailable) -> Failure:
    """What an adapter's error amounts to."""
    if isinstance(error, DependencyUnavailable):
        return Failure(FailureClass.OWN_FAULT, str(error))
    kind = FailureClass.NO_ANSWER if error.sent else FailureClass.NOT_SENT
    return Failure(kind, error.reason)
