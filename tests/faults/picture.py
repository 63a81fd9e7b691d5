"""The readers' year as an SVG: how many of the fleet had a live token, day by day."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from tests.faults.report import Report

WIDTH, BAND, LEFT, TOP = 900, 120, 60, 46
INK, FAINT, COLOURS = "#1d2733", "#c9d1da", ("#14604f", "#7a3e9d", "#b35a00")


def draw(path: Path, reports: Sequence[Report]) -> None:
    """Write the picture: one band for each rule, a step for each day."""
    height = TOP + BAND * len(reports) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<title>Live tokens for readers over the simulated year</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="24" fill="{INK}" font-size="16">Share of tenants with a live access '
        f"token, each day of the year ({reports[0].tenants} tenants a rule)</text>",
    ]
    for number, report in enumerate(reports):
        parts += _band(report, TOP + number * BAND, COLOURS[number % len(COLOURS)])
    parts.append(
        f'<text x="{LEFT}" y="{height - 8}" fill="{INK}">Dips: two outages of GoTo of six hours, '
        "one of our own of a day. What is left: grants whose answer was lost, until the admin came."
        "</text></svg>"
    )
    path.write_text("\n".join(parts) + "\n")


def _band(report: Report, top: int, colour: str) -> list[str]:
    floor, high = top + BAND - 26, BAND - 48
    step = (WIDTH - LEFT - 20) / len(report.daily)
    points = " ".join(
        f"{LEFT + day * step:.1f},{floor - share * high:.1f}"
        for day, share in enumerate(report.daily)
    )
    words = escape(f"{report.rule}: {report.availability:.4%} while grant and provider were alive")
    return [
        f'<text x="{LEFT}" y="{top + 14}" fill="{INK}">{words}</text>',
        *(
            f'<path d="M{LEFT} {floor - level * high:.1f}H{WIDTH - 20}" stroke="{FAINT}"/>'
            f'<text x="{LEFT - 8}" y="{floor - level * high + 4:.1f}" fill="{INK}" '
            f'text-anchor="end">{level:.0%}</text>'
            for level in (0, 0.5, 1)
        ),
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>',
    ]
