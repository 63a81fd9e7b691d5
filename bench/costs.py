"""What a fleet costs a month, by arithmetic from what was measured: the table of `docs/costs.md`.

Prices: AWS's published ones for us-east-1, in US dollars, as of 2025; change them here.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from chalicelib.model import LANES
from chalicelib.schedule import FITS

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "costs.md"
BEGIN, END = "<!-- from bench/costs.py -->\n", "<!-- end -->"

FLEETS = (10, 100, 1_000, 10_000, 100_000, 1_000_000)

MONTH = 30 * 86_400
BETWEEN = 2_300
"""Seconds between two refreshes of a tenant whose tokens live an hour, jitter included."""

MEMORY = 0.5
"""GB of a function that refreshes; Lambda gives a whole processor at 1,769 MB."""

PROCESSOR = MEMORY * 1_024 / 1_769

READ_UNIT, WRITE_UNIT = 0.125e-6, 0.625e-6
GB_SECOND, INVOCATION = 13.3334e-6, 0.2e-6
SECRET, SECRET_CALL = 0.40, 5e-6
KEY, KEY_CALL = 1.0, 3e-6
KEYS = 6

TICK_SECONDS = 0.3
"""Of an empty tick, on a slow processor: 16 queries."""


def facts() -> dict[str, float]:
    """What one refresh took when it was measured last: units, milliseconds of a processor."""
    found: dict[str, float] = {}
    for row in json.loads(RESULTS.read_text())["rows"]:
        for name, value in row.get("facts", {}).items():
            found[name] = max(value, found.get(name, 0.0))
    return found


def table(measured: Mapping[str, float]) -> str:
    """The page's table in Markdown."""
    head = (
        "| tenants | refreshes a second | functions | read, write units a second | DynamoDB"
        " | Lambda | Secrets Manager | KMS | in all | each tenant |\n"
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    )
    return head + "".join(f"| {' | '.join(_cells(size, measured))} |\n" for size in FLEETS)


def functions(size: int, measured: Mapping[str, float]) -> int:
    """How many refresh at a time: the tick alone, or its lanes.

    Raises `ValueError`: more than all lanes can do.
    """
    rate = size / BETWEEN
    if rate * 60 <= FITS:
        return 1
    if rate > LANES * _each_function(measured):
        raise ValueError(f"{size} tenants are more than {LANES} lanes of this memory refresh")
    return LANES


def most(measured: Mapping[str, float]) -> int:
    """Tenants that all lanes can keep alive, in the 55 seconds of a minute that they work."""
    return int(LANES * _each_function(measured) * BETWEEN * 55 / 60)


def write(measured: Mapping[str, float]) -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}{_body(measured)}{END}{after}")


def shown(text: str) -> str:
    """What stands in the page now."""
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0]


def _body(measured: Mapping[str, float]) -> str:
    return (
        f"One refresh takes {measured['read_units']:g} read and {measured['write_units']:g} write"
        f" units of DynamoDB and {measured['cpu_ms']:g} ms of a processor, as measured; all"
        f" {LANES} lanes at {int(MEMORY * 1_024)} MB keep {most(measured):,} tenants alive.\n\n"
        + table(measured)
    )


def _cells(size: int, measured: Mapping[str, float]) -> Iterator[str]:
    rate = size / BETWEEN
    refreshes = rate * MONTH
    reads, writes = measured["read_units"], measured["write_units"]
    busy = measured["cpu_ms"] / 1e3 / PROCESSOR * MEMORY * refreshes
    ticks = MONTH / 60
    runs = ticks * (1 if functions(size, measured) == 1 else 1 + LANES)
    dynamodb = refreshes * (reads * READ_UNIT + writes * WRITE_UNIT)
    work = (busy + ticks * TICK_SECONDS * MEMORY) * GB_SECOND + runs * INVOCATION
    secrets = size * SECRET + refreshes * SECRET_CALL
    keys = KEYS * KEY + refreshes * KEY_CALL
    total = dynamodb + work + secrets + keys
    yield f"{size:,}"
    yield f"{rate:,.2f}"
    yield str(functions(size, measured))
    yield f"{rate * reads:,.1f}, {rate * writes:,.1f}"
    for dollars in (dynamodb, work, secrets, keys, total):
        yield f"${dollars:,.0f}"
    yield f"${total / size:.2f}"


def _each_function(measured: Mapping[str, float]) -> float:
    """Refreshes a second of one function, whose share of a processor is the limit."""
    return PROCESSOR / (measured["cpu_ms"] / 1e3)
