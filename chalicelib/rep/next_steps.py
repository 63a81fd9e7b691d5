"""What a rep reads about a tenant's state: its meaning, and what to do next. Pure.

Commands are named as in the rep's program.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.connection_state import GrantSummary, account_known, ends_soon
from chalicelib.journal_entries import BEGINNINGS, JournalEntry, Kind
from chalicelib.models import Connection, Status, Tenant
from chalicelib.permissions import Owner, Usable

MEANINGS: dict[Status, str] = {
    Status.AWAITING_CREDENTIALS: "Waiting for the client id and secret of the customer's GoTo.",
    Status.AWAITING_AUTHORIZATION: "Waiting for the customer's admin to press Get Access Token.",
    Status.CONNECTED: "Connected; the token renews itself.",
    Status.DEGRADED: "The token has expired and could not be renewed; the service keeps trying.",
    Status.REAUTHORIZATION_REQUIRED: "The permission that the admin once gave has ended.",
    Status.CREDENTIALS_REJECTED: "GoTo no longer accepts the client id or secret.",
    Status.DISCONNECTED: "Disconnected by the rep; nothing is read from GoTo.",
}

USELESS: dict[Usable, str] = {
    Usable.SCOPE_MISSING: "Connected, but a permission is missing: reports are empty.",
    Usable.FORBIDDEN: "Connected, but GoTo refuses the person who connected: reports are empty.",
    Usable.ACCOUNT_GONE: "Connected, but the person who connected left the GoTo account.",
}
"""Likewise for a live connection that reads nothing (F33)."""

NEEDS_A_PERSON = (Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED)
"""States that only a person can end."""

BOUNCES = (Kind.MAIL_BOUNCED, Kind.MAIL_COMPLAINED)
LINKS_END = (
    Kind.LINKS_REVOKED,
    Kind.ADDRESS_CHANGED,
    Kind.PIN_LIFTED,
    Kind.DISCONNECTED,
    *BEGINNINGS,
)
"""After any of these, the admin has no valid link."""
ACCOUNT_SETTLED = (
    Kind.CONNECTED,
    Kind.RECONNECTED,
    Kind.SCOPE_MISSING,
    Kind.DISCONNECTED,
    Kind.PIN_SET,
    Kind.PIN_LIFTED,
    *BEGINNINGS,
)
"""After any of these, earlier sign-in attempts no longer wait for the rep's decision."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything about one tenant that decides what to do next; no secret.

    ``timeline``: its history since it was added or imported, newest first. Entries that strangers
    can repeat may be missing; they decide nothing.
    """

    tenant: Tenant
    status: Status
    now: float
    connection: Connection | None = None
    grant: GrantSummary | None = None
    provider_down: bool = False
    timeline: tuple[JournalEntry, ...] = ()

    def last(self, *kinds: str, until: tuple[str, ...] = ()) -> JournalEntry | None:
        """The newest entry of these kinds; None if one of ``until`` came after it."""
        found = next((each for each in self.timeline if each.kind in (*kinds, *until)), None)
        return found if found and found.kind in kinds else None

    @property
    def change(self) -> JournalEntry | None:
        """The newest entry that changed the connection's state."""
        return next((entry for entry in self.timeline if entry.status is not None), None)


def meaning(case: Case) -> str:
    """The state in one sentence, and whether the connection is usable."""
    useless = _useless(case)
    return MEANINGS[case.status] if useless is None else USELESS[useless]


def _useless(case: Case) -> Usable | None:
    if case.status is not Status.CONNECTED or case.connection is None:
        return None
    return case.connection.usable if case.connection.usable in USELESS else None


def next_action(case: Case) -> str:
    """What the rep should do now, in plain words."""
    if case.last(*BOUNCES, until=(Kind.ADDRESS_CHANGED, *BEGINNINGS)) is not None:
        return (
            "Mails do not reach the admin. Ask the customer for the right address and enter it:"
            f" tenant change {case.tenant.name} --admin-email ADDRESS."
        )
    return _OF_STATUS[case.status](case)


def _credentials(case: Case) -> str:
    name = case.tenant.name
    sent = case.last(Kind.INTAKE_SENT, Kind.INTAKE_CREATED, until=LINKS_END)
    if sent is None:
        return f"Send the customer the one-time form for their GoTo client: intake send {name}."
    return (
        f"The customer has had the form for their GoTo client since {_day(sent.at)}. Remind them,"
        f" or send a new one: intake send {name}."
    )


def _authorization(case: Case) -> str:
    name = case.tenant.name
    sent = case.last(Kind.LINK_SENT, Kind.LINK_CREATED, until=LINKS_END)
    if sent is None:
        return f"Send the admin the link to connect: link send {name}."
    lost = case.last(Kind.AUTHORIZATION_STARTED, until=LINKS_END)
    if lost is not None:
        return (
            f"Call the admin: they clicked Get Access Token on {_day(lost.at)} and did not come"
            " back from GoTo. Is the redirect URI in GoTo's developer portal exactly"
            f" {case.tenant.redirect_uri}? Are they an administrator in GoTo? Then: link send"
            f" {name}."
        )
    return (
        f"The admin has had the link since {_day(sent.at)}. Remind them, or send it again:"
        f" link send {name}."
    )


