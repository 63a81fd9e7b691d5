"""Use case: the fleet. One tick a minute; the table is the queue.

What fits is refreshed in the tick itself, more is handed over: to as many functions as the rate
needs, each with some of the lanes. What is left undone stays due. While GoTo is down only a few
are asked.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from chalicelib.durations import CIRCUIT_TURN, TICK_WORKS_FOR
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import NOT_USABLE, Fleet
from chalicelib.dynamodb.provider_health import Provider, ProviderRow
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import LANES, PROVIDER, Due, Status
from chalicelib.refresh import circuit_breaker
from chalicelib.refresh.outcomes import Outcome
from chalicelib.refresh.refresher import Refresher
from chalicelib.tokens.commit import SCHEDULER
from chalicelib.tokens.rescue_queue import RescueQueue

LANE_BATCH = 100
"""Tenants taken from a lane in one query."""

TICK_CARRIES, LANE_CARRIES = 18.0, 36.0
"""Refreshes a second that the tick's function and a lane's can do: what their share of a processor
allows, by what one refresh takes (`docs/costs.md`). A function that is given less than that waits,
and Lambda bills its waiting: so no more functions share the rate than it needs."""

PROBES = 3
"""Due tenants that a tick asks for while GoTo counts as down (F12)."""

NEWS = {
    circuit_breaker.Change.DOWN: (
        "GoTo fails or refuses nearly every request. Only a few are sent until it works again, and"
        " no connection is ended meanwhile."
    ),
    circuit_breaker.Change.UP: "GoTo answers again. What is overdue is refreshed in due order.",
}

_REFUSED = (Outcome.UNCONFIRMED, Outcome.GRANT_REFUSED, Outcome.CLIENT_REFUSED)

_TOKENS_GIVEN = (Outcome.REFRESHED, Outcome.RESCUED, Outcome.LOST, Outcome.OTHER_ACCOUNT)

_ANSWERED = (*_REFUSED, *_TOKENS_GIVEN, Outcome.SUPERSEDED, Outcome.REVOKED)

HandOver = Callable[[Sequence[int], float, float], None]
"""Starts another function with some lanes, its share of the rate, the seconds it waits at first."""

Run = Callable[[Callable[[Due], Outcome], Iterable[Due]], Iterable[Outcome]]
"""Applies the refresh to each of some due tenants."""

RefresherFor = Callable[[float, float, float], Refresher]
"""Makes the refresher of one batch, from requests a second, the seconds in which it may begin some
and the seconds before the first."""


@dataclass(slots=True)
class Glimpse:
    """What a tick or a lane saw of the fleet on its way, for its metrics; in seconds and tenants.

    ``least_left``: what the token with the least life left had when it was taken, negative where it
    had run out; who is not due has more. ``long_overdue`` is counted among the rows that the tick
    read. ``waiting``: answers of GoTo's in the rescue queue. None is what could not be read: it,
    ``in_use`` or ``degraded``.
    """

    oldest_overdue: float = 0.0
    long_overdue: int = 0
    provider_down: bool = False
    least_left: float | None = None
    waiting: int | None = None
    in_use: int | None = None
    degraded: int | None = None
    not_usable: int = 0

    @property
    def without_token(self) -> int | None:
        """Connected tenants whose readers have no live token; None where nobody knows."""
        if self.in_use is None or self.degraded is None:
            return None
        return min(self.in_use, self.degraded + self.long_overdue)


class Schedule:
    """``cap`` is the deployment's refreshes a second, ``hand_over`` starts `lanes` elsewhere;
    overdue for ``dead_after`` seconds, a tenant counts as without a token."""

    def __init__(
        self,
        *,
        connections: Connections,
        provider: ProviderRow,
        fleet: Fleet,
        rescue_queue: RescueQueue,
        refresher_for: RefresherFor,
        run: Run,
        hand_over: HandOver,
        cap: int,
        dead_after: float,
        clock: Callable[[], float],
        report: Callable[[Exception], None],
    ) -> None:
        self._connections = connections
        self._provider = provider
        self._fleet = fleet
        self._rescue_queue = rescue_queue
        self._refresher_for = refresher_for
        self._run = run
        self._hand_over = hand_over
        self._cap = cap
        self._dead_after = dead_after
        self._clock = clock
        self._report = report
        self.glimpse = Glimpse()

    def tick(self) -> Counter[str]:
        """Refresh what is due, or have it refreshed. Counts outcomes, and lanes handed over."""
        counts = self._tick()
        for look in (self._note_tick, self._count_fleet, self._count_waiting):
            try:
                look()
            except DependencyUnavailable as error:
                self._report(error)
        return counts

    def _tick(self) -> Counter[str]:
        provider = self._circuit_state()
        down = provider.open_since is not None
        lanes = {lane: self._due(lane, LANE_BATCH) for lane in range(LANES)}
        due = sorted(itertools.chain(*lanes.values()), key=lambda row: row.at)
        self._look_at(due, down=down)
        if not due:  # most minutes of a small fleet; what asks GoTo need not be loaded
            return Counter()
        rate = circuit_breaker.per_second(provider, self._cap)
        more = any(len(rows) == LANE_BATCH for rows in lanes.values())
        needed = rate if more else min(rate, len(due) / TICK_WORKS_FOR)
        if down or needed <= TICK_CARRIES:
            refresher = self._refresher_for(rate, TICK_WORKS_FOR, 0.0)
            return self._refreshed(refresher, due[:PROBES] if down else due)
        busy = [lane for lane, rows in lanes.items() if rows]
        functions = min(len(busy), _functions(needed))
        for turn in range(functions):
            self._hand(busy[turn::functions], rate / functions, turn / rate)
        return Counter({"lanes": functions})

    def lanes(self, lanes: Sequence[int], rate: float, wait: float = 0.0) -> Counter[str]:
        """Refresh what is due in some lanes, batch by batch in due order, for a minute at most.

        ``rate`` in requests a second, ``wait`` in seconds before the first of them.
        """
        refresher = self._refresher_for(rate, TICK_WORKS_FOR, wait)
        counts: Counter[str] = Counter()
        tried: set[str] = set()
        while counts[Outcome.OUT_OF_TIME] == 0:
            found = itertools.chain(*(self._due(lane, LANE_BATCH) for lane in lanes))
            batch = [row for row in found if row.tenant not in tried]
            if not batch:
                break
            tried |= {row.tenant for row in batch}
            counts += self._refreshed(refresher, sorted(batch, key=lambda row: row.at))
        return counts

    def _circuit_state(self) -> Provider:
        """This minute's decision on GoTo as a whole, made by one tick only (F17)."""
        now = int(self._clock())
        try:
            before = self._provider.get()
            if now - before.turned_at < CIRCUIT_TURN or circuit_breaker.at_rest(before):
                return before
            after, change = circuit_breaker.next_state(before, now, self._cap * 1_000)
            self._provider.save(before, after, _news(change, self._clock()))
        except Conflict:
            return before
        except DependencyUnavailable as error:
            self._report(error)
            return Provider()
        return after

    def _due(self, lane: int, limit: int) -> tuple[Due, ...]:
        """A lane that can't be read holds up no other."""
        try:
            return self._connections.due(lane, int(self._clock()), limit)
        except DependencyUnavailable as error:
            self._report(error)
            return ()

    def _hand(self, lanes: Sequence[int], rate: float, wait: float) -> None:
        """Lanes that can't be handed over stay due."""
        try:
            self._hand_over(lanes, rate, wait)
        except DependencyUnavailable as error:
            self._report(error)

    def _look_at(self, due: Sequence[Due], *, down: bool) -> None:
        now = self._clock()
        self.glimpse.provider_down = down
        self.glimpse.oldest_overdue = now - due[0].at if due else 0.0
        self.glimpse.long_overdue = sum(now - row.at > self._dead_after for row in due)

    def _note_tick(self) -> None:
        self._provider.ticked(int(self._clock()))

    def _count_waiting(self) -> None:
        self.glimpse.waiting = self._rescue_queue.pending()

    def _count_fleet(self) -> None:
        counts = self._fleet.counts()
        self.glimpse.degraded = counts[Status.DEGRADED]
        self.glimpse.not_usable = counts[NOT_USABLE]
        self.glimpse.in_use = counts[Status.CONNECTED] + counts[Status.DEGRADED]

    def _refreshed(self, refresher: Refresher, due: Iterable[Due]) -> Counter[str]:
        counts = self._counted(self._run(refresher.refresh, due))
        known = () if self.glimpse.least_left is None else (self.glimpse.least_left,)
        self.glimpse.least_left = min((*known, *refresher.lives_left), default=None)
        return counts

    def _counted(self, outcomes: Iterable[Outcome]) -> Counter[str]:
        """Add to what the next turn will look at, and pass the counts on."""
        counts = Counter(str(outcome) for outcome in outcomes)
        failed, limited = counts[Outcome.TRANSIENT], counts[Outcome.RATE_LIMITED]
        asked = failed + limited + sum(counts[outcome] for outcome in _ANSWERED)
        if asked:
            try:
                refused = sum(counts[outcome] for outcome in _REFUSED)
                given = any(counts[outcome] for outcome in _TOKENS_GIVEN)
                given_at = int(self._clock()) if given else None
                self._provider.add(asked, failed, refused, limited, given_at)
            except (Conflict, DependencyUnavailable) as error:
                self._report(error)
        return counts


def _functions(needed: float) -> int:
    """How many functions so many refreshes a second need. They double, so that each has as many of
    the lanes as the others: one with more of them would be the slowest."""
    functions = 1
    while functions < LANES and functions * LANE_CARRIES < needed:
        functions *= 2
    return functions


def _news(change: circuit_breaker.Change | None, at: float) -> JournalEntry | None:
    if change is None:
        return None
    return JournalEntry(PROVIDER, at, Kind(change), SCHEDULER, NEWS[change])
