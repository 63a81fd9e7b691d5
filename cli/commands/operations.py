"""Commands that look at the fleet or act on it."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli import local_checks, output
from cli.service import FAILED, WRONG, Service, Stopped
from cli.typer_app import ACT, LOOK, MAIN, Json, Name, Stage, Yes, app, confirm, listed, pages, tell

MOMENTS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]
"""Accepted formats of a time."""

WATCHED_EVERY = 10
"""Seconds between updates of `status --watch`."""


@app.command(rich_help_panel=LOOK)
def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every ten seconds, until Ctrl-C.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Show the whole fleet: how many tenants are in each state, and which need someone to act."""
    service = Service(stage)
    while True:
        answer = service.ask("status")
        if as_json:
            output.as_json(answer)
        else:
            output.fleet(answer, clear=watch)
        if not watch:
            return
        time.sleep(WATCHED_EVERY)


@app.command(rich_help_panel=LOOK)
def export(stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print all tenants, without secrets, as JSON Lines (as one array with --json)."""
    rows = listed(Service(stage), "export")
    if as_json:
        output.as_json({"tenants": rows})
        return
    for row in rows:
        output.console.out(local_checks.one_line(row))


@app.command(rich_help_panel=LOOK)
def doctor(stage: Stage = MAIN, as_json: Json = False) -> int:
    """Check a stage, and say what to do about each failure."""
    findings = local_checks.examine(Service(stage))
    if as_json:
        output.as_json({"findings": findings})
    else:
        for each in findings:
            output.finding(each)
    return 0 if all(each["well"] for each in findings) else FAILED


@app.command(rich_help_panel=LOOK)
def facts(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Compare the real GoTo with what we assume of it. Uses a connected tenant's client.

    Changes nothing at GoTo. Ask the customer first.
    """
    answer = Service(stage).ask("facts", tenant=name)
    if as_json:
        output.as_json(answer)
        return
    output.compared(answer.need("facts"))


@app.command(rich_help_panel=ACT)
def refresh(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Renew a tenant's token now."""
    answer = Service(stage).ask("refresh", tenant=name)
    sentence = f"{name}: {answer['outcome']}; the token is valid until"
    later = f" Try again in {answer['retry_after']} s." if answer["retry_after"] else ""
    tell(answer, as_json, f"{sentence} {output.day(answer['expires_at'])}.{later}")


@app.command(rich_help_panel=ACT)
def retry(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The tenant's name.")] = None,
    ended_since: Annotated[
        datetime | None,
        typer.Option(
            help="Every tenant that GoTo ended since this time (UTC).",
            formats=MOMENTS,
            metavar="TIME",
        ),
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Put tenants back that GoTo ended by mistake: their refresh tokens are kept for a week.

    GoTo decides again, within a minute. A tenant that was disconnected stays disconnected. TIME is
    as in 2026-01-31T14:00.
    """
    if (ended_since is None) is (name is None):
        raise Stopped(WRONG, "Name a tenant or give --ended-since, not both.")
    service = Service(stage)
    if ended_since is None:
        sentence = "It is tried again within a minute."
        tell(service.ask("retry", tenant=name), as_json, f"{name} is put back. {sentence}")
        return
    since = int(ended_since.replace(tzinfo=UTC).timestamp())
    found = pages(service, "retry_since", "retried", ended_since=since)
    names = [name for page in found for name in page]
    named = f": {', '.join(names)}" if names else ""
    tell({"retried": names}, as_json, f"{len(names)} tenants are put back{named}.")


@app.command(rich_help_panel=ACT)
def disconnect(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The tenant's name.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant of the stage.")] = False,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Disconnect a tenant: revoke its access at GoTo and delete its tokens. Can't be undone.

    The tenant and its history stay; to connect it again: link send NAME.
    """
    if everybody is (name is not None):
        raise Stopped(WRONG, "Name a tenant or give --all, not both.")
    service = Service(stage)
    if name is not None:
        confirm(f"Disconnect {name}? Its admin must connect again.", name, yes)
        answer = service.ask("disconnect", tenant=name)
        note = "GoTo has revoked it." if answer.get("withdrawn") else "GoTo is still to be told."
        links = f"All its links are revoked; to connect again: link send {name}."
        tell(answer, as_json, f"{name} is disconnected. {note} {links}")
        return
    confirm(f"Disconnect EVERY tenant of {stage}?", f"disconnect all of {stage}", yes)
    count = sum(pages(service, "disconnect_all", "disconnected"))
    links = "Their links are revoked; to connect one again: link send NAME."
    tell(
        {"disconnected": count}, as_json, f"Disconnected {output.number(count, 'tenant')}. {links}"
    )