def _unconfirmed(case: Case) -> str:
    """Sign-ins that wait for the rep's decision, because the tenant's account is not known (S25).

    Lists every account: a stranger's may be the newest. The command includes the account only if
    there is just one.
    """
    tried = _tried(case) if case.tenant.unpinned else {}
    if not tried:
        return ""
    named = "; ".join(_attempt(entry) for entry in tried.values())
    keys = {key for entry in tried.values() for key in (entry.tried or Owner()).keys}
    account = keys.pop() if len(keys) == len(tried) == 1 else "KEY"
    which = f"which account is theirs, and confirm that one: pin set {case.tenant.name}"
    return (
        " Sign-ins were refused because the customer's GoTo account is not known:"
        f" {named}. Ask the customer {which} --account {account}."
    )


def _tried(case: Case) -> dict[tuple[str, ...], JournalEntry]:
    """Each GoTo account's newest attempt since the tenant's account was last settled."""
    found: dict[tuple[str, ...], JournalEntry] = {}
    for entry in case.timeline:
        if entry.kind in ACCOUNT_SETTLED:
            break
        if entry.kind == Kind.AUTHORIZATION_MISMATCHED:
            found.setdefault((entry.tried or Owner()).keys, entry)
    return found


def _attempt(entry: JournalEntry) -> str:
    owner = entry.tried or Owner()
    by = f", by {owner.principal}" if owner.principal else ""
    return f"{owner.named}{by}, on {_day(entry.at)}"


def _connected(case: Case) -> str:
    connection = case.connection
    if connection is None:
        return "Nothing."
    if connection.usable in USELESS:
        entry = case.last(Kind.SCOPE_MISSING, Kind.ACCESS_FORBIDDEN, Kind.ACCOUNT_GONE)
        again = f"To mail the link again: link send {case.tenant.name}."
        return f"Ask the admin to fix it. {entry.text if entry else ''} {again}".replace("  ", " ")
    if ends_soon(connection, case.now):
        return _ends_soon(case)
    if case.tenant.pinned_account is not None and not account_known(case.tenant, connection):
        return (
            "The next refresh checks that the connection is to the confirmed GoTo account, and ends"
            f" it if not. To check now: refresh {case.tenant.name}."
        )
    if case.tenant.pin_lifted:
        return _authorization(case)
    return _unconfirmed(case).strip() or "Nothing."


def _ends_soon(case: Case) -> str:
    end = (case.connection and case.connection.reconnect_by) or 0
    by = f"before {_day(end)}" if case.now < end else "now"
    return (
        f"GoTo has not extended the permission. Ask the admin to press Get Access Token {by}; mail"
        f" them the link: link send {case.tenant.name}."
    )


def _degraded(case: Case) -> str:
    tried = case.grant is not None and case.grant.failures > 0
    if case.change is not None and case.change.kind == Kind.IMPORTED and not tried:
        return "Nothing: it was imported, and its first refresh comes within minutes."
    if case.provider_down:
        return "Nothing here: GoTo is not answering for anyone. The service keeps trying."
    if case.connection is not None and ends_soon(case.connection, case.now):
        return _ends_soon(case)
    if case.last(Kind.STUCK, until=(Kind.RECOVERED, Kind.CONNECTED, Kind.RECONNECTED)) is not None:
        return (
            "GoTo refuses this customer alone. Ask them what changed in their GoTo account or"
            f" client, and tell the operator. To try at once: refresh {case.tenant.name}."
            f"{_unconfirmed(case)}"
        )
    return (
        "Nothing yet: the service keeps trying, and tells you if it still fails after six hours."
        f" To try at once: refresh {case.tenant.name}.{_unconfirmed(case)}"
    )


def _reauthorize(case: Case) -> str:
    mailed = (Kind.REAUTHORIZATION_REQUIRED, Kind.LINK_SENT, Kind.LINK_CREATED)
    if case.last(*mailed, until=LINKS_END) is None:
        return f"Send the admin a new link to connect: link send {case.tenant.name}."
    return (
        "Ask the admin to open the link that was mailed to them, press Get Access Token and log in"
        f" to GoTo. To mail it again: link send {case.tenant.name}.{_unconfirmed(case)}"
    )


def _rejected(case: Case) -> str:
    name = case.tenant.name
    if case.grant is not None and case.grant.client_id != case.tenant.client_id:
        return (
            "Another client has been entered since, which the admin must connect. Mail them the"
            f" link: link send {name}.{_unconfirmed(case)}"
        )
    return (
        "Ask the customer for a new client id and secret from GoTo's developer portal:"
        f" intake send {name} (or, if you have them, credentials set {name}). If only"
        " the secret is new, the connection resumes by itself; a new client must be connected."
    )


def _disconnected(case: Case) -> str:
    if case.grant is not None and case.grant.next_refresh_at is not None:
        return "Nothing: GoTo has not confirmed the revocation yet. The service keeps trying."
    return (
        "Nothing. If the customer wants to come back, send a new link:"
        f" link send {case.tenant.name}."
    )


_OF_STATUS = {
    Status.AWAITING_CREDENTIALS: _credentials,
    Status.AWAITING_AUTHORIZATION: _authorization,
    Status.CONNECTED: _connected,
    Status.DEGRADED: _degraded,
    Status.REAUTHORIZATION_REQUIRED: _reauthorize,
    Status.CREDENTIALS_REJECTED: _rejected,
    Status.DISCONNECTED: _disconnected,
}


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%-d %B %Y, %H:%M} UTC"
