"""A fleet's cost a month, calculated from the measurements: the table in `docs/costs.md`.

Prices: AWS's list prices for us-east-1 in US dollars, as of 2025; change them here.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bench.function_seconds import Minute, lane_memory, minute
from chalicelib.durations import ASSUMED_LIFETIME, JITTER, PROBE_EVERY
from chalicelib.models import LANES
from chalicelib.refresh.scheduler import LANE_CARRIES

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "costs.md"
BEGIN, END = "<!-- from bench/costs.py -->\n", "<!-- end -->"

FLEETS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)

DAY = 86_400
MONTH = 30 * DAY
REQUESTS_OF_A_PROBE = 2
"""The person's accounts, and one read of call reports."""
SHARE, LATER = 0.33, 0.67
"""`RefreshShare` as set, and the one to compare it with."""

DEFAULT_RATE = 10
"""`TokenRate`'s default: the rate that GoTo documents for its APIs."""

READ_UNIT, WRITE_UNIT = 0.125e-6, 0.625e-6
GB_SECOND, INVOCATION = 13.3334e-6, 0.2e-6
SECRET, SECRET_CALL = 0.40, 5e-6
KEY, KEY_CALL = 1.0, 3e-6
KEYS = 6


def facts() -> dict[str, float]:
    """What one refresh took when last measured: DynamoDB units, milliseconds of a processor."""
    found: dict[str, float] = {}
    for row in json.loads(RESULTS.read_text())["rows"]:
        for name, value in row.get("facts", {}).items():
            found[name] = max(value, found.get(name, 0.0))
    return found


def table(measured: Mapping[str, float]) -> str:
    """The page's table in Markdown."""
    head = (
        "| tenants | refreshes a second | `TokenRate` | functions | read, write units a second"
        " | DynamoDB | Lambda | billed to worked | Secrets Manager | KMS | in all"
        " | in all at 67 % | each tenant |\n"
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    )
    return head + "".join(f"| {' | '.join(_cells(size, measured))} |\n" for size in FLEETS)


def token_rate(size: int, share: float = SHARE) -> int:
    """A fleet's `TokenRate`: the default, or what it needs plus a tenth for catching up."""
    return max(DEFAULT_RATE, math.ceil(size / between(share) * 1.1))


def lambda_minute(size: int, measured: Mapping[str, float], share: float = SHARE) -> Minute:
    """What Lambda bills for a fleet's minute, with the product's own pacing.

    Raises `ValueError` if more is due than all lanes can refresh.
    """
    due = size / between(share) * 60
    rate, cpu = token_rate(size, share), measured["cpu_ms"] / 1e3
    for memory in (lane_memory(), 2 * lane_memory()):
        found = minute(math.ceil(due), rate, cpu, memory)
        if found.refreshed >= math.ceil(due) and found.slowest <= 60:
            part = due / math.ceil(due)  # below 1 if fewer than one is due a minute
            return replace(found, billed=found.billed * part, worked=found.worked * part)
    raise ValueError(f"{size} tenants are more than {LANES} lanes of any memory refresh")


def most(measured: Mapping[str, float]) -> int:
    """Tenants that all lanes can keep alive, working 55 seconds of each minute."""
    return int(LANES * LANE_CARRIES * between(SHARE) * 55 / 60)


def between(share: float) -> float:
    """Seconds between two refreshes of a tenant whose tokens live an hour, including jitter."""
    return ASSUMED_LIFETIME * share * (1 - JITTER / 2)


def write(measured: Mapping[str, float]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{_body(measured)}{END}{after}")


def shown(text: str) -> str:
    """The part of the page that `write` replaces."""
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0]


def _body(measured: Mapping[str, float]) -> str:
    dearest = {size: _dearest(size, measured) for size in FLEETS}
    changes = [size for size, name in dearest.items() if name != "Secrets Manager"]
    return (
        f"One refresh takes {measured['read_units']:g} read and {measured['write_units']:g} write"
        f" units of DynamoDB and {measured['cpu_ms']:g} ms of a processor, as measured; all"
        f" {LANES} lanes at {lane_memory()} MB keep {most(measured):,} tenants alive, at twice that"
        f" {2 * most(measured):,}.\n\n"
        + table(measured)
        + _requests()
        + "\nThe dearest line is "
        + (
            "Secrets Manager at every size.\n"
            if not changes
            else f"Secrets Manager, but at {' and '.join(f'{size:,}' for size in changes)} tenants"
            f" it is {dearest[changes[0]]}.\n"
        )
    )


def _requests() -> str:
    """GoTo's requests for one tenant. A probe writes two items that a refresh writes as well."""
    refreshes, probes = DAY / between(SHARE), DAY / PROBE_EVERY
    return (
        f"\nGoTo is asked for {refreshes:.0f} refreshes a tenant and day, and {probes:.1f} times"
        f" whether the connection can be used, by {REQUESTS_OF_A_PROBE} requests to its API. Such a"
        f" probe writes no more than a refresh does: at most {probes / refreshes:.1%} on top of"
        " DynamoDB's line.\n"
    )


def _dearest(size: int, measured: Mapping[str, float]) -> str:
    return max((dollars, name) for name, dollars in lines(size, measured).items())[1]


def lines(size: int, measured: Mapping[str, float], share: float = SHARE) -> dict[str, float]:
    """Dollars a month by service."""
    refreshes = size / between(share) * MONTH
    found = lambda_minute(size, measured, share)
    runs = MONTH / 60 * (1 if found.functions == 1 else 1 + found.functions)
    units = measured["read_units"] * READ_UNIT + measured["write_units"] * WRITE_UNIT
    return {
        "DynamoDB": refreshes * units,
        "Lambda": found.billed * MONTH / 60 * GB_SECOND + runs * INVOCATION,
        "Secrets Manager": size * SECRET + refreshes * SECRET_CALL,
        "KMS": KEYS * KEY + refreshes * KEY_CALL,
    }


def _cells(size: int, measured: Mapping[str, float]) -> Iterator[str]:
    rate, found, dollars = (
        size / between(SHARE),
        lambda_minute(size, measured),
        lines(size, measured),
    )
    reads, writes = measured["read_units"], measured["write_units"]
    more = "" if found.memory == lane_memory() else f" of {found.memory:,} MB"
    yield f"{size:,}"
    yield f"{rate:,.2f}"
    yield str(token_rate(size))
    yield f"{found.functions}{more}"
    yield f"{rate * reads:,.1f}, {rate * writes:,.1f}"
    yield f"${dollars['DynamoDB']:,.0f}"
    yield f"${dollars['Lambda']:,.0f}"
    yield f"{found.billed / found.worked:.2f}"
    yield f"${dollars['Secrets Manager']:,.0f}"
    yield f"${dollars['KMS']:,.0f}"
    total = sum(dollars.values())
    yield f"${total:,.0f}"
    yield f"${sum(lines(size, measured, LATER).values()):,.0f}"
    yield f"${total / size:.2f}"
