"""The year as an SVG: a strip for each tenant, what kept its token from being used in color."""

from html import escape
from pathlib import Path

from chalicelib.durations import DAY
from tests.year.figures import Cause, Figures

WIDTH, LEFT, TOP, STRIP = 960, 16, 112, 4
INK, GROUND, FAINT = "#1d2733", "#dfeee9", "#c9d1da"
COLORS: dict[Cause, str] = {
    Cause.CUSTOMER: "#7a3e9d",
    Cause.MONTH: "#2f6fb0",
    Cause.PROCESS: "#d1495b",
    Cause.WIRE: "#e39b2e",
    Cause.ABSENT: "#1d2733",
    Cause.TABLES: "#8a6d3b",
    Cause.GOTO: "#6b7785",
    Cause.UNEXPLAINED: "#ff00aa",
}
LEAST = 0.4
"""The least width of a gap, so that it can be seen at all."""


def draw(path: Path, figures: Figures, days: int) -> None:
    """Write the picture."""
    height = TOP + STRIP * len(figures.strips) + 36
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' font-family="system-ui, sans-serif" font-size="12">',
        "<title>A simulated year: when each tenant's token could be used</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{LEFT}" y="22" fill="{INK}" font-size="16">A simulated year of'
        f" {figures.tenants} customers: one line each, colored where its token could not be used"
        "</text>",
        *_legend(figures),
    ]
    wide = WIDTH - 2 * LEFT
    for number, strip in enumerate(figures.strips):
        top = TOP + number * STRIP
        parts.append(
            f'<rect x="{LEFT}" y="{top}" width="{wide}" height="{STRIP - 1}" fill="{GROUND}"/>'
        )
        for first, last, cause in strip:
            x, width = (seconds / (days * DAY) * wide for seconds in (first, last - first))
            color = COLORS[Cause(cause)]
            parts.append(
                f'<rect x="{LEFT + x:.1f}" y="{top}" width="{max(LEAST, width):.1f}"'
                f' height="{STRIP - 1}" fill="{color}"/>'
            )
    parts += _months(days, height)
    path.write_text("\n".join([*parts, "</svg>"]) + "\n")


def _legend(figures: Figures) -> list[str]:
    shown = [cause for cause in COLORS if figures.seconds[cause]]
    parts = []
    for number, cause in enumerate(shown):
        x, y = LEFT + 310 * (number % 3), 42 + 20 * (number // 3)
        share = figures.seconds[cause] / figures.seconds["lived"]
        parts += [
            f'<rect x="{x}" y="{y}" width="12" height="12" fill="{COLORS[cause]}"/>',
            f'<text x="{x + 18}" y="{y + 11}" fill="{INK}">{escape(cause)}: {share:.2%}</text>',
        ]
    return parts


def _months(days: int, height: int) -> list[str]:
    wide, parts = WIDTH - 2 * LEFT, []
    for day in range(0, days - 15, 30):
        x = LEFT + day / days * wide
        parts += [
            f'<path d="M{x:.1f} {height - 34}v6" stroke="{FAINT}"/>',
            f'<text x="{x:.1f}" y="{height - 14}" fill="{INK}">day {day}</text>',
        ]
    return parts
