"""Decides when the fleet stops asking GoTo, when it resumes, and how fast (F12, F13).

Pure arithmetic over the `#provider` row. Only the tick decides, once a minute.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from chalicelib.dynamodb.provider_health import Provider

FADE = 0.75
"""Share of a trend that remains after a turn."""

FEWEST = 5_000
"""Thousandths of failed or refused requests. Fewer say nothing about GoTo as a whole."""

OPENS_AT = 0.9
"""GoTo counts as down when this share of all requests fails or is refused."""

FEWEST_REFUSED = 3_000
"""Thousandths of refusals. Three in a row, with almost nothing else, point to GoTo rather than to
three customers (F26). Lower than `FEWEST`: the circuit must open before a refusal is confirmed."""

SLOWEST = 1_000
"""Thousandths of a request a second: 429s never lower the rate further."""

REGAIN = 0.1
"""Share of the cap by which the rate grows in each turn without a 429."""

AGAIN_AT = 4
"""Divides the cap when GoTo recovers: everything that fell due meanwhile is waiting."""


class Change(StrEnum):
    """A change of the circuit; its value is the journal's kind."""

    DOWN = "provider_down"
    UP = "provider_recovered"


def next_state(before: Provider, now: int, cap: int) -> tuple[Provider, Change | None]:
    """The row after this minute's decision. Its counters are amounts to add, because lanes may
    count at any time. ``cap`` in thousandths of a request a second."""
    after = replace(
        before,
        turn=before.turn + 1,
        turned_at=now,
        asked=-before.asked,
        failed=-before.failed,
        refused=-before.refused,
        limited=-before.limited,
        trend_asked=_trend(before.trend_asked, before.asked),
        trend_failed=_trend(before.trend_failed, before.failed),
        trend_refused=_trend(before.trend_refused, before.refused),
        rate=_rate(before, cap),
    )
    if before.open_since is not None:
        if before.asked <= before.failed + before.refused:
            return after, None
        rested = replace(after, open_since=None, trend_asked=0, trend_failed=0, trend_refused=0)
        return replace(rested, rate=max(SLOWEST, cap // AGAIN_AT)), Change.UP
    if _is_down(before, after):
        return replace(after, open_since=now), Change.DOWN
    return after, None


def _is_down(before: Provider, after: Provider) -> bool:
    """Whether enough requests were bad, and nearly all of the last turn or of the trend. With the
    trend alone, earlier good answers would hide an outage for minutes, and hide refusals until
    after the first is confirmed (F26)."""
    bad = after.trend_failed + after.trend_refused
    if bad < FEWEST and after.trend_refused < FEWEST_REFUSED:
        return False
    last_turn = _nearly_all(before.asked, before.failed + before.refused)
    return last_turn or _nearly_all(after.trend_asked, bad)


def _nearly_all(asked: int, bad: int) -> bool:
    return 0 < OPENS_AT * asked <= bad


def per_second(row: Provider, cap: int) -> float:
    """Requests a second that the deployment may send now; ``cap`` in the same unit."""
    return cap if row.rate is None else row.rate / 1_000


def at_rest(row: Provider) -> bool:
    """Whether a turn would change nothing: no request since the last one, no trouble before."""
    troubled = (
        row.open_since is not None or row.trend_failed or row.trend_refused or row.rate is not None
    )
    return not troubled and not row.asked


def _trend(before: int, counted: int) -> int:
    return int(before * FADE) + 1_000 * counted


def _rate(before: Provider, cap: int) -> int | None:
    """The next rate; None once it is the cap again."""
    rate = min(cap, before.rate if before.rate is not None else cap)
    if before.limited:
        return max(min(cap, SLOWEST), rate // 2)
    regained = rate + max(1, int(cap * REGAIN))
    return regained if regained < cap else None
