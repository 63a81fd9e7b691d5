"""The customer's history in sentences, without names and without internal events."""

from __future__ import annotations

from chalicelib.journal_entries import REMINDERS, Kind

HISTORY: dict[str, tuple[str, str]] = {
    Kind.CREDENTIALS_SET: ("us", "entered your client ID and client secret."),
    Kind.CREDENTIALS_RECEIVED: (
        "you",
        "entered the client ID and client secret. GoTo accepts them.",
    ),
    Kind.IMPORTED: ("us", "took over your existing connection to GoTo."),
    Kind.TENANT_CHANGED: ("us", "updated your company\u2019s details."),
    Kind.ADDRESS_CHANGED: (
        "us",
        "changed an email address that we write to. Earlier links no longer work.",
    ),
    Kind.PIN_LIFTED: (
        "us",
        "allowed a different GoTo account for the next connection. Earlier links no longer work.",
    ),
    Kind.INTAKE_SENT: ("us", "emailed a link for step 1, setting up GoTo access."),
    Kind.LINK_SENT: ("us", "emailed a link to connect."),
    Kind.LINK_REQUESTED: ("you", "asked for a new link."),
    Kind.LINKS_REVOKED: ("us", "revoked all earlier links."),
    Kind.AUTHORIZATION_STARTED: (
        "you",
        "clicked Get Access Token, but didn\u2019t come back from GoTo.",
    ),
    Kind.AUTHORIZATION_DENIED: ("you", "denied access on GoTo\u2019s page. Nothing changed."),
    Kind.AUTHORIZATION_SCOPE_REFUSED: (
        "goto",
        "refused the permissions that hireanalytiX asks for. Nothing changed.",
    ),
    Kind.AUTHORIZATION_MISMATCHED: (
        "us",
        "refused a sign-in with a different or unknown GoTo account. Nothing changed.",
    ),
    Kind.AUTHORIZATION_FAILED: ("goto", "a sign-in could not be completed. Nothing changed."),
    Kind.AUTHORIZATION_EXPIRED: ("us", "didn\u2019t use a sign-in that came too late."),
    Kind.CONNECTED: ("you", "connected hireanalytiX to GoTo."),
    Kind.RECONNECTED: ("you", "reconnected hireanalytiX to GoTo."),
    Kind.DISCONNECTED: (
        "us",
        "disconnected: it no longer uses the token, and has told GoTo.",
    ),
    Kind.REVOKED: ("goto", "confirmed that hireanalytiX no longer has access."),
    Kind.DEGRADED: ("goto", "didn\u2019t renew access in time. hireanalytiX keeps trying."),
    Kind.RECOVERED: ("goto", "renewed access. Everything works again."),
    Kind.RECONNECT_SOON: ("us", "asked you to reconnect soon."),
    **dict.fromkeys(REMINDERS, ("us", "reminded you to reconnect.")),
    Kind.REAUTHORIZATION_REQUIRED: ("goto", "ended hireanalytiX\u2019s access. Please reconnect."),
    Kind.SCOPE_MISSING: ("goto", "gave access without the permission to read call reports."),
    Kind.ACCESS_FORBIDDEN: ("goto", "no longer shows call reports to the person who connected."),
    Kind.ACCOUNT_GONE: (
        "goto",
        "says that the person who connected no longer belongs to your account.",
    ),
    Kind.USABLE_AGAIN: ("goto", "shows your call reports again."),
    Kind.CREDENTIALS_REJECTED: ("goto", "no longer accepts the client ID or client secret."),
}
"""Actor and sentence of each kind that is ``shown`` (`journal_entries.TRAITS`)."""
