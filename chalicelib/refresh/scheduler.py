"""Use case: the fleet. One tick a minute; the table is the queue.

What fits is refreshed in the tick itself, more is handed over: to as many functions as the rate
needs, each with some of the lanes. What is left undone stays due. While GoTo is down only a few
are asked.
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

Known = TypeVar("Known")

HandOver = Callable[[Sequence[int], float, float], None]
"""Starts another function with some lanes, its share of the rate, the seconds it waits at first."""

Run = Callable[[Callable[[Due], Refreshed], Iterable[Due]], Iterable[Refreshed]]
"""Applies the refresh to each of some due tenants."""

RefresherFor = Callable[[float, float, float], Refresher]
"""Makes the refresher of one batch, from requests a second, the seconds in which it may begin some
and the seconds before the first."""


@dataclass(frozen=True, slots=True)
class LaneReport:
    """What came of some lanes' refreshes. ``least_left``: the seconds that the token with the least
    life left had when it was taken, negative where it had run out; who is not due has more."""

    outcomes: Counter[str] = field(default_factory=Counter)
    least_left: float | None = None

    def plus(self, other: LaneReport) -> LaneReport:
        """Both together."""
        lives = [each for each in (self.least_left, other.least_left) if each is not None]
        return LaneReport(self.outcomes + other.outcomes, min(lives, default=None))


@dataclass(frozen=True, slots=True)
class TickReport(LaneReport):
    """What came of a tick, and what it saw of the fleet on its way; in seconds and tenants.

    ``outcomes`` counts lanes that were handed over, too. ``long_overdue`` is counted among the rows
    that the tick read. ``waiting``: answers of GoTo's in the rescue queue. None is what could not
    be read: it, ``in_use`` or ``degraded``.
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
        """Connected tenants whose readers have no live token; None where nobody knows."""
        if self.in_use is None or self.degraded is None:
            return None
        return min(self.in_use, self.degraded + self.long_overdue)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """``cap`` is the deployment's refreshes a second, ``hand_over`` starts `lanes` elsewhere;
    overdue for ``dead_after`` seconds, a tenant counts as without a token."""

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
        """Refresh what is due, or have it refreshed."""
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
        """Refresh ``due``, all that the ``lanes`` hold, or hand the lanes over."""
        if not due:  # most minutes of a small fleet; what asks GoTo need not be loaded
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

        ``rate`` in requests a second, ``wait`` in seconds before the first of them.
        """
        refresher = self.refresher_for(rate, TICK_WORKS_FOR, wait)
        done = LaneReport()
        tried: set[str] = set()
        while done.outcomes[Outcome.OUT_OF_TIME] == 0:
            found = itertools.chain(*(self._due(lane, LANE_BATCH) for lane in lanes))
            batch = [row for row in found if row.tenant not in tried]
            if not batch:
                break
            tried |= {row.tenant for row in batch}
            done = done.plus(self._refreshed(refresher, sorted(batch, key=lambda row: row.at)))
        return done

    def _circuit_state(self) -> Provider:
        """This minute's decision on GoTo as a whole, made by one tick only (F17)."""
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
        """A lane that can't be read holds up no other."""
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
        """None where a table or queue can't be reached: statistics hold up no refresh (F30)."""
        try:
            return look()
        except DependencyUnavailable as error:
            self.report(error)
            return None

    def _refreshed(self, refresher: Refresher, due: Iterable[Due]) -> LaneReport:
        done = list(self.run(refresher.refresh, due))
        lives = [each.seconds_left for each in done if each.seconds_left is not None]
        return LaneReport(self._counted(each.outcome for each in done), min(lives, default=None))

    def _counted(self, outcomes: Iterable[Outcome]) -> Counter[str]:
        """Add to what the next turn will look at, and pass the counts on."""
        counts = Counter(str(outcome) for outcome in outcomes)
        failed, limited = counts[Outcome.TRANSIENT], counts[Outcome.RATE_LIMITED]
        asked = failed + limited + sum(counts[outcome] for outcome in _ANSWERED)
        if asked:
            try:
                refused = sum(counts[outcome] for outcome in _REFUSED)
                given = any(counts[outcome] for outcome in _TOKENS_GIVEN)
                given_at = int(self.clock()) if given else None
                self.provider.add(asked, failed, refused, limited, given_at)
            except (Conflict, DependencyUnavailable) as error:
                self.report(error)
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
