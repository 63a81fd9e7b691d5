"""Use case: finish an authorization request. Code to tokens, account check, commit.

Runs asynchronously and may be invoked twice: the code is taken out of its row before GoTo is
asked, so it is never sent twice (F21). A request that fails changes no connection.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from chalicelib import oauth
from chalicelib.endings import ending, outcome
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import AuthorizationRequest, Fresh, Reason, Revocation, TokenSet
from chalicelib.rescue import connect_message
from chalicelib.times import TIME_TO_ASK
from chalicelib.tokens import fresh_tokens, keep
from chalicelib.verdicts import VERDICTS, failure_of

if TYPE_CHECKING:
    from chalicelib.commits import Commits
    from chalicelib.goto import GoTo
    from chalicelib.rescue_queue import RescueQueue
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.vault import Vault


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

    fresh: Fresh
    account: str | None
    principal: str | None


class Completion:
    """``finished`` is None until `run` has had something to do."""

    def __init__(
        self,
        *,
        requests: "AuthorizationRequests",
        commits: "Commits",
        rescue_queue: "RescueQueue",
        vault: "Vault",
        goto: "GoTo",
        clock: Callable[[], float],
        pause: Callable[[float], None],
        time_left: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._requests = requests
        self._commits = commits
        self._rescue_queue = rescue_queue
        self._vault = vault
        self._goto = goto
        self._clock = clock
        self._pause = pause
        self._time_left = time_left
        self._report = report
        self.finished: Finished | None = None
        self._committed_after: float | None = None
        self._lost = False

    def run(self, key: str) -> Reason | None:
        """Finish the request under ``key`` (the digest of its state).

        Returns why it did not end in a connection; None when it did, or when there was nothing
        to do. Raises `DependencyUnavailable` when not even the failure could be written: the page
        then says after a minute to press again (F21).
        """
        request = self._requests.claim(key)
        if request is None:
            return None
        try:
            reason = self._connect(request)
        except Exception as error:  # noqa: BLE001 - the admin is waiting for an end of any kind
            self._report(error)
            reason = Reason.INTERNAL
        self.finished = Finished(reason, self._committed_after, self._lost)
        if reason is not None:
            self._end(request, reason)
        return reason

    def _connect(self, request: AuthorizationRequest) -> Reason | None:
        client = self._vault.credentials(request.tenant, request.secret_version)
        form = oauth.exchange_form(
            code=request.code or "",
            redirect_uri=request.redirect_uri,
            client_id=request.client_id,
            verifier=request.verifier,
        )
        asked_at = int(self._clock())
        verdict = self._ask(client, form)
        if isinstance(verdict, oauth.Failure):
            return VERDICTS[verdict.kind].reason
        if verdict.refresh_token is None:
            self._goto.revoke(client, verdict.access_token)
            return Reason.NO_REFRESH_TOKEN
        account_key = self._goto.account(verdict.access_token)
        fresh = fresh_tokens(request.tenant, verdict, asked_at)
        given = _Given(fresh, account_key, verdict.principal)
        # Not revoked where the commit's outcome stayed unknown: it may be the live connection.
        refused = self._keep(request, given)
        if refused is not None:
            self._give_back(client, request, given)
        return refused

    def _ask(
        self, client: oauth.ClientCredentials, form: dict[str, str]
    ) -> TokenSet | oauth.Failure:
        """Once: a code is never sent again (F22)."""
        if self._time_left() < TIME_TO_ASK:
            late = DependencyUnavailable("complete", "no time left to ask GoTo")
            self._report(late)
            return failure_of(late)
        try:
            return oauth.judge(self._goto.token(client, form))
        except ProviderUnreachable as error:
            return failure_of(error)

    def _keep(self, request: AuthorizationRequest, given: _Given) -> Reason | None:
        """Make it the tenant's connection, now or from the rescue queue (F24).

        None as well while the queue has it: the request goes on, and the page waits.
        """
        try:
            committed, refused = keep(
                lambda: self._commits.connect(request, *given),
                lambda: self._rescue_queue.send(connect_message(request, *given)),
                pause=self._pause,
                time_left=self._time_left,
            )
        except DependencyUnavailable:
            self._lost = True
            raise
        if committed and refused is None:
            returned_at = request.returned_at or request.started_at
            self._committed_after = self._clock() - returned_at
        return refused

    def _give_back(
        self, client: oauth.ClientCredentials, request: AuthorizationRequest, given: _Given
    ) -> None:
        """What may not be the connection must not live on at GoTo: where GoTo has not heard, the
        rescue queue has it told until it has (S22)."""
        token = given.fresh.refresh_token or given.fresh.access_token
        if self._goto.revoke(client, token) is not Revocation.LATER:
            return
        try:
            self._rescue_queue.send(connect_message(request, *given))
        except DependencyUnavailable as error:
            self._report(error)

    def _end(self, request: AuthorizationRequest, reason: Reason) -> None:
        entry = ending(request, reason, self._clock())
        try:
            self._requests.fail(request.key, int(self._clock()), outcome(reason), reason, entry)
        except Conflict:  # it has ended in the meantime, and said so then
            return
