"""How authorization requests end: statuses and journal entries."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from chalicelib.journal_entries import LINK_HOLDER, NOT_RETURNED, JournalEntry, Kind
from chalicelib.models import AuthorizationRequest, Reason, RequestStatus, Status
from chalicelib.permissions import Owner, scope_sentence
from chalicelib.untrusted_text import address_fault


@dataclass(frozen=True, slots=True)
class End:
    """How a request ends for one reason. ``counts``: against the objective (docs/slo.md); not if
    the customer's client, account or choice, a later click or the rep caused it."""

    status: RequestStatus
    text: str
    counts: bool


_counted = partial(End, counts=True)
_excused = partial(End, counts=False)

ENDS: dict[Reason, End] = {
    Reason.DENIED: _excused(RequestStatus.DENIED, "Access was denied at GoTo. Nothing changed."),
    Reason.SCOPE_REFUSED: _excused(
        RequestStatus.SCOPE_REFUSED,
        "GoTo refused the scopes: a box of the client is not checked in GoTo's developer portal"
        " (Admin Center, GoToConnect). Nothing changed.",
    ),
    Reason.PROVIDER_ERROR: _counted(
        RequestStatus.FAILED, "GoTo could not complete the request. Nothing changed."
    ),
    Reason.PROVIDER_BUSY: _counted(
        RequestStatus.FAILED, "GoTo was too busy to sign the admin in. Nothing changed."
    ),
    Reason.SIGN_IN_FAILED: _counted(
        RequestStatus.FAILED, "GoTo failed while the admin signed in. Nothing changed."
    ),
    Reason.CLIENT_REFUSED: _excused(
        RequestStatus.FAILED,
        "GoTo refused the configured client. Your hireanalytiX representative must check it.",
    ),
    Reason.CODE_REFUSED: _counted(
        RequestStatus.FAILED, "GoTo refused the authorization code. Nothing changed."
    ),
    Reason.OUTCOME_UNKNOWN: _counted(
        RequestStatus.FAILED,
        "GoTo's answer was lost on the way. The admin can click Get Access Token again.",
    ),
    Reason.WRONG_ISSUER: _counted(
        RequestStatus.FAILED, "The answer came from an unexpected authorization server."
    ),
    Reason.OTHER_ACCOUNT: _excused(
        RequestStatus.MISMATCHED,
        "The sign-in was with a GoTo account other than the connected one, so it was refused.",
    ),
    Reason.ACCOUNT_TAKEN: _excused(
        RequestStatus.MISMATCHED,
        "The GoTo account belongs to another customer of hireanalytiX, so the sign-in was refused.",
    ),
    Reason.ACCOUNT_TO_CHOOSE: _excused(
        RequestStatus.CHOOSING, "The admin has several GoTo accounts and must choose one."
    ),
    Reason.ACCOUNT_NOT_CHOSEN: _excused(
        RequestStatus.EXPIRED,
        "Nobody chose a GoTo account within an hour; the sign-in was revoked.",
    ),
    Reason.ACCOUNT_UNREADABLE: _excused(
        RequestStatus.MISMATCHED, "The GoTo account could not be read, so it was refused."
    ),
    Reason.ACCOUNT_NOT_CONFIRMED: _excused(
        RequestStatus.MISMATCHED,
        "The connection's GoTo account is not known yet, so a new sign-in was refused until"
        " hireanalytiX confirms its account.",
    ),
    Reason.NO_REFRESH_TOKEN: _counted(
        RequestStatus.FAILED, "GoTo gave no refresh token, so the connection would not last."
    ),
    Reason.SUPERSEDED: _excused(
        RequestStatus.EXPIRED, "A later authorization request finished first."
    ),
    Reason.ENDED: _excused(
        RequestStatus.EXPIRED,
        "It started before hireanalytiX ended the connection or replaced the links.",
    ),
    Reason.NOT_RETURNED: _counted(RequestStatus.EXPIRED, NOT_RETURNED),
    Reason.INTERNAL: _counted(
        RequestStatus.FAILED,
        "The service could not finish the request. The admin can click Get Access Token again.",
    ),
}
"""How each reason ends a request. A test checks that every `Reason` is here."""


CONNECT_FAILED = {"ConnectsLate": 1.0, "ConnectsLatePercent": 100.0}
"""Metrics of a sign-in that should have succeeded but failed, at any step."""


def press(request: AuthorizationRequest, at: float) -> JournalEntry:
    """The journal entry for a click on Get Access Token."""
    return JournalEntry(
        request.tenant,
        at,
        Kind.AUTHORIZATION_STARTED,
        request.pressed_by or LINK_HOLDER,
        "Get Access Token was clicked, which leads to GoTo.",
        request.reference,
    )


def ending(
    request: AuthorizationRequest, reason: Reason, at: float, tried: Owner | None = None
) -> JournalEntry:
    """The journal entry for a request that ended without a connection. ``tried``: whose tokens GoTo
    gave, if any."""
    return JournalEntry(
        request.tenant,
        at,
        Kind(f"authorization_{ENDS[reason].status}"),
        (tried and tried.principal) or request.pressed_by or LINK_HOLDER,
        ENDS[reason].text + _pressed(request),
        request.reference,
        tried=tried,
    )


def _pressed(request: AuthorizationRequest) -> str:
    """Who clicked, if HA's front named a person. GoTo may name another one."""
    who = request.pressed_by
    return f" The button was clicked by {who}, logged in to hireanalytiX." if who else ""


def connected(
    request: AuthorizationRequest,
    owner: Owner,
    at: float,
    *,
    again: bool,
    lacking: tuple[str, ...],
    unread: bool,
) -> JournalEntry:
    """The journal entry for a new connection. ``lacking``: scopes that GoTo did not grant (S27).
    ``unread``: mention it if the account is not known."""
    who = owner.principal or request.pressed_by or LINK_HOLDER
    named = who if address_fault(who) is None else LINK_HOLDER  # we mail this to the admin (S30)
    account = f" account {owner.account}" if owner.account else ""
    text = f"{'Reconnected' if again else 'Connected'} to GoTo{account} by {named}."
    text += _pressed(request)
    if unread and owner.account is None:
        text += (
            " The GoTo account could not be read; it will be pinned by the first refresh that can"
            " read it."
        )
    kind = Kind.RECONNECTED if again else Kind.CONNECTED
    if lacking:
        kind, text = Kind.SCOPE_MISSING, f"{text} {scope_sentence(lacking)}"
    return JournalEntry(request.tenant, at, kind, who, text, request.reference, Status.CONNECTED)
