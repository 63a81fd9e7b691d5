"""Use case: finish an authorization request: exchange the code, check the account, commit.

Runs asynchronously and may be invoked twice. It removes the code from its row before it asks GoTo,
so no code is sent twice (F21). A request that fails changes no connection.
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
    """How a request ended. ``reason``: why there is no connection. ``seconds``: from the admin's
    return to the commit, if any. Both are None while the rescue queue has the tokens.

    ``tried``: whose tokens GoTo gave. ``lost``: they went into no table and no queue.
    ``unwritten``: the error that kept the end from being written, for the caller to raise.
    """

    reason: Reason | None
    seconds: float | None = None
    tried: Owner | None = None
    lost: bool = False
    unwritten: DependencyUnavailable | None = None


class _Given(NamedTuple):
    """The tokens GoTo gave for the code, and their owner."""

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
        """Finish the request under ``key`` (the digest of its state); None if there is none.

        If not even a failure can be written, the page asks after a minute to press again (F21).
        Raises `DependencyUnavailable` when nothing was begun.
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
        """Commit the tokens that waited until the admin chose an account (S26)."""
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
        except Exception:  # no tokens may live on at GoTo unseen: the queue revokes them (F29)
            self.rescue_queue.send(exchange_message(request, answer, asked_at))
            raise

    def _answered(
        self, request: AuthorizationRequest, client: ClientCredentials, answer: Answer, at: int
    ) -> CompletionReport:
        verdict = judge(answer)
        if isinstance(verdict, Failure):
            return CompletionReport(REASONS[verdict.kind])
        new_tokens = self.sign_ins.commits.dated(request.tenant, verdict, at)
        if not verdict.bearer:  # nothing is lost: an existing connection keeps its grant
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
        """The signed-in person's accounts; empty if they can't be read for any reason (F29)."""
        try:
            return self.goto.accounts(access_token) or ()
        except Exception as error:  # noqa: BLE001 - the tokens in hand may be the only valid ones
            self.report(error)
            return ()

    def _ask(self, client: ClientCredentials, form: dict[str, str]) -> Answer | Failure:
        """Ask once: a code is never sent again (F22)."""
        if self.time_left() < TIME_TO_ASK:
            late = DependencyUnavailable("complete", "no time left to ask GoTo")
            self.report(late)
            return failure_of(late)
        try:
            return self.goto.token(client, form)
        except ProviderUnreachable as error:
            return failure_of(error)

    def _keep(self, request: AuthorizationRequest, given: _Given) -> CompletionReport:
        """Commit the tenant's connection, now or from the rescue queue (F24). While it is queued,
        the report has no reason and the page waits."""
        try:
            result = keep(
                lambda: self.sign_ins.settle(request, *given),
                lambda: self.rescue_queue.send(connect_message(request, *given)),
                pause=self.pause,
                time_left=self.time_left,
                report=self.report,
            )
        except DependencyUnavailable as error:
            self.report(error)
            return CompletionReport(Reason.INTERNAL, tried=given.owner, lost=True)
        if isinstance(result, Queued):
            return CompletionReport(None)
        if result.value is not None:
            return CompletionReport(result.value, tried=given.owner)
        seconds = self.clock() - (request.returned_at or request.started_at)
        self.prober.after_connect(request.tenant, given.new_tokens)
        return CompletionReport(None, seconds)

    def _revoke_new_tokens(
        self, client: ClientCredentials | None, request: AuthorizationRequest, given: _Given
    ) -> None:
        """Revoke tokens that may not be the connection. If that fails, the rescue queue retries
        until GoTo confirms (S22). ``client``: None if the revoker must look it up."""
        token = given_up(given.new_tokens)
        if client is not None:
            revocation = self.revoker.revoke_as(client, *token)
        else:
            revocation = self.revoker.attempt(request.tenant, request.client_id, *token)
        if revocation is not Revocation.LATER:
            return
        try:
            self.rescue_queue.send(connect_message(request, *given))
        except DependencyUnavailable as error:
            self.report(error)

    def _end(self, request: AuthorizationRequest, reason: Reason, tried: Owner | None) -> None:
        entry = ending(request, reason, self.clock(), tried)
        try:
            self.requests.fail(request.key, int(self.clock()), ENDS[reason].status, reason, entry)
        except Conflict:  # it has already ended, with its own journal entry
            return


def _must_be_revoked(done: CompletionReport) -> bool:
    """False if the commit's outcome is unknown: the tokens may be the live connection."""
    return not done.lost and done.reason not in (None, Reason.ACCOUNT_TO_CHOOSE)
