"""Use case: refresh one tenant because one of HA's services asks for it.

Idempotent by version: a service names the version that was refused, or the seconds it needs, and
at most one refresh comes of it, however many ask. The answer never holds a token: readers take
that from the table. Whoever may invoke this can send anything: no name is taken from a request.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from chalicelib.model import Connection, Due, Grant, JournalEntry, Status
from chalicelib.refresh import Outcome
from chalicelib.times import LONGEST_MINIMUM, READ_AGAIN, SETTLED_FOR, WHILE_DOWN

if TYPE_CHECKING:
    from chalicelib.refresh import Refresher
    from chalicelib.store.connections import Connections
    from chalicelib.store.provider import ProviderRow

SCHEMA = 1


class Answered(StrEnum):
    """What a service is told."""

    REFRESHED = "refreshed"
    ALIVE = "alive"
    IN_PROGRESS = "in_progress"
    LATER = "later"
    REAUTHORIZATION_REQUIRED = "reauthorization_required"
    CREDENTIALS_REJECTED = "credentials_rejected"
    NOT_CONNECTED = "not_connected"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Answer:
    """``version`` and ``expires_at`` (epoch seconds) of the stored token; ``retry_after`` in
    seconds where asking again makes sense."""

    outcome: Answered
    tenant: str | None = None
    version: int | None = None
    expires_at: int | None = None
    retry_after: int | None = None
    detail: str | None = None
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a service asks for: one of the two. ``by_hand``: it is the rep's function that asks,
    which proves and records who the rep is. Any reader may say so, and gains nothing by it."""

    tenant: str
    min_valid_seconds: int | None = None
    rejected_version: int | None = None
    by_hand: bool = False


_ENDED = {
    Status.REAUTHORIZATION_REQUIRED: Answered.REAUTHORIZATION_REQUIRED,
    Status.CREDENTIALS_REJECTED: Answered.CREDENTIALS_REJECTED,
    Status.DISCONNECTED: Answered.NOT_CONNECTED,
}


def read(event: object) -> Wish | Answer:
    """The payload of an invocation; the answer ``invalid`` where it is not one."""
    given = event if isinstance(event, Mapping) else {}
    tenant = given.get("tenant")
    if not isinstance(tenant, str) or not 0 < len(tenant) <= 63:
        return Answer(Answered.INVALID, detail="tenant must be a name")
    minimum, rejected = given.get("min_valid_seconds"), given.get("rejected_version")
    if (minimum is None) == (rejected is None):
        return Answer(Answered.INVALID, detail="give min_valid_seconds or rejected_version")
    if minimum is not None and not _whole(minimum, 0, LONGEST_MINIMUM):
        detail = f"min_valid_seconds must be 0 to {LONGEST_MINIMUM}"
        return Answer(Answered.INVALID, detail=detail)
    if rejected is not None and not _whole(rejected, 1, 2**53):
        return Answer(Answered.INVALID, detail="rejected_version must be a version")
    by_hand = given.get("by_hand", False)
    if not isinstance(by_hand, bool):
        return Answer(Answered.INVALID, detail="by_hand must be true or false")
    return Wish(tenant, minimum, rejected, by_hand)


def _whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


