"""Use case: refresh one tenant. Claim, ask, commit.

A success is committed if generation and version are still those of the request, whatever the fence:
a late answer may carry the only valid refresh token. `failure_decisions` decides what to do after
a failure; this module does it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from chalicelib.durations import (
    ANSWER_LOST_AFTER,
    LEASE_MARGIN,
    RESCUE_PATIENCE,
    TIME_FOR_ONE,
    TIME_TO_ASK,
)
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.provider_health import Provider, ProviderRow
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto import oauth
from chalicelib.goto.oauth import Answer, Failure, FailureClass, GoToClient, failure_of
from chalicelib.goto.token_response import TokenSet, judge
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import ClientCredentials, Due, EndCause, Grant, NewTokens, Phase, Revocation
from chalicelib.refresh.accounts import Accounts
from chalicelib.refresh.failure_decisions import (
    REFUSALS,
    Attempt,
    Backoff,
    ConfirmThenEnd,
    EndCredentials,
    RetryNow,
    decide,
)
from chalicelib.refresh.outcomes import Outcome, Refreshed
from chalicelib.refresh.rate_limiter import Limiter
from chalicelib.refresh.setback import Setback
from chalicelib.tokens.choices import SignIns, waits
from chalicelib.tokens.commit import SCHEDULER, CommitResult, Commits, Queued, keep
from chalicelib.tokens.probe import Prober
from chalicelib.tokens.rescue import answer_message, refresh_message
from chalicelib.tokens.rescue_queue import RescueQueue
from chalicelib.tokens.revoker import Revoker, given_up

REVOKED = {
    Revocation.DONE: "GoTo has revoked the authorization; the token is deleted.",
    Revocation.REFUSED: "The authorization could not be revoked: GoTo or we no longer know the"
    " client, or GoTo offers no revocation. The token is deleted.",
    Revocation.ENDED: "The token expired before GoTo confirmed the revocation. It is deleted.",
}
"""Journal texts for the end of a disconnected grant."""

_NOT_GOTOS = {
    FailureClass.RATE_LIMITED: Outcome.RATE_LIMITED,
    FailureClass.INTERNAL: Outcome.INTERNAL,
}
"""Outcomes of temporary failures that don't count towards GoTo being down (F12). All others count,
as transient."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The result of asking GoTo as ``client``.

    ``verdict`` is an exception if our code failed on ``answer``. ``at``: epoch seconds, before the
    first request. ``known``: if we retried, GoTo can't have acted on the first request.
    ``whose``: the tokens' account is still to be read.
    """

    verdict: TokenSet | Failure | Exception
    client: ClientCredentials | None = None
    answer: Answer | None = None
    at: int = 0
    known: bool = True
    whose: bool = False


@dataclass(frozen=True, kw_only=True)
class Refresher:
    tenants: Tenants
    connections: Connections
    commits: Commits
    sign_ins: SignIns
    prober: Prober
    rescue_queue: RescueQueue
    revoker: Revoker
    accounts: Accounts
    goto: GoToClient
    rate_limiter: Limiter
    provider: ProviderRow
    clock: Callable[[], float]
    random: Callable[[], float]
    pause: Callable[[float], None]
    time_left: Callable[[], float]
    report: Callable[[Exception], None]

    def refresh(
        self, due: Due, note: JournalEntry | None = None, *, rate_limited: bool = True
    ) -> Refreshed:
        """Claim one tenant, ask GoTo, commit. A success also journals ``note``. Only revocations
        skip the rate limit: a rep waits for them, and no service can cause one. Never raises: one
        tenant's failure must not end the tick for the others (F14)."""
        if (rate_limited and not self.rate_limiter.acquire()) or self.time_left() < TIME_FOR_ONE:
            return Refreshed(Outcome.OUT_OF_TIME)
        left = None
        try:
            if waits(due):
                revoked = self.sign_ins.expire(due)
                return Refreshed(Outcome.REVOKED if revoked else Outcome.TRANSIENT)
            now = int(self.clock())
            lease_until = now + int(self.time_left()) + LEASE_MARGIN
            grant = self.connections.claim(due, now, lease_until)
            if grant is None:
                return Refreshed(Outcome.NOT_TAKEN)
            left = _seconds_left(grant, now)
            outcome = self._work_on(grant, note)
        except DependencyUnavailable as error:
            self.report(error)
            outcome = Outcome.STORE_FAILED
        except Conflict:
            outcome = Outcome.SUPERSEDED
        except Exception as error:  # noqa: BLE001 - a row that nobody foresaw
            self.report(error)
            outcome = Outcome.UNEXPECTED
        return Refreshed(outcome, left)

    def _work_on(self, grant: Grant, note: JournalEntry | None) -> Outcome:
        match grant.phase:
            case Phase.REVOKING:
                return self._finish_revocation(grant)
            case Phase.ENDED | Phase.FORGOTTEN:
                self.connections.forget(grant)
                return Outcome.FORGOTTEN
        unknown = grant.outcome_unknown_since is not None
        if unknown and self._answer_may_come(grant, RESCUE_PATIENCE):
            waiting = Failure(FailureClass.INTERNAL, "an earlier answer may still come")
            well = self._fleet().open_since is None
            self._setback(fleet_well=well).put_off(grant, waiting, known=True)
            return Outcome.WAITING
        asked = self._ask(grant)
        if isinstance(asked.verdict, Failure):
            return self._failed(grant, asked, asked.verdict)
        return self._kept(grant, asked, asked.verdict, note)

    def _kept(
        self,
        grant: Grant,
        asked: _Asked,
        verdict: TokenSet | Exception,
        note: JournalEntry | None,
    ) -> Outcome:
        """Store GoTo's answer; if anything goes wrong, the rescue queue gets it (F29)."""
        try:
            if isinstance(verdict, TokenSet):
                return self._answered(grant, asked, verdict, note)
            self.report(verdict)
        except Exception as error:  # noqa: BLE001 - the answer may hold the only valid tokens
            self.report(error)
        return self._rescued_as_it_came(grant, asked)

    def _ask(self, grant: Grant) -> _Asked:
        """Send a refresh request as the grant's own client, and the one allowed retry."""
        at, known = int(self.clock()), True
        try:
            tenant = self.tenants.get(grant.tenant)
            whose = tenant is not None and tenant.wants_look_up(grant.account_key)
            client = self.revoker.client_in(tenant, grant.tenant, grant.client_id)
            answer, verdict = self._ask_as(client, grant)
            if isinstance(verdict, Failure):
                newer = self._newer_secret(grant, client, verdict)
                attempt = replace(
                    self._attempt(grant), may_repeat=True, newer_secret=newer is not None
                )
                again = isinstance(decide(verdict, attempt), RetryNow)
                if again and (newer or self._may_ask_again()):
                    known, client = verdict.known, newer or client
                    answer, verdict = self._ask_as(client, grant)
        except DependencyUnavailable as error:
            self.report(error)
            return _Asked(failure_of(error))
        return _Asked(verdict, client, answer, at, known, whose)

    def _ask_as(
        self, client: ClientCredentials, grant: Grant
    ) -> tuple[Answer | None, TokenSet | Failure | Exception]:
        if self.time_left() < TIME_TO_ASK:
            return None, Failure(FailureClass.INTERNAL, "no time left to ask GoTo")
        form = oauth.refresh_form(grant.refresh_token or "")
        try:
            answer = self.goto.token(client, form)
        except ProviderUnreachable as error:
            return None, failure_of(error)
        try:
            return answer, judge(answer)
        except Exception as error:  # noqa: BLE001 - it is kept as it came (F29)
            return answer, error

    def _may_ask_again(self) -> bool:
        return self.time_left() >= TIME_FOR_ONE and self.rate_limiter.acquire()

    def _newer_secret(
        self, grant: Grant, refused: ClientCredentials, failure: Failure
    ) -> ClientCredentials | None:
        """The client with its new secret, if that has changed since GoTo refused it (F11)."""
        if failure.kind is not FailureClass.CLIENT_REFUSED:
            return None
        newest = self.revoker.client_of(grant.tenant, grant.client_id)
        return newest if newest != refused else None

    def _attempt(self, grant: Grant, *, known: bool = True) -> Attempt:
        return Attempt(
            now=int(self.clock()),
            ends_at=grant.refresh_expires_at,
            refused_since=grant.refused_since,
            unknown=not known or grant.outcome_unknown_since is not None,
            restored=grant.restored,
        )

    def _failed(self, grant: Grant, asked: _Asked, failure: Failure) -> Outcome:
        """Decide on a failure and do it, unless a refused grant has changed since (F10)."""
        refused = failure.kind in REFUSALS
        if refused and not self._unchanged(grant):
            return Outcome.SUPERSEDED
        if failure.kind is FailureClass.RATE_LIMITED:
            self.rate_limiter.slow_down()
        fleet = self._fleet()
        attempt = replace(
            self._attempt(grant, known=asked.known),
            fleet_well=fleet.open_since is None,
            tokens_given_at=fleet.tokens_given_at,
        )
        if refused and attempt.unknown:
            attempt = replace(
                attempt, answer_may_come=self._answer_may_come(grant, ANSWER_LOST_AFTER)
            )
        setback, known = self._setback(fleet_well=attempt.fleet_well), asked.known and failure.known
        match decide(failure, attempt):
            case EndCredentials(cause):
                setback.end(grant, failure, cause)
                if cause is EndCause.EXPIRED:
                    return Outcome.EXPIRED
                if cause is not EndCause.CLIENT_REFUSED:
                    return Outcome.GRANT_REFUSED
                if asked.client and self._newer_secret(grant, asked.client, failure):
                    # Somebody entered it while we wrote the refusal.
                    self.connections.retry_rejected(grant.tenant, grant.client_id, attempt.now)
                return Outcome.CLIENT_REFUSED
            case ConfirmThenEnd():
                setback.confirm(grant, failure, known=known)
                return Outcome.UNCONFIRMED
            case Backoff(at_least):
                setback.put_off(grant, failure, known=known, at_least=at_least)
        return _NOT_GOTOS.get(failure.kind, Outcome.TRANSIENT)

    def _fleet(self) -> Provider:
        """The circuit. If unreadable, GoTo counts as down: no refusal is final yet (F26)."""
        try:
            return self.provider.get()
        except DependencyUnavailable as error:
            self.report(error)
            return Provider(open_since=0)

    def _setback(self, *, fleet_well: bool = True) -> Setback:
        return Setback(
            connections=self.connections,
            fleet_well=fleet_well,
            clock=self.clock,
            random=self.random,
        )

    def _unchanged(self, grant: Grant) -> bool:
        current = self.connections.grant(grant.tenant)
        return current is not None and (current.generation, current.version) == (
            grant.generation,
            grant.version,
        )

    def _answer_may_come(self, grant: Grant, patience: int) -> bool:
        """Whether this tenant's last answer may be in the rescue queue. It can't be after
        ``patience`` seconds."""
        now = int(self.clock())
        recent = now - (grant.outcome_unknown_since or now) < patience
        return recent and self._rescue_pending()

    def _rescue_pending(self) -> bool:
        try:
            return self.rescue_queue.pending() > 0
        except DependencyUnavailable:
            return True

    def _answered(
        self, grant: Grant, asked: _Asked, tokens: TokenSet, note: JournalEntry | None
    ) -> Outcome:
        """Store tokens; they may include the only valid refresh token (F03, F04)."""
        new_tokens = self.commits.dated(grant.tenant, tokens, asked.at, grant)
        readable = asked.whose and tokens.bearer
        owner = self.accounts.owner_of(tokens) if readable else None
        try:
            result = keep(
                lambda: self.commits.refresh(grant, new_tokens, note, owner),
                lambda: self.rescue_queue.send(refresh_message(grant, new_tokens, owner)),
                pause=self.pause,
                time_left=self.time_left,
                report=self.report,
            )
        except DependencyUnavailable as error:
            self.report(error)
            return Outcome.LOST
        if isinstance(result, Queued):
            return Outcome.RESCUED
        match result.value:
            case CommitResult.OTHER_ACCOUNT:
                self._tell_at_once(grant.tenant)
                return Outcome.OTHER_ACCOUNT
            case CommitResult.OVERTAKEN:
                self._revoke_new_tokens(grant, new_tokens)
                return Outcome.SUPERSEDED
        self.prober.after_refresh(grant, new_tokens)
        # We can use only bearer tokens; any other is stored only for its refresh token.
        return Outcome.REFRESHED if tokens.bearer else Outcome.TRANSIENT

    def _rescued_as_it_came(self, grant: Grant, asked: _Asked) -> Outcome:
        """Put GoTo's raw answer into the rescue queue after a fault of ours (F29)."""
        if asked.answer is None:
            return Outcome.UNEXPECTED
        try:
            self.rescue_queue.send(answer_message(grant, asked.answer, asked.at))
        except Exception as error:  # noqa: BLE001 - nothing is left to be tried
            self.report(error)
            return Outcome.LOST
        return Outcome.RESCUED

    def _tell_at_once(self, tenant: str) -> None:
        """Revoke a grant that was just ended, before the admin can connect again and overwrite its
        token. If this fails, the grant stays due."""
        current = self.connections.grant_summary(tenant)
        if current is not None and current.revoking and current.next_refresh_at is not None:
            self.refresh(Due(tenant, current.next_refresh_at), rate_limited=False)

    def _finish_revocation(self, grant: Grant) -> Outcome:
        """Revoke a grant at GoTo, retrying until GoTo confirms (S22)."""
        revocation, later = Revocation.DONE, Outcome.TRANSIENT
        if grant.refresh_token is not None:
            try:
                revocation = self.revoker.revoke(
                    grant.tenant, grant.client_id, grant.refresh_token, grant.refresh_expires_at
                )
            except DependencyUnavailable as error:
                self.report(error)
                revocation, later = Revocation.LATER, Outcome.INTERNAL
        if revocation is not Revocation.LATER:
            text = REVOKED[revocation]
            entry = JournalEntry(grant.tenant, self.clock(), Kind.REVOKED, SCHEDULER, text)
            self.connections.commit_revoked(grant, entry)
            return Outcome.REVOKED
        self._setback().revoke_later(grant)
        return later

    def _revoke_new_tokens(self, grant: Grant, new_tokens: NewTokens) -> None:
        """Revoke tokens that GoTo issued while the rep disconnected the tenant (S22). If this
        fails, the rescue queue retries until GoTo confirms."""
        if not self.commits.must_revoke(grant.tenant):
            return
        revocation = self.revoker.attempt(grant.tenant, grant.client_id, *given_up(new_tokens))
        if revocation is Revocation.LATER:
            self.rescue_queue.send(refresh_message(grant, new_tokens))


def _seconds_left(grant: Grant, now: int) -> int | None:
    if grant.phase in (Phase.REVOKING, Phase.ENDED, Phase.FORGOTTEN):
        return None
    return grant.access_expires_at - now
