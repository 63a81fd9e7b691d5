"""The time by which a token's life is judged: what AWS's own answers say, carried on by the
monotonic clock. This machine's clock of the day may be wrong, drift or jump; it is believed only
before the first answer, and watched for what the monotonic clock can't see: a machine that slept.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

DRIFT = 0.01
"""By what share the monotonic clock may be wrong. No crystal is that bad: after 20 minutes
without an answer it costs 12 s of a token's life."""

STEADY = 2.0
"""Seconds by which the two clocks may part before what was measured is measured again."""

PLAUSIBLE = 900
"""Seconds: a `Date` that is further from both of our clocks is not AWS's, which takes no signature
that is five minutes off."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """``low`` and ``high``: between them lies the true time less the monotonic, at the monotonic
    time ``at``. ``parted``: the clock of the day less the monotonic, then."""

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
        """``wall`` gives epoch seconds. ``assumed_error`` is by how many seconds it may be wrong,
        as long as nothing has been measured."""
        self._assumed_error = assumed_error
        self._wall = wall
        self.monotonic = monotonic
        self._bounds = self._assume()

    def latest(self) -> float:
        """The latest that it may be, in epoch seconds: a token that outlives it is alive."""
        bounds, now = self._bounds, self.monotonic()
        slept = self._wall() - now - bounds.parted
        return now + bounds.high + max(slept, DRIFT * (now - bounds.at))

    def error(self) -> float:
        """By how many seconds `latest` may be ahead; without an answer, the assumed error."""
        if not self._bounds.measured:
            return self._assumed_error
        return self.latest() - (self.monotonic() + self._bounds.low)

    def steady(self) -> bool:
        """Whether this machine has neither slept nor had its clock set since the last answer."""
        bounds, now = self._bounds, self.monotonic()
        return abs(self._wall() - now - bounds.parted) < STEADY + DRIFT * (now - bounds.at)

    def measure(self, date: str | None, begun: float) -> None:
        """Learn from an answer's `Date` header to a request begun at that monotonic time.

        It names the second in which AWS answered, which lies between the request and now. What
        several answers say together is narrower than what each says, so they are intersected.
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
            if both[0] < both[1]:  # else one of them is wrong, and the newer is believed
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
