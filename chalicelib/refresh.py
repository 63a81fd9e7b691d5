"""Use case: refresh one tenant. Claim, ask, commit.

A success is committed on generation and version as they were asked, never on the fence: a late
answer may carry the only valid refresh token. Only GoTo's own refusal ends a grant, and only when
nothing newer has been committed since and no earlier answer can still come.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from chalicelib import oauth
from chalicelib.commits import SCHEDULER
from chalicelib.errors import ClientGone, Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import (
    RESTORED,
    Due,
    Fresh,
    Grant,
    JournalEntry,
    Revocation,
    Status,
    TokenSet,
    backoff,
)
from chalicelib.oauth import FailureClass
from chalicelib.rescue import refresh_message
from chalicelib.times import CONFIRM_PAUSE, LEASE_MARGIN, RESCUE_PATIENCE, TIME_FOR_ONE, TIME_TO_ASK
from chalicelib.tokens import fresh_tokens, keep
from chalicelib.verdicts import VERDICTS, Next, failure_of

if TYPE_CHECKING:
    from chalicelib.commits import Commits
    from chalicelib.goto import GoTo
    from chalicelib.pace import Pace
    from chalicelib.rescue_queue import RescueQueue
    from chalicelib.store.connections import Connections
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

RESPONSE_LOST = "response lost"
"""``last_error`` of a grant whose rotated refresh token never reached a table (F02)."""


class Outcome(StrEnum):
    """What became of one due tenant."""

    REFRESHED = "refreshed"
    RESCUED = "rescued"
    LOST = "lost"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    OWN_FAULT = "own_fault"
    WAITING = "waiting"
    UNCONFIRMED = "unconfirmed"
    GRANT_REFUSED = "grant_refused"
    CLIENT_REFUSED = "client_refused"
    SUPERSEDED = "superseded"
    WITHDRAWN = "withdrawn"
    NOT_TAKEN = "not_taken"
    OUT_OF_TIME = "out_of_time"
    STORE_FAILED = "store_failed"
    UNEXPECTED = "unexpected"


WITHDRAWN = {
    Revocation.DONE: "GoTo has withdrawn the permission; the token is deleted.",
    Revocation.REFUSED: "GoTo could not be asked to withdraw the permission, because it no longer"
    " knows the client, or we do not, or it offers no such request; the token is deleted.",
}
"""The journal's words for the end of a disconnected grant."""

_NOT_GOTOS = {
    FailureClass.RATE_LIMITED: Outcome.RATE_LIMITED,
    FailureClass.OWN_FAULT: Outcome.OWN_FAULT,
}
"""Outcomes of failures that pass and do not count towards GoTo as a whole being down (F12); all
others do, as transient."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A verdict, the client it was asked as, and whether GoTo may have acted unseen before it."""

    verdict: TokenSet | oauth.Failure
    client: oauth.ClientCredentials | None
    known: bool = True


