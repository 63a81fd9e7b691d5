"""`make simulate`: a year of a fleet under each of GoTo's possible rotation rules.

Prints what became of every tenant, and draws the readers' year to `docs/images/year.svg`.
"""

import argparse
import json
import multiprocessing
import os
import queue
import sys
import time
from collections.abc import Sequence
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from sandbox.goto.switches import Rotation
from tests.faults.picture import draw
from tests.faults.report import Report
from tests.faults.year import CATCH_UP, YEAR_DAYS, simulate
from tests.support.aws import REGION

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "images" / "year.svg"

RULES: dict[Rotation, str] = {
    "late": "GoTo's own: a new refresh token after 60 % of the old one's life",
    "always": "a new single-use refresh token at each refresh",
    "never": "the same refresh token for its 30 days",
}

ROWS = (
    ("refreshes", "refreshes committed"),
    ("requests", "token requests sent"),
    ("crashes", "crashes injected"),
    ("5xx", "5xx injected"),
    ("timeouts", "read timeouts injected"),
    ("refused_writes", "commits that DynamoDB refused at least once"),
    ("rescued", "answers committed from the rescue queue"),
    ("lost_with_the_process", "rotated answers that died with their process"),
    ("lost_on_the_wire", "rotated answers that were lost on the wire"),
    ("flagged_response_lost", "tenants flagged 'response lost'"),
    ("asked_otherwise", "reconnects asked for, for any other reason"),
    ("announced", "times that people were asked to connect again"),
    ("warned_7_days", "warnings 7 days ahead"),
    ("warned_2_days", "warnings 2 days ahead"),
    ("reconnects", "reconnects by an admin"),
    ("lost_for_good", "tenants not connected at the end"),
)

Told = tuple[str, float | dict[str, Any]]


def holds(report: Report) -> list[str]:
    """What should hold for any year and does not, in words."""
    counts = report.counts
    lost = counts.get("lost_with_the_process", 0) + counts.get("lost_on_the_wire", 0)
    flagged = counts.get("flagged_response_lost", 0)
    wrong = []
    if flagged != lost:
        wrong.append(f"{lost} rotated answers were lost, {flagged} flagged")
    if counts["announced"] != counts.get("reconnects_asked", 0):
        wrong.append(f"{counts['announced']} times people were asked to connect again")
    if counts.get("asked_otherwise", 0):
        wrong.append(f"{counts['asked_otherwise']} reconnects asked for without need")
    if counts.get("lost_for_good", 0):
        wrong.append(f"{counts['lost_for_good']} tenants lost for good")
    if report.availability < 0.9999:
        wrong.append(f"readers had a live token {report.availability:.4%} of the time")
    return wrong


def table(reports: Sequence[Report]) -> str:
    """Everything that was counted, a column for each rule."""
    width = max(len(title) for _, title in ROWS) + 2
    lines = ["".ljust(width) + "".join(f"{report.rule:>14}" for report in reports)]

    def row(title: str, cells: Sequence[str]) -> None:
        lines.append(title.ljust(width) + "".join(f"{cell:>14}" for cell in cells))

    for key, title in ROWS:
        row(title, [f"{report.counts.get(key, 0):,}" for report in reports])
    row(
        "requests / least possible",
        [
            f"{report.counts['requests'] / report.counts['least_requests']:.2f}"
            for report in reports
        ],
    )
    for key, title in (
        ("raw_dead", "hours without a live token, all tenants"),
        ("own", f"  of them: our own outage + {CATCH_UP} s"),
        ("provider", f"  GoTo's outages + {CATCH_UP} s"),
        ("grant", "  the grant dead, until the admin came"),
        ("dead", "  none of these"),
    ):
        row(title, [f"{report.seconds[key] / 3600:,.2f}" for report in reports])
    row("live token, all in all", [f"{1 - _raw(report):.4%}" for report in reports])
    row("  but for our own outage", [f"{1 - _raw(report, 'own'):.4%}" for report in reports])
    row("  grant and GoTo alive as well", [f"{report.availability:.6%}" for report in reports])
    return "\n".join(lines)


def _effort(report: Report) -> float:
    """Token requests over the least that could keep a token alive: one a lifetime."""
    return report.counts["requests"] / report.counts["least_requests"]


def _raw(report: Report, but: str | None = None) -> float:
    dead = report.seconds["raw_dead"] - (report.seconds[but] if but else 0)
    return dead / (report.tenants * report.days * 86_400)


def _work(rule: Rotation, arguments: tuple[int, int, int], told: "Queue[Told]") -> None:
    # What moto signs with; nothing leaves the process.
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }
    report = simulate(rule, *arguments, lambda share: told.put((rule, share)))
    told.put((rule, report.to_dict()))


def _run(arguments: tuple[int, int, int]) -> list[Report]:
    """A process a rule; the machine shares its cores among them."""
    spawn = multiprocessing.get_context("spawn")
    told: Queue[Told] = spawn.Queue()
    workers = [spawn.Process(target=_work, args=(rule, arguments, told)) for rule in RULES]
    for worker in workers:
        worker.start()
    shares: dict[str, float] = dict.fromkeys(RULES, 0.0)
    reports: dict[str, Report] = {}
    begun = time.monotonic()
    while len(reports) < len(RULES):
        try:
            rule, news = told.get(timeout=60)
        except queue.Empty:
            if any(worker.exitcode for worker in workers):
                raise SystemExit("a simulation died; what it said stands above") from None
            continue
        if isinstance(news, dict):
            news.pop("availability")
            reports[rule] = Report(**news)
        else:
            shares[rule] = news
        _progress(sum(shares.values()) / len(shares), time.monotonic() - begun)
    for worker in workers:
        worker.join()
    print(file=sys.stderr)
    return [reports[rule] for rule in RULES]


def _progress(share: float, seconds: float) -> None:
    if not sys.stderr.isatty():
        return
    bar = "#" * int(40 * share)
    print(f"\r[{bar:<40}] {share:4.0%} {seconds:5.0f} s", end="", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when everything that should hold did."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--tenants", type=int, default=100, help="tenants of each fleet (100)")
    parser.add_argument("--days", type=int, default=YEAR_DAYS, help="days to live through (365)")
    parser.add_argument("--seed", type=int, default=1, help="of everything that is random (1)")
    parser.add_argument("--json", action="store_true", help="print the reports instead")
    chosen = parser.parse_args(arguments)
    begun = time.monotonic()
    reports = _run((chosen.tenants, chosen.days, chosen.seed))
    draw(PICTURE, reports)
    if chosen.json:
        print(json.dumps([report.to_dict() for report in reports]))
    else:
        print(f"{chosen.tenants} tenants a rule, {chosen.days} days, seed {chosen.seed},", end=" ")
        print(f"{time.monotonic() - begun:.0f} s\n\n{table(reports)}\n")
        for rule, meaning in RULES.items():
            print(f"{rule}: {meaning}")
    wrong = [f"{report.rule}: {words}" for report in reports for words in holds(report)]
    print("\n".join(wrong), file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
