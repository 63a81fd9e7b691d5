"""Each customer's phone calls, made by a seeded process of office hours, and GoTo's report."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from math import sqrt
from typing import Any

from chalicelib.durations import DAY
from docs.examples.import_calls import ID, NEXT, STARTED
from tests.year.troubles import HOUR

OPEN, CLOSED = 8 * HOUR, 18 * HOUR
WEEKDAY, WEEKEND = 12, 2
"""Calls of a customer on such a day, on average."""

LONGEST_CALL = 4 * HOUR
LONGEST_LISTING = 6 * HOUR


@dataclass(frozen=True, slots=True)
class Call:
    """``listed``: when GoTo's report shows it, some time after its end. Epoch seconds."""

    id: str
    account: str
    started: float
    listed: float


class Calls:
    """Every account's calls. The same seed makes the same ones, in whatever order they are read."""

    def __init__(self, seed: str, begin: float) -> None:
        self._seed = seed
        self._begin = begin
        self._days: dict[tuple[str, int], tuple[Call, ...]] = {}

    def between(self, account: str, begin: float, end: float) -> Iterator[Call]:
        """Those that began within a time, oldest first."""
        for day in range(self._day(begin), self._day(end) + 1):
            for call in self._of_day(account, day):
                if begin <= call.started < end:
                    yield call

    def page(self, query: dict[str, str], now: float) -> dict[str, Any]:
        """A page of GoTo's report, as it would be now."""
        begin, end = (
            datetime.fromisoformat(query[name]).timestamp() for name in ("startTime", "endTime")
        )
        found = self.between(query["accountKey"], begin, end)
        listed = [call for call in found if call.listed <= now]
        first, size = int(query.get("pageMarker", 0)), int(query["pageSize"])
        items = [
            {ID: call.id, STARTED: datetime.fromtimestamp(call.started, UTC).isoformat()}
            for call in listed[first : first + size]
        ]
        return {"items": items} | ({NEXT: str(first + size)} if first + size < len(listed) else {})

    def _day(self, at: float) -> int:
        return int((at - self._begin) // DAY)

    def _of_day(self, account: str, day: int) -> tuple[Call, ...]:
        found = self._days.get((account, day))
        if found is None:
            if len(self._days) > 20_000:
                self._days.clear()
            found = self._days[account, day] = tuple(self._made(account, day))
        return found

    def _made(self, account: str, day: int) -> Iterator[Call]:
        dice = random.Random(f"{self._seed} {account} {day}")
        begin = self._begin + day * DAY
        weekend = datetime.fromtimestamp(begin, UTC).weekday() >= 5
        mean = WEEKEND if weekend else WEEKDAY
        number = max(0, round(dice.gauss(mean, sqrt(mean))))
        times = sorted(begin + dice.uniform(OPEN, CLOSED) for _ in range(number))
        for place, started in enumerate(times):
            talked = min(LONGEST_CALL, dice.expovariate(1 / 300))
            listing = min(LONGEST_LISTING, dice.expovariate(1 / 600))
            yield Call(f"{account}/{day}/{place}", account, started, started + talked + listing)
