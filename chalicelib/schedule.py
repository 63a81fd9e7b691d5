"""Use case: the fleet. One tick a minute; the table is the queue.

What fits is refreshed in the tick itself, more is handed over lane by lane. What is left undone
stays due. While GoTo is down only a few are asked.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chalicelib import circuit
from chalicelib.commits import SCHEDULER
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.model import LANES, PROVIDER, Due, JournalEntry, Provider, Status
from chalicelib.pool import Run
from chalicelib.refresh import Outcome, Refresher
from chalicelib.times import CIRCUIT_TURN, DEAD_AFTER, TICK_WORKS_FOR

if TYPE_CHECKING:
    from chalicelib.rescue_queue import RescueQueue
    from chalicelib.store.connections import Connections
    from chalicelib.store.fleet import Fleet
    from chalicelib.store.provider import ProviderRow

LANE_BATCH = 100
"""Tenants taken from a lane in one query."""

FITS = 200
"""Due tenants that a tick refreshes by itself."""

PROBES = 3
"""Due tenants that a tick asks for while GoTo counts as down (F12)."""

NEWS = {
    circuit.Change.DOWN: "GoTo does not answer for the fleet. Only a few are asked until it does.",
    circuit.Change.UP: "GoTo answers again. What is overdue is refreshed in due order.",
}

_ANSWERED = (
    Outcome.REFRESHED,
    Outcome.RESCUED,
    Outcome.LOST,
    Outcome.UNCONFIRMED,
    Outcome.GRANT_REFUSED,
    Outcome.CLIENT_REFUSED,
    Outcome.SUPERSEDED,
    Outcome.WITHDRAWN,
)

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

    @property
    def without_token(self) -> int | None:
        """Connected tenants whose readers have no live token; None where nobody knows."""
        if self.in_use is None or self.degraded is None:
            return None
        return min(self.in_use, self.degraded + self.long_overdue)


class Schedule:
    """``cap`` is the deployment's refreshes a second, ``hand_over`` starts `lane` elsewhere with
    its number, its share of the rate and the seconds it waits at first."""

    def __init__(
        self,
        *,
        connections: "Connections",
        provider: "ProviderRow",
        fleet: "Fleet",
        rescue_queue: "RescueQueue",
        refresher_for: RefresherFor,
        run: Run,
        hand_over: Callable[[int, float, float], None],
        cap: int,
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
        provider = self._turn()
        down = provider.open_since is not None
        lanes = {lane: self._due(lane, LANE_BATCH) for lane in range(LANES)}
        due = sorted(itertools.chain(*lanes.values()), key=lambda row: row.at)
        self._look_at(due, down=down)
        if not due:  # most minutes of a small fleet; what asks GoTo need not be loaded
            return Counter()
        rate = self._cap if provider.rate is None else provider.rate / 1_000
        if down or len(due) <= min(FITS, rate * TICK_WORKS_FOR):
            refresher = self._refresher_for(rate, TICK_WORKS_FOR, 0.0)
            return self._refreshed(refresher, due[:PROBES] if down else due)
        busy = [lane for lane, rows in lanes.items() if rows]
        for turn, lane in enumerate(busy):
            self._hand(lane, rate / len(busy), turn / rate)
        return Counter({"lanes": len(busy)})

    def lane(self, lane: int, rate: float, wait: float = 0.0) -> Counter[str]:
        """Refresh what is due in one lane, batch by batch in due order, for a minute at most.

        ``rate`` in requests a second, ``wait`` in seconds before the first of them.
        """
        refresher = self._refresher_for(rate, TICK_WORKS_FOR, wait)
        counts: Counter[str] = Counter()
        tried: set[str] = set()
        while counts[Outcome.OUT_OF_TIME] == 0:
            batch = [row for row in self._due(lane, LANE_BATCH) if row.tenant not in tried]
            if not batch:
                break
            tried |= {row.tenant for row in batch}
            counts += self._refreshed(refresher, batch)
        return counts

    def _turn(self) -> Provider:
        """This minute's decision on GoTo as a whole, made by one tick only (F17)."""
        now = int(self._clock())
        try:
            before = self._provider.get()
            if now - before.turned_at < CIRCUIT_TURN or circuit.at_rest(before):
                return before
            after, change = circuit.turn(before, now, self._cap * 1_000)
            self._provider.turn(before, after, _news(change, self._clock()))
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

    def _hand(self, lane: int, rate: float, wait: float) -> None:
        """A lane that can't be handed over stays due."""
        try:
            self._hand_over(lane, rate, wait)
        except DependencyUnavailable as error:
            self._report(error)

    def _look_at(self, due: Sequence[Due], *, down: bool) -> None:
        now = self._clock()
        self.glimpse.provider_down = down
        self.glimpse.oldest_overdue = now - due[0].at if due else 0.0
        self.glimpse.long_overdue = sum(now - row.at > DEAD_AFTER for row in due)

    def _note_tick(self) -> None:
        self._provider.ticked(int(self._clock()))

    def _count_waiting(self) -> None:
        self.glimpse.waiting = self._rescue_queue.pending()

    def _count_fleet(self) -> None:
        counts = self._fleet.counts()
        self.glimpse.degraded = counts[Status.DEGRADED]
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
                self._provider.add(asked, failed, limited)
            except (Conflict, DependencyUnavailable) as error:
                self._report(error)
        return counts


def _news(change: circuit.Change | None, at: float) -> JournalEntry | None:
    if change is None:
        return None
    return JournalEntry(PROVIDER, at, str(change), SCHEDULER, NEWS[change])