class Refresher:
    def __init__(
        self,
        *,
        tenants: "Tenants",
        connections: "Connections",
        commits: "Commits",
        rescue_queue: "RescueQueue",
        vault: "Vault",
        goto: "GoTo",
        pace: "Pace",
        clock: Callable[[], float],
        random: Callable[[], float],
        pause: Callable[[float], None],
        time_left: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._commits = commits
        self._rescue_queue = rescue_queue
        self._vault = vault
        self._goto = goto
        self._pace = pace
        self._clock = clock
        self._random = random
        self._pause = pause
        self._time_left = time_left
        self._report = report
        self.lives_left: list[int] = []
        """Seconds that the access tokens of the tenants it took had left, negative for dead ones.
        Threads may append at once."""

    def refresh(self, due: Due, note: JournalEntry | None = None) -> Outcome:
        """Take one tenant through claim, ask and commit; ``note`` is journalled with a success.

        Never raises: one tenant's trouble must not end the tick for all others (F14).
        """
        if not self._pace.take() or self._time_left() < TIME_FOR_ONE:
            return Outcome.OUT_OF_TIME
        try:
            now = int(self._clock())
            lease_until = now + int(self._time_left()) + LEASE_MARGIN
            grant = self._connections.claim(due, now, lease_until)
            if grant is None:
                return Outcome.NOT_TAKEN
            if grant.status is not Status.DISCONNECTED:
                self.lives_left.append(grant.access_expires_at - now)
            return self._ask_and_commit(grant, note)
        except DependencyUnavailable as error:
            self._report(error)
            return Outcome.STORE_FAILED
        except Conflict:
            return Outcome.SUPERSEDED
        except Exception as error:  # noqa: BLE001 - a row that nobody foresaw
            self._report(error)
            return Outcome.UNEXPECTED

    def _ask_and_commit(self, grant: Grant, note: JournalEntry | None) -> Outcome:
        if grant.status is Status.DISCONNECTED:
            return self._withdraw(grant)
        if self._answer_may_come(grant):
            self._put_off(grant, "an earlier answer may still come")
            return Outcome.WAITING
        asked_at = int(self._clock())
        asked = self._ask(grant)
        verdict = asked.verdict
        if isinstance(verdict, TokenSet):
            return self._succeeded(grant, verdict, asked_at, note)
        if verdict.kind is FailureClass.GRANT_REFUSED:
            return self._grant_refused(grant, verdict.detail, known=asked.known)
        if verdict.kind is FailureClass.CLIENT_REFUSED:
            return self._client_refused(grant, verdict.detail, asked.client)
        if verdict.kind is FailureClass.RATE_LIMITED:
            self._pace.halve()
        self._put_off(grant, verdict.detail, known=asked.known and VERDICTS[verdict.kind].known)
        return _NOT_GOTOS.get(verdict.kind, Outcome.TRANSIENT)

    def _ask(self, grant: Grant) -> _Asked:
        """One refresh request with the client that the grant is bound to.

        One without an answer is sent a second time, the declared retry (F09). A client that GoTo
        refuses is read again, and used if it has changed since (F11).
        """
        try:
            client = self._client_of(grant)
            verdict = self._ask_as(client, grant)
            if not isinstance(verdict, oauth.Failure):
                return _Asked(verdict, client)
            match VERDICTS[verdict.kind].next:
                case Next.AT_ONCE if self._may_ask_again():
                    return _Asked(self._ask_as(client, grant), client, known=False)
                case Next.NEVER if (again := self._client_of(grant)) != client:
                    return _Asked(self._ask_as(again, grant), again)
        except DependencyUnavailable as error:
            self._report(error)
            return _Asked(failure_of(error), None)
        return _Asked(verdict, client)

    def _ask_as(self, client: oauth.ClientCredentials, grant: Grant) -> TokenSet | oauth.Failure:
        if self._time_left() < TIME_TO_ASK:
            return oauth.Failure(FailureClass.OWN_FAULT, "no time left to ask GoTo")
        form = oauth.refresh_form(grant.refresh_token or "")
        try:
            return oauth.judge(self._goto.token(client, form))
        except ProviderUnreachable as error:
            return failure_of(error)

    def _may_ask_again(self) -> bool:
        return self._time_left() >= TIME_FOR_ONE and self._pace.take()

    def _client_of(self, grant: Grant) -> oauth.ClientCredentials:
        """The newest secret of the grant's own client: the tenant may have another by now."""
        tenant = self._tenants.get(grant.tenant)
        if tenant is not None and tenant.client_id == grant.client_id and tenant.secret_version:
            return self._vault.credentials(grant.tenant, tenant.secret_version)
        return self._vault.newest_of(grant.tenant, grant.client_id)

    def _succeeded(
        self, grant: Grant, tokens: TokenSet, asked_at: int, note: JournalEntry | None
    ) -> Outcome:
        """Store what GoTo gave; it may be the only valid refresh token (F03, F04)."""
        fresh = fresh_tokens(grant.tenant, tokens, asked_at)
        try:
            committed, stands = keep(
                lambda: self._commits.refresh(grant, fresh, note),
                lambda: self._rescue_queue.send(refresh_message(grant, fresh)),
                pause=self._pause,
                time_left=self._time_left,
            )
        except DependencyUnavailable as error:
            self._report(error)
            return Outcome.LOST
        if not committed:
            return Outcome.RESCUED
        if not stands:
            self._give_back(grant, fresh)
        return Outcome.REFRESHED if stands else Outcome.SUPERSEDED

    def _withdraw(self, grant: Grant) -> Outcome:
        """Tell GoTo that a disconnected grant is given up, until it has heard (S22)."""
        told, later = Revocation.DONE, Outcome.TRANSIENT
        if grant.refresh_token is not None:
            try:
                told = self._revoked(grant, grant.refresh_token)
            except DependencyUnavailable as error:
                self._report(error)
                told, later = Revocation.LATER, Outcome.OWN_FAULT
        if told is not Revocation.LATER:
            entry = self._entry(grant, "withdrawn", WITHDRAWN[told], None)
            self._connections.commit_withdrawn(grant, entry)
            return Outcome.WITHDRAWN
        failures = grant.failures + 1
        self._connections.commit_failure(
            grant,
            grant.status,
            failures=failures,
            detail="not yet withdrawn",
            next_refresh_at=int(self._clock()) + backoff(failures, 0, self._random()),
            outcome_known=True,
            entry=None,
        )
        return later

    def _give_back(self, grant: Grant, fresh: Fresh) -> None:
        """What GoTo gave while the rep disconnected the tenant must not live on there (S22).

        Where GoTo has not heard, the rescue queue has it told until it has.
        """
        if not self._commits.given_up(grant.tenant):
            return
        given = fresh.refresh_token or fresh.access_token
        try:
            told = self._revoked(grant, given)
        except DependencyUnavailable as error:
            self._report(error)
            told = Revocation.LATER
        if told is Revocation.LATER:
            self._rescue_queue.send(refresh_message(grant, fresh))

    def _revoked(self, grant: Grant, token: str) -> Revocation:
        """Raises `DependencyUnavailable`, also while the client's secret is away, but not for ever:
        with its tenant a client goes, and with it whoever GoTo would listen to."""
        try:
            client = self._client_of(grant)
        except ClientGone:
            ended = grant.refresh_expires_at <= self._clock()
            if ended or self._tenants.without_client(grant.tenant):
                return Revocation.REFUSED
            raise
        return self._goto.revoke(client, token)

    def _grant_refused(self, grant: Grant, detail: str, *, known: bool) -> Outcome:
        """GoTo will not accept the refresh token, unless another has replaced it (F10).

        After an unknown outcome a second refusal must confirm it, when no answer of an earlier
        request can come any more: then that answer was lost, and the new token with it (F02).
        """
        current = self._connections.grant(grant.tenant)
        if current is None or (current.generation, current.version) != (
            grant.generation,
            grant.version,
        ):
            return Outcome.SUPERSEDED
        unknown = not known or grant.outcome_unknown_since is not None
        if unknown and not self._confirmed(grant):
            now = int(self._clock())
            since = grant.refused_since or now
            why = RESTORED if grant.last_error == RESTORED else detail
            self._put_off(grant, why, known=known, pause=CONFIRM_PAUSE, refused_since=since)
            return Outcome.UNCONFIRMED
        text = "GoTo no longer accepts this connection."
        if unknown and grant.last_error == RESTORED:
            detail, text = RESTORED, "A backup was restored, and the token in it is an old one."
        elif unknown:
            detail = RESPONSE_LOST
            text = "GoTo's answer to an earlier refresh was lost, and the old token with it."
        text += " An admin must connect again."
        self._end(grant, Status.REAUTHORIZATION_REQUIRED, detail, text)
        return Outcome.GRANT_REFUSED

    def _confirmed(self, grant: Grant) -> bool:
        since = grant.refused_since
        long_ago = since is not None and int(self._clock()) - since >= CONFIRM_PAUSE
        return long_ago and not self._rescue_pending()

    def _answer_may_come(self, grant: Grant) -> bool:
        """Whether the rescue queue may hold the answer to this tenant's last request."""
        since = grant.outcome_unknown_since
        recent = since is not None and int(self._clock()) - since < RESCUE_PATIENCE
        return recent and self._rescue_pending()

    def _rescue_pending(self) -> bool:
        try:
            return self._rescue_queue.pending() > 0
        except DependencyUnavailable:
            return True

    def _client_refused(
        self, grant: Grant, detail: str, refused: oauth.ClientCredentials | None
    ) -> Outcome:
        """GoTo knows the client no more: the rep must act; the refresh token is kept (F11)."""
        text = (
            "GoTo refused the client id or secret. Your hireanalytiX representative must enter them"
            " anew."
        )
        self._end(grant, Status.CREDENTIALS_REJECTED, detail, text)
        if self._client_of(grant) != refused:  # entered anew while this was being written
            self._connections.retry_rejected(grant.tenant, grant.client_id, int(self._clock()))
        return Outcome.CLIENT_REFUSED

    def _put_off(
        self,
        grant: Grant,
        detail: str,
        *,
        known: bool = True,
        pause: int | None = None,
        refused_since: int | None = None,
    ) -> None:
        """Nobody needs to act: try again later. Connected as long as the token lives (F08)."""
        now = int(self._clock())
        alive_for = grant.access_expires_at - now
        failures = grant.failures + 1
        status = grant.status if alive_for > 0 else Status.DEGRADED
        entry = None
        if status is not grant.status:
            text = "No new token could be had from GoTo before the old one ran out. Trying on."
            entry = self._entry(grant, "degraded", text, status)
        self._connections.commit_failure(
            grant,
            status,
            failures=failures,
            detail=detail,
            next_refresh_at=now + (pause or backoff(failures, alive_for, self._random())),
            outcome_known=known,
            refused_since=refused_since,
            entry=entry,
        )

    def _end(self, grant: Grant, status: Status, detail: str, text: str) -> None:
        self._connections.commit_failure(
            grant,
            status,
            failures=grant.failures + 1,
            detail=detail,
            next_refresh_at=None,
            outcome_known=True,
            entry=self._entry(grant, str(status), text, status),
        )

    def _entry(self, grant: Grant, kind: str, text: str, status: Status | None) -> JournalEntry:
        return JournalEntry(grant.tenant, self._clock(), kind, SCHEDULER, text, status=status)
