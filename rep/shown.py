"""How answers look to a person. Colour only where there is a terminal."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_COLOURS = {
    "connected": "green",
    "degraded": "yellow",
    "reauthorization_required": "red",
    "credentials_rejected": "red",
}


def day(at: float | None) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC" if at else "-"


def state(name: str) -> str:
    colour = _COLOURS.get(name)
    return f"[{colour}]{name}[/]" if colour else name


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    console.print(drawn)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values, a line each; what is None is left out."""
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            drawn.add_row(name, str(value))
    console.print(drawn)


def tenant(told: dict[str, Any]) -> None:
    """Everything about one tenant; what to do next comes last, where the eye rests."""
    facts(
        [
            ("Tenant", escape(f"{told['tenant']} ({told['display_name']})")),
            ("State", f"{state(told['state'])}: {escape(told['meaning'])}"),
            ("Why", escape(told["why"]) if told["why"] else None),
            ("Since", day(told["since"]) if told["since"] else None),
            ("Detail", escape(told["detail"]) if told["detail"] else None),
            ("Connected by", escape(told["by"]) if told["by"] else None),
            ("Token valid until", day(told["expires_at"]) if told["expires_at"] else None),
            ("Last refresh", day(told["refreshed_at"]) if told["refreshed_at"] else None),
            ("Next refresh", day(told["next_refresh_at"]) if told["next_refresh_at"] else None),
            ("Reconnect by", day(told["reconnect_by"]) if told["reconnect_by"] else None),
            ("GoTo account", told["pinned_account"]),
            ("Admin", escape(told["admin_email"])),
            ("Redirect URI", escape(told["redirect_uri"])),
            ("Client ID", escape(told["client_id"]) if told["client_id"] else None),
        ]
    )
    console.print("\n[bold]What has happened[/]")
    table(
        ("when", "what", "who", "reference"),
        [
            (day(line["at"]), escape(line["text"]), escape(line["who"]), line["reference"] or "")
            for line in told["timeline"]
        ],
    )
    console.print(f"\n[bold]Next action[/]  {escape(told['next_action'])}")


def tenants(rows: Sequence[dict[str, Any]]) -> None:
    """A list of tenants, from the tables or from the fleet's counts."""
    table(
        ("tenant", "state", "name", "reconnect by"),
        [
            (
                row["tenant"],
                state(row["state"]),
                escape(row["display_name"]),
                day(row.get("reconnect_by")),
            )
            for row in rows
        ],
    )


def fleet(told: dict[str, Any]) -> None:
    """The fleet at a glance."""
    console.print(f"[bold]{told['total']} tenants[/] at {day(told['at'])}")
    facts((name, number) for name, number in told["counts"].items() if number)
    late = " [red]late: is the schedule on?[/]" if told["tick_late"] else ""
    console.print(f"Last tick        {day(told['last_tick'])}{late}")
    more = " or more" if told["overdue_or_more"] else ""
    console.print(f"Overdue          {told['overdue']}{more}")
    if told["provider_down_since"]:
        console.print(f"[red]GoTo does not answer since {day(told['provider_down_since'])}[/]")
    if told["needs_a_person"]:
        console.print("\n[bold]Needs a person[/]")
        table(
            ("tenant", "state", "since"),
            [(r["tenant"], state(r["state"]), day(r["since"])) for r in told["needs_a_person"]],
        )
    if told["ending_soonest"]:
        console.print("\n[bold]Ends soonest[/]")
        table(
            ("tenant", "reconnect by"),
            [(row["tenant"], day(row["reconnect_by"])) for row in told["ending_soonest"]],
        )
