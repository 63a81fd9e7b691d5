"""Every word that an admin reads, in plain English: what happened, and what to do next.

A test checks that no page has a word from anywhere else.
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.connect.client_form import IntakeProblem
from chalicelib.errors import (
    CallbackNotAccepted,
    CrossSiteRequest,
    IntakeLinkNotUsable,
    LinkNotUsable,
    LoginRequired,
    MalformedRequest,
    NotReadyToConnect,
    TooManyAttempts,
    VisitorError,
)
from chalicelib.models import Reason, Status
from chalicelib.web import permission_texts

LANGUAGE = "en"
"""BCP 47 tag of these texts."""

PROCESSING = (
    "The API credentials for your Jive / GoTo account are being processed. "
    "Please be patient and the page will reload when completed."
)

STATUSES: dict[Status, tuple[str, str]] = {
    Status.AWAITING_CREDENTIALS: (
        "Not ready yet",
        "Step 1 is still to be done. Please open the link in our email \u201cSet up GoTo access for"
        " hireanalytiX\u201d, or ask your hireanalytiX representative for a new one.",
    ),
    Status.AWAITING_AUTHORIZATION: (
        "Not connected",
        "Click Get Access Token, log in to GoTo as an administrator, and click Allow."
        " It takes about a minute.",
    ),
    Status.CONNECTED: (
        "Connected",
        "hireanalytiX can read your GoTo phone system. The connection renews itself, so there is"
        " nothing you need to do.",
    ),
    Status.DEGRADED: (
        "Interrupted: we're working on it",
        "GoTo didn\u2019t renew access in time. We\u2019re still trying, and it will come back on"
        " its own. There is nothing you need to do.",
    ),
    Status.REAUTHORIZATION_REQUIRED: (
        "Please reconnect",
        "The connection to GoTo has ended. Click Get Access Token and log in to GoTo as an"
        " administrator of your company's account to connect again.",
    ),
    Status.CREDENTIALS_REJECTED: (
        "Your representative needs to act",
        "GoTo no longer accepts the client ID or client secret. Your hireanalytiX representative"
        " has been told and will contact you. If they have asked you to connect again, click Get"
        " Access Token.",
    ),
    Status.DISCONNECTED: (
        "Disconnected",
        "hireanalytiX no longer has access to your GoTo phone system. Click Get Access Token"
        " if you want to connect again.",
    ),
}
"""A headline and what to do next, for each state of the connection."""

UNUSABLE = permission_texts.UNUSABLE
_PRESS_AGAIN = "Please click Get Access Token again."
_TELL_REP = "Please tell your hireanalytiX representative and give them the reference number below."

NOTICES: dict[Reason, tuple[str, str]] = {
    Reason.DENIED: (
        "Access was denied at GoTo",
        "Nothing has changed. If that was not what you wanted, click Get Access Token again, and"
        " click Allow on GoTo's page.",
    ),
    Reason.PROVIDER_BUSY: ("GoTo is busy", f"Nothing has changed. {_PRESS_AGAIN}"),
    Reason.SIGN_IN_FAILED: ("GoTo could not sign you in", f"Nothing has changed. {_PRESS_AGAIN}"),
    Reason.SCOPE_REFUSED: permission_texts.SCOPE_REFUSED,
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
        " canceled. Log out of GoTo, then click Get Access Token again with the right account."
        " If your company has moved to a new GoTo account, please tell your hireanalytiX"
        " representative.",
    ),
    Reason.ACCOUNT_TAKEN: permission_texts.ACCOUNT_TAKEN,
    Reason.ACCOUNT_TO_CHOOSE: (
        "Which GoTo account is yours?",
        "You are an administrator of several GoTo accounts. Choose the one whose calls hireanalytiX"
        " should read for this company. Nothing is connected until you choose.",
    ),
    Reason.ACCOUNT_NOT_CHOSEN: (
        "You did not choose a GoTo account in time",
        f"After an hour we withdrew the sign-in. Nothing has changed. {_PRESS_AGAIN}",
    ),
    Reason.ACCOUNT_UNREADABLE: (
        "We could not tell which GoTo account that was",
        f"For your safety it was not used. Nothing has changed. {_TELL_REP}",
    ),
    Reason.ACCOUNT_NOT_CONFIRMED: (
        "hireanalytiX must confirm your GoTo account first",
        "We don't know yet which GoTo account this page belongs to, so your sign-in was not used"
        " and has been canceled. Nothing else has changed. Your hireanalytiX representative has"
        " been told and will confirm the account. After that, click Get Access Token again.",
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
        "That sign-in is no longer valid",
        "After you clicked the button, hireanalytiX ended the connection or replaced your link."
        " The sign-in was not used and has been canceled. To connect, click Get Access Token"
        " again.",
    ),
    Reason.NOT_RETURNED: (
        "You didn\u2019t come back from GoTo",
        "You clicked Get Access Token earlier, but the sign-in was not finished. The usual causes:"
        " GoTo showed an error because the redirect URI entered there is not exactly the one we"
        " gave you; the GoTo login you used is no administrator; or GoTo\u2019s page was closed."
        " Please click Get Access Token again. If GoTo shows an error once more, tell your"
        " hireanalytiX representative and give them the reference number below.",
    ),
    Reason.INTERNAL: (
        "Something went wrong on our side",
        f"Nothing has changed. {_PRESS_AGAIN}",
    ),
}
"""A headline and what to do next, for each reason why an authorization request fails."""

RECONNECT_SOON = (
    "Please reconnect soon",
    "Your GoTo authorization is about to expire. Click Get Access Token to keep your reports"
    " running.",
)
"""Shown in the last days of a grant that GoTo has not extended."""

WORDS: dict[str, str] = {
    "settings": "Activities Settings",
    "choose_account": "Connect this account",
    "your_accounts": "Your GoTo accounts",
    "account_number": "Account number",
    "tab": "GoTo API",
    "connection_of": "GoTo connection of",
    "get_token": "Get Access Token",
    "state": "State:",
    "token": "GoTo Access Token",
    "token_shown": "This token is shown for ten minutes, in this browser only, because you have"
    " just connected. You don't need to copy it anywhere.",
    "token_hidden": "The token is hidden. hireanalytiX uses it for you. It is shown only right"
    " after you connect.",
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
    "history": "What has happened",
    "you": "You",
    "us": "hireanalytiX",
    "goto": "GoTo",
    "contact": "Questions? Contact hireanalytiX:",
    "about_reference": "About reference number",
    "back": "Back to Activities Settings",
    "reference": "Reference number:",
    "mail_fresh_link": "Email a new link",
    "connects": "This page connects {display_name} ({tenant}). The registered administrator's"
    " email address is at {domain}.",
    "open_now": "This browser is open for {display_name} ({tenant}). Its registered"
    " administrator's email address is at {domain}.",
    "link_of": "The link you just opened is for {display_name} ({tenant}). Its registered"
    " administrator's email address is at {domain}.",
    "switch": "Switch to this link",
    "stay": "No, stay where I was",
}
"""Labels and single sentences of the pages."""


def moment(at: datetime) -> str:
    """A time for browsers without scripts; page.js turns it into local time. ``at`` is in UTC."""
    return f"{at:%-d %B %Y, %H:%M UTC}"


NO_LINK = (
    "Please open the link from your email",
    "This page opens with the personal link that hireanalytiX emailed to you. If you have"
    " opened it before, open it once more: your browser may have deleted, or not accepted, its"
    " cookies. If you can't find the email, your hireanalytiX representative can send a new one.",
)

ERRORS: dict[type[VisitorError], tuple[str, str]] = {
    LinkNotUsable: (
        "This link no longer works",
        "It may have expired, or part of the address may be missing. We can email a new link to the"
        " administrator on file.",
    ),
    LoginRequired: (
        "Please log in to hireanalytiX first",
        "This page opens only for people who are logged in to hireanalytiX. Log in, then open this"
        " page again.",
    ),
    IntakeLinkNotUsable: (
        "This link no longer works",
        "This link can be used once, within two weeks. Or part of the address may be missing."
        " Please"
        " ask your hireanalytiX representative for a new one.",
    ),
    MalformedRequest: (
        "This address is not complete",
        "Nothing has changed. Please open the link from your email and click Get Access Token"
        " again.",
    ),
    CrossSiteRequest: (
        "This page was open for too long, or was opened elsewhere",
        "Nothing has changed. Please open the link from your email again and continue from there.",
    ),
    CallbackNotAccepted: (
        "This sign-in can't be used",
        "It took longer than ten minutes, was started in another browser, or was replaced when you"
        " clicked Get Access Token again. Nothing has changed. Please open the link from your"
        " email in this browser and click Get Access Token.",
    ),
    TooManyAttempts: (
        "Too many attempts",
        "Nothing has changed. Please wait ten minutes and try again. If you still see this page,"
        " ask your hireanalytiX representative for a new link.",
    ),
    NotReadyToConnect: STATUSES[Status.AWAITING_CREDENTIALS],
}
"""A headline and what to do next, for each error page."""

INTAKE_DONE = (
    "Thank you, that worked",
    "GoTo accepts the client ID and the client secret, and they are stored safely. On GoTo's page,"
    " check \u201cI have stored the client secret\u201d and click Done. Step 2: your hireanalytiX"
    " representative has been told and will email you the link to connect.",
)

INTAKE_PROBLEMS: dict[IntakeProblem, str] = {
    IntakeProblem.ID_MISSING: "Please enter the client ID.",
    IntakeProblem.ID_IMPOSSIBLE: "This can't be a client ID of GoTo's. Please copy it once more.",
    IntakeProblem.SECRET_MISSING: "Please enter the client secret.",
    IntakeProblem.SECRET_IMPOSSIBLE: "This can't be a client secret of GoTo's: dots, for instance,"
    " only stand for a hidden secret. Please copy it once more with GoTo's copy button.",
    IntakeProblem.SAME_TWICE: "This is the client ID again. Please copy the client secret here.",
    IntakeProblem.SWAPPED: "The two values are swapped: what you entered as the client ID is the"
    " client secret. Please enter each in the other field.",
    IntakeProblem.REFUSED: "GoTo does not accept this client ID with this client secret. Please"
    " copy both once more. If GoTo no longer shows the secret, make a new client.",
    IntakeProblem.REDIRECT_UNKNOWN: "Almost there: GoTo accepts the client ID and the client"
    " secret, but this client has a different redirect URI. In GoTo\u2019s developer portal, copy"
    " the secret first if GoTo still shows it. Then edit the client and enter the redirect URI"
    " exactly as in step 3, with the slash at its end. After that, enter both values here again.",
    IntakeProblem.UNCHECKED: "We could not check this with GoTo just now. Please enter both"
    " values once more in a minute.",
}
"""What is wrong; shown beside the field it is about."""

INTAKE_STEPS: tuple[str, ...] = (
    "Open GoTo's developer portal, log in as a GoTo administrator, and click"
    " \u201cCreate a new client\u201d.",
    "Enter this as the client name:",
    "Enter this as the redirect URI, exactly as shown, with the slash at its end. Click Add, then"
    " Next.",
    "Check the boxes Admin Center and GoToConnect, and click Save.",
    "GoTo now shows the client ID and the client secret, the secret only this once. Copy both into"
    " the form below and click Check and store. Leave GoTo's page open.",
    "Once this page says that it worked, check \u201cI have stored the client secret\u201d on"
    " GoTo's"
    " page and click Done.",
)
"""Steps in GoTo's developer portal. The page shows a value to copy after the second and third."""

