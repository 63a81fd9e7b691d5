"""Every word that an admin reads, in English. Plain ones: what happened, and what to do next.

A translation is a module with the same names, entered in `languages`.
"""

from datetime import datetime

from chalicelib.errors import (
    CallbackNotAccepted,
    CrossSiteRequest,
    IntakeLinkNotUsable,
    LinkNotUsable,
    MalformedRequest,
    NotReadyToConnect,
    TooManyAttempts,
    VisitorError,
)
from chalicelib.model import IntakeProblem, Reason, Status

LANGUAGE = "en"
"""BCP 47 tag of these texts."""

PROCESSING = (
    "The API credentials for your Jive / GoTo account are being processed. "
    "Please be patient and the page will reload when completed."
)

STATUSES: dict[Status, tuple[str, str]] = {
    Status.AWAITING_CREDENTIALS: (
        "Not ready yet",
        "The client ID and client secret of your GoTo account are still missing. Please enter them"
        " at the link in our mail \u201chireanalytiX: your GoTo client\u201d, or ask your"
        " hireanalytiX representative.",
    ),
    Status.AWAITING_AUTHORIZATION: (
        "Not connected",
        "Press Get Access Token, log in to GoTo as an administrator and press Allow."
        " It takes about a minute.",
    ),
    Status.CONNECTED: (
        "Connected",
        "hireanalytiX can read your GoTo phone system. The connection renews itself;"
        " there is nothing you need to do.",
    ),
    Status.DEGRADED: (
        "Interrupted: we are working on it",
        "The access to GoTo could not be renewed in time. We keep trying, and it will be back by"
        " itself. There is nothing you need to do.",
    ),
    Status.REAUTHORIZATION_REQUIRED: (
        "Please reconnect",
        "GoTo no longer accepts this connection. Press Get Access Token and log in to GoTo"
        " as an administrator to connect again.",
    ),
    Status.CREDENTIALS_REJECTED: (
        "Your representative must act",
        "GoTo did not accept the client ID or client secret. Please tell your hireanalytiX"
        " representative. If they have asked you to connect again, press Get Access Token.",
    ),
    Status.DISCONNECTED: (
        "Disconnected",
        "hireanalytiX no longer has access to your GoTo phone system. Press Get Access Token"
        " if you want to connect again.",
    ),
}
"""A headline and what to do next, for each state of the connection."""

_PRESS_AGAIN = "Please press Get Access Token again."
_TELL_REP = "Please tell your hireanalytiX representative and give them the reference number below."

NOTICES: dict[Reason, tuple[str, str]] = {
    Reason.DENIED: (
        "Access was denied at GoTo",
        "Nothing has changed. If that was not what you wanted, press Get Access Token again"
        " and press Allow on GoTo's page.",
    ),
    Reason.PROVIDER_ERROR: (
        "GoTo could not complete the request",
        f"Nothing has changed. {_PRESS_AGAIN} If it keeps happening, try again in an hour.",
    ),
    Reason.CLIENT_REFUSED: (
        "GoTo does not accept the client ID or client secret",
        f"Nothing has changed. {_TELL_REP}",
    ),
    Reason.CODE_REFUSED: (
        "GoTo did not accept the sign-in",
        f"It may have taken too long. Nothing has changed. {_PRESS_AGAIN}",
    ),
    Reason.OUTCOME_UNKNOWN: (
        "That did not finish",
        f"We did not hear back in time. What was connected stays connected. {_PRESS_AGAIN}",
    ),
    Reason.WRONG_ISSUER: (
        "The answer did not come from GoTo",
        f"For your safety it was not used. Nothing has changed. {_TELL_REP}",
    ),
    Reason.OTHER_ACCOUNT: (
        "That was a different GoTo account",
        "This page belongs to another GoTo account, so the new sign-in was not used and has been"
        " withdrawn. Log out of GoTo and press Get Access Token again with the right account."
        " If your company has moved to a new GoTo account, please tell your hireanalytiX"
        " representative.",
    ),
    Reason.ACCOUNT_UNREADABLE: (
        "We could not tell which GoTo account that was",
        f"For your safety it was not used. Nothing has changed. {_TELL_REP}",
    ),
    Reason.NO_REFRESH_TOKEN: (
        "GoTo gave access for a short time only",
        f"The connection could not have stayed alive, so nothing has changed. {_TELL_REP}",
    ),
    Reason.SUPERSEDED: (
        "A later sign-in was finished first",
        "That one counts; this one was not used. There is nothing you need to do.",
    ),
    Reason.ENDED: (
        "That sign-in does not count any more",
        "Since you pressed the button, hireanalytiX has ended the connection or replaced your link."
        " The sign-in was not used and has been withdrawn. To connect, press Get Access Token"
        " again.",
    ),
    Reason.INTERNAL: (
        "Something went wrong on our side",
        f"Nothing has changed. {_PRESS_AGAIN}",
    ),
}
"""A headline and what to do next, for each way in which an authorization request can fail."""

RECONNECT_SOON = (
    "Please reconnect soon",
    "The permission that you gave at GoTo is about to end. Press Get Access Token now and all"
    " goes on without a break.",
)
"""Shown in the last days of a grant that GoTo has not extended."""

