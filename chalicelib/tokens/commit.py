"""Commits tokens by one rule for the refresh, the completion, and the rescue of either's tokens.

A success is committed if generation and version are still those of the request. If it brings the
successor of the stored refresh token, it is committed at any version: GoTo accepts no other token.
If the response to our own commit was lost, we recognize the commit when we read the row back (F04).
`keep` decides how long to try before the rescue queue gets the tokens (F03, F24).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Generic, TypeVar

from chalicelib.connection_state import GrantSummary
from chalicelib.durations import (
    DAY,
    KEEP_FIRST_PAUSE,
    KEEP_LONGEST_PAUSE,
    REFRESH_TOKEN_LIFETIME,
    TIME_TO_COMMIT,
    TIME_TO_END,
    WARN_DAYS,
    refresh_pause,
)
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.goto.oauth import BEARER
from chalicelib.goto.token_response import TokenSet, refresh_token_expiry
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import AuthorizationRequest, Connection, Grant, NewTokens, Reason, Status
from chalicelib.permissions import NO_CLAIM, Owner, Usable, missing
from chalicelib.tokens.account_rule import AccountRule, of_sign_in
from chalicelib.tokens.request_outcomes import connected

SCHEDULER = "the scheduler"


class CommitResult(StrEnum):
    STANDS = "stands"
    OVERTAKEN = "overtaken"
    OTHER_ACCOUNT = "other_account"


ATTEMPTS = 5
"""Conflicts in a row before a commit gives up for now. Each attempt rereads the row."""


@dataclass(frozen=True, kw_only=True)
class Commits:
    """``accounts``: this deployment reads accounts from GoTo. If not, none is ever known, and a
    link holder's sign-in may replace a connection like a first sign-in."""

    connections: Connections
    tenants: Tenants
    rule: AccountRule
    clock: Callable[[], float]
    accounts: bool
    refresh_share: float
    needed_scopes: tuple[str, ...] = ()

    def dated(
        self, tenant: str, tokens: TokenSet, asked_at: int, held: Grant | None = None
    ) -> NewTokens:
        """A token response with its dates in epoch seconds. ``asked_at`` is the moment before we
        asked GoTo, so no life is overestimated. ``held``: the grant that was refreshed. If its
        refresh token comes back unchanged, its life goes on, and can only become shorter (F27)."""
        due = asked_at + refresh_pause(tenant, tokens.expires_in, self.refresh_share)
        return _dated(tokens, asked_at, due, held)

    def refresh(
        self,
        asked: Grant,
        new_tokens: NewTokens,
        note: JournalEntry | None = None,
        owner: Owner | None = None,
    ) -> CommitResult:
        """Commit a refresh with ``note`` in the journal, unless something newer is stored.

        ``owner``: the tokens' owner, from GoTo. Its account becomes the pin if there is none; with
        another pin, the connection ends (S25). Raises `DependencyUnavailable`: the tokens may be
        written or not, or `Restore` must first repair the tables after a backup.
        """
        standing, over = asked, None
        for _ in range(ATTEMPTS):
            try:
                return self._commit(standing, new_tokens, note, owner, over)
            except Conflict:
                current = self.connections.grant(asked.tenant)
                row = self.connections.get(asked.tenant)
                if row is not None and _is_ours(new_tokens, row, current):
                    return CommitResult.STANDS
                if current is None or not _follows(new_tokens, asked, current):
                    return CommitResult.OVERTAKEN
                if row is None or row.generation != asked.generation:
                    raise DependencyUnavailable("dynamodb", "Tokens is not as Grants") from None
                # The status, the pin or the account's holder has changed; an answer without a new
                # refresh token came first; or a backup has left the two tables apart (F19).
                standing = replace(asked, version=current.version, status=current.status)
                over = row.version
        raise DependencyUnavailable("dynamodb", "conflicts")

    def _commit(
        self,
        standing: Grant,
        new_tokens: NewTokens,
        note: JournalEntry | None,
        owner: Owner | None,
        over: int | None,
    ) -> CommitResult:
        """One attempt. Raises `Conflict`, `DependencyUnavailable`."""
        tenant = self.tenants.get(standing.tenant) if owner else None
        if tenant is None or tenant.pin_lifted:
            owner = None  # the rep lifted the pin; a refresh must not set one
        pin = tenant.pinned_account if tenant else None
        claim = NO_CLAIM
        if owner and tenant:
            owner, claim, wrong = self.rule.of_refresh(owner, tenant)
            if wrong is not None:
                self.rule.claims.end_other_account(
                    standing,
                    new_tokens,
                    pin=pin,
                    over=over,
                    owner=owner,
                    entry=self._ended(standing, owner, wrong),
                )
                return CommitResult.OTHER_ACCOUNT
        warned, entries = self._told(standing, new_tokens, note, owner, pin)
        try:
            self.connections.commit_refresh(
                standing,
                new_tokens,
                warned=warned,
                entries=entries,
                over=over,
                owner=owner,
                claim=claim,
            )
        except DependencyUnavailable:
            if not entries or standing.status not in (Status.CONNECTED, Status.DEGRADED):
                raise
            # Perhaps only the journal fails. The next refresh will report the status (F30).
            self.connections.commit_refresh(
                standing, new_tokens, warned=None, entries=[], over=over, status=standing.status
            )
        return CommitResult.STANDS

    def _ended(self, grant: Grant, owner: Owner, why: str) -> JournalEntry:
        status = Status.REAUTHORIZATION_REQUIRED
        text = f"The connection was ended: {why}. An admin of the right account must connect again."
        entry = self._entry(grant.tenant, Kind(status), text, status)
        return replace(entry, tried=owner)

    def connect(
        self,
        request: AuthorizationRequest,
        new_tokens: NewTokens,
        owner: Owner,
    ) -> Reason | None:
        """Commit as the tenant's new generation, whatever refreshes happen meanwhile (F07, F23).
        Returns why not, or None. Raises `DependencyUnavailable`: it may be written or not."""
        lacking = missing(self.needed_scopes, new_tokens.scope)
        for _ in range(ATTEMPTS):
            before = self.connections.grant_summary(request.tenant)
            if before is not None and before.sequence >= request.sequence:
                return _overtaken(before, request)
            pinned_only = self.accounts and before is not None and before.stands
            tenant = self.tenants.get(request.tenant)
            served = of_sign_in(tenant, request, owner, pinned_only=pinned_only)
            if isinstance(served, Reason):
                return served
            claim = self.rule.claim(served.account, request.tenant)
            if claim is None:
                return Reason.ACCOUNT_TAKEN
            try:
                self.connections.commit_connect(
                    request,
                    before,
                    new_tokens,
                    now=int(self.clock()),
                    owner=served,
                    pinned_only=pinned_only,
                    claim=claim,
                    usable=Usable.SCOPE_MISSING if lacking else Usable.UNKNOWN,
                    entry=connected(
                        request,
                        served,
                        self.clock(),
                        again=_again(before),
                        lacking=lacking,
                        unread=self.accounts,
                    ),
                )
            except Conflict as error:
                if "tenants" in error.failed:
                    continue
                if "request" in error.failed:  # it has ended, perhaps by this very commit
                    return _overtaken(self.connections.grant_summary(request.tenant), request)
            else:
                return None
        raise DependencyUnavailable("dynamodb", "conflicts")

    def must_revoke(self, tenant: str) -> bool:
        """Whether late tokens must be revoked, because the tenant's grant is given up (S22)."""
        current = self.connections.grant_summary(tenant)
        return current is None or current.revoking

    def _told(
        self,
        grant: Grant,
        new_tokens: NewTokens,
        note: JournalEntry | None,
        owner: Owner | None,
        pin: str | None,
    ) -> tuple[int | None, list[JournalEntry]]:
        """The warning's days, if one is due, and a refresh's journal entries: its account, that it
        works again, that the grant's end is near."""
        entries = [note] if note else []
        if owner is not None and owner.account is not None:
            now = "It is the confirmed one." if pin else "From now on only this one can connect."
            text = f"The GoTo account is {owner.account}. {now}"
            entries.append(self._entry(grant.tenant, Kind.ACCOUNT_PINNED, text, None))
        if grant.status is not Status.CONNECTED:
            text = "The connection to GoTo works again."
            entries.append(self._entry(grant.tenant, Kind.RECOVERED, text, Status.CONNECTED))
        end, warned = new_tokens.refresh_expires_at, None
        if new_tokens.refresh_token is None:
            warned = warning_due(grant, new_tokens.issued_at, end)
        if warned is not None:
            text = warning_text(end or grant.refresh_expires_at)
            entries.append(self._entry(grant.tenant, Kind.RECONNECT_SOON, text, None))
        return warned, entries

    def _entry(self, tenant: str, kind: Kind, text: str, status: Status | None) -> JournalEntry:
        return JournalEntry(tenant, self.clock(), kind, SCHEDULER, text, status=status)


