"""How answers look to a person. Color on terminals only.

The service's answers are data: nothing in them acts as markup, moves the cursor, reverses the text
direction or hides anything (S30).
"""

import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

_COLOURS = {
    "connected": "green",
    "degraded": "yellow",
    "reauthorization_required": "red",
    "credentials_rejected": "red",
}


HISTORY = 5
"""Lines of a tenant's history that fit a small terminal together with the rest."""

_PIPED = 10_000
"""Columns without a terminal, so that programs and `grep` get unfolded lines."""


def moment(at: float | None) -> str:
    """A moment in this machine's time zone, which `zone` names."""
    return f"{datetime.fromtimestamp(at).astimezone():%Y-%m-%d %H:%M}" if at else "-"


def zone(at: float | None = None) -> str:
    """The time zone that `moment` uses: its name and its offset from UTC."""
    local = datetime.fromtimestamp(at).astimezone() if at else datetime.now(UTC).astimezone()
    name, offset = local.tzname() or "", f"{local:%z}"
    away = "UTC" if offset in ("+0000", "") else f"UTC{offset[:3]}:{offset[3:5]}"
    return away if name in ("", "UTC", away) else f"{name} ({away})"


def day(at: float | None) -> str:
    """A moment with its time zone."""
    return f"{moment(at)} {zone(at)}" if at else "-"


def number(count: int, one: str, many: str = "") -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def reference(text: str | None) -> str:
    """Enough of a reference number to identify it: AWS's are long."""
    return (text or "")[:11] if len(text or "") < 12 else (text or "")[:8]


def plain(value: object) -> Text:
    """A value with `?` for each character that a terminal would obey; `-` for None."""
    if value is None:
        return Text("-")
    return Text("".join("?" if _obeyed(each) else each for each in str(value)))


def _obeyed(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


def say(sentence: str) -> None:
    console.print(plain(sentence))


def as_json(answer: dict[str, Any]) -> None:
    """In ASCII: JSON's escapes keep control characters from the terminal."""
    console.print_json(data=answer, ensure_ascii=True)


def state(name: str) -> Text:
    shown = plain(name)
    shown.stylize(_COLOURS.get(name, ""))
    return shown


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    drawn = Table(box=None, pad_edge=False, header_style="bold", show_header=bool(columns))
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*map(_cell, row))
    _draw(drawn)


def _draw(drawn: Table) -> None:
    console.print(drawn, width=None if console.is_terminal else _PIPED)


def facts(pairs: Iterable[tuple[str, Any]]) -> None:
    """Names and values, one pair a line; a None value is left out."""
    drawn = Table(box=None, pad_edge=False, show_header=False)
    drawn.add_column(style="bold")
    drawn.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None:
            drawn.add_row(_cell(name), _cell(value))
    _draw(drawn)


def _cell(value: object) -> Text:
    return value if isinstance(value, Text) else plain(value)


def standing(row: dict[str, Any]) -> Text:
    """The state, and whether a live connection's account is not known."""
    unknown = row.get("account_known") is False
    return Text.assemble(state(row["state"]), ", account not known" if unknown else "")


def account(told: dict[str, Any]) -> str | None:
    if told["pinned_account"]:
        return str(told["pinned_account"])
    if told["pin_lifted"]:
        return "not pinned: the next sign-in may be with any account, and pins it"
    if told["account_known"] is False:
        return "account not known: the next refresh that can read it pins it"
    return None


def tenant(told: dict[str, Any], *, whole: bool = False) -> None:
    """One tenant: its state and what to do first. All of it fits a screen of 80 by 24."""
    title = Text.assemble(plain(told["tenant"]), ": ", state(told["state"]))
    title.stylize("bold")
    console.print(Text.assemble(title, ". ", plain(told["meaning"])), soft_wrap=False)
    since = f"since {moment(told['since'])}" if told["since"] else None
    facts(
        [
            ("Next", told["next_action"]),
            ("Why", _joined(told["why"], since, told["detail"]) or None),
            ("Token", _token(told) or None),
            ("Connected by", told["by"] or None),
            ("GoTo account", account(told)),
            ("Reconnect by", moment(told["reconnect_by"]) if told["reconnect_by"] else None),
            (
                "Customer",
                _joined(told["display_name"], told["admin_email"], told.get("also_email")),
            ),
            ("Client ID", told["client_id"] or None),
        ]
    )
    # Outside the table, so that no cell or terminal width breaks a line that people copy.
    console.print(Text.assemble(("Redirect URI  ", "bold"), plain(told["redirect_uri"])))
    timeline = told["timeline"] or []
    lines = timeline if whole else timeline[:HISTORY]
    more = "" if len(lines) == len(timeline) else ", more with --all"
    console.print(Text.assemble(("What has happened", "bold"), f" (times in {zone()}{more})"))
    table((), [(moment(line["at"]), said(line)) for line in lines])