WORDS: dict[str, str] = {
    "settings": "Activities Settings",
    "tab": "GoTo API",
    "connection_of": "GoTo connection of",
    "get_token": "Get Access Token",
    "state": "State:",
    "token": "GoTo Access Token",
    "token_shown": "This token is shown for ten minutes, in this browser only, because you have"
    " just connected. You don't need to copy it anywhere.",
    "token_hidden": "The token is hidden. hireanalytiX uses it for you; it is shown only right"
    " after connecting.",
    "token_none": "No token",
    "hide": "Hide",
    "show": "Show",
    "copy_it": "Copy",
    "copied": "Copied",
    "connected_by": "Connected by",
    "connected_since": "Connected since",
    "last_renewed": "Token last renewed",
    "next_renewal": "Next renewal",
    "any_moment": "any moment now",
    "reconnect_by": "Reconnect by",
    "reconnect_by_help": "GoTo usually moves this date on by itself.",
    "history": "What has happened",
    "reference": "Reference number:",
    "mail_fresh_link": "Mail a fresh link",
}
"""Labels and single sentences of the pages."""


def moment(at: datetime) -> str:
    """A moment for readers without scripts; with them it becomes local time. ``at`` is in UTC."""
    return f"{at:%-d %B %Y, %H:%M UTC}"


NO_LINK = (
    "Please open the link from your e-mail",
    "This page opens with the personal link that hireanalytiX mailed to you. If you have"
    " opened it before, open it once more. If you can't find the mail, your hireanalytiX"
    " representative can send a new one.",
)

ERRORS: dict[type[VisitorError], tuple[str, str]] = {
    LinkNotUsable: (
        "This link can't be used any more",
        "It may have expired, or the address may be incomplete. We can mail a fresh link to the"
        " administrator who is registered with us.",
    ),
    IntakeLinkNotUsable: (
        "This link can't be used any more",
        "It serves once and for two weeks, or the address may be incomplete. Please ask your"
        " hireanalytiX representative for a new one.",
    ),
    MalformedRequest: (
        "This address is not complete",
        "Nothing has changed. Please open the link from your e-mail and press"
        " Get Access Token again.",
    ),
    CrossSiteRequest: (
        "This page was open for too long, or was opened elsewhere",
        "Nothing has changed. Please open the link from your e-mail again and go on from there.",
    ),
    CallbackNotAccepted: (
        "This sign-in can't be used",
        "It took longer than ten minutes, was started in another browser, or was replaced when you"
        " pressed Get Access Token once more. Nothing has changed. Please open the link from your"
        " e-mail in this browser and press Get Access Token.",
    ),
    TooManyAttempts: (
        "Too many attempts",
        "Nothing has changed. Please wait ten minutes and try again.",
    ),
    NotReadyToConnect: STATUSES[Status.AWAITING_CREDENTIALS],
}
"""A headline and what to do next, for each error page."""

INTAKE_DONE = (
    "Thank you, that worked",
    "GoTo accepts the client ID and the client secret, and they are stored safely. On GoTo's page,"
    " tick \u201cI have stored the client secret\u201d and press Done. Your hireanalytiX"
    " representative knows and will send you the link to connect.",
)

INTAKE_PROBLEMS: dict[IntakeProblem, str] = {
    IntakeProblem.ID_MISSING: "Please enter the client ID.",
    IntakeProblem.ID_IMPOSSIBLE: "This can't be a client ID of GoTo's. Please copy it once more.",
    IntakeProblem.SECRET_MISSING: "Please enter the client secret.",
    IntakeProblem.SECRET_IMPOSSIBLE: "This can't be a client secret of GoTo's. Please copy it"
    " once more.",
    IntakeProblem.REFUSED: "GoTo does not accept this client ID with this client secret. Please"
    " copy both once more. If GoTo no longer shows the secret, make a new client.",
    IntakeProblem.UNCHECKED: "We could not check this with GoTo just now. Please enter both"
    " values once more in a minute.",
}
"""What was wrong, beside the field it is about."""

INTAKE_STEPS: tuple[str, ...] = (
    "Open GoTo's developer portal, log in as a GoTo administrator and press"
    " \u201cCreate a new client\u201d.",
    "Enter this as the client name:",
    "Enter this as the redirect URI, exactly as it stands here with the slash at its end. Press"
    " Add, then Next.",
    "Tick the boxes Admin Center and GoToConnect, and press Save.",
    "GoTo now shows the client ID and the client secret, the secret only this once. Copy both into"
    " the form below and press Check and store. Leave GoTo's page open.",
    "Once this page says that it worked, tick \u201cI have stored the client secret\u201d on GoTo's"
    " page and press Done.",
)
"""The way through GoTo's developer portal; the second and third are followed by what to copy."""

INTAKE_WORDS: dict[str, str] = {
    "title": "Your GoTo client",
    "of": "GoTo client of",
    "why": "hireanalytiX reads your GoTo phone system with a client that you create at GoTo. It"
    " takes about five minutes. Nobody needs to mail a password or a secret.",
    "portal": "developer.logmeininc.com/clients",
    "client_name": "Client name",
    "redirect_uri": "Redirect URI",
    "client_id": "Client ID",
    "client_secret": "Client secret",
    "kept": "It goes straight into encrypted storage and is never shown again.",
    "submit": "Check and store",
    "again": "Nothing was stored. Please enter both values again.",
}

UNAVAILABLE = (
    "We can't answer right now",
    "What was connected stays connected. Please try again in a few minutes.",
)

NOT_FOUND = (
    "There is nothing here",
    "Please open the link from your e-mail.",
)

LINK_MAILED = (
    "Thank you",
    "If the link once belonged to one of our customers, a fresh one is now on its way to the"
    " administrator who is registered with us. It goes to that address only, and at most once"
    " in fifteen minutes.",
)
