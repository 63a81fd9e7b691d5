"""Journal entries and their kinds: who causes each, who may read it, whether it can be repeated;
and which lines of a tenant's history people see.

Pure. A kind that is not listed here is never shown to a customer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from chalicelib.durations import RETURN_PATIENCE
from chalicelib.models import Status
from chalicelib.permissions import Owner

LINK_HOLDER = "the holder of a link"
"""The actor if GoTo named nobody: a link proves no more."""


class Kind(StrEnum):
    """The kind of an entry. Values are stored and published: never rename one."""

    TENANT_ADDED = "tenant_added"
    TENANT_CHANGED = "tenant_changed"
    ADDRESS_CHANGED = "address_changed"
    TENANT_REMOVED = "tenant_removed"
    IMPORTED = "imported"
    CREDENTIALS_SET = "credentials_set"
    CREDENTIALS_RECEIVED = "credentials_received"
    PIN_SET = "pin_set"
    PIN_LIFTED = "pin_lifted"
    PIN_SHARED = "pin_shared"
    ACCOUNT_WANTED = "account_wanted"
    ACCOUNT_PINNED = "account_pinned"
    INTAKE_CREATED = "intake_created"
    INTAKE_SENT = "intake_sent"
    LINK_CREATED = "link_created"
    LINK_SENT = "link_sent"
    LINK_REQUESTED = "link_requested"
    LINKS_REVOKED = "links_revoked"
    AUTHORIZATION_STARTED = "authorization_started"
    AUTHORIZATION_DENIED = "authorization_denied"
    AUTHORIZATION_SCOPE_REFUSED = "authorization_scope_refused"
    AUTHORIZATION_MISMATCHED = "authorization_mismatched"
    AUTHORIZATION_FAILED = "authorization_failed"
    AUTHORIZATION_EXPIRED = "authorization_expired"
    CONNECTED = "connected"
    RECONNECTED = "reconnected"
    DISCONNECTED = "disconnected"
    REVOKED = "withdrawn"
    REFRESH_ASKED = "refresh_asked"
    FACTS_ASKED = "facts_asked"
    TOKEN_REJECTED = "token_rejected"  # noqa: S105 - a word, not a secret
    DEGRADED = "degraded"
    STUCK = "stuck"
    RETRIED = "retried"
    RECOVERED = "recovered"
    RECONNECT_SOON = "reconnect_soon"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    REMINDED_FIRST = "reminded_first"
    REMINDED_AGAIN = "reminded_again"
    REMINDED_LAST = "reminded_last"
    CREDENTIALS_REJECTED = "credentials_rejected"
    SCOPE_MISSING = "scope_missing"
    ACCESS_FORBIDDEN = "access_forbidden"
    ACCOUNT_GONE = "account_gone"
    USABLE_AGAIN = "usable_again"
    MAIL_BOUNCED = "mail_bounced"
    MAIL_COMPLAINED = "mail_complained"
    PROVIDER_DOWN = "provider_down"
    PROVIDER_RECOVERED = "provider_recovered"
    ANSWERS_CHANGED = "answers_changed"
    HEARTBEAT = "heartbeat"


class By(StrEnum):
    """Who causes a kind of entry."""

    CUSTOMER = "customer"
    REP = "rep"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Traits:
    """``shown``: customers see it on their page, worded by `web/history_texts.py`. ``repeatable``:
    anyone who holds a link or reads tokens can cause it again and again, so it must never hide
    other entries (S29)."""

    by: By
    shown: bool = False
    repeatable: bool = False


TRAITS: dict[str, Traits] = {
    Kind.TENANT_ADDED: Traits(By.REP),
    Kind.TENANT_CHANGED: Traits(By.REP, shown=True),
    Kind.ADDRESS_CHANGED: Traits(By.REP, shown=True),
    Kind.TENANT_REMOVED: Traits(By.REP),
    Kind.IMPORTED: Traits(By.REP, shown=True),
    Kind.CREDENTIALS_SET: Traits(By.REP, shown=True),
    Kind.CREDENTIALS_RECEIVED: Traits(By.CUSTOMER, shown=True),
    Kind.PIN_SET: Traits(By.REP),
    Kind.PIN_LIFTED: Traits(By.REP, shown=True),
    Kind.PIN_SHARED: Traits(By.REP),
    Kind.ACCOUNT_WANTED: Traits(By.SERVICE, repeatable=True),
    Kind.ACCOUNT_PINNED: Traits(By.SERVICE),
    Kind.INTAKE_CREATED: Traits(By.REP),
    Kind.INTAKE_SENT: Traits(By.REP, shown=True),
    Kind.LINK_CREATED: Traits(By.REP),
    Kind.LINK_SENT: Traits(By.REP, shown=True),
    Kind.LINK_REQUESTED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.LINKS_REVOKED: Traits(By.REP, shown=True),
    Kind.AUTHORIZATION_STARTED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.AUTHORIZATION_DENIED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.AUTHORIZATION_SCOPE_REFUSED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.AUTHORIZATION_MISMATCHED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.AUTHORIZATION_FAILED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    Kind.AUTHORIZATION_EXPIRED: Traits(By.CUSTOMER, shown=True, repeatable=True),
    # Only the pinned account's own people can repeat a connection, and it changes the state.
    Kind.CONNECTED: Traits(By.CUSTOMER, shown=True),
    Kind.RECONNECTED: Traits(By.CUSTOMER, shown=True),
    Kind.DISCONNECTED: Traits(By.REP, shown=True),
    Kind.REVOKED: Traits(By.SERVICE, shown=True),
    Kind.REFRESH_ASKED: Traits(By.REP, repeatable=True),
    Kind.FACTS_ASKED: Traits(By.REP, repeatable=True),
    Kind.TOKEN_REJECTED: Traits(By.SERVICE, repeatable=True),
    Kind.DEGRADED: Traits(By.SERVICE, shown=True),
    Kind.STUCK: Traits(By.SERVICE),
    Kind.RETRIED: Traits(By.REP),
    Kind.RECOVERED: Traits(By.SERVICE, shown=True),
    Kind.RECONNECT_SOON: Traits(By.SERVICE, shown=True),
    Kind.REAUTHORIZATION_REQUIRED: Traits(By.SERVICE, shown=True),
    Kind.REMINDED_FIRST: Traits(By.SERVICE, shown=True),
    Kind.REMINDED_AGAIN: Traits(By.SERVICE, shown=True),
    Kind.REMINDED_LAST: Traits(By.SERVICE, shown=True),
    Kind.CREDENTIALS_REJECTED: Traits(By.SERVICE, shown=True),
    Kind.SCOPE_MISSING: Traits(By.SERVICE, shown=True),
    Kind.ACCESS_FORBIDDEN: Traits(By.SERVICE, shown=True),
    Kind.ACCOUNT_GONE: Traits(By.SERVICE, shown=True),
    Kind.USABLE_AGAIN: Traits(By.SERVICE, shown=True),
    Kind.MAIL_BOUNCED: Traits(By.SERVICE),
    Kind.MAIL_COMPLAINED: Traits(By.SERVICE),
    Kind.PROVIDER_DOWN: Traits(By.SERVICE),
    Kind.PROVIDER_RECOVERED: Traits(By.SERVICE),
    Kind.ANSWERS_CHANGED: Traits(By.SERVICE),
    Kind.HEARTBEAT: Traits(By.SERVICE),
}

REMINDERS = (Kind.REMINDED_FIRST, Kind.REMINDED_AGAIN, Kind.REMINDED_LAST)
"""One for each of `durations.REMINDED_AFTER`. After a recovery they are not mailed."""

_UNKNOWN = Traits(By.SERVICE)

BEGINNINGS = (Kind.TENANT_ADDED, Kind.IMPORTED)
"""A tenant's history begins with one of these; older entries belong to a removed namesake."""

