"""Every error this service raises on purpose, and who must act on it.

ServiceError
+-- VisitorError              the admin reads a page with the right next step
|   +-- LinkNotUsable         unknown, expired or revoked: all look the same (S15)
|   +-- LoginRequired         HA's front named nobody, and links are not enough (*required*)
|   +-- IntakeLinkNotUsable   an intake link: unknown, expired, revoked or already used (S15)
|   +-- MalformedRequest      a parameter is missing, repeated, too long, or not text
|   +-- CrossSiteRequest      a form that our own page did not send (S13)
|   +-- CallbackNotAccepted   state unknown, used, expired, or another browser's (S01, S02)
|   +-- TooManyAttempts       too many starts or checks by one visitor (S14, S16)
|   +-- NotReadyToConnect     the rep has not entered the GoTo client yet
+-- RepError                  the rep reads one sentence; nothing changed unless it says so
|   +-- InvalidInput
|   +-- TenantExists
|   +-- UnknownTenant
|   +-- AccountTaken          another tenant has this GoTo account
|   +-- NotConnected          there is no connection to act on
|   +-- StillConnected        not removed yet: the tenant's tokens must be revoked first
|   +-- ClientRefused         GoTo rejects the client id or the secret
|   +-- NotReady              the rep must do or correct something first; the message says what
|   +-- CallerRefused         AWS does not confirm the rep's identity
|   +-- GoToSilent            we could not ask GoTo; the rep can try again later
+-- MailRefused               nobody: SES will never send this mail
+-- MailsWait                 the operator: SES accepts no mail now; the queue retries
+-- ProviderUnreachable       nobody: GoTo or STS gave no complete answer in time
+-- Conflict                  nobody: a condition on a write did not hold
+-- DependencyUnavailable     the operator: an AWS service refused or did not answer; try again
|   +-- ClientGone            the GoTo client's secret is deleted, or not there (yet)
+-- Misconfigured             the operator: a setting is missing or impossible
+-- HandlerFailed             the operator: any error that ends a function; kind and reference only
"""

from __future__ import annotations


class ServiceError(Exception):
    """Base of all errors raised on purpose. Messages never hold a secret."""


class VisitorError(ServiceError):
    """Shown as a page with a reference number; ``status`` is its HTTP status."""

    status = 400


class LinkNotUsable(VisitorError):
    status = 404


class LoginRequired(VisitorError):
    status = 401


class IntakeLinkNotUsable(VisitorError):
    status = 404


class MalformedRequest(VisitorError):
    pass


class CrossSiteRequest(VisitorError):
    status = 403


class CallbackNotAccepted(VisitorError):
    pass


class TooManyAttempts(VisitorError):
    status = 429


class NotReadyToConnect(VisitorError):
    status = 409


class RepError(ServiceError):
    """The rep receives ``kind`` and one sentence."""

    kind = "rep_error"


class InvalidInput(RepError):
    kind = "invalid_input"


class TenantExists(RepError):
    kind = "tenant_exists"

    def __init__(self, name: str) -> None:
        super().__init__(f"Tenant {name!r} already exists.")


class UnknownTenant(RepError):
    kind = "unknown_tenant"

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no tenant {name!r}.")


class AccountTaken(RepError):
    kind = "account_taken"

    def __init__(self, account: str, holder: str, tenant: str) -> None:
        super().__init__(
            f"GoTo account {account} belongs to tenant {holder!r}. If both customers really use it:"
            f" pin share {tenant} --account {account}. If it is not theirs: pin set {holder}."
        )


class NotConnected(RepError):
    kind = "not_connected"


class StillConnected(RepError):
    kind = "still_connected"


class ClientRefused(RepError):
    kind = "client_refused"


class NotReady(RepError):
    kind = "not_ready"


class CallerRefused(RepError):
    kind = "caller_refused"


class GoToSilent(RepError):
    kind = "unavailable"


class ProviderUnreachable(ServiceError):
    """GoTo or STS gave no complete answer. ``sent``: it may have acted on the request."""

    def __init__(self, reason: str, *, sent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent


class Conflict(ServiceError):
    """A conditional write was refused; ``failed`` names the items whose condition did not hold."""

    def __init__(self, failed: tuple[str, ...]) -> None:
        super().__init__(f"condition not met: {', '.join(failed)}")
        self.failed = failed


class DependencyUnavailable(ServiceError):
    """A service refused or did not answer; ``service`` and ``code`` name it."""

    def __init__(self, service: str, code: str) -> None:
        super().__init__(f"{service}: {code}")
        self.service = service
        self.code = code


class ClientGone(DependencyUnavailable):
    pass


class Misconfigured(ServiceError):
    pass


class HandlerFailed(ServiceError):
    """All that Lambda sees of an error: its ``kind``, and the ``reference`` of its log line."""

    def __init__(self, kind: str, reference: str) -> None:
        super().__init__(f"{kind}, reference {reference}")
        self.kind = kind
        self.reference = reference


class MailRefused(ServiceError):
    """SES will not send this mail; the text is SES's code."""


class MailsWait(ServiceError):
    """SES still does not accept a mail from the queue."""
