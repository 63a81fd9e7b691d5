"""From a new customer to a connected one: form, client, link; and the import."""

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from cli import importing, output, typer_app
from cli.import_file import FIELDS, OPTIONAL, Problem, decoded
from cli.service import FAILED, WRONG, Service, Stopped
from cli.typer_app import (
    MAIN,
    ONBOARD,
    Json,
    Name,
    Stage,
    Yes,
    app,
    confirm,
    groups,
    tell,
    tell_expiry,
)


@groups["intake"].command("send")
def intake_send(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Email the one-time form for client ID and secret to the tenant's admin.

    The reps get an email when the customer has entered both. Then: link send NAME.
    """
    answer = Service(stage).ask("intake_send", tenant=name)
    tell(
        answer,
        as_json,
        f"The form is being emailed to {answer['admin_email']}. It works once, for two weeks.",
    )


@groups["intake"].command("show")
def intake_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print a new one-time link to the form. Give it to the customer only."""
    answer = Service(stage).ask("intake_create", tenant=name)
    tell(answer, as_json, answer["url"])
    tell_expiry(answer, "It works once,")


@groups["credentials"].command("set")
def credentials_set(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Enter client ID and secret: at a prompt that hides the secret, or from standard input.

    From a file: credentials set NAME < FILE (client ID, then secret, a line each). An existing
    connection keeps its client.
    """
    client_id, secret = _credentials()
    answer = Service(stage).ask(
        "credentials_set", tenant=name, client_id=client_id, client_secret=secret
    )
    tell(
        answer,
        as_json,
        f"GoTo accepts them; stored for {name}. A connection that exists keeps its client.",
        f"Next: ha-goto link send {name}",
    )


def _credentials() -> tuple[str, str]:
    if typer_app.interactive():
        client_id = typer.prompt("Client ID")
        return client_id.strip(), typer.prompt("Client secret", hide_input=True).strip()
    try:
        text = decoded(sys.stdin.buffer.read())
    except ValueError:
        raise Stopped(WRONG, "Standard input is neither UTF-8 nor UTF-16 text.") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise Stopped(WRONG, "Standard input must be two lines: client ID, client secret.")
    return lines[0], lines[1]


@groups["link"].command("send")
def link_send(
    name: Name,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Even though GoTo reports another redirect URI.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Email a new connect link to the tenant's admin.

    Once the admin has connected, tenant show NAME says: connected.
    """
    options = {"anyway": True} if anyway else {}
    answer = Service(stage).ask("link_send", tenant=name, **options)
    tell(
        answer,
        as_json,
        f"A new link is being emailed to {answer['admin_email']}. It works for 90 days.",
    )


@groups["link"].command("show")
def link_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print a new connect link. Give it to the customer's admin only."""
    answer = Service(stage).ask("link_create", tenant=name)
    tell(answer, as_json, answer["url"])
    tell_expiry(answer, "It works")


@groups["link"].command("revoke")
def link_revoke(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Revoke all of a tenant's links. An existing connection keeps working."""
    confirm(f"Revoke all links of {name}?", name, yes)
    tell(
        Service(stage).ask("link_revoke", tenant=name), as_json, f"All links of {name} are revoked."
    )


_IMPORT_HELP = (
    "Import tenants with their GoTo clients and refresh tokens. If interrupted, run it again.\n\n"
    "The whole file is checked first; if one line has an error, nothing is imported.\n\n"
    f"Columns (CSV, or keys of JSON): {', '.join(FIELDS)}. May be left out: {', '.join(OPTIONAL)};"
    " give account_key if you know the customer's GoTo account. Once all is imported, delete the"
    " file: it holds secrets."
)


@app.command("import", rich_help_panel=ONBOARD, help=_IMPORT_HELP)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON.")],
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """As `_IMPORT_HELP` says."""
    service = Service(stage)
    lines, problems = importing.read(file)
    with Progress(console=output.errors, transient=True) as bar:
        task = bar.add_task("Checking", total=len(lines))
        found, done = importing.check(service, lines, lambda count: bar.advance(task, count))
    problems = sorted([*problems, *found])
    if problems:
        _problems(problems, as_json)
        wrong = output.number(len(problems), "line has an error", "lines have errors")
        raise Stopped(WRONG, f"{wrong}; nothing was imported.")
    left = [line for line in lines if line["line"] not in done]
    confirm(
        f"Import {output.number(len(left), 'tenant')}? Any other user of these refresh tokens must"
        " stop now.",
        "import",
        yes,
    )
    imported, missed = [], []
    with Progress(console=output.errors, transient=True) as bar:
        task = bar.add_task("Importing", total=len(left))
        for line in importing.take_over(service, left, lambda count: bar.advance(task, count)):
            if not line["done"]:
                missed.append((line["line"], line["tenant"], line["error"] or "not imported"))
                continue
            imported.append(line)
            if not as_json:
                output.say(f"line {line['line']}: {line['tenant']} imported")
    if missed:
        _problems(missed, as_json)
        raise Stopped(
            FAILED,
            f"{len(imported)} imported, {len(missed)} not: keep the file, correct those lines, and"
            " import it again.",
        )
    tell(
        {"imported": [line["tenant"] for line in imported], "there_already": len(done)},
        as_json,
        f"{len(imported)} imported, {len(done)} were there already. The previous holder must no"
        " longer use these refresh tokens.",
    )


def _problems(problems: list[Problem], as_json: bool) -> None:
    if as_json:
        rows = [dict(zip(("line", "tenant", "error"), each, strict=True)) for each in problems]
        output.as_json({"problems": rows})
        return
    for number, name, error in problems:
        output.say(f"line {number}: {name + ': ' if name else ''}{error}")
