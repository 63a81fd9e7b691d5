"""What is counted of a year: raw first, then by cause; and what must hold. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median, quantiles
from typing import Any

from chalicelib.durations import DAY
from chalicelib.models import Status
from tests.year.spans import Spans, cut, length, union, without
from tests.year.troubles import AWS, GOTO, HOUR, MINUTE, Trouble, Window

CATCH_UP = 1_200
"""Seconds after a trouble that are counted to it: the longest backoff and a few ticks."""


class Cause(StrEnum):
    """Why a tenant's token was not usable; where several fit, the first."""

    CUSTOMER = "the customer's people"
    MONTH = "GoTo's 30 days"
    PROCESS = "an answer died with its process"
    WIRE = "an answer was lost on the wire"
    ABSENT = "we were absent"
    TABLES = "DynamoDB"
    GOTO = "GoTo's outages"
    UNEXPLAINED = "none of these"


OF_TROUBLE: dict[Trouble, Cause] = {
    **dict.fromkeys(GOTO, Cause.GOTO),
    **dict.fromkeys(AWS, Cause.TABLES),
    Trouble.ABSENT: Cause.ABSENT,
}

PEOPLE = (Cause.CUSTOMER, Cause.MONTH, Cause.PROCESS, Cause.WIRE)
"""What a person must mend: it lasts until they come."""

WITHIN: dict[str, float] = {
    "revoked": 40 * MINUTE,
    "secret made anew": 40 * MINUTE,
    "client refused": 15 * MINUTE,
    "role lost": DAY,
    "role lost, met by a reader": 2 * MINUTE,
    "mail refused": 15 * MINUTE,
    Trouble.DOWN: 10 * MINUTE,
    Trouble.STREAM_SILENT: HOUR,
}
"""Seconds from a cause to the first word of it, that the year must keep."""

LARGE = 50
"""Customers from which that is asked: of fewer, GoTo is asked for too little to tell as soon."""


Strip = list[tuple[float, float, str]]
"""When a tenant's token was not usable, in seconds of the year, and why; in order."""

WAITING_CALLS = "calls not imported yet: nobody has reconnected"


@dataclass
class Life:
    """One tenant's year. Times in epoch seconds.

    ``hurt``: what a person must mend, and since when; ``dead_at_once``: no token was usable from
    then on; ``told_of_loss``: the product has said that an answer was lost. ``mended``: the same
    when it was over. ``dead``: when its token was not usable.
    """

    connected_at: float
    connected_last: float
    covered_until: float
    status: str = Status.CONNECTED
    dead_at_once: bool = False
    told_of_loss: bool = False
    hurt: tuple[Cause, float] | None = None
    mended: dict[Cause, Spans] = field(default_factory=dict)
    dead: Spans = field(default_factory=list)


@dataclass
class Figures:
    """Of one fleet, or of several put together. Seconds, unless a name says otherwise."""

    tenants: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    reconnect_days: list[float] = field(default_factory=list)
    told: dict[str, list[float]] = field(default_factory=dict)
    mails: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    strips: list[Strip] = field(default_factory=list)

    def add(self, other: Figures) -> None:
        """Count another fleet with this one."""
        self.tenants += other.tenants
        self.counts += other.counts
        for name, seconds in other.seconds.items():
            self.seconds[name] += seconds
        self.reconnect_days += other.reconnect_days
        for cause, told in other.told.items():
            self.told.setdefault(cause, []).extend(told)
        self.mails += other.mails
        self.faults += other.faults
        self.strips += other.strips

    def live(self, life: Life, windows: tuple[Window, ...], begin: float, end: float) -> None:
        """Count a tenant's whole year, from its first connect to ``end``."""
        self.tenants += 1
        causes = {cause: union(spans) for cause, spans in life.mended.items()}
        if life.hurt is not None and life.hurt[1] < end:
            causes[life.hurt[0]] = [*causes.get(life.hurt[0], []), (life.hurt[1], end)]
        waiting = union([span for cause in PEOPLE for span in causes.get(cause, [])])
        for window in windows:
            if window.trouble in OF_TROUBLE:
                cause = OF_TROUBLE[window.trouble]
                causes.setdefault(cause, []).append((window.begin, window.end + CATCH_UP))
        strip: Strip = []
        dead = list(cut(union(life.dead), life.connected_at, end))
        self.seconds["lived"] += end - life.connected_at
        self.seconds["unusable"] += length(dead)
        for cause in Cause:
            left = without(dead, causes.get(cause, [])) if cause is not Cause.UNEXPLAINED else []
            gone = without(dead, left)
            self.seconds[cause] += length(gone)
            strip += [(first - begin, last - begin, str(cause)) for first, last in gone]
            dead = left
        self.seconds["people's own"] += length(list(cut(waiting, life.connected_at, end)))
        self.strips.append(sorted(strip))

    @staticmethod
    def why(strip: Strip, begin: float, end: float) -> str:
        """What kept a token from being used for the most of a time."""
        lasted: Counter[str] = Counter({str(Cause.UNEXPLAINED): 0})
        for first, last, cause in strip:
            lasted[cause] += max(0, round(min(last, end) - max(first, begin)))
        return lasted.most_common(1)[0][0]

    @property
    def usable(self) -> float:
        """Share of all time since the first connect in which a tenant's token was usable."""
        return 1 - self.seconds["unusable"] / self.seconds["lived"]

    @property
    def usable_but_for_people(self) -> float:
        """The same, once the time is taken out in which a person had to act."""
        lived = self.seconds["lived"] - self.seconds["people's own"]
        people = sum(self.seconds[cause] for cause in PEOPLE)
        return 1 - (self.seconds["unusable"] - people) / lived

    @property
    def usable_otherwise(self) -> float:
        """The same, once the outages are taken out that last longer than a token lives."""
        lived = self.seconds["lived"] - self.seconds["people's own"]
        rest = sum(self.seconds[cause] for cause in (Cause.TABLES, Cause.UNEXPLAINED))
        return 1 - rest / lived

    def broken(self) -> list[str]:
        """What must hold and does not, in words."""
        counts = self.counts
        wrong = list(self.faults)
        wrong += [f"{counts[name]} {name}" for name in MUST_BE_NONE if counts[name]]
        lost, flagged = (
            counts["new tokens lost with a process"] + counts["new tokens lost on the wire"],
            counts["ended: response_lost"],
        )
        if lost != flagged + counts["losses mended before they were seen"]:
            wrong.append(f"{lost} new tokens were lost, {flagged} tenants are flagged")
        if self.usable_otherwise < 0.999:
            wrong.append(f"usable for {self.usable_otherwise:.3%}, without long outages")
        in_time = WITHIN if self.tenants >= LARGE else {}
        wrong += [
            f"told of {cause!r} after {max(self.told[cause]) / 60:.0f} minutes"
            for cause, most in in_time.items()
            if self.told.get(cause) and max(self.told[cause]) > most
        ]
        return wrong

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


MUST_BE_NONE = (
    "calls of another customer",
    "calls twice",
    "calls missing",
    "tenants lost for good",
    "reconnects asked for without a cause",
    "false alarms",
    "causes that nobody was told of",
)


def of(values: list[float], unit: float) -> str:
    """Median, 95th percentile and most of some seconds, in a unit."""
    if not values:
        return "none"
    high = quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
    return f"{median(values) / unit:.1f}, {high / unit:.1f}, {max(values) / unit:.1f}"
