"""The commands. Each parses, asks the service once, and shows the answer."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.progress import Progress

from rep import importing, outside, shown
from rep.files import Problem
from rep.outside import PROGRAM
from rep.service import FAILED, WRONG, Service, Stopped

app = typer.Typer(
    name=PROGRAM,
    help="Tenants' connections to GoTo: onboard them, see how they are, tell what to do.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_GROUPS = {
    "tenant": "Add, look at, correct and remove tenants.",
    "intake": "The one-time link at which a customer enters client id and secret.",
    "credentials": "Client id and secret that the customer gave you.",
    "link": "The link at which the customer's admin connects.",
    "pin": "The GoTo account that a tenant belongs to.",
}
groups = {name: typer.Typer(help=text, no_args_is_help=True) for name, text in _GROUPS.items()}
for _name, _group in groups.items():
    app.add_typer(_group, name=_name)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name, a DNS label.")]
Stage = Annotated[str, typer.Option(envvar="HA_GOTO_STAGE", help="Which deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]

MAIN = "main"

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_USAGE_ERRORS: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Click's base of them all; Typer brings its own Click or uses the installed one."""

_NAME_OWN = ("MissingParameter", "BadOptionUsage")
"""Those that name one of our own parameters, and nothing that was typed."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0, 1 (AWS or the service), 2 (what was given), 130 (Ctrl-C)."""
    try:
        code = app(arguments, prog_name=PROGRAM, standalone_mode=False)
    except Stopped as stopped:
        return _fail(stopped.code, str(stopped))
    except _USAGE_ERRORS as error:
        # No sentence of its own: nothing was typed, and the help was the answer.
        return _fail(WRONG, _misused(error)) if error.format_message() else WRONG
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        return _fail(INTERRUPTED, "Stopped; the same command again does no harm.")
    return code if isinstance(code, int) else 0


def _misused(error: Any) -> str:
    """Click would repeat what was typed, and it may be a secret (S20)."""
    if type(error).__name__ in _NAME_OWN:
        return str(error.format_message())
    command = error.ctx.command_path if getattr(error, "ctx", None) else PROGRAM
    return (
        f"{command} does not take what was typed; nothing was sent. What it takes: {command}"
        " --help. If a secret was typed, delete it from your shell's history: secrets are read"
        " from standard input."
    )


def _fail(code: int, sentence: str) -> int:
    shown.errors.print(escape(" ".join(sentence.split())))
    return code


def _told(answer: dict[str, Any], as_json: bool, *sentences: str) -> None:
    if as_json:
        shown.console.print_json(data=answer)
        return
    for sentence in sentences:
        shown.console.print(escape(sentence))


def _sure(question: str, wanted: str, yes: bool) -> None:
    """Nothing that can't be undone without being asked. Raises `Stopped`."""
    if yes:
        return
    if not _interactive():
        raise Stopped(WRONG, f"{question} Confirm it with --yes.")
    if (
        typer.prompt(f"{question} Type {wanted!r} to go on", default="", show_default=False)
        != wanted
    ):
        raise Stopped(WRONG, "Nothing was changed.")


def _interactive() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


