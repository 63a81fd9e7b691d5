"""The time by which we judge whether a token is alive: taken from AWS's answers, and carried on by
the monotonic clock. This machine's wall clock may be wrong, drift or jump. We trust it only before
the first answer, and use it to detect a machine that slept, which the monotonic clock can't see.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

DRIFT = 0.01
"""The share by which the monotonic clock may be wrong. No crystal is that bad: after 20 minutes
without an answer this costs 12 s of a token's life."""

STEADY = 2.0
"""Seconds by which the two clocks may diverge before we measure again."""

PLAUSIBLE = 900
"""Seconds. A `Date` further than this from both of our clocks is not AWS's: AWS rejects signatures
that are five minutes off."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """At the monotonic time ``at``, the true time minus the monotonic time is between ``low`` and
    ``high``, and the wall clock minus the monotonic time is ``parted``."""

    low: float
    high: float
    at: float
    parted: float
    measured: bool = True


class Clock:
    def __init__(
        self,
        assumed_error: float,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``wall`` returns epoch seconds. ``assumed_error``: seconds by which it may be wrong until
        something has been measured."""
        self._assumed_error = assumed_error
        self._wall = wall
        self.monotonic = monotonic
        self._bounds = self._assume()

    def latest(self) -> float:
        """The latest that the time can be, in epoch seconds: a token that outlives it is alive."""
        bounds, now = self._bounds, self.monotonic()
        slept = self._wall() - now - bounds.parted
        return now + bounds.high + max(slept, DRIFT * (now - bounds.at))

    def error(self) -> float:
        """Seconds by which `latest` may be ahead; the assumed error until AWS has answered."""
        if not self._bounds.measured:
            return self._assumed_error
        return self.latest() - (self.monotonic() + self._bounds.low)

    def steady(self) -> bool:
        """Whether this machine has neither slept nor had its clock set since the last answer."""
        bounds, now = self._bounds, self.monotonic()
        return abs(self._wall() - now - bounds.parted) < STEADY + DRIFT * (now - bounds.at)

    def measure(self, date: str | None, begun: float) -> None:
        """Learn from the `Date` header of an answer; its request began at monotonic time ``begun``.

        The header names the second in which AWS answered, between the request and now. Several
        answers together narrow the time more than one does, so their ranges are intersected.
        """
        now, wall, before = self.monotonic(), self._wall(), self._bounds
        answered = _epoch(date)
        if answered is None or not _plausible(answered, now, wall, before):
            if not before.measured:
                self._bounds = self._assume()
            return
        low, high = answered - now, answered + 1 - begun
        if before.measured and self.steady():
            widened = DRIFT * (now - before.at)
            both = max(low, before.low - widened), min(high, before.high + widened)
            if both[0] < both[1]:  # else one of them is wrong: trust the newer
                low, high = both
        self._bounds = _Bounds(low, high, now, wall - now)

    def _assume(self) -> _Bounds:
        now = self.monotonic()
        parted = self._wall() - now
        low, high = parted - self._assumed_error, parted + self._assumed_error
        return _Bounds(low, high, now, parted, measured=False)


def _plausible(answered: float, now: float, wall: float, before: _Bounds) -> bool:
    by_before = before.measured and abs(answered - now - before.high) < PLAUSIBLE
    return by_before or abs(answered - wall) < PLAUSIBLE


def _epoch(date: str | None) -> float | None:
    try:
        return None if date is None else parsedate_to_datetime(date).timestamp()
    except (TypeError, ValueError):
        return None
