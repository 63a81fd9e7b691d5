"""Use case: refresh one tenant because one of HA's services asks for it.

Idempotent by version: a service names the version that GoTo refused, or the seconds it needs, and
at most one refresh follows, however many services ask. The answer never holds a token: readers get
it from the table.

A caller can send anything, so a request gives no rights: we take nobody's name from it, and it
can't force more than one refresh of a tenant a minute, nor more requests in all than
`OnDemandLimiter` allows. A tenant that is due anyway is refreshed now, whoever asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.durations import (
    DEMAND_AGAIN,
    DEMAND_SAVED,
    LONGEST_MINIMUM,
    READ_AGAIN,
    SETTLED_FOR,
    WHILE_DOWN,
)
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.provider_health import ProviderRow
from chalicelib.errors import DependencyUnavailable
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Connection, Due, Status
from chalicelib.permissions import Usable
from chalicelib.refresh import circuit_breaker
from chalicelib.refresh.outcomes import ENDINGS, Outcome
from chalicelib.refresh.rate_limiter import Limiter
from chalicelib.refresh.refresher import Refresher
from chalicelib.tokens.probe import Prober, is_living

SCHEMA = 1

PART = 20
"""On-demand requests get a 20th of the deployment's rate. The schedule begins none in the last five
seconds of each minute, which is a 12th: both together stay under the rate."""


class RefreshOutcome(StrEnum):
    """The contract's outcomes."""

    REFRESHED = "refreshed"
    ALIVE = "alive"
    IN_PROGRESS = "in_progress"
    LATER = "later"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CREDENTIALS_REJECTED = "credentials_rejected"
    NOT_CONNECTED = "not_connected"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class RefreshAnswer:
    """``version`` and ``expires_at`` (epoch seconds) are the stored token's. ``retry_after``:
    seconds, if asking again makes sense. ``attempt``: the refresh's outcome, if we tried one."""

    outcome: RefreshOutcome
    tenant: str | None = None
    version: int | None = None
    expires_at: int | None = None
    retry_after: int | None = None
    detail: str | None = None
    schema: int = SCHEMA
    attempt: Outcome | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contract's fields: ``attempt`` is only for our metrics."""
        return {name: value for name, value in asdict(self).items() if name != "attempt"}


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """A service sets exactly one of the options."""

    tenant: str
    min_valid_seconds: int | None = None
    rejected_version: int | None = None
    forbidden_version: int | None = None


_ENDED = {
    Status.REAUTHORIZATION_REQUIRED: RefreshOutcome.REAUTHORIZATION_REQUIRED,
    Status.CREDENTIALS_REJECTED: RefreshOutcome.CREDENTIALS_REJECTED,
    Status.DISCONNECTED: RefreshOutcome.NOT_CONNECTED,
}


def read(event: object) -> RefreshRequest | RefreshAnswer:
    """Read an invocation's payload; the answer is ``invalid`` if it is not a request."""
    payload = event if isinstance(event, Mapping) else {}
    tenant = payload.get("tenant")
    if not isinstance(tenant, str) or not 0 < len(tenant) <= 63:
        return RefreshAnswer(RefreshOutcome.INVALID, detail="tenant must be a name")
    names = ("min_valid_seconds", "rejected_version", "forbidden_version")
    options = {name: payload[name] for name in names if payload.get(name) is not None}
    if len(options) != 1:
        return RefreshAnswer(RefreshOutcome.INVALID, detail=f"give one of {', '.join(names)}")
    [(name, value)] = options.items()
    if name == "min_valid_seconds" and not _whole(value, 0, LONGEST_MINIMUM):
        detail = f"min_valid_seconds must be 0 to {LONGEST_MINIMUM}"
        return RefreshAnswer(RefreshOutcome.INVALID, detail=detail)
    if name != "min_valid_seconds" and not _whole(value, 1, 2**53):
        return RefreshAnswer(RefreshOutcome.INVALID, detail=f"{name} must be a version")
    return RefreshRequest(tenant, **options)


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


