"""How fast one function sends token requests: evenly, and never beyond its share of the cap."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol


class Limiter(Protocol):
    """Whoever gives slots for token requests."""

    def acquire(self) -> bool:
        """Wait for the next slot; False when there is none in time."""

    def slow_down(self) -> None:
        """GoTo said 429."""


class RateLimiter:
    """Slots for requests, shared by the function's threads.

    ``per_second`` is the share of the deployment's rate, ``until`` the moment on ``clock`` after
    which no request is begun any more, ``wait`` the seconds before the first: functions that share
    a rate begin one after the other, else all their slots would fall together.
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
        """Wait for the next slot; False when there is none in time, and nothing was taken."""
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
        """GoTo said 429: from now on half as fast."""
        with self._lock:
            self._gap *= 2
