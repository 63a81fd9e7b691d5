"""How authorization requests end without a connection: state, and the journal's words for it."""

from chalicelib.model import AuthorizationRequest, JournalEntry, Reason, RequestStatus


def outcome(reason: Reason) -> RequestStatus:
    """How an authorization request that failed for ``reason`` ends."""
    return {
        Reason.DENIED: RequestStatus.DENIED,
        Reason.OTHER_ACCOUNT: RequestStatus.MISMATCHED,
        Reason.ACCOUNT_UNREADABLE: RequestStatus.MISMATCHED,
        Reason.SUPERSEDED: RequestStatus.EXPIRED,
        Reason.ENDED: RequestStatus.EXPIRED,
    }.get(reason, RequestStatus.FAILED)


_ENDINGS = {
    Reason.DENIED: "Access was denied at GoTo. Nothing changed.",
    Reason.PROVIDER_ERROR: "GoTo could not complete the request. Nothing changed.",
    Reason.CLIENT_REFUSED: "GoTo refused the configured client. The HA rep must check it.",
    Reason.CODE_REFUSED: "GoTo refused the authorization code. Nothing changed.",
    Reason.OUTCOME_UNKNOWN: "GoTo's answer was lost on the way. The admin may press again.",
    Reason.WRONG_ISSUER: "The answer came from an unexpected authorization server.",
    Reason.OTHER_ACCOUNT: "Another GoTo account than the connected one answered; it was refused.",
    Reason.ACCOUNT_UNREADABLE: "The GoTo account could not be read, so it was refused.",
    Reason.NO_REFRESH_TOKEN: "GoTo gave no refresh token, so the connection would not last.",
    Reason.SUPERSEDED: "A later authorization request finished first.",
    Reason.ENDED: "It was begun before the rep disconnected the tenant or revoked its links.",
    Reason.INTERNAL: "The service could not finish the request. The admin may press again.",
}


def ending(request: AuthorizationRequest, reason: Reason, at: float) -> JournalEntry:
    """The journal's line on an authorization request that did not end in a connection."""
    kind = f"authorization_{outcome(reason)}"
    text = _ENDINGS[reason]
    return JournalEntry(request.tenant, at, kind, "the admin", text, request.reference)
