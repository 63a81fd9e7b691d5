"""Use case: finish an authorization request. Code to tokens, account check, commit.

Runs asynchronously and may be invoked twice: the code is taken out of its row before GoTo is
asked, so it is never sent twice (F21). A request that fails changes no connection.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib import oauth
from chalicelib.endings import ending, outcome
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import (
    AuthorizationRequest,
    Grant,
    JournalEntry,
    Reason,
    Status,
    TokenSet,
)
from chalicelib.tokens import commit_pauses, fresh_tokens

if TYPE_CHECKING:
    from chalicelib.goto import GoTo
    from chalicelib.store.connections import Connections
    from chalicelib.store.requests import AuthorizationRequests
    from chalicelib.vault import Vault

_REASONS = {
    oauth.FailureClass.TRANSIENT: Reason.PROVIDER_ERROR,
    oauth.FailureClass.GRANT_REFUSED: Reason.CODE_REFUSED,
    oauth.FailureClass.CLIENT_REFUSED: Reason.CLIENT_REFUSED,
}


class Completion:
    def __init__(
        self,
        *,
        requests: "AuthorizationRequests",
        connections: "Connections",
        vault: "Vault",
        goto: "GoTo",
        clock: Callable[[], float],
        pause: Callable[[float], None],
        time_left: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._requests = requests
        self._connections = connections
        self._vault = vault
        self._goto = goto
        self._clock = clock
        self._pause = pause
        self._time_left = time_left
        self._report = report

    def run(self, key: str) -> Reason | None:
        """Finish the request under ``key`` (the digest of its state).

        Returns why it did not end in a connection; None when it did, or when there was nothing
        to do. Raises `DependencyUnavailable` when not even the failure could be written: the page
        then says after a minute to press again (F21).
        """
        request = self._requests.claim(key, int(self._clock()))
        if request is None:
            return None
        try:
            reason = self._connect(request)
        except Exception as error:  # noqa: BLE001 - the admin is waiting for an end of any kind
            self._report(error)
            reason = Reason.INTERNAL
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
        try:
            verdict = oauth.judge(self._goto.token(client, form))
        except ProviderUnreachable as error:
            return Reason.OUTCOME_UNKNOWN if error.sent else Reason.PROVIDER_ERROR
        if isinstance(verdict, oauth.Failure):
            return _REASONS[verdict.kind]
        if verdict.refresh_token is None:
            self._goto.revoke(client, verdict.access_token)
            return Reason.NO_REFRESH_TOKEN
        account_key = self._goto.account(verdict.access_token)
        # Not revoked where the commit's outcome stayed unknown: it may be the live connection.
        refused = self._commit(request, verdict, asked_at, account_key)
        if refused is not None:
            self._goto.revoke(client, verdict.refresh_token)
        return refused

    def _commit(
        self, request: AuthorizationRequest, tokens: TokenSet, asked_at: int, account: str | None
    ) -> Reason | None:
        """Commit as the tenant's new generation, whatever refreshes happen meanwhile (F07, F23)."""
        fresh = fresh_tokens(request.tenant, tokens, asked_at)
        failed: Conflict | DependencyUnavailable = Conflict()
        for pause in commit_pauses(self._time_left):
            try:
                before = self._connections.grant(request.tenant)
                if before is not None and before.sequence >= request.sequence:
                    return None if self._ours(request, fresh.access_token) else Reason.SUPERSEDED
                self._connections.commit_connect(
                    request,
                    before,
                    fresh,
                    now=int(self._clock()),
                    account_key=account,
                    principal=tokens.principal,
                    entry=self._connected(request, before, tokens),
                )
            except Conflict as error:
                if "tenants" in error.failed:
                    return Reason.OTHER_ACCOUNT if account else Reason.ACCOUNT_UNREADABLE
                failed = error
            except DependencyUnavailable as error:
                failed = error
            else:
                return None
            self._pause(pause)
        raise DependencyUnavailable("dynamodb", str(failed))

    def _ours(self, request: AuthorizationRequest, access_token: str) -> bool:
        """Whether the commit that seems to have gone before is this very one (F04)."""
        current = self._connections.get(request.tenant)
        return current is not None and current.access_token == access_token

    def _connected(
        self, request: AuthorizationRequest, before: Grant | None, tokens: TokenSet
    ) -> JournalEntry:
        again = before is not None and before.generation > 0
        who = tokens.principal or "the admin"
        text = f"{'Reconnected' if again else 'Connected'} to GoTo."
        kind = "reconnected" if again else "connected"
        return JournalEntry(
            request.tenant, self._clock(), kind, who, text, request.reference, Status.CONNECTED
        )

    def _end(self, request: AuthorizationRequest, reason: Reason) -> None:
        entry = ending(request, reason, self._clock())
        try:
            self._requests.fail(request.key, int(self._clock()), outcome(reason), reason, entry)
        except Conflict:  # it has ended in the meantime, and said so then
            return
