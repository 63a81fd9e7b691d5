"""Use case: finish an authorization request. Code to tokens, account check, commit.

Runs asynchronously and may be invoked twice: the code is taken out of its row before GoTo is
asked, so it is never sent twice (F21). A request that fails changes no connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.durations import TIME_TO_ASK
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto import oauth
from chalicelib.goto.oauth import REASONS, Answer, Failure, GoToClient, failure_of
from chalicelib.goto.token_response import judge
from chalicelib.models import (
    AuthorizationRequest,
    ClientCredentials,
    NewTokens,
    Reason,
    Revocation,
)
from chalicelib.permissions import GoToAccount, Owner
from chalicelib.tokens.choices import SignIns
from chalicelib.tokens.commit import Queued, keep
from chalicelib.tokens.probe import Prober
from chalicelib.tokens.request_outcomes import ENDS, ending
from chalicelib.tokens.rescue import connect_message, exchange_message
from chalicelib.tokens.rescue_queue import RescueQueue
from chalicelib.tokens.revoker import Revoker, given_up


@dataclass(frozen=True, slots=True)
class CompletionReport:
    """How a request ended that was there to finish: why not in a connection, and after how many
    seconds from the admin's return it was committed. None: it was not, or waits to be rescued.

    ``tried``: whose tokens GoTo gave. ``lost``: they went into no table and no queue.
    ``unwritten``: what kept the end from being written, for the caller to raise.
    """

    reason: Reason | None
    seconds: float | None = None
    tried: Owner | None = None
    lost: bool = False
    unwritten: DependencyUnavailable | None = None


class _Given(NamedTuple):
    """What GoTo gave for the code, and whose it is."""

    new_tokens: NewTokens
    owner: Owner


@dataclass(frozen=True, kw_only=True)
class Completion:
    requests: AuthorizationRequests
    sign_ins: SignIns
    prober: Prober
    rescue_queue: RescueQueue
    secret_store: SecretStore
    goto: GoToClient
    revoker: Revoker
    clock: Callable[[], float]
    pause: Callable[[float], None]
    time_left: Callable[[], float]
    report: Callable[[Exception], None]

    def run(self, key: str) -> CompletionReport | None:
        """Finish the request under ``key`` (the digest of its state); None when there was nothing
        to do.

        Where not even a failure could be written, the page says after a minute to press again
        (F21). Raises `DependencyUnavailable` when nothing was begun.
        """
        chosen = None
        request = self.requests.claim(key)
        if request is None:
            chosen = self.sign_ins.taken_up(key)
            if chosen is None:
                return None
            request = chosen[0]
        try:
            done = self._commit_choice(*chosen) if chosen else self._connect(request)
        except Exception as error:  # noqa: BLE001 - the admin is waiting for an end of any kind
            self.report(error)
            done = CompletionReport(Reason.INTERNAL)
        if done.reason in (None, Reason.ACCOUNT_TO_CHOOSE):
            return done
        try:
            self._end(request, done.reason, done.tried)
        except DependencyUnavailable as error:
            return replace(done, unwritten=error)
        return done

    def _commit_choice(
        self, request: AuthorizationRequest, new_tokens: NewTokens, owner: Owner
    ) -> CompletionReport:
        """The admin has said which account is meant; its tokens have waited for that (S26)."""
        given = _Given(new_tokens, owner)
        done = self._keep(request, given)
        if _must_be_revoked(done):
            self._revoke_new_tokens(None, request, given)
        return done

    def _connect(self, request: AuthorizationRequest) -> CompletionReport:
        client = self.secret_store.credentials(request.tenant, request.secret_version)
        form = oauth.exchange_form(
            code=request.code or "",
            redirect_uri=request.redirect_uri,
            client_id=request.client_id,
            verifier=request.verifier,
        )
        asked_at = int(self.clock())
        answer = self._ask(client, form)
        if isinstance(answer, Failure):
            return CompletionReport(REASONS[answer.kind])
        try:
            return self._answered(request, client, answer, asked_at)
        except DependencyUnavailable:
            raise
        except Exception:  # whatever it was: nothing of it may live on at GoTo unseen (F29)
            self.rescue_queue.send(exchange_message(request, answer, asked_at))
            raise

    def _answered(
        self, request: AuthorizationRequest, client: ClientCredentials, answer: Answer, at: int
    ) -> CompletionReport:
        verdict = judge(answer)
        if isinstance(verdict, Failure):
            return CompletionReport(REASONS[verdict.kind])
        new_tokens = self.sign_ins.commits.dated(request.tenant, verdict, at)
        if not verdict.bearer:  # nothing is lost: the connection that stands keeps its grant
            self._revoke_new_tokens(client, request, _Given(new_tokens, Owner()))
            return CompletionReport(Reason.PROVIDER_ERROR)
        if verdict.refresh_token is None:
            self.revoker.revoke_as(client, *given_up(new_tokens))
            return CompletionReport(Reason.NO_REFRESH_TOKEN)
        owner = Owner.of(self._accounts(verdict.access_token), verdict.principal)
        given = _Given(new_tokens, owner)
        done = self._keep(request, given)
        if _must_be_revoked(done):
            self._revoke_new_tokens(client, request, given)
        return done

    def _accounts(self, access_token: str) -> tuple[GoToAccount, ...]:
        """Whose the tokens are; none where it can't be read, for whatever reason (F29)."""
        try:
            return self.goto.accounts(access_token) or ()
        except Exception as error:  # noqa: BLE001 - the tokens in hand may be the only valid ones
            self.report(error)
            return ()

    def _ask(self, client: ClientCredentials, form: dict[str, str]) -> Answer | Failure:
        """Once: a code is never sent again (F22)."""
        if self.time_left() < TIME_TO_ASK:
            late = DependencyUnavailable("complete", "no time left to ask GoTo")
            self.report(late)
            return failure_of(late)
        try:
            return self.goto.token(client, form)
        except ProviderUnreachable as error:
            return failure_of(error)

    def _keep(self, request: AuthorizationRequest, given: _Given) -> CompletionReport:
        """Make it the tenant's connection, now or from the rescue queue (F24): while that has it,
        the request goes on without a reason, and the page waits."""
        try:
            kept = keep(
                lambda: self.sign_ins.settle(request, *given),
                lambda: self.rescue_queue.send(connect_message(request, *given)),
                pause=self.pause,
                time_left=self.time_left,
                report=self.report,
            )
        except DependencyUnavailable as error:
            self.report(error)
            return CompletionReport(Reason.INTERNAL, tried=given.owner, lost=True)
        if isinstance(kept, Queued):
            return CompletionReport(None)
        if kept.value is not None:
            return CompletionReport(kept.value, tried=given.owner)
        seconds = self.clock() - (request.returned_at or request.started_at)
        self.prober.after_connect(request.tenant, given.new_tokens)
        return CompletionReport(None, seconds)

    def _revoke_new_tokens(
        self, client: ClientCredentials | None, request: AuthorizationRequest, given: _Given
    ) -> None:
        """What may not be the connection must not live on at GoTo: if GoTo has not confirmed it,
        the rescue queue goes on asking (S22). ``client``: if it is at hand."""
        token = given_up(given.new_tokens)
        if client is not None:
            told = self.revoker.revoke_as(client, *token)
        else:
            told = self.revoker.attempt(request.tenant, request.client_id, *token)
        if told is not Revocation.LATER:
            return
        try:
            self.rescue_queue.send(connect_message(request, *given))
        except DependencyUnavailable as error:
            self.report(error)

    def _end(self, request: AuthorizationRequest, reason: Reason, tried: Owner | None) -> None:
        entry = ending(request, reason, self.clock(), tried)
        try:
            self.requests.fail(request.key, int(self.clock()), ENDS[reason].status, reason, entry)
        except Conflict:  # it has ended in the meantime, and said so then
            return


def _must_be_revoked(done: CompletionReport) -> bool:
    """Not where the commit's outcome stayed unknown: it may be the live connection."""
    return not done.lost and done.reason not in (None, Reason.ACCOUNT_TO_CHOOSE)
