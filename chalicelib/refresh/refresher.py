"""Use case: refresh one tenant. Claim, ask, commit.

A success is committed on generation and version as they were asked, never on the fence: a late
answer may carry the only valid refresh token. `failure_decisions` says what follows from a failure;
here it is carried out.
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
    Revocation.REFUSED: "GoTo could not be asked to revoke the authorization, because it no longer"
    " knows the client, or we do not, or it offers no such request; the token is deleted.",
    Revocation.ENDED: "GoTo did not confirm the revocation before the token ended by itself; it is"
    " deleted.",
}
"""The journal's words for the end of a disconnected grant."""

_NOT_GOTOS = {
    FailureClass.RATE_LIMITED: Outcome.RATE_LIMITED,
    FailureClass.INTERNAL: Outcome.INTERNAL,
}
"""Outcomes of failures that pass and do not count towards GoTo as a whole being down (F12); all
others do, as transient."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What came of asking: the verdict, and the client it was asked as.

    ``verdict`` is an exception where an answer could not be judged: our own fault. ``answer`` came
    to a question of the moment ``at``. ``known``: GoTo can't have acted unseen before it.
    ``whose``: the account is yet to be read.
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
        """Take one tenant through claim, ask and commit; ``note`` is journalled with a success.

        Only a revocation is not ``rate_limited``: a rep waits for it, and no service can bring one
        about. Never raises: one tenant's trouble must not end the tick for all others (F14).
        """
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
        """Store what GoTo gave. Whatever goes wrong, the rescue queue has the answer (F29)."""
        try:
            if isinstance(verdict, TokenSet):
                return self._answered(grant, asked, verdict, note)
            self.report(verdict)
        except Exception as error:  # noqa: BLE001 - the answer may hold the only valid tokens
            self.report(error)
        return self._rescued_as_it_came(grant, asked)

    def _ask(self, grant: Grant) -> _Asked:
        """One refresh request with the grant's own client, and the one declared retry."""
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
        """The client's secret where it has changed since GoTo refused it (F11)."""
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
        """Carry out what is decided on a failure, unless the grant is another by now (F10)."""
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
                    # Entered while this was being written.
                    self.connections.retry_rejected(grant.tenant, grant.client_id, attempt.now)
                return Outcome.CLIENT_REFUSED
            case ConfirmThenEnd():
                setback.confirm(grant, failure, known=known)
                return Outcome.UNCONFIRMED
            case Backoff(at_least):
                setback.put_off(grant, failure, known=known, at_least=at_least)
        return _NOT_GOTOS.get(failure.kind, Outcome.TRANSIENT)

    def _fleet(self) -> Provider:
        """GoTo as the whole fleet finds it; while nobody can tell, nobody is ended (F26)."""
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
        """Whether the rescue queue may hold the answer to this tenant's last request, for
        ``patience`` seconds after it."""
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
        """Store what GoTo gave; it may be the only valid refresh token (F03, F04)."""
        new_tokens = self.commits.dated(grant.tenant, tokens, asked.at, grant)
        readable = asked.whose and tokens.bearer
        owner = self.accounts.owner_of(tokens) if readable else None
        try:
            kept = keep(
                lambda: self.commits.refresh(grant, new_tokens, note, owner),
                lambda: self.rescue_queue.send(refresh_message(grant, new_tokens, owner)),
                pause=self.pause,
                time_left=self.time_left,
                report=self.report,
            )
        except DependencyUnavailable as error:
            self.report(error)
            return Outcome.LOST
        if isinstance(kept, Queued):
            return Outcome.RESCUED
        match kept.value:
            case CommitResult.OTHER_ACCOUNT:
                self._tell_at_once(grant.tenant)
                return Outcome.OTHER_ACCOUNT
            case CommitResult.OVERTAKEN:
                self._revoke_new_tokens(grant, new_tokens)
                return Outcome.SUPERSEDED
        self.prober.after_refresh(grant, new_tokens)
        # An access token that nobody can use is stored for its refresh token alone.
        return Outcome.REFRESHED if tokens.bearer else Outcome.TRANSIENT

    def _rescued_as_it_came(self, grant: Grant, asked: _Asked) -> Outcome:
        """Whatever went wrong on our side: the rescue queue has the answer itself (F29)."""
        if asked.answer is None:
            return Outcome.UNEXPECTED
        try:
            self.rescue_queue.send(answer_message(grant, asked.answer, asked.at))
        except Exception as error:  # noqa: BLE001 - nothing is left to be tried
            self.report(error)
            return Outcome.LOST
        return Outcome.RESCUED

    def _tell_at_once(self, tenant: str) -> None:
        """Revoke what has just been given up: its admin may connect within the next minute, and
        then nobody has its token any more. What fails here is still due."""
        current = self.connections.grant_summary(tenant)
        if current is not None and current.revoking and current.next_refresh_at is not None:
            self.refresh(Due(tenant, current.next_refresh_at), rate_limited=False)

    def _finish_revocation(self, grant: Grant) -> Outcome:
        """Tell GoTo that a grant is given up, until it has heard (S22)."""
        told, later = Revocation.DONE, Outcome.TRANSIENT
        if grant.refresh_token is not None:
            try:
                told = self.revoker.revoke(
                    grant.tenant, grant.client_id, grant.refresh_token, grant.refresh_expires_at
                )
            except DependencyUnavailable as error:
                self.report(error)
                told, later = Revocation.LATER, Outcome.INTERNAL
        if told is not Revocation.LATER:
            text = REVOKED[told]
            entry = JournalEntry(grant.tenant, self.clock(), Kind.REVOKED, SCHEDULER, text)
            self.connections.commit_revoked(grant, entry)
            return Outcome.REVOKED
        self._setback().revoke_later(grant)
        return later

    def _revoke_new_tokens(self, grant: Grant, new_tokens: NewTokens) -> None:
        """What GoTo gave while the rep disconnected the tenant must not live on there (S22).

        Where GoTo has not heard, the rescue queue has it told until it has.
        """
        if not self.commits.must_revoke(grant.tenant):
            return
        told = self.revoker.attempt(grant.tenant, grant.client_id, *given_up(new_tokens))
        if told is Revocation.LATER:
            self.rescue_queue.send(refresh_message(grant, new_tokens))


def _seconds_left(grant: Grant, now: int) -> int | None:
    if grant.phase in (Phase.REVOKING, Phase.ENDED, Phase.FORGOTTEN):
        return None
    return grant.access_expires_at - now
