"""Use case: keep access tokens alive. One tick, and the protocol for one tenant.

Claim, ask, commit. A success is committed on generation and version as they were asked, never on
the fence: a late answer may carry the only valid refresh token. Only GoTo's own refusal ends a
grant, and only when nothing newer has been committed since.
"""

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import TYPE_CHECKING

from chalicelib import oauth
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import (
    LANES,
    Due,
    Fresh,
    Grant,
    JournalEntry,
    Status,
    TokenSet,
    backoff,
)
from chalicelib.tokens import commit_pauses, fresh_tokens

if TYPE_CHECKING:
    from chalicelib.goto import GoTo
    from chalicelib.store.connections import Connections
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

LEASE_MARGIN = 300
"""Seconds that a lease outlasts the function: also covers clocks five minutes apart (F15)."""

TIME_FOR_ONE = 60.0
"""Seconds that must be left to ask: GoTo's deadline, and as much to write its answer (F20)."""

LANE_BATCH = 100
"""Tenants taken from a lane in one query."""

_SCHEDULER = "the scheduler"


class Outcome(StrEnum):
    """What became of one due tenant."""

    REFRESHED = "refreshed"
    TRANSIENT = "transient"
    GRANT_REFUSED = "grant_refused"
    CLIENT_REFUSED = "client_refused"
    SUPERSEDED = "superseded"
    NOT_TAKEN = "not_taken"
    OUT_OF_TIME = "out_of_time"
    STORE_FAILED = "store_failed"
    UNEXPECTED = "unexpected"