def _again(before: GrantSummary | None) -> bool:
    """Whether this is a reconnect: after a disconnect it may be another customer of that name."""
    return before is not None and before.status is not Status.DISCONNECTED


def _overtaken(grant: GrantSummary | None, request: AuthorizationRequest) -> Reason | None:
    """Why this request lost; None if the stored grant is this request's own commit, perhaps
    refreshed since (F04). Only that commit or a disconnect can have its sequence."""
    if grant is None or grant.sequence < request.sequence:
        return Reason.SUPERSEDED  # the request has already ended and been reported
    if grant.status is Status.DISCONNECTED:
        return Reason.ENDED
    return None if grant.sequence == request.sequence else Reason.SUPERSEDED


def _is_ours(new_tokens: NewTokens, row: Connection, current: Grant | None) -> bool:
    """Whether the stored row is this very commit, whose response was lost (F04)."""
    if not new_tokens.access_token or row.access_token != new_tokens.access_token:
        return False
    renewed = new_tokens.refresh_token
    return renewed is None or (current is not None and current.refresh_token == renewed)


def _follows(new_tokens: NewTokens, asked: Grant, current: Grant) -> bool:
    """Whether GoTo's answer is newer than the stored grant, and that is not given up."""
    if current.generation != asked.generation or current.revoking:
        return False
    renewed = new_tokens.refresh_token not in (None, asked.refresh_token)
    succeeds = renewed and asked.refresh_token == current.refresh_token
    return succeeds or current.version == asked.version