@dataclass(frozen=True, kw_only=True)
class OnDemandLimiter:
    """A `Limiter` for on-demand requests, shared by all functions through the `#provider` row.
    ``cap`` is the deployment's requests a second. Each call takes ``slots``; more than fit into
    `DEMAND_SAVED` are available only while none is taken."""

    provider: ProviderRow
    cap: int
    clock: Callable[[], float]
    slots: int = 1

    def acquire(self) -> bool:
        """Take the slots now; False if the share is used up or the row can't be reached."""
        try:
            rate = circuit_breaker.per_second(self.provider.get(), self.cap)
            gap = int(1_000 * PART * self.slots / rate)
            return self.provider.acquire_slot(int(self.clock() * 1_000), gap, 1_000 * DEMAND_SAVED)
        except DependencyUnavailable:
            return False

    def slow_down(self) -> None:
        """Do nothing: the tenant's backoff is enough, and the schedule sets the fleet's rate."""


@dataclass(frozen=True, kw_only=True)
class OnDemand:
    """``refresher`` must use an `OnDemandLimiter`, too."""

    connections: Connections
    provider: ProviderRow
    refresher: Refresher
    prober: Prober
    limiter: Limiter
    clock: Callable[[], float]

    def refresh(self, event: object) -> RefreshAnswer:
        """Answer one invocation. Raises `DependencyUnavailable`."""
        request = read(event)
        if isinstance(request, RefreshAnswer):
            return request
        return self._serve(request) if request.forbidden_version is None else self._probe(request)

    def _probe(self, request: RefreshRequest) -> RefreshAnswer:
        """GoTo's API answered a service with 403: probe once, refresh nothing (F33)."""
        connection = self.connections.get(request.tenant)
        if connection is None:
            return RefreshAnswer(RefreshOutcome.NOT_CONNECTED, request.tenant)
        hindered = self._no_probe(request, connection)
        if hindered is not None:
            return hindered
        token = connection.access_token or ""
        if self.prober.probe(connection, token, at_once=True) is Usable.UNKNOWN:
            return self._later(connection, WHILE_DOWN, "GoTo does not say")
        return self._answer(connection, RefreshOutcome.ALIVE)

    def _no_probe(self, request: RefreshRequest, connection: Connection) -> RefreshAnswer | None:
        """The answer if GoTo must not be asked about a 403; None if it may be."""
        if connection.status in _ENDED:
            return self._answer(connection, _ENDED[connection.status])
        if (request.forbidden_version or 0) > connection.version:
            detail = "there is no such version"
            return RefreshAnswer(RefreshOutcome.INVALID, request.tenant, detail=detail)
        now = self.clock()
        if now - connection.usable_checked_at < SETTLED_FOR:
            return self._answer(connection, RefreshOutcome.ALIVE)
        if not is_living(connection, now) or self.provider.get().open_since is not None:
            return self._later(connection, WHILE_DOWN, "this token cannot be checked at GoTo now")
        if not self.limiter.acquire():
            return self._later(connection, DEMAND_AGAIN, "too many probes requested at once")
        return None

    def _serve(self, request: RefreshRequest) -> RefreshAnswer:
        connection = self.connections.summary(request.tenant)
        if connection is None:
            return RefreshAnswer(RefreshOutcome.NOT_CONNECTED, request.tenant)
        if connection.status is Status.DISCONNECTED:
            return self._revoke_if_due(connection)
        settled = self._without_asking(request, connection)
        if settled is not None:
            return settled
        grant = self.connections.grant_summary(request.tenant)
        if grant is not None and grant.version > connection.version:
            # Another worker's refresh was committed between the two reads.
            connection = self.connections.summary(request.tenant) or connection
            settled = self._without_asking(request, connection)
            if settled is not None:
                return settled
        if grant is None or grant.next_refresh_at is None:
            return self._answer(
                connection, _ENDED.get(connection.status, RefreshOutcome.NOT_CONNECTED)
            )
        return self._hindered(connection, grant) or self._ask(request, grant)

    def _without_asking(
        self, request: RefreshRequest, connection: Connection
    ) -> RefreshAnswer | None:
        """The answer, if the table alone gives one."""
        if connection.status in _ENDED:
            return self._answer(connection, _ENDED[connection.status])
        now = self.clock()
        if request.rejected_version is not None:
            if request.rejected_version > connection.version:
                return RefreshAnswer(
                    RefreshOutcome.INVALID, request.tenant, detail="there is no such version"
                )
            alive = connection.version > request.rejected_version
        else:
            left = connection.expires_at - now
            settled = left > 0 and now - connection.refreshed_at < SETTLED_FOR
            alive = settled or left >= (request.min_valid_seconds or 0)
        return self._answer(connection, RefreshOutcome.ALIVE) if alive else None

    def _hindered(self, connection: Connection, grant: GrantSummary) -> RefreshAnswer | None:
        """The answer if a worker has it, a refresh just failed or succeeded, or GoTo is down."""
        now = int(self.clock())
        due = grant.next_refresh_at or 0
        if grant.lease_until > now:
            return self._answer(connection, RefreshOutcome.IN_PROGRESS, READ_AGAIN)
        left = SETTLED_FOR - max(0, now - connection.refreshed_at)
        if grant.failures and due > now:
            return self._later(connection, due - now, "the last attempt failed")
        if left > 0 and not grant.failures and not _hurried(connection, due, now):
            return self._later(connection, left, "it was refreshed a moment ago")
        if self.provider.get().open_since is not None:
            return self._later(connection, WHILE_DOWN, "GoTo does not answer")
        return None

    def _ask(self, request: RefreshRequest, grant: GrantSummary) -> RefreshAnswer:
        due = Due(request.tenant, grant.next_refresh_at or 0)
        outcome = self.refresher.refresh(due, self._note(request, due)).outcome
        return replace(self._came_of(request, grant, outcome), attempt=outcome)

    def _came_of(
        self, request: RefreshRequest, grant: GrantSummary, outcome: Outcome
    ) -> RefreshAnswer:
        connection = self.connections.summary(request.tenant)
        if connection is None:
            return RefreshAnswer(RefreshOutcome.NOT_CONNECTED, request.tenant)
        match outcome:
            case Outcome.REFRESHED | Outcome.SUPERSEDED if connection.version > grant.version:
                return self._answer(connection, RefreshOutcome.REFRESHED)
            case _ if outcome in ENDINGS:
                return self._answer(connection, _ENDED.get(connection.status, RefreshOutcome.LATER))
            case Outcome.NOT_TAKEN | Outcome.RESCUED | Outcome.SUPERSEDED:
                return self._answer(connection, RefreshOutcome.IN_PROGRESS, READ_AGAIN)
            case Outcome.OUT_OF_TIME:
                why = "too many refreshes requested at once"
                return self._later(connection, DEMAND_AGAIN, why)
        retry_after = max(1, (connection.next_refresh_at or 0) - int(self.clock()))
        return self._answer(connection, RefreshOutcome.LATER, min(retry_after, WHILE_DOWN))

    def _note(self, request: RefreshRequest, due: Due) -> JournalEntry | None:
        """The journal entry for a refresh that only a service caused; None for any other."""
        if request.rejected_version is None or due.at <= self.clock():
            return None
        text = "GoTo refused a service's access token before it expired, so it was replaced."
        return JournalEntry(request.tenant, self.clock(), Kind.TOKEN_REJECTED, "a service", text)

    def _revoke_if_due(self, connection: Connection) -> RefreshAnswer:
        """Revoke a disconnected tenant's token, if due, without waiting for the next tick."""
        grant = self.connections.grant_summary(connection.tenant)
        at = grant.next_refresh_at if grant is not None else None
        if at is not None and at <= self.clock():
            self.refresher.refresh(Due(connection.tenant, at), rate_limited=False)
        return self._answer(connection, RefreshOutcome.NOT_CONNECTED)

    def _later(self, connection: Connection, retry_after: int, why: str) -> RefreshAnswer:
        return replace(self._answer(connection, RefreshOutcome.LATER, retry_after), detail=why)

    def _answer(
        self, connection: Connection, outcome: RefreshOutcome, retry_after: int | None = None
    ) -> RefreshAnswer:
        return RefreshAnswer(
            outcome, connection.tenant, connection.version, connection.expires_at, retry_after
        )


def _hurried(connection: Connection, due: int, now: int) -> bool:
    """Whether a rep made the tenant due before the time in `Tokens`."""
    return due <= now and due < (connection.next_refresh_at or 0)