class Refresher:
    def __init__(
        self,
        *,
        tenants: "Tenants",
        connections: "Connections",
        vault: "Vault",
        goto: "GoTo",
        clock: Callable[[], float],
        random: Callable[[], float],
        pause: Callable[[float], None],
        time_left: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._tenants = tenants
        self._connections = connections
        self._vault = vault
        self._goto = goto
        self._clock = clock
        self._random = random
        self._pause = pause
        self._time_left = time_left
        self._report = report

    def tick(self, threads: int) -> Counter[Outcome]:
        """Refresh what is due, lane by lane, as far as the function's time goes.

        What is left over stays due: the table is the queue.
        """
        due = [row for lane in range(LANES) for row in self._due(lane)]
        due.sort(key=lambda row: row.at)
        with ThreadPoolExecutor(threads) as pool:
            return Counter(pool.map(self.refresh, due))

    def _due(self, lane: int) -> tuple[Due, ...]:
        """A lane that can't be read holds up no other."""
        try:
            return self._connections.due(lane, int(self._clock()), LANE_BATCH)
        except DependencyUnavailable as error:
            self._report(error)
            return ()

    def refresh(self, due: Due) -> Outcome:
        """Take one due tenant through claim, ask and commit.

        Never raises: one tenant's trouble must not end the tick for all others (F14).
        """
        if self._time_left() < TIME_FOR_ONE:
            return Outcome.OUT_OF_TIME
        try:
            now = int(self._clock())
            lease_until = now + int(self._time_left()) + LEASE_MARGIN
            grant = self._connections.claim(due, now, lease_until)
            if grant is None:
                return Outcome.NOT_TAKEN
            return self._ask_and_commit(grant)
        except DependencyUnavailable:
            return Outcome.STORE_FAILED
        except Conflict:
            return Outcome.SUPERSEDED
        except Exception as error:  # noqa: BLE001 - a row that nobody foresaw
            self._report(error)
            return Outcome.UNEXPECTED

    def _ask_and_commit(self, grant: Grant) -> Outcome:
        asked_at = int(self._clock())
        try:
            verdict, client = self._ask(grant)
        except DependencyUnavailable as error:
            return self._failed_for_now(grant, str(error), outcome_known=True)
        except ProviderUnreachable as error:
            return self._failed_for_now(grant, error.reason, outcome_known=not error.sent)
        if isinstance(verdict, TokenSet):
            return self._succeeded(grant, fresh_tokens(grant.tenant, verdict, asked_at))
        match verdict.kind:
            case oauth.FailureClass.GRANT_REFUSED:
                return self._grant_refused(grant, verdict.detail)
            case oauth.FailureClass.CLIENT_REFUSED:
                return self._client_refused(grant, verdict.detail, client)
        return self._failed_for_now(grant, verdict.detail, outcome_known=True)

    def _ask(self, grant: Grant) -> tuple[TokenSet | oauth.Failure, oauth.ClientCredentials]:
        """One refresh request with the client that the grant is bound to; verdict and client.

        A client that GoTo refuses is read again, and used if it has changed since (F11).
        """
        client = self._client_of(grant)
        verdict = self._ask_as(client, grant)
        refused = oauth.FailureClass.CLIENT_REFUSED
        if isinstance(verdict, oauth.Failure) and verdict.kind is refused:
            again = self._client_of(grant)
            if again != client:
                return self._ask_as(again, grant), again
        return verdict, client

    def _ask_as(self, client: oauth.ClientCredentials, grant: Grant) -> TokenSet | oauth.Failure:
        if self._time_left() < TIME_FOR_ONE:
            raise ProviderUnreachable("no time left to ask", sent=False)
        form = oauth.refresh_form(grant.refresh_token or "")
        return oauth.judge(self._goto.token(client, form))

    def _client_of(self, grant: Grant) -> oauth.ClientCredentials:
        """The newest secret of the grant's own client: the tenant may have another by now."""
        tenant = self._tenants.get(grant.tenant)
        if tenant is not None and tenant.client_id == grant.client_id and tenant.secret_version:
            return self._vault.credentials(grant.tenant, tenant.secret_version)
        return self._vault.newest_of(grant.tenant, grant.client_id)

    def _succeeded(self, grant: Grant, fresh: Fresh) -> Outcome:
        """Store what GoTo gave; it may be the only valid refresh token, so try hard (F03, F04)."""
        entry = None
        if grant.status is not Status.CONNECTED:
            text = "The connection to GoTo works again."
            entry = self._entry(grant, "recovered", text, Status.CONNECTED)
        for pause in commit_pauses(self._time_left):
            try:
                self._connections.commit_refresh(grant, fresh, entry)
            except DependencyUnavailable:
                self._pause(pause)
            except Conflict:
                return Outcome.REFRESHED if self._ours(grant, fresh) else Outcome.SUPERSEDED
            else:
                return Outcome.REFRESHED
        return Outcome.STORE_FAILED

    def _ours(self, grant: Grant, fresh: Fresh) -> bool:
        """Whether the commit that went before is this very one, its answer lost (F04)."""
        current = self._connections.get(grant.tenant)
        return current is not None and current.access_token == fresh.access_token

    def _failed_for_now(self, grant: Grant, detail: str, *, outcome_known: bool) -> Outcome:
        """Nobody needs to act: try again later. Connected as long as the token lives (F08)."""
        now = int(self._clock())
        alive_for = grant.access_expires_at - now
        failures = grant.failures + 1
        status = grant.status if alive_for > 0 else Status.DEGRADED
        entry = None
        if status is not grant.status:
            text = "GoTo could not be reached until the token ran out. Trying on."
            entry = self._entry(grant, "degraded", text, status)
        self._connections.commit_failure(
            grant,
            status,
            failures=failures,
            detail=detail,
            next_refresh_at=now + backoff(failures, alive_for, self._random()),
            outcome_known=outcome_known,
            entry=entry,
        )
        return Outcome.TRANSIENT

    def _grant_refused(self, grant: Grant, detail: str) -> Outcome:
        """GoTo will not accept the refresh token any more, unless another has replaced it (F10)."""
        current = self._connections.grant(grant.tenant)
        if current is None or (current.generation, current.version) != (
            grant.generation,
            grant.version,
        ):
            return Outcome.SUPERSEDED
        lost = grant.outcome_unknown_since is not None
        text = (
            "GoTo's answer to an earlier refresh was lost, and the old token is no longer accepted."
            if lost
            else "GoTo no longer accepts this connection."
        )
        self._end(
            grant,
            Status.REAUTHORIZATION_REQUIRED,
            "response lost" if lost else detail,
            f"{text} An admin must connect again.",
        )
        return Outcome.GRANT_REFUSED

    def _client_refused(
        self, grant: Grant, detail: str, refused: oauth.ClientCredentials
    ) -> Outcome:
        """GoTo knows the client no more: the rep must act; the refresh token is kept (F11)."""
        text = "GoTo refused the client id or secret. The HA rep must enter them anew."
        self._end(grant, Status.CREDENTIALS_REJECTED, detail, text)
        if self._client_of(grant) != refused:  # entered anew while this was being written
            self._connections.retry_rejected(grant.tenant, int(self._clock()))
        return Outcome.CLIENT_REFUSED

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

    def _entry(self, grant: Grant, kind: str, text: str, status: Status) -> JournalEntry:
        return JournalEntry(grant.tenant, self._clock(), kind, _SCHEDULER, text, status=status)