def _token(told: dict[str, Any]) -> str:
    expires, last = told["expires_at"], told["refreshed_at"]
    return _joined(
        f"valid until {moment(expires)}" if expires else None,
        f"last refresh {moment(last)}" if last else None,
        f"next {moment(told['next_refresh_at'])}" if told["next_refresh_at"] else None,
    )


def _joined(*parts: str | None) -> str:
    return ", ".join(part.rstrip(".") if len(parts) > 1 else part for part in parts if part)


def said(line: dict[str, Any]) -> str:
    """A line of the history, with its detail for reps, who acted, and its reference number."""
    by = " ".join(part for part in (line["who"], reference(line["reference"])) if part)
    return " ".join(part for part in (line["text"], line["detail"], f"({by})") if part)


def tenants(rows: Sequence[dict[str, Any]]) -> None:
    """A list of tenants. Rows by state have ``since``, others ``reconnect_by``."""
    if not rows:
        say("No tenants.")
        return
    since = any(row.get("since") for row in rows)
    table(
        ("tenant", "state", "name", f"since ({zone()})" if since else f"reconnect by ({zone()})"),
        [
            (
                row["tenant"],
                standing(row),
                row["display_name"],
                moment(row.get("since") or row.get("reconnect_by")),
            )
            for row in rows
        ],
    )


def finding(told: dict[str, Any]) -> None:
    """One of the doctor's findings, and what to do about it."""
    mark = ("OK    ", "green") if told["well"] else ("FAILED", "red")
    console.print(Text.assemble(mark, "  ", plain(told["name"]), "  ", plain(told["told"])))
    if not told["well"]:
        say(f"        {told['advice']}")


def fleet(told: dict[str, Any], *, clear: bool = False) -> None:
    if clear:
        console.clear()
    title = f"{number(told['total'] or 0, 'tenant')}, {moment(told['at'])} {zone(told['at'])}"
    console.print(Text(title, style="bold"))
    facts((name, f"{count:,}") for name, count in (told["counts"] or {}).items() if count)
    late = " [red]late: is the schedule on?[/]" if told["tick_late"] else ""
    console.print(f"Last tick        {moment(told['last_tick'])}{late}")
    more = " or more" if told["overdue_or_more"] else ""
    console.print(f"Overdue          {told['overdue']}{more}")
    if told["provider_down_since"]:
        console.print(f"[red]GoTo has not answered since {moment(told['provider_down_since'])}[/]")
    if told["account_not_known"]:
        some = ", ".join(told["account_not_known_tenants"])
        console.print(f"Account not known  {told['account_not_known']} connected: {some}")
    if told.get("not_usable"):
        some = ", ".join(told["not_usable_tenants"])
        console.print(f"Not usable       {told['not_usable']} connected: {some}")
    if told["needs_a_person"]:
        console.print("\n[bold]Needs a person[/]")
        table(
            ("tenant", "state", "since", "for"),
            [
                (
                    r["tenant"],
                    state(r["state"]),
                    moment(r["since"]),
                    _length(told["at"] - r["since"]) if told["at"] and r["since"] else "-",
                )
                for r in told["needs_a_person"]
            ],
        )
    if told["ending_soonest"]:
        console.print("\n[bold]Ends soonest[/]")
        table(
            ("tenant", "reconnect by"),
            [(row["tenant"], moment(row["reconnect_by"])) for row in told["ending_soonest"]],
        )


def _length(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            return number(int(seconds // size), name)
    return "just now"


def compared(rows: Sequence[dict[str, Any]]) -> None:
    """How GoTo behaved, next to what we assume and the sandbox does."""
    verdicts = {True: "agrees", False: "DIFFERS", None: "-"}
    table(
        ("", "fact", "assumed", "seen"),
        [(verdicts[row["agrees"]], row["name"], row["assumed"], row["seen"]) for row in rows],
    )
