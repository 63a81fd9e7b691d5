"""A chart of each row's cost as a share of its goal."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from bench.table import Row

WIDTH, LINE, LEFT, TOP, FULL = 900, 26, 380, 56, 400
INK, FAINT, GOOD, BAD = "#1d2733", "#c9d1da", "#14604f", "#b00020"


def draw(path: Path, rows: Sequence[Row]) -> None:
    """Write the picture: a bar for each row that has a goal, and a line for the goals."""
    shown = [(row.name, row.ratio / row.goal, row) for row in rows if row.goal]
    height = TOP + LINE * len(shown) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="system-ui, sans-serif" font-size="13">',
        "<title>What was measured, as a share of each goal</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="24" fill="{INK}" font-size="16">What was measured, as a share of '
        "what its goal allows</text>",
        f'<text x="{LEFT + FULL}" y="{TOP - 8}" fill="{INK}" text-anchor="middle">goal</text>',
    ]
    for number, (name, share, row) in enumerate(shown):
        parts += _bar(name, share, row, TOP + number * LINE)
    end = TOP + LINE * len(shown)
    parts.append(
        f'<path d="M{LEFT + FULL} {TOP}V{end}" stroke="{INK}" stroke-dasharray="4 3"/></svg>'
    )
    path.write_text("\n".join(parts) + "\n")


def _bar(name: str, share: float, row: Row, top: int) -> list[str]:
    width = min(share, 1.2) * FULL
    middle = top + LINE / 2 + 4
    return [
        f'<text x="20" y="{middle}" fill="{INK}">{escape(name)}</text>',
        f'<rect x="{LEFT}" y="{top + 4}" width="{FULL}" height="{LINE - 8}" fill="{FAINT}"/>',
        f'<rect x="{LEFT}" y="{top + 4}" width="{width:.1f}" height="{LINE - 8}" '
        f'fill="{GOOD if row.reached else BAD}"/>',
        f'<text x="{LEFT + FULL + 12}" y="{middle}" fill="{INK}">{row.ratio:.2f} of {row.goal:.2f}'
        "</text>",
    ]