def warning_due(grant: Grant, now: int, ends_at: int | None = None) -> int | None:
    """Days of the warning that is due at ``now`` (epoch seconds), or None. Never twice, nor for a
    token that lives at most twice those days in all. ``ends_at``: the end, if it has moved."""
    end = ends_at or grant.refresh_expires_at
    left, life = end - now, end - grant.refresh_issued_at
    for days in WARN_DAYS:
        if 0 < left <= days * DAY and life > 2 * days * DAY:
            return days if grant.warned is None or grant.warned > days else None
    return None


def warning_text(ends_at: int) -> str:
    """``ends_at`` in epoch seconds."""
    end = datetime.fromtimestamp(ends_at, UTC)
    return f"An admin must connect again before {end:%-d %B %Y, %H:%M} UTC."


Result = TypeVar("Result")

ATTEMPTS_BEFORE_RESCUE = 4
"""Failed commits before the rescue queue is tried, too: 0.7 s of pauses."""


@dataclass(frozen=True, slots=True)
class Stored(Generic[Result]):
    """The commit succeeded with ``value``."""

    value: Result


@dataclass(frozen=True, slots=True)
class Queued:
    """The rescue queue has it."""


def keep(
    commit: Callable[[], Result],
    rescue: Callable[[], None],
    *,
    pause: Callable[[float], None],
    time_left: Callable[[], float],
    report: Callable[[Exception], None],
) -> Stored[Result] | Queued:
    """Store what may be the only valid refresh token, in the tables or the queue (F03, F24, F29).

    Tries ``commit`` first, then it and ``rescue`` in turn while the function has time. Tries
    ``rescue`` at once after an unexpected error, or if another commit might use up the time.
    Raises `DependencyUnavailable` if neither succeeds.
    """
    wait, foreseen = KEEP_FIRST_PAUSE, True
    for attempt in itertools.count(1):
        try:
            return Stored(commit())
        except DependencyUnavailable as error:
            failed = error
        except Exception as error:  # noqa: BLE001 - the tokens outlive any fault of ours
            report(error)
            foreseen, failed = False, DependencyUnavailable("commit", type(error).__name__)
        enough = attempt >= ATTEMPTS_BEFORE_RESCUE or not foreseen
        if enough or time_left() <= TIME_TO_END + TIME_TO_COMMIT:
            try:
                rescue()
            except DependencyUnavailable as error:
                failed = error
            else:
                return Queued()
        if time_left() <= TIME_TO_END + wait:
            break
        pause(wait)
        wait = min(2 * wait, KEEP_LONGEST_PAUSE)
    raise failed


def _dated(tokens: TokenSet, asked_at: int, due: int, held: Grant | None) -> NewTokens:
    unchanged = held is not None and tokens.refresh_token == held.refresh_token
    refresh_token = None if unchanged else tokens.refresh_token
    return NewTokens(
        access_token=tokens.access_token,
        token_type=BEARER,
        issued_at=asked_at,
        expires_at=asked_at + tokens.expires_in,
        next_refresh_at=due,
        scope=tokens.scope,
        refresh_token=refresh_token,
        refresh_expires_at=_refresh_end(tokens, refresh_token, asked_at, held),
    )


def _refresh_end(
    tokens: TokenSet, refresh_token: str | None, asked_at: int, held: Grant | None
) -> int | None:
    """The refresh token's end, if this answer sets or shortens it; None keeps the stored one."""
    end = asked_at + tokens.refresh_expires_in if tokens.refresh_expires_in else None
    if refresh_token is not None:
        return end or refresh_token_expiry(refresh_token, asked_at, REFRESH_TOKEN_LIFETIME)
    sooner = end is not None and held is not None and end < held.refresh_expires_at
    return end if sooner else None
