"""`make bench`: prints every ratio with its goal, and writes `bench/results.json`, a chart, and the
costs. `--guard`: a short run for CI, which fails if a ratio is a quarter worse than on record.
Benchmarks that take too long to compare run at a tiny size, only to see that they run.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import catch_up, chart, cold, costs, fleet, reader, refresh, warm
from bench.table import Row, told
from sandbox import dynamodb_local
from sandbox.environment import ROOT, step

RESULTS = Path(__file__).with_name("results.json")

CHART = ROOT / "docs" / "images" / "bench.svg"

WORSE = 1.25
"""Factor by which a ratio may exceed the recorded one before CI fails."""

Measures = Mapping[str, Callable[[str], list[Row]]]
"""By name; each gets the address of DynamoDB Local."""

_WHOLE: Measures = {
    "Cold start": lambda _: cold.rows(15),
    "Reader": lambda endpoint: reader.rows(endpoint, 40, 100),
    "Refresh": lambda _: refresh.rows(300, 3),
    "Warm latency": lambda endpoint: warm.rows(endpoint, 100),
    "Fleet": lambda endpoint: fleet.rows(endpoint, 100_000, 5),
    "Catching up": lambda _: catch_up.rows(20_000, 20),
}
_COMPARED: Measures = {
    "Cold start": lambda _: cold.rows(5),
    "Reader": lambda endpoint: reader.rows(endpoint, 10, 100),
}
_TRIED: Measures = {
    "Refresh": lambda _: refresh.rows(2, 1, delays=(0.02,), threads=(16,)),
    "Warm latency": lambda endpoint: warm.rows(endpoint, 2),
    "Fleet": lambda endpoint: fleet.rows(endpoint, 200, 1, due=2),
    "Catching up": lambda _: catch_up.rows(20, 20),
}


def main() -> int:
    """Measure, print, and record or compare; 1 if a goal or the record is missed."""
    parser = argparse.ArgumentParser(prog="bench", description="What things cost, as ratios.")
    parser.add_argument("--guard", action="store_true", help="short, against the recorded ratios")
    guard = parser.parse_args().guard
    with dynamodb_local.running() as endpoint:
        rows = _measured(_COMPARED if guard else _WHOLE, endpoint)
        if guard:
            _measured(_TRIED, endpoint)
    if guard:
        return _guarded(rows)
    record(rows, RESULTS, CHART)
    costs.write(costs.facts())
    return told(rows)


def _measured(measures: Measures, endpoint: str) -> list[Row]:
    rows: list[Row] = []
    for name, measure in measures.items():
        with step(name):
            rows += measure(endpoint)
    return rows


def record(rows: Sequence[Row], results: Path, picture: Path) -> None:
    """Write the rows down, and draw them."""
    text = json.dumps({**_where(), "rows": [_plain(row) for row in rows]}, indent=2)
    results.write_text(f"{text}\n")
    chart.draw(picture, rows)


def _guarded(rows: Sequence[Row]) -> int:
    recorded = {row["name"]: row["ratio"] for row in json.loads(RESULTS.read_text())["rows"]}
    told(rows)
    worse = [row.name for row in rows if row.ratio > WORSE * recorded[row.name] and not row.bound]
    for name in worse:
        print(f"{name}: more than a quarter worse than the {recorded[name]:.3f} on record")
    # The record is another machine's, so a bound, which depends on speed, is not compared to it.
    beyond = [row.name for row in rows if row.bound and not row.reached]
    for name in beyond:
        print(f"{name}: beyond its goal")
    return 1 if worse or beyond else 0


def _plain(row: Row) -> dict[str, object]:
    return {
        "name": row.name,
        "ratio": round(row.ratio, 4),
        "goal": row.goal,
        "reached": row.reached,
        "medians": row.shown,
        **({"facts": dict(row.facts)} if row.facts else {}),
    }


def _where() -> dict[str, object]:
    command = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    python = platform.python_version()
    return {
        "machine": f"{os.cpu_count()} CPUs, {platform.machine()}, Python {python}",
        "after_commit": commit.stdout.strip() or None,
    }


if __name__ == "__main__":
    sys.exit(main())