INTAKE_WORDS: dict[str, str] = {
    "title": "Set up GoTo access, step 1 of 2",
    "of": "Set up GoTo access for",
    "step": "Step 1 of 2",
    "why": "hireanalytiX reads your GoTo phone system with its own login, which GoTo calls an API"
    " client. You create it in GoTo\u2019s developer portal in about five minutes. Nobody needs to"
    " email a password or a secret. In step 2, you connect with one click.",
    "portal": "developer.logmeininc.com/clients",
    "client_name": "Client name",
    "redirect_uri": "Redirect URI",
    "client_id": "Client ID",
    "client_secret": "Client secret",
    "kept": "It goes straight into encrypted storage and is never shown again.",
    "submit": "Check and store",
    "again": "Nothing was stored yet. Please correct what is marked below, and enter the client"
    " secret again.",
}

UNAVAILABLE = (
    "We can't answer right now",
    "What was connected stays connected. Please try again in a few minutes.",
)

NOT_FOUND = (
    "There is nothing here",
    "Please open the link from your email.",
)

SWITCH = (
    "This link is for another company",
    "Switch only if you expected this link and you administer that company. If someone sent you"
    " here or you are not sure, stay where you were. Nothing has changed so far.",
)
"""Asked before one company's link replaces another's in a browser."""

ALL_SET = "You\u2019re all set. hireanalytiX is connected to GoTo. You can close this page."
"""Shown in the browser that has just connected."""

LINK_MAILED = (
    "Thank you",
    "If this link belongs to one of our customers and has expired, we email a new one to the"
    " administrator on file, at most once a day. If none arrives, ask your hireanalytiX"
    " representative for one.",
)
