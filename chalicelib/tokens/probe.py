"""Use case: check whether a living connection can still read what HA reads (F33).

A refresh proves nothing about permission. So we probe each connection after it was made, once a
day, and when one of HA's services reports a 403: its account is still among the person's, and one
cheap read succeeds. Only a clear answer from GoTo changes the result. Probes change no tokens.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.durations import (
    LONGEST_PROBE,
    PROBE_CONFIRMED_AFTER,
    PROBE_EVERY,
    PROBE_GAP,
    PROBE_JITTER,
    PROBES_REST,
    TIME_TO_READ_ACCOUNT,
)
from chalicelib.dynamodb.accounts import Usability
from chalicelib.dynamodb.connections import Connections
from chalicelib.errors import Conflict
from chalicelib.goto.oauth import GoToClient
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Connection, Grant, NewTokens, Status
from chalicelib.permissions import USELESS, Usable, missing, scope_sentence

PROBER = "the daily check"

_KINDS = {
    Usable.YES: Kind.USABLE_AGAIN,
    Usable.SCOPE_MISSING: Kind.SCOPE_MISSING,
    Usable.FORBIDDEN: Kind.ACCESS_FORBIDDEN,
    Usable.ACCOUNT_GONE: Kind.ACCOUNT_GONE,
}

_TEXTS = {
    Usable.YES: "The connection can be used again.",
    Usable.FORBIDDEN: "GoTo no longer lets the person who connected read call reports: the"
    " administrator role or a license is missing. Give it back at GoTo, or have another"
    " administrator click Get Access Token.",
    Usable.ACCOUNT_GONE: "The person who connected no longer belongs to this GoTo account. Another"
    " administrator must click Get Access Token.",
}


@dataclass
class Gap:
    """Lets one probe pass every `PROBE_GAP` seconds; others are skipped and don't wait."""

    monotonic: Callable[[], float]
    lock: threading.Lock = field(default_factory=threading.Lock)
    free_at: float = 0.0

    def passes(self) -> bool:
        with self.lock:
            now = self.monotonic()
            if now < self.free_at:
                return False
            self.free_at = now + PROBE_GAP
            return True

    def close(self) -> None:
        """Stop probes for `PROBES_REST`: GoTo's API hangs, and refreshes would wait (F14)."""
        with self.lock:
            self.free_at = self.monotonic() + PROBES_REST


@dataclass(frozen=True, kw_only=True)
class Prober:
    connections: Connections
    usability: Usability
    goto: GoToClient
    needed_scopes: tuple[str, ...]
    clock: Callable[[], float]
    random: Callable[[], float]
    time_left: Callable[[], float]
    report: Callable[[Exception], None]
    gap: Gap

    def after_refresh(self, grant: Grant, new_tokens: NewTokens) -> None:
        """Probe a connection if that is due or a scope is missing. Never raises: the refresh itself
        has succeeded."""
        due = self.clock() >= grant.probe_at or missing(self.needed_scopes, new_tokens.scope)
        if due and self.time_left() >= TIME_TO_READ_ACCOUNT and self.gap.passes():
            begun = self.clock()
            self._quietly(grant.tenant, new_tokens, at_once=False)
            if self.clock() - begun >= LONGEST_PROBE:
                self.gap.close()

    def after_connect(self, tenant: str, new_tokens: NewTokens) -> None:
        """Probe a new connection. Never raises."""
        if self.time_left() >= TIME_TO_READ_ACCOUNT:
            self._quietly(tenant, new_tokens, at_once=True)

    def _quietly(self, tenant: str, new_tokens: NewTokens, *, at_once: bool) -> None:
        try:
            connection = self.connections.summary(tenant)
            if connection is not None:
                self.probe(connection, new_tokens.access_token, at_once=at_once)
        except Exception as error:  # noqa: BLE001 - it must not undo what was done before it
            self.report(error)

    def probe(self, connection: Connection, access_token: str, *, at_once: bool) -> Usable:
        """Probe a connection, store the result, and journal it if it is news. Returns what GoTo
        says now. ``at_once``: believe a bad result at once. Raises `DependencyUnavailable`."""
        found = self._look(connection, access_token)
        doubted = self._doubted(connection, found, at_once=at_once)
        usable = connection.usable if doubted or found is Usable.UNKNOWN else found
        now = int(self.clock())
        pause = PROBE_CONFIRMED_AFTER if doubted else self._day()
        news = usable is not connection.usable
        entry = self._entry(connection, usable) if news and self._told(connection, usable) else None
        try:
            self.usability.note(
                connection,
                usable,
                now=now,
                probe_at=now + pause,
                doubt=found if doubted else None,
                entry=entry,
            )
        except Conflict:  # another probe was first, or the connection was replaced or ended
            return found
        return found

    def _look(self, connection: Connection, access_token: str) -> Usable:
        if missing(self.needed_scopes, connection.scope):
            return Usable.SCOPE_MISSING
        accounts = self.goto.accounts(access_token)
        keys = None if accounts is None else {each.key for each in accounts}
        if connection.account_key and keys is not None and connection.account_key not in keys:
            return Usable.ACCOUNT_GONE
        return self.goto.read_calls(access_token, connection.account_key)

    def _doubted(self, connection: Connection, found: Usable, *, at_once: bool) -> bool:
        """Whether a bad result needs a second probe; not if the granted scope itself shows it."""
        if at_once or found not in USELESS or found is connection.usable:
            return False
        if found is Usable.SCOPE_MISSING and missing(self.needed_scopes, connection.scope):
            return False
        return found is not connection.usable_doubt

    def _told(self, connection: Connection, usable: Usable) -> bool:
        """A good result is news only after a bad one."""
        return usable in USELESS or connection.usable in USELESS

    def _entry(self, connection: Connection, usable: Usable) -> JournalEntry:
        text = _TEXTS.get(usable) or (
            "GoTo does not let this connection read call reports: a permission of the client is"
            f" missing. {scope_sentence(missing(self.needed_scopes, connection.scope))}"
        )
        return JournalEntry(connection.tenant, self.clock(), _KINDS[usable], PROBER, text)

    def _day(self) -> int:
        return PROBE_EVERY + int((2 * self.random() - 1) * PROBE_JITTER)


def is_living(connection: Connection, now: float) -> bool:
    """Whether a connection has a token that a probe can use."""
    alive = connection.status in (Status.CONNECTED, Status.DEGRADED)
    return alive and connection.access_token is not None and connection.expires_at > now
