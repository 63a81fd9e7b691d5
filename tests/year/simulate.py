"""`make simulate`: a year as it would be, customers' calls, people and bad days and all.

Prints what became of every tenant and every call, and writes the table to `docs/year.md` and the
picture beside it.
"""

import argparse
import json
import logging
import multiprocessing
import os
import queue
import sys
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median

from bench import costs
from chalicelib.durations import DAY
from tests.support.aws import REGION
from tests.year.figures import Cause, Figures, of
from tests.year.picture import draw
from tests.year.troubles import MINUTE
from tests.year.year import live

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "year.md"
PICTURE = ROOT / "docs" / "images" / "year.svg"
BEGIN, END = "<!-- from make simulate -->\n", "<!-- end -->"

SHARDS = 2
"""Fleets that live side by side, each in a process of its own: a year takes half the time."""

Told = tuple[int, float | Figures]

CALLS = (
    "calls made",
    "calls missing",
    "calls twice",
    "calls of another customer",
    "calls not imported yet: nobody has reconnected",
)


def table(figures: Figures) -> list[tuple[str, str]]:
    """Everything that was counted: a title and what it came to, raw figures first."""
    counts = figures.counts

    def counted(*names: str) -> list[tuple[str, str]]:
        return [(name, f"{counts[name]:,}") for name in names]

    return [
        *counted(*CALLS, *sorted(name for name in counts if "late by" in name)),
        ("a token was usable, of all time since the first connect", f"{figures.usable:.3%}"),
        ("... but for the days that people took", f"{figures.usable_but_for_people:.3%}"),
        ("... and for outages longer than a token lives", f"{figures.usable_otherwise:.4%}"),
        *((f"not usable: {cause}", _hours(figures, cause)) for cause in Cause),
        *counted("tenants lost for good"),
        ("reconnects asked for, by cause", _by(figures, "ends: ")),
        ("ended, in the product's words", _by(figures, "ended: ")),
        *counted(
            "reconnects",
            "reconnects before anything broke",
            "reconnects asked for without a cause",
            "customers that a rep phoned",
            "sign-ins with a wrong account, refused",
        ),
        ("days from an end to the reconnect: median, 95 %, most", of(figures.reconnect_days, DAY)),
        (
            "mails to an admin in a month with any: median, most",
            f"{median(figures.mails):.0f}, {max(figures.mails)}" if figures.mails else "none",
        ),
        *counted("false alarms", "causes that nobody was told of"),
        *(
            (f"told of: {cause}; minutes: median, 95 %, most of {len(told)}", of(told, MINUTE))
            for cause, told in sorted(figures.told.items())
        ),
        ("token requests / least possible", f"{counts['requests'] / counts['least requests']:.2f}"),
        *counted(
            "new tokens lost with a process",
            "new tokens lost on the wire",
            "rescued",
            "processes killed",
            "imports killed",
        ),
    ]


def _hours(figures: Figures, cause: Cause) -> str:
    seconds = figures.seconds[cause]
    return f"{seconds / 3_600:,.1f} h, {seconds / figures.seconds['lived']:.3%}"


def cost(tenants: int) -> list[tuple[str, str]]:
    """What such a fleet costs in a year, by `bench/costs.py`."""
    measured = costs.facts()
    minute = costs.lambda_minute(tenants, measured)
    seconds = minute.billed * 1_024 / minute.memory * 365 * 1_440
    dollars = sum(costs.lines(tenants, measured).values()) * 365 / 30
    return [
        ("function seconds, by the arithmetic of costs.md", f"{seconds:,.0f}"),
        ("dollars, by the same", f"{dollars:,.0f}"),
    ]


def _by(figures: Figures, prefix: str) -> str:
    found = {
        name.removeprefix(prefix): number
        for name, number in sorted(figures.counts.items())
        if name.startswith(prefix)
    }
    return ", ".join(f"{name} {number:,}" for name, number in found.items()) or "none"


def _work(shard: int, arguments: tuple[int, int, int], told: "Queue[Told]") -> None:
    # What moto signs with; nothing leaves the process.
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    logging.disable(logging.ERROR)  # readers and importer tell of each bad minute
    told.put((shard, live(*arguments, shard, lambda share: told.put((shard, share)))))


def run(tenants: int, days: int, seed: int) -> Figures:
    """A process a fleet; the fleets' figures together."""
    spawn = multiprocessing.get_context("spawn")
    told: Queue[Told] = spawn.Queue()
    sizes = [tenants // SHARDS + (shard < tenants % SHARDS) for shard in range(SHARDS)]
    workers = [
        spawn.Process(target=_work, args=(shard, (size, days, seed), told))
        for shard, size in enumerate(sizes)
    ]
    for worker in workers:
        worker.start()
    shares, found, begun = [0.0] * SHARDS, dict[int, Figures](), time.monotonic()
    while len(found) < SHARDS:
        try:
            shard, news = told.get(timeout=60)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise SystemExit("a simulation died; what it said stands above") from None
            continue
        if isinstance(news, Figures):
            found[shard] = news
        else:
            shares[shard] = news
        _progress(sum(shares) / SHARDS, time.monotonic() - begun)
    for worker in workers:
        worker.join()
    print(file=sys.stderr)
    figures = Figures()
    for shard in range(SHARDS):
        figures.add(found[shard])
    return figures


def _progress(share: float, seconds: float) -> None:
    if not sys.stderr.isatty():
        return
    bar = "#" * int(40 * share)
    print(f"\r[{bar:<40}] {share:4.0%} {seconds:5.0f} s", end="", file=sys.stderr, flush=True)


def write(rows: Sequence[tuple[str, str]], told: str) -> None:
    """Put the table into the page."""
    text = PAGE.read_text()
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    body = [f"| {name} | {value} |" for name, value in rows]
    lines = [told, "", "| what was counted | |", "|---|--:|", *body]
    PAGE.write_text(before + BEGIN + "\n".join(lines) + "\n" + END + after)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything that should hold did."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--tenants", type=int, default=200, help="customers (200)")
    parser.add_argument("--days", type=int, default=365, help="days to live through (365)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (1)")
    parser.add_argument("--json", action="store_true", help="print the figures instead")
    parser.add_argument("--keep", action="store_true", help="leave page and picture as they are")
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    figures = run(chosen.tenants, chosen.days, chosen.seed)
    took = time.monotonic() - begun
    told = f"{chosen.tenants} customers, {chosen.days} days, seed {chosen.seed}."
    rows = [*table(figures), *cost(chosen.tenants)]
    if chosen.json:
        print(json.dumps(figures.to_dict()))
    else:
        width = max(len(name) for name, _ in rows) + 2
        print(told, f"{took:.0f} s\n")
        print("\n".join(f"{name:{width}}{value}" for name, value in rows))
    if not chosen.keep:
        draw(PICTURE, figures, chosen.days)
        write(rows, told)
    wrong = figures.broken()
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
