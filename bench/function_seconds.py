"""What Lambda bills for a minute of refreshes: the product's own pacing on a simulated clock.

The real schedule and the real rate limiter run; only the refresh is simulated, by its measured CPU
time and an assumed wait for GoTo and AWS. A function's processor does one thing at a time, while
its threads wait in parallel.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import app
from chalicelib.durations import TICK_WORKS_FOR
from chalicelib.dynamodb.provider_health import Provider
from chalicelib.models import LANES, Due
from chalicelib.refresh.outcomes import Outcome, Refreshed
from chalicelib.refresh.rate_limiter import RateLimiter
from chalicelib.refresh.scheduler import Schedule

CONFIG = Path(__file__).resolve().parent.parent / ".chalice" / "config.json"

WHOLE_PROCESSOR = 1_769
"""MB at which Lambda gives a whole processor; with less memory, a proportional share."""

ANSWERS_IN = 0.35
"""Seconds for all of GoTo's and AWS's answers to one refresh: an assumption, not measured with the
real GoTo. A few tenths more or less change nothing here."""

QUERIES = 0.15
"""Seconds that a tick with nothing due takes on a whole processor: 16 queries."""


@dataclass
class Function:
    """One invocation. ``cpu``: seconds of a whole processor that a refresh takes."""

    memory: int
    cpu: float
    seconds: float = 0.0
    refreshed: int = 0
    waits: list[float] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Seconds that this function's share of a processor works on one refresh."""
        return self.cpu * WHOLE_PROCESSOR / self.memory

    def refresher(self, rate: float, seconds: float, wait: float) -> Any:
        limiter = RateLimiter(rate, seconds, lambda: 0.0, self.waits.append, wait)
        return _Refresher(limiter, self)

    def run(self, work: Callable[[Due], Refreshed], items: Iterable[Due]) -> list[Refreshed]:
        """Threads wait in parallel and share a processor; a batch starts after the previous one."""
        begun = self.seconds
        threads, processor, done = [begun] * app.REFRESH_THREADS, begun, []
        for item in items:
            self.waits.clear()
            refreshed = work(item)
            done.append(refreshed)
            if refreshed.outcome is not Outcome.REFRESHED:
                continue
            slot = self.waits[0] if self.waits else 0.0
            processor = max(slot, heapq.heappop(threads), processor) + self.each
            heapq.heappush(threads, processor + ANSWERS_IN)
            self.refreshed += 1
            self.seconds = max(self.seconds, processor + ANSWERS_IN)
        return done


@dataclass(frozen=True)
class _Refresher:
    limiter: RateLimiter
    function: Function

    def refresh(self, _: Due) -> Refreshed:
        return Refreshed(Outcome.REFRESHED if self.limiter.acquire() else Outcome.OUT_OF_TIME)


@dataclass(frozen=True)
class Minute:
    """``billed`` and ``worked`` in GB-seconds: what Lambda bills, and what the processors worked.
    ``slowest``: seconds of the slowest function; ``memory``: MB of a lane's function."""

    functions: int
    refreshed: int
    billed: float
    worked: float
    slowest: float
    memory: int


def lane_memory() -> int:
    """MB of a lane's function, as deployed."""
    return int(
        json.loads(CONFIG.read_text())["lambda_functions"]["refresh_lane"]["lambda_memory_size"]
    )


def minute(due: int, rate: int, cpu: float, lane_mb: int) -> Minute:
    """Simulate one minute in which ``due`` tenants fall due; ``rate`` is `TokenRate`, ``cpu`` as in
    `Function`, ``lane_mb`` the memory of a lane's function."""
    memory = json.loads(CONFIG.read_text())["lambda_functions"]
    ticking = Function(memory["refresh_tick"]["lambda_memory_size"], cpu)
    lanes = _lanes(due)
    started: list[Function] = []

    def hand_over(numbers: Sequence[int], share: float, wait: float) -> None:
        function = Function(lane_mb, cpu)
        started.append(function)
        _schedule(lanes, function, rate, None).lanes(numbers, share, wait)

    _schedule(lanes, ticking, rate, hand_over).tick()
    every = [ticking, *started]
    overhead = [QUERIES * WHOLE_PROCESSOR / one.memory for one in every]
    return Minute(
        functions=len(started) or 1,
        refreshed=sum(one.refreshed for one in every),
        billed=sum(
            one.memory / 1_024 * (one.seconds + more)
            for one, more in zip(every, overhead, strict=True)
        ),
        worked=sum(
            one.memory / 1_024 * (one.refreshed * one.each + more)
            for one, more in zip(every, overhead, strict=True)
        ),
        slowest=max(one.seconds for one in every),
        memory=lane_mb,
    )


def _lanes(due: int) -> dict[int, list[Due]]:
    found: dict[int, list[Due]] = {lane: [] for lane in range(LANES)}
    for number in range(due):
        found[number % LANES].append(Due(f"tenant-{number}", number))
    return found


def _schedule(
    lanes: dict[int, list[Due]], function: Function, rate: int, hand_over: Any
) -> Schedule:
    def due(lane: int, now: int, limit: int) -> tuple[Due, ...]:
        found = tuple(lanes[lane][:limit])
        if hand_over is None:  # a lane's refreshes are no longer due when it looks again
            del lanes[lane][:limit]
        return found

    nothing = SimpleNamespace(
        get=Provider, add=lambda *_: None, ticked=lambda *_: None, counts=dict, pending=int
    )
    return Schedule(
        connections=SimpleNamespace(due=due),  # type: ignore[arg-type]  # all that it asks of it
        provider=nothing,  # type: ignore[arg-type]  # likewise
        fleet=SimpleNamespace(counts=_Zeros),  # type: ignore[arg-type]  # likewise
        rescue_queue=nothing,
        refresher_for=function.refresher,
        run=function.run,
        hand_over=hand_over,
        cap=rate,
        dead_after=math.inf,
        clock=lambda: TICK_WORKS_FOR,
        report=lambda _: None,
    )


class _Zeros(dict[str, int]):
    def __missing__(self, key: str) -> int:
        return 0