@groups["tenant"].command("add")
def tenant_add(
    name: Name,
    admin_email: Annotated[str, typer.Option(help="Where the customer's admin reads mails.")],
    display_name: Annotated[str, typer.Option(help="As the customer reads it; else NAME.")] = "",
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Add a tenant; prints the redirect URI and what to do next."""
    answer = Service(stage).ask(
        "tenant_add", tenant=name, admin_email=admin_email, display_name=display_name or name
    )
    _told(
        answer,
        as_json,
        f"Added {name}. Its redirect URI, byte for byte:",
        f"  {answer['redirect_uri']}",
        f"Next: ha-goto intake send {name}",
        "The customer is then led through GoTo's developer portal (client name hireanalytiX, this"
        " redirect URI, the boxes Admin Center and GoToConnect) and enters id and secret there.",
    )


@groups["tenant"].command("list")
def tenant_list(
    state: Annotated[str | None, typer.Option(help="Only in this state, not connected.")] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """List tenants, all or those in one state."""
    rows = _pages(Service(stage), "tenant_list", state=state)
    if as_json:
        shown.console.print_json(data={"tenants": rows})
    else:
        shown.tenants(rows)


@groups["tenant"].command("show")
def tenant_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """State, why, since when, by whom, what has happened, and what to do next."""
    answer = Service(stage).ask("tenant_show", tenant=name)
    if as_json:
        shown.console.print_json(data=answer)
    else:
        shown.tenant(answer)


@groups["tenant"].command("change")
def tenant_change(
    name: Name,
    admin_email: Annotated[str | None, typer.Option(help="The admin's right address.")] = None,
    display_name: Annotated[str | None, typer.Option(help="As the customer reads it.")] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Correct a tenant's address or displayed name."""
    answer = Service(stage).ask(
        "tenant_change", tenant=name, admin_email=admin_email, display_name=display_name
    )
    _told(answer, as_json, f"{name}: {answer['display_name']}, {answer['admin_email']}.")


@groups["tenant"].command("remove")
def tenant_remove(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Disconnect a tenant and remove it; its history and counters stay."""
    _sure(f"Disconnect {name} for good and remove it?", name, yes)
    _told(Service(stage).ask("tenant_remove", tenant=name), as_json, f"Removed {name}.")


@groups["intake"].command("send")
def intake_send(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Mail the one-time intake link to the tenant's admin."""
    answer = Service(stage).ask("intake_send", tenant=name)
    _told(answer, as_json, f"The intake link is being mailed to {answer['admin_email']}.")


@groups["intake"].command("show")
def intake_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Make a one-time intake link and print it: hand it to the customer only."""
    answer = Service(stage).ask("intake_create", tenant=name)
    _told(answer, as_json, answer["url"])


@groups["credentials"].command("set")
def credentials_set(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Enter client id and secret: asked for, or the two lines of standard input."""
    client_id, secret = _credentials()
    answer = Service(stage).ask(
        "credentials_set", tenant=name, client_id=client_id, client_secret=secret
    )
    _told(
        answer,
        as_json,
        f"GoTo accepts them; stored for {name}. A connection that exists keeps its client.",
        f"Next: ha-goto link send {name}",
    )


def _credentials() -> tuple[str, str]:
    if _interactive():
        client_id = typer.prompt("Client ID")
        return client_id.strip(), typer.prompt("Client secret", hide_input=True).strip()
    lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
    if len(lines) != 2:
        raise Stopped(WRONG, "Standard input must be two lines: client id, client secret.")
    return lines[0], lines[1]


@groups["link"].command("send")
def link_send(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Mail a fresh connect link to the tenant's admin."""
    answer = Service(stage).ask("link_send", tenant=name)
    _told(answer, as_json, f"A fresh link is being mailed to {answer['admin_email']}.")


@groups["link"].command("show")
def link_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Make a fresh connect link and print it: hand it to the customer's admin only."""
    answer = Service(stage).ask("link_create", tenant=name)
    _told(answer, as_json, answer["url"])


@groups["link"].command("revoke")
def link_revoke(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Make all links void that the tenant has been given; a connection goes on."""
    _sure(f"Revoke all links of {name}?", name, yes)
    _told(Service(stage).ask("link_revoke", tenant=name), as_json, f"All links of {name} are void.")


@groups["pin"].command("lift")
def pin_lift(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Let the tenant connect another GoTo account: the next one is pinned."""
    _sure(f"Let {name} connect another GoTo account?", name, yes)
    answer = Service(stage).ask("pin_lift", tenant=name)
    _told(answer, as_json, f"The next GoTo account that connects {name} becomes its own.")


@app.command()
def refresh(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Refresh a tenant's token now."""
    answer = Service(stage).ask("refresh", tenant=name)
    sentence = f"{name}: {answer['outcome']}; the token is valid until"
    later = f" Try again in {answer['retry_after']} s." if answer["retry_after"] else ""
    _told(answer, as_json, f"{sentence} {shown.day(answer['expires_at'])}.{later}")


@app.command()
def disconnect(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The tenant's name.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant of the stage.")] = False,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Stop using a tenant's grant, revoke it at GoTo, delete it. The history stays."""
    if everybody is (name is not None):
        raise Stopped(WRONG, "Name a tenant, or give --all.")
    service = Service(stage)
    if name is not None:
        _sure(f"Disconnect {name}? Its admin must connect again.", name, yes)
        answer = service.ask("disconnect", tenant=name)
        told = "GoTo has revoked it." if answer.get("withdrawn") else "GoTo is still to be told."
        _told(answer, as_json, f"{name} is disconnected. {told}")
        return
    _sure(f"Disconnect EVERY tenant of {stage}?", f"disconnect all of {stage}", yes)
    count, after = 0, None
    while True:
        answer = service.ask("disconnect_all", after=after)
        count += answer["disconnected"]
        after = answer["after"]
        if after is None:
            break
    _told({"disconnected": count}, as_json, f"{count} tenants were disconnected.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON Lines.")],
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Take over tenants with their clients and refresh tokens. Cut off, run it again.

    The file is checked as a whole first; with one wrong line nothing is imported. Columns: tenant,
    display_name, admin_email, client_id, client_secret, refresh_token.
    """
    service = Service(stage)
    lines, problems = importing.read(file)
    with Progress(console=shown.errors, transient=True) as bar:
        task = bar.add_task("Checking", total=len(lines))
        found, done = importing.check(service, lines, lambda count: bar.advance(task, count))
    problems = sorted([*problems, *found])
    if problems:
        _problems(problems, as_json)
        raise Stopped(WRONG, f"{len(problems)} lines are wrong; nothing was imported.")
    left = [line for line in lines if line["line"] not in done]
    _sure(
        f"Import {len(left)} tenants? Whoever holds these refresh tokens now must stop using them.",
        "import",
        yes,
    )
    told, missed = [], []
    with Progress(console=shown.errors, transient=True) as bar:
        task = bar.add_task("Importing", total=len(left))
        for line in importing.take_over(service, left, lambda count: bar.advance(task, count)):
            if not line["done"]:
                missed.append((line["line"], line["tenant"], line["error"] or "not imported"))
                continue
            told.append(line)
            if not as_json:
                shown.console.print(f"line {line['line']}: {escape(line['tenant'])} imported")
    if missed:
        _problems(missed, as_json)
        raise Stopped(
            FAILED,
            f"{len(told)} imported, {len(missed)} not: keep the file, mend those lines, and import"
            " it again.",
        )
    _told(
        {"imported": [line["tenant"] for line in told], "there_already": len(done)},
        as_json,
        f"{len(told)} imported, {len(done)} were there already. The previous holder must not use"
        " these refresh tokens any more.",
    )


def _problems(problems: list[Problem], as_json: bool) -> None:
    if as_json:
        rows = [dict(zip(("line", "tenant", "error"), each, strict=True)) for each in problems]
        shown.console.print_json(data={"problems": rows})
        return
    for number, name, error in problems:
        shown.console.print(escape(f"line {number}: {name + ': ' if name else ''}{error}"))


@app.command()
def export(stage: Stage = MAIN, as_json: Json = False) -> None:
    """Everything known of every tenant but secrets, as JSON Lines (one array with --json)."""
    rows = _pages(Service(stage), "export")
    if as_json:
        shown.console.print_json(data={"tenants": rows})
        return
    for row in rows:
        shown.console.out(outside.one_line(row))


@app.command()
def status(stage: Stage = MAIN, as_json: Json = False) -> None:
    """The fleet at a glance."""
    answer = Service(stage).ask("status")
    if as_json:
        shown.console.print_json(data=answer)
    else:
        shown.fleet(answer)


@app.command()
def doctor(stage: Stage = MAIN, as_json: Json = False) -> int:
    """Check a stage from the outside in, and say what to do about each failure."""
    findings = outside.examine(Service(stage))
    if as_json:
        shown.console.print_json(data={"findings": findings})
    else:
        for each in findings:
            mark = "[green]well[/]" if each["well"] else "[red]ILL [/]"
            shown.console.print(f"{mark}  {escape(each['name'])}  {escape(each['told'])}")
            if not each["well"]:
                shown.console.print(f"      {escape(each['advice'])}")
    return 0 if all(each["well"] for each in findings) else FAILED


def _pages(service: Service, command: str, **given: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        answer = service.ask(command, after=after, **given)
        rows += answer["tenants"]
        after = answer["after"]
        if after is None:
            return rows