class OnDemand:
    def __init__(
        self,
        *,
        connections: "Connections",
        provider: "ProviderRow",
        refresher: "Refresher",
        clock: Callable[[], float],
    ) -> None:
        self._connections = connections
        self._provider = provider
        self._refresher = refresher
        self._clock = clock
        self.outcomes: Counter[str] = Counter()
        """What became of the refresh, if there was one."""

    def refresh(self, event: object) -> Answer:
        """Answer one invocation. Raises `DependencyUnavailable`."""
        wish = read(event)
        return wish if isinstance(wish, Answer) else self._serve(wish)

    def _serve(self, wish: Wish) -> Answer:
        connection = self._connections.facts(wish.tenant)
        if connection is None:
            return Answer(Answered.NOT_CONNECTED, wish.tenant)
        if wish.by_hand and connection.status is Status.DISCONNECTED:
            return self._withdraw(connection)
        settled = self._without_asking(wish, connection)
        if settled is not None:
            return settled
        grant = self._connections.grant_facts(wish.tenant)
        if grant is not None and grant.version > connection.version:
            # Another worker's refresh was committed between the two reads.
            connection = self._connections.facts(wish.tenant) or connection
            settled = self._without_asking(wish, connection)
            if settled is not None:
                return settled
        if grant is None or grant.next_refresh_at is None:
            return self._answer(connection, _ENDED.get(connection.status, Answered.NOT_CONNECTED))
        return self._hindered(connection, grant) or self._ask(wish, grant)

    def _without_asking(self, wish: Wish, connection: Connection) -> Answer | None:
        """What the table alone can answer."""
        if connection.status in _ENDED:
            return self._answer(connection, _ENDED[connection.status])
        now = self._clock()
        if wish.rejected_version is not None:
            if wish.rejected_version > connection.version:
                return Answer(Answered.INVALID, wish.tenant, detail="there is no such version")
            alive = connection.version > wish.rejected_version
        else:
            left = connection.expires_at - now
            settled = left > 0 and now - connection.refreshed_at < SETTLED_FOR
            alive = settled or left >= (wish.min_valid_seconds or 0)
        return self._answer(connection, Answered.ALIVE) if alive else None

    def _hindered(self, connection: Connection, grant: Grant) -> Answer | None:
        """Another worker has it, it failed a moment ago, or GoTo is down."""
        now = int(self._clock())
        if grant.lease_until > now:
            return self._answer(connection, Answered.IN_PROGRESS, READ_AGAIN)
        if grant.failures and grant.next_refresh_at and grant.next_refresh_at > now:
            return self._answer(connection, Answered.LATER, grant.next_refresh_at - now)
        if self._provider.get().open_since is not None:
            return self._answer(connection, Answered.LATER, WHILE_DOWN)
        return None

    def _ask(self, wish: Wish, grant: Grant) -> Answer:
        due = Due(wish.tenant, grant.next_refresh_at or 0)
        outcome = self._refresher.refresh(due, self._note(wish))
        self.outcomes[outcome] += 1
        connection = self._connections.facts(wish.tenant)
        if connection is None:
            return Answer(Answered.NOT_CONNECTED, wish.tenant)
        match outcome:
            case Outcome.REFRESHED | Outcome.SUPERSEDED if connection.version > grant.version:
                return self._answer(connection, Answered.REFRESHED)
            case Outcome.GRANT_REFUSED | Outcome.CLIENT_REFUSED:
                return self._answer(connection, _ENDED.get(connection.status, Answered.LATER))
            case Outcome.NOT_TAKEN | Outcome.RESCUED | Outcome.SUPERSEDED:
                return self._answer(connection, Answered.IN_PROGRESS, READ_AGAIN)
        retry_after = max(1, (connection.next_refresh_at or 0) - int(self._clock()))
        return self._answer(connection, Answered.LATER, min(retry_after, WHILE_DOWN))

    def _note(self, wish: Wish) -> JournalEntry | None:
        if wish.by_hand or wish.rejected_version is None:
            return None
        text = "GoTo refused the access token to a service before its time; a new one was made."
        return JournalEntry(wish.tenant, self._clock(), "token_rejected", "a service", text)

    def _withdraw(self, connection: Connection) -> Answer:
        """Have GoTo told of a disconnection at once, if it has not been."""
        grant = self._connections.grant_facts(connection.tenant)
        if grant is not None and grant.next_refresh_at is not None:
            self._refresher.refresh(Due(connection.tenant, grant.next_refresh_at))
        return self._answer(connection, Answered.NOT_CONNECTED)

    def _answer(
        self, connection: Connection, outcome: Answered, retry_after: int | None = None
    ) -> Answer:
        return Answer(
            outcome, connection.tenant, connection.version, connection.expires_at, retry_after
        )
