"""Paces one function's token requests: evenly, within its share of the cap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Limiter(Protocol):
    """Gives slots for token requests."""

    def acquire(self) -> bool:
        """Wait for the next slot; False if there is none in time, and none is taken."""

    def slow_down(self) -> None:
        """Report that GoTo answered 429."""


class RateLimiter:
    """Slots for requests, shared by the function's threads.

    ``per_second`` is this function's share of the deployment's rate. After ``until``, a time on
    ``clock``, no request begins. ``wait``: seconds before the first request. Functions that share a
    rate start one after the other; otherwise their slots would coincide.
    """

    def __init__(
        self,
        per_second: float,
        until: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        wait: float = 0.0,
    ) -> None:
        self._gap = 1 / per_second
        self._until = until
        self._clock = clock
        self._sleep = sleep
        self._next = clock() + wait
        self._lock = threading.Lock()

    def acquire(self) -> bool:
        with self._lock:
            now = self._clock()
            slot = max(now, self._next)
            if slot > self._until:
                return False
            self._next = slot + self._gap
        if slot > now:
            self._sleep(slot - now)
        return True

    def slow_down(self) -> None:
        """After a 429, go half as fast."""
        with self._lock:
            self._gap *= 2
