"""Use case: finish an authorization request. Code to tokens, account check, commit.

Runs asynchronously and may be invoked twice: the code is taken out of its row before GoTo is
asked, so it is never sent twice (F21). A request that fails changes no connection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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
class Finished:
    """How a request ended that was there to finish: why not in a connection, and after how many
    seconds from the admin's return it was committed. None: it was not, or waits to be rescued.
    ``lost``: what GoTo gave went into no table and no queue."""

    reason: Reason | None
    seconds: float | None
    lost: bool = False


class _Given(NamedTuple):
    """What GoTo gave for the code, and whose it is."""

    new_tokens: NewTokens
    owner: Owner


class Completion:
    """``finished`` is None until `run` has had something to do."""

    def __init__(
        self,
        *,
        requests: AuthorizationRequests,
        sign_ins: SignIns,
        prober: Prober,
        rescue_queue: RescueQueue,
        secret_store: SecretStore,
        goto: GoToClient,
        revoker: Revoker,
        clock: Callable[[], float],
        pause: Callable[[float], None],
        time_left: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._requests = requests
        self._sign_ins = sign_ins
        self._prober = prober
        self._rescue_queue = rescue_queue
        self._secret_store = secret_store
        self._goto = goto
        self._revoker = revoker
        self._clock = clock
        self._pause = pause
        self._time_left = time_left
        self._report = report
        self.finished: Finished | None = None
        self._committed_after: float | None = None
        self._lost = False
        self._tried: Owner | None = None

    def run(self, key: str) -> Reason | None:
        """Finish the request under ``key`` (the digest of its state).

        Returns why it did not end in a connection; None when it did, or when there was nothing
        to do. Raises `DependencyUnavailable` when not even the failure could be written: the page
        then says after a minute to press again (F21).
        """
        chosen = None
        request = self._requests.claim(key)
        if request is None:
            chosen = self._sign_ins.taken_up(key)
            if chosen is None:
                return None
            request = chosen[0]
        try:
            reason = self._commit_choice(*chosen) if chosen else self._connect(request)
        except Exception as error:  # noqa: BLE001 - the admin is waiting for an end of any kind
            self._report(error)
            reason = Reason.INTERNAL
        self.finished = Finished(reason, self._committed_after, self._lost)
        if reason not in (None, Reason.ACCOUNT_TO_CHOOSE):
            self._end(request, reason)
        return reason

    def _commit_choice(
        self, request: AuthorizationRequest, new_tokens: NewTokens, owner: Owner
    ) -> Reason | None:
        """The admin has said which account is meant; its tokens have waited for that (S26)."""
        self._tried = owner
        given = _Given(new_tokens, owner)
        refused = self._keep(request, given)
        if refused is not None:
            client = self._secret_store.credentials(request.tenant, request.secret_version)
            self._revoke_new_tokens(client, request, given)
        return refused

    def _connect(self, request: AuthorizationRequest) -> Reason | None:
        client = self._secret_store.credentials(request.tenant, request.secret_version)
        form = oauth.exchange_form(
            code=request.code or "",
            redirect_uri=request.redirect_uri,
            client_id=request.client_id,
            verifier=request.verifier,
        )
        asked_at = int(self._clock())
        answer = self._ask(client, form)
        if isinstance(answer, Failure):
            return REASONS[answer.kind]
        try:
            return self._answered(request, client, answer, asked_at)
        except DependencyUnavailable:
            raise
        except Exception:  # whatever it was: nothing of it may live on at GoTo unseen (F29)
            self._rescue_queue.send(exchange_message(request, answer, asked_at))
            raise

    def _answered(
        self, request: AuthorizationRequest, client: ClientCredentials, answer: Answer, at: int
    ) -> Reason | None:
        verdict = judge(answer)
        if isinstance(verdict, Failure):
            return REASONS[verdict.kind]
        new_tokens = self._sign_ins.commits.dated(request.tenant, verdict, at)
        if not verdict.bearer:  # nothing is lost: the connection that stands keeps its grant
            self._revoke_new_tokens(client, request, _Given(new_tokens, Owner()))
            return Reason.PROVIDER_ERROR
        if verdict.refresh_token is None:
            self._revoker.revoke_as(client, *given_up(new_tokens))
            return Reason.NO_REFRESH_TOKEN
        owner = Owner.of(self._accounts(verdict.access_token), verdict.principal)
        self._tried = owner
        given = _Given(new_tokens, owner)
        # Not revoked where the commit's outcome stayed unknown: it may be the live connection.
        refused = self._keep(request, given)
        if refused not in (None, Reason.ACCOUNT_TO_CHOOSE):
            self._revoke_new_tokens(client, request, given)
        return refused

    def _accounts(self, access_token: str) -> tuple[GoToAccount, ...]:
        """Whose the tokens are; none where it can't be read, for whatever reason (F29)."""
        try:
            return self._goto.accounts(access_token) or ()
        except Exception as error:  # noqa: BLE001 - the tokens in hand may be the only valid ones
            self._report(error)
            return ()

    def _ask(self, client: ClientCredentials, form: dict[str, str]) -> Answer | Failure:
        """Once: a code is never sent again (F22)."""
        if self._time_left() < TIME_TO_ASK:
            late = DependencyUnavailable("complete", "no time left to ask GoTo")
            self._report(late)
            return failure_of(late)
        try:
            return self._goto.token(client, form)
        except ProviderUnreachable as error:
            return failure_of(error)

    def _keep(self, request: AuthorizationRequest, given: _Given) -> Reason | None:
        """Make it the tenant's connection, now or from the rescue queue (F24).

        None as well while the queue has it: the request goes on, and the page waits.
        """
        try:
            kept = keep(
                lambda: self._sign_ins.settle(request, *given),
                lambda: self._rescue_queue.send(connect_message(request, *given)),
                pause=self._pause,
                time_left=self._time_left,
                report=self._report,
            )
        except DependencyUnavailable:
            self._lost = True
            raise
        if isinstance(kept, Queued):
            return None
        if kept.value is None:
            returned_at = request.returned_at or request.started_at
            self._committed_after = self._clock() - returned_at
            self._prober.after_connect(request.tenant, given.new_tokens)
        return kept.value

    def _revoke_new_tokens(
        self, client: ClientCredentials, request: AuthorizationRequest, given: _Given
    ) -> None:
        """What may not be the connection must not live on at GoTo: where GoTo has not heard, the
        rescue queue has it told until it has (S22)."""
        told = self._revoker.revoke_as(client, *given_up(given.new_tokens))
        if told is not Revocation.LATER:
            return
        try:
            self._rescue_queue.send(connect_message(request, *given))
        except DependencyUnavailable as error:
            self._report(error)

    def _end(self, request: AuthorizationRequest, reason: Reason) -> None:
        entry = ending(request, reason, self._clock(), self._tried)
        try:
            self._requests.fail(request.key, int(self._clock()), ENDS[reason].status, reason, entry)
        except Conflict:  # it has ended in the meantime, and said so then
            return
