"""Use case: the fleet. One tick a minute; the table is the queue.

The tick refreshes a few tenants itself. If more are due, it hands the lanes over to as many
functions as the rate needs. What is not done stays due. While GoTo is down the tick asks for only
a few tenants.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from chalicelib.durations import CIRCUIT_TURN, TICK_WORKS_FOR
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import NOT_USABLE, Fleet
from chalicelib.dynamodb.provider_health import Provider, ProviderRow
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import LANES, PROVIDER, Due, Status
from chalicelib.refresh import circuit_breaker
from chalicelib.refresh.outcomes import Outcome, Refreshed
from chalicelib.refresh.refresher import Refresher
from chalicelib.tokens.commit import SCHEDULER
from chalicelib.tokens.rescue_queue import RescueQueue

LANE_BATCH = 100
"""Most tenants taken from a lane in one query."""

TICK_CARRIES, LANE_CARRIES = 18.0, 36.0
"""Refreshes a second that a tick's and a lane's function can do with their CPU (`docs/costs.md`).
Lambda bills idle time, so no more functions share the rate than it needs."""

PROBES = 3
"""Due tenants that a tick tries while GoTo counts as down (F12)."""

NEWS = {
    circuit_breaker.Change.DOWN: (
        "GoTo is failing or refusing nearly every request. Only a few are sent until it recovers,"
        " and no refusal ends a connection meanwhile."
    ),
    circuit_breaker.Change.UP: (
        "GoTo is working again. Overdue tenants are refreshed in the order they fell due."
    ),
}

_REFUSED = (Outcome.UNCONFIRMED, Outcome.GRANT_REFUSED, Outcome.CLIENT_REFUSED)

_TOKENS_GIVEN = (Outcome.REFRESHED, Outcome.RESCUED, Outcome.LOST, Outcome.OTHER_ACCOUNT)

_ANSWERED = (*_REFUSED, *_TOKENS_GIVEN, Outcome.SUPERSEDED, Outcome.REVOKED)

Known = TypeVar("Known")

HandOver = Callable[[Sequence[int], float, float], None]
"""Starts another function: its lanes, requests a second, seconds before its first request."""

Run = Callable[[Callable[[Due], Refreshed], Iterable[Due]], Iterable[Refreshed]]
"""Refreshes each due tenant."""

RefresherFor = Callable[[float, float, float], Refresher]
"""Makes a refresher: requests a second, seconds in which it may begin some, seconds before the
first."""


@dataclass(frozen=True, slots=True)
class LaneReport:
    """Results of some lanes. ``least_left``: the shortest life, in seconds, that any claimed token
    had left, negative if expired. Tokens that are not due have more."""

    outcomes: Counter[str] = field(default_factory=Counter)
    least_left: float | None = None

    def plus(self, other: LaneReport) -> LaneReport:
        lives = [each for each in (self.least_left, other.least_left) if each is not None]
        return LaneReport(self.outcomes + other.outcomes, min(lives, default=None))


@dataclass(frozen=True, slots=True)
class TickReport(LaneReport):
    """Results of a tick, and what it saw of the fleet; in seconds and tenants.

    ``outcomes`` counts functions with lanes as ``lanes``. ``long_overdue`` counts only rows that
    the tick read. ``waiting``: messages in the rescue queue. None: could not be read.
    """

    oldest_overdue: float = 0.0
    long_overdue: int = 0
    provider_down: bool = False
    waiting: int | None = None
    in_use: int | None = None
    degraded: int | None = None
    not_usable: int = 0

    @property
    def without_token(self) -> int | None:
        """Tenants in use without a live token; None if unknown."""
        if self.in_use is None or self.degraded is None:
            return None
        return min(self.in_use, self.degraded + self.long_overdue)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``cap``: the deployment's refreshes a second. ``hand_over`` starts `lanes` elsewhere. After
    ``dead_after`` seconds overdue, a tenant counts as without a token."""

    connections: Connections
    provider: ProviderRow
    fleet: Fleet
    rescue_queue: RescueQueue
    refresher_for: RefresherFor
    run: Run
    hand_over: HandOver
    cap: int
    dead_after: float
    clock: Callable[[], float]
    report: Callable[[Exception], None]

    def tick(self) -> TickReport:
        """Refresh what is due, here or in other functions."""
        provider = self._circuit_state()
        lanes = {lane: self._due(lane, LANE_BATCH) for lane in range(LANES)}
        due = sorted(itertools.chain(*lanes.values()), key=lambda row: row.at)
        begun = self.clock()
        done = self._work(provider, lanes, due)
        self._if_possible(lambda: self.provider.ticked(int(self.clock())))
        fleet = self._if_possible(self.fleet.counts)
        waiting = self._if_possible(self.rescue_queue.pending)
        return TickReport(
            outcomes=done.outcomes,
            least_left=done.least_left,
            oldest_overdue=begun - due[0].at if due else 0.0,
            long_overdue=sum(begun - row.at > self.dead_after for row in due),
            provider_down=provider.open_since is not None,
            waiting=waiting,
            in_use=None if fleet is None else fleet[Status.CONNECTED] + fleet[Status.DEGRADED],
            degraded=None if fleet is None else fleet[Status.DEGRADED],
            not_usable=0 if fleet is None else fleet[NOT_USABLE],
        )

    def _work(
        self, provider: Provider, lanes: Mapping[int, Sequence[Due]], due: Sequence[Due]
    ) -> LaneReport:
        """Refresh ``due``, which is all rows of ``lanes``, or hand the lanes over."""
        if not due:  # common in a small fleet, and saves loading the refresher
            return LaneReport()
        down = provider.open_since is not None
        rate = circuit_breaker.per_second(provider, self.cap)
        more = any(len(rows) == LANE_BATCH for rows in lanes.values())
        needed = rate if more else min(rate, len(due) / TICK_WORKS_FOR)
        if down or needed <= TICK_CARRIES:
            refresher = self.refresher_for(rate, TICK_WORKS_FOR, 0.0)
            return self._refreshed(refresher, due[:PROBES] if down else due)
        busy = [lane for lane, rows in lanes.items() if rows]
        functions = min(len(busy), _functions(needed))
        for turn in range(functions):
            self._hand(busy[turn::functions], rate / functions, turn / rate)
        return LaneReport(Counter({"lanes": functions}))

    def lanes(self, lanes: Sequence[int], rate: float, wait: float = 0.0) -> LaneReport:
        """Refresh what is due in some lanes, batch by batch in due order, for a minute at most.
        ``rate``: requests a second; ``wait``: seconds before the first."""
        refresher = self.refresher_for(rate, TICK_WORKS_FOR, wait)
        done = LaneReport()
        tried: set[str] = set()
        while done.outcomes[Outcome.OUT_OF_TIME] == 0:
            rows = itertools.chain(*(self._due(lane, LANE_BATCH) for lane in lanes))
            batch = [row for row in rows if row.tenant not in tried]
            if not batch:
                break
            tried |= {row.tenant for row in batch}
            done = done.plus(self._refreshed(refresher, sorted(batch, key=lambda row: row.at)))
        return done

    def _circuit_state(self) -> Provider:
        """The circuit after this minute's decision, which only one tick makes (F17)."""
        now = int(self.clock())
        try:
            before = self.provider.get()
            if now - before.turned_at < CIRCUIT_TURN or circuit_breaker.at_rest(before):
                return before
            after, change = circuit_breaker.next_state(before, now, self.cap * 1_000)
            self.provider.save(before, after, _news(change, self.clock()))
        except Conflict:
            return before
        except DependencyUnavailable as error:
            self.report(error)
            return Provider()
        return after

    def _due(self, lane: int, limit: int) -> tuple[Due, ...]:
        """A lane that can't be read must not hold up the others."""
        try:
            return self.connections.due(lane, int(self.clock()), limit)
        except DependencyUnavailable as error:
            self.report(error)
            return ()

    def _hand(self, lanes: Sequence[int], rate: float, wait: float) -> None:
        """Lanes that can't be handed over stay due."""
        try:
            self.hand_over(lanes, rate, wait)
        except DependencyUnavailable as error:
            self.report(error)

    def _if_possible(self, look: Callable[[], Known]) -> Known | None:
        """None if a table or queue can't be reached: statistics must not stop refreshes (F30)."""
        try:
            return look()
        except DependencyUnavailable as error:
            self.report(error)
            return None

    def _refreshed(self, refresher: Refresher, due: Iterable[Due]) -> LaneReport:
        results = list(self.run(refresher.refresh, due))
        lives = [each.seconds_left for each in results if each.seconds_left is not None]
        return LaneReport(self._counted(each.outcome for each in results), min(lives, default=None))

    def _counted(self, outcomes: Iterable[Outcome]) -> Counter[str]:
        """Count outcomes, and add them to the `#provider` row for the next decision."""
        counts = Counter(str(outcome) for outcome in outcomes)
        failed, limited = counts[Outcome.TRANSIENT], counts[Outcome.RATE_LIMITED]
        asked = failed + limited + sum(counts[outcome] for outcome in _ANSWERED)
        if asked:
            try:
                refused = sum(counts[outcome] for outcome in _REFUSED)
                got_tokens = any(counts[outcome] for outcome in _TOKENS_GIVEN)
                given_at = int(self.clock()) if got_tokens else None
                self.provider.add(asked, failed, refused, limited, given_at)
            except (Conflict, DependencyUnavailable) as error:
                self.report(error)
        return counts


def _functions(needed: float) -> int:
    """Functions for ``needed`` refreshes a second: a power of two, so that all get equally many
    lanes. One with more lanes would be the slowest."""
    functions = 1
    while functions < LANES and functions * LANE_CARRIES < needed:
        functions *= 2
    return functions


def _news(change: circuit_breaker.Change | None, at: float) -> JournalEntry | None:
    if change is None:
        return None
    return JournalEntry(PROVIDER, at, Kind(change), SCHEDULER, NEWS[change])
