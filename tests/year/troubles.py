"""What goes wrong in a year, and when: drawn from the seed before the year begins."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.durations import DAY

MINUTE, HOUR = 60, 3_600


class Trouble(StrEnum):
    DOWN = "GoTo does not answer"
    GRANTS_REFUSED = "GoTo refuses every grant"
    CLIENTS_REFUSED = "GoTo refuses every client"
    SLOW = "GoTo is slow, and some answers are lost"
    ODD = "GoTo answers in other forms"
    TABLES_DOWN = "DynamoDB is down"
    TABLES_BUSY = "DynamoDB throttles"
    MAIL_DOWN = "SES is down"
    STREAM_SILENT = "the journal's stream is not read"
    ABSENT = "we are absent"


GOTO = (Trouble.DOWN, Trouble.GRANTS_REFUSED, Trouble.CLIENTS_REFUSED, Trouble.SLOW)
"""Those in which it is GoTo that keeps tokens from coming."""

AWS = (Trouble.TABLES_DOWN, Trouble.TABLES_BUSY)

_YEAR: tuple[tuple[Trouble, int], ...] = (
    *(
        (Trouble.DOWN, minutes * MINUTE)
        for minutes in (5, 6, 8, 10, 12, 15, 18, 20, 25, 30, 35, 40)
    ),
    (Trouble.DOWN, 3 * HOUR),
    (Trouble.DOWN, 3 * HOUR),
    (Trouble.DOWN, 6 * HOUR),
    *((Trouble.GRANTS_REFUSED, minutes * MINUTE) for minutes in (1, 3, 3, 15)),
    *((Trouble.CLIENTS_REFUSED, minutes * MINUTE) for minutes in (2, 3)),
    *((Trouble.SLOW, DAY),) * 3,
    *((Trouble.ODD, DAY),) * 2,
    (Trouble.TABLES_DOWN, HOUR),
    *((Trouble.TABLES_BUSY, 2 * HOUR),) * 2,
    (Trouble.MAIL_DOWN, HOUR),
    (Trouble.STREAM_SILENT, 2 * HOUR),
    (Trouble.ABSENT, DAY),
)
"""A year's troubles and how long each takes, in seconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """``begin`` and ``end`` in epoch seconds."""

    trouble: Trouble
    begin: float
    end: float


def drawn(begin: float, days: int, dice: random.Random) -> tuple[Window, ...]:
    """The troubles of so many days, in order, none beside another.

    The first day and the last are calm. A shorter time has its share of the year's.
    """
    chosen = list(_YEAR)
    dice.shuffle(chosen)
    wanted = max(1, round(len(chosen) * days / 365))
    slot = (days - 2) * DAY / wanted
    fitting = [each for each in chosen if each[1] <= slot / 2][:wanted]
    found = []
    for number, (trouble, seconds) in enumerate(fitting):
        at = begin + DAY + slot * number + dice.uniform(0, slot / 2)
        at -= at % MINUTE
        found.append(Window(trouble, at, at + seconds))
    return tuple(found)


def at(windows: Sequence[Window], now: float) -> frozenset[Trouble]:
    """What goes wrong at a moment."""
    return frozenset(each.trouble for each in windows if each.begin <= now < each.end)