ENDS_LINKS = (Kind.LINKS_REVOKED, Kind.ADDRESS_CHANGED, Kind.PIN_LIFTED, Kind.DISCONNECTED)
"""Each of these revokes all earlier links, as does a removal."""

REPEATABLE = tuple(kind for kind, traits in TRAITS.items() if traits.repeatable)


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of a tenant's history, in plain words; never a secret. ``tried``: the person whose
    sign-in did not become the connection; only reps see it."""

    tenant: str
    at: float
    kind: str
    who: str
    text: str
    reference: str | None = None
    status: Status | None = None
    tried: Owner | None = None

    @property
    def detail(self) -> str | None:
        return self.tried.sentence if self.tried else None

    def for_customer(self) -> JournalEntry:
        """This entry without ``tried`` and that person's name."""
        if self.tried is None:
            return self
        who = LINK_HOLDER if self.who == self.tried.principal else self.who
        return replace(self, who=who, tried=None)


def traits(kind: str) -> Traits:
    """A kind's traits; defaults for a kind that another version of the service wrote."""
    return TRAITS.get(kind, _UNKNOWN)


LINES = 10
"""The rep and the customer see this many."""

MOST_REPEATABLE = 3
"""At most this many of a repeatable kind while there is anything else (S29)."""


def lines(entries: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """The newest lines; ``entries`` and result are newest first. Takes only as many entries as it
    needs: they may be read from the table one by one."""
    chosen: list[tuple[int, JournalEntry]] = []
    spare: list[tuple[int, JournalEntry]] = []
    repeatable = 0
    for place in enumerate(entries):
        is_repeatable = traits(place[1].kind).repeatable
        if is_repeatable and repeatable == MOST_REPEATABLE:
            spare.append(place)
            continue
        repeatable += is_repeatable
        chosen.append(place)
        if len(chosen) == LINES:
            break
    filled = sorted([*chosen, *spare[: LINES - len(chosen)]], key=lambda place: place[0])
    return tuple(entry for _, entry in filled)


NOT_RETURNED = (
    "Get Access Token was clicked, but nobody came back from GoTo. The usual causes: the redirect"
    " URI of the GoTo client is not exactly the one given here (the slash at the end is part of"
    " it); the person is not an administrator in GoTo; or GoTo's page was closed."
)
"""The text for a click that nobody came back from, with the usual causes."""


def without_presses(entries: Iterable[JournalEntry], now: float) -> Iterable[JournalEntry]:
    """Drop clicks on Get Access Token, except the newest if nobody came back from it in time.

    ``entries`` are newest first, so the end of a click comes before it. A click that ended without
    its own line, because the day has enough of them, shows as if nobody came back.
    """
    pressed, ended = False, set()
    for entry in entries:
        if entry.kind != Kind.AUTHORIZATION_STARTED:
            ended.add(entry.reference)
            yield entry
            continue
        if not pressed and entry.reference not in ended and now - entry.at >= RETURN_PATIENCE:
            yield replace(entry, text=NOT_RETURNED)
        pressed = True


def for_customers(entries: Iterable[JournalEntry]) -> Iterable[JournalEntry]:
    """The entries that the customer may see."""
    return (entry for entry in entries if traits(entry.kind).shown)
