"""The commands. Each parses, asks the service once, and shows the answer."""

import importlib.metadata
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from cli import importing, misuse, outside, shown
from cli.files import Problem, decoded
from cli.outside import PROGRAM
from cli.service import FAILED, WRONG, Service, Stopped

_HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name=PROGRAM,
    help="Manage tenants' GoTo connections. To onboard a customer: tenant add, intake send, and,"
    " once the customer has entered their GoTo client, link send.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)
_ONBOARD, _LOOK, _ACT = "Onboard a customer", "Look", "Act"
_GROUPS = {
    "tenant": (_ONBOARD, "Add, find, show, change and remove tenants."),
    "intake": (_ONBOARD, "The one-time form where a customer enters their GoTo client."),
    "link": (_ONBOARD, "The link where the customer's admin connects."),
    "credentials": (_ONBOARD, "Enter a GoTo client that the customer gave you."),
    "pin": (_ACT, "The GoTo account that a tenant belongs to."),
}
groups = {
    name: typer.Typer(help=text, no_args_is_help=True, context_settings=_HELP)
    for name, (_, text) in _GROUPS.items()
}
for _name, _group in groups.items():
    app.add_typer(_group, name=_name, rich_help_panel=_GROUPS[_name][0])


def _print_version(wanted: bool) -> None:
    if wanted:
        shown.say(f"{PROGRAM} {_version()}")
        raise typer.Exit


def _version() -> str:
    try:
        return importlib.metadata.version(PROGRAM)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed: run from its sources)"


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Options of the program as a whole."""


Name = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name, a DNS label.")]
Account = Annotated[str, typer.Option(help="The account's key, as GoTo writes it.")]
Stage = Annotated[str, typer.Option(envvar="HA_GOTO_STAGE", help="Which deployment.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]

MAIN = "main"

MOMENTS = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"]
"""How a moment may be given."""

WATCHED_EVERY = 10
"""Seconds between two looks of `status --watch`."""

STATES = (
    "awaiting_credentials",
    "awaiting_authorization",
    "degraded",
    "reauthorization_required",
    "credentials_rejected",
    "disconnected",
    "account_not_known",
    "not_usable",
)
"""What `--state` takes, as far as this version knows; the service decides."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

_USAGE_ERRORS: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""Click's base of them all; Typer brings its own Click or uses the installed one."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0, 1 (AWS or the service), 2 (what was given), 130 (Ctrl-C)."""
    try:
        code = app(arguments, prog_name=PROGRAM, standalone_mode=False)
    except Stopped as stopped:
        return _fail(stopped.code, str(stopped))
    except _USAGE_ERRORS as error:
        # No sentence of its own: nothing was typed, and the help was the answer.
        told = misuse.sentence(app, sys.argv[1:] if arguments is None else arguments, error)
        return _fail(WRONG, told) if error.format_message() else WRONG
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        shown.errors.print()  # the terminal's own ^C stands on the line
        return _fail(INTERRUPTED, "Stopped. It is safe to run the same command again.")
    return code if isinstance(code, int) else 0


def _fail(code: int, sentence: str) -> int:
    shown.errors.print(shown.plain(" ".join(sentence.split())))
    return code


def _told(answer: dict[str, Any], as_json: bool, *sentences: str) -> None:
    if as_json:
        shown.as_json(answer)
        return
    for sentence in sentences:
        shown.say(sentence)


def _expiry(answer: dict[str, Any], how: str) -> None:
    """On standard error, so that standard output is the link alone."""
    if answer.get("expires_at"):  # a service of an older version does not say
        until = shown.moment(answer["expires_at"])
        shown.errors.print(shown.plain(f"{how} until {until} {shown.zone()}."))


def _sure(question: str, wanted: str, yes: bool) -> None:
    """Nothing that can't be undone without being asked. Raises `Stopped`."""
    if yes:
        return
    if not _interactive():
        raise Stopped(WRONG, f"{question} Confirm it with --yes.")
    asked = shown.plain(f"{question} Type {wanted!r} to go on").plain
    if typer.prompt(asked, default="", show_default=False) != wanted:
        raise Stopped(WRONG, "Nothing was changed.")


def _interactive() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()


@groups["tenant"].command("add")
def tenant_add(
    name: Name,
    admin_email: Annotated[str, typer.Option(help="The customer's admin.")],
    display_name: Annotated[
        str, typer.Option(help="What the customer is called; NAME if left out.")
    ] = "",
    *,
    also_email: Annotated[str | None, typer.Option(help="A second contact for reminders.")] = None,
    account_key: Annotated[
        str | None, typer.Option(help="The customer's GoTo account: no other can connect.")
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Add a tenant; prints the redirect URI and what to do next."""
    given = {"account_key": account_key, "also_email": also_email}
    known = {field: value for field, value in given.items() if value}
    answer = Service(stage).ask(
        "tenant_add",
        tenant=name,
        admin_email=admin_email,
        display_name=display_name or name,
        **known,
    )
    _told(
        answer,
        as_json,
        f"Added {name}. Its redirect URI, byte for byte:",
        f"  {answer['redirect_uri']}",
        f"Next: ha-goto intake send {name}",
        "It emails the admin a form that explains how to create the client at GoTo.",
    )


@groups["tenant"].command("list")
def tenant_list(
    state: Annotated[
        str | None,
        typer.Option(
            help=f"Only tenants in this state: {', '.join(STATES)}.",
            autocompletion=lambda: list(STATES),
        ),
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """List tenants, all or those in one state."""
    rows = _pages(Service(stage), "tenant_list", state=state)
    if as_json:
        shown.as_json({"tenants": rows})
    else:
        shown.tenants(rows)


@groups["tenant"].command("find")
def tenant_find(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT", help="Part of a name, email, client id or reference number."
        ),
    ],
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Find tenants by a part of what you know: name, email address, client id, reference number."""
    rows = _pages(Service(stage), "tenant_find", text=text)
    if as_json:
        shown.as_json({"tenants": rows})
    else:
        shown.tenants(rows)


@groups["tenant"].command("show")
def tenant_show(
    name: Name,
    whole: Annotated[bool, typer.Option("--all", help="More of what has happened.")] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Show one tenant: its state, what to do next, why, and what has happened."""
    answer = Service(stage).ask("tenant_show", tenant=name)
    if as_json:
        shown.as_json(answer)
    else:
        shown.tenant(answer, whole=whole)


@groups["tenant"].command("change")
def tenant_change(
    name: Name,
    admin_email: Annotated[str | None, typer.Option(help="The admin's right address.")] = None,
    display_name: Annotated[str | None, typer.Option(help="What the customer is called.")] = None,
    *,
    also_email: Annotated[str | None, typer.Option(help="A second contact for reminders.")] = None,
    no_also_email: Annotated[
        bool, typer.Option("--no-also-email", help="The second contact gets no more mails.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Change a tenant's email addresses or display name. Another address revokes all its links."""
    if also_email and no_also_email:
        raise Stopped(WRONG, "Give --also-email or --no-also-email, not both.")
    known = {"also_email": also_email or ""} if also_email or no_also_email else {}
    answer = Service(stage).ask(
        "tenant_change", tenant=name, admin_email=admin_email, display_name=display_name, **known
    )
    said = [f"{name}: {answer['display_name']}, {answer['admin_email']}."]
    if answer["links_revoked"]:
        said.append(f"Its links so far no longer work. Next: ha-goto link send {name}")
    _told(answer, as_json, *said)


@groups["tenant"].command("remove")
def tenant_remove(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Disconnect a tenant and remove it. Keeps its history."""
    _sure(f"Disconnect {name} for good and remove it?", name, yes)
    _told(Service(stage).ask("tenant_remove", tenant=name), as_json, f"Removed {name}.")


@groups["intake"].command("send")
def intake_send(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Email the one-time form for the GoTo client to the tenant's admin."""
    answer = Service(stage).ask("intake_send", tenant=name)
    _told(
        answer,
        as_json,
        f"The form is being emailed to {answer['admin_email']}. It works once, for two weeks.",
    )


@groups["intake"].command("show")
def intake_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print a new one-time link to the form. Give it to the customer only."""
    answer = Service(stage).ask("intake_create", tenant=name)
    _told(answer, as_json, answer["url"])
    _expiry(answer, "It works once,")


@groups["credentials"].command("set")
def credentials_set(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Enter client id and secret: at a prompt, or as two lines of standard input."""
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
    try:
        text = decoded(sys.stdin.buffer.read())
    except ValueError:
        raise Stopped(WRONG, "Standard input is neither UTF-8 nor UTF-16 text.") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 2:
        raise Stopped(WRONG, "Standard input must be two lines: client id, client secret.")
    return lines[0], lines[1]


@groups["link"].command("send")
def link_send(
    name: Name,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Although GoTo says the redirect URI is another one.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Email a new connect link to the tenant's admin."""
    given = {"anyway": True} if anyway else {}
    answer = Service(stage).ask("link_send", tenant=name, **given)
    _told(
        answer,
        as_json,
        f"A new link is being emailed to {answer['admin_email']}. It works for 90 days.",
    )


@groups["link"].command("show")
def link_show(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print a new connect link. Give it to the customer's admin only."""
    answer = Service(stage).ask("link_create", tenant=name)
    _told(answer, as_json, answer["url"])
    _expiry(answer, "It works")


@groups["link"].command("revoke")
def link_revoke(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Revoke all of a tenant's links. An existing connection keeps working."""
    _sure(f"Revoke all links of {name}?", name, yes)
    _told(
        Service(stage).ask("link_revoke", tenant=name), as_json, f"All links of {name} are revoked."
    )


@groups["pin"].command("set")
def pin_set(
    name: Name,
    account: Account,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Confirm the tenant's GoTo account. Only sign-ins with it are then accepted."""
    _sure(f"Is {account} the GoTo account of {name}? Has the customer told you?", name, yes)
    answer = Service(stage).ask("pin_set", tenant=name, account=account)
    _told(
        answer,
        as_json,
        f"Only GoTo account {account} can connect {name} from now on.",
        "If a sign-in with it was refused before, ask the admin to try again.",
    )


@groups["pin"].command("share")
def pin_share(
    name: Name,
    account: Account,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Let the tenant use a GoTo account that another tenant has as well."""
    _sure(f"Do both customers use GoTo account {account}? Have both told you?", name, yes)
    answer = Service(stage).ask("pin_share", tenant=name, account=account)
    _told(answer, as_json, f"{name} shares GoTo account {account} with the tenant that has it.")


@groups["pin"].command("lift")
def pin_lift(name: Name, yes: Yes = False, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Let the tenant connect another GoTo account; the next one is pinned. Revokes its links."""
    _sure(f"Let {name} connect another GoTo account, and revoke its links?", name, yes)
    answer = Service(stage).ask("pin_lift", tenant=name)
    _told(
        answer,
        as_json,
        f"The next GoTo account that connects {name} becomes its own. All its links are revoked.",
        f"Next: ha-goto link send {name}",
    )


@app.command(rich_help_panel=_ACT)
def retry(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The tenant's name.")] = None,
    ended_since: Annotated[
        datetime | None,
        typer.Option(help="Everyone who has ended since then (UTC).", formats=MOMENTS),
    ] = None,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Put tenants back that GoTo ended wrongly; their refresh tokens are kept for a week."""
    if (ended_since is None) is (name is None):
        raise Stopped(WRONG, "Name a tenant, or give --ended-since.")
    service = Service(stage)
    if ended_since is None:
        told = "It is tried again within a minute."
        _told(service.ask("retry", tenant=name), as_json, f"{name} is put back. {told}")
        return
    since, names, after = int(ended_since.replace(tzinfo=UTC).timestamp()), [], None
    while True:
        answer = service.ask("retry_since", ended_since=since, after=after)
        names += answer.need("retried")
        after = answer["after"]
        if after is None:
            break
    listed = f": {', '.join(names)}" if names else ""
    _told({"retried": names}, as_json, f"{len(names)} tenants are put back{listed}.")


@app.command("import", rich_help_panel=_ONBOARD)
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON.")],
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Import tenants with their GoTo clients and refresh tokens. If interrupted, run it again.

    The whole file is checked first; if one line has an error, nothing is imported.

    Columns (CSV, or keys of JSON): tenant, display_name, admin_email, client_id, client_secret,
    refresh_token; account_key if you know the customer's GoTo account, also_email.
    """
    service = Service(stage)
    lines, problems = importing.read(file)
    with Progress(console=shown.errors, transient=True) as bar:
        task = bar.add_task("Checking", total=len(lines))
        found, done = importing.check(service, lines, lambda count: bar.advance(task, count))
    problems = sorted([*problems, *found])
    if problems:
        _problems(problems, as_json)
        wrong = shown.number(len(problems), "line has an error", "lines have errors")
        raise Stopped(WRONG, f"{wrong}; nothing was imported.")
    left = [line for line in lines if line["line"] not in done]
    _sure(
        f"Import {shown.number(len(left), 'tenant')}? Any other user of these refresh tokens must"
        " stop now.",
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
                shown.say(f"line {line['line']}: {line['tenant']} imported")
    if missed:
        _problems(missed, as_json)
        raise Stopped(
            FAILED,
            f"{len(told)} imported, {len(missed)} not: keep the file, correct those lines, and"
            " import it again.",
        )
    _told(
        {"imported": [line["tenant"] for line in told], "there_already": len(done)},
        as_json,
        f"{len(told)} imported, {len(done)} were there already. The previous holder must no"
        " longer use these refresh tokens.",
    )


def _problems(problems: list[Problem], as_json: bool) -> None:
    if as_json:
        rows = [dict(zip(("line", "tenant", "error"), each, strict=True)) for each in problems]
        shown.as_json({"problems": rows})
        return
    for number, name, error in problems:
        shown.say(f"line {number}: {name + ': ' if name else ''}{error}")


@app.command(rich_help_panel=_LOOK)
def export(stage: Stage = MAIN, as_json: Json = False) -> None:
    """Print all tenants, without secrets, as JSON Lines (as one array with --json)."""
    rows = _pages(Service(stage), "export")
    if as_json:
        shown.as_json({"tenants": rows})
        return
    for row in rows:
        shown.console.out(outside.one_line(row))


@app.command(rich_help_panel=_LOOK)
def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again every ten seconds, until Ctrl-C.")
    ] = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Show the whole fleet: how many tenants are in each state, and who needs a person."""
    service = Service(stage)
    while True:
        answer = service.ask("status")
        if as_json:
            shown.as_json(answer)
        else:
            shown.fleet(answer, clear=watch)
        if not watch:
            return
        time.sleep(WATCHED_EVERY)


@app.command(rich_help_panel=_LOOK)
def doctor(stage: Stage = MAIN, as_json: Json = False) -> int:
    """Check a stage, and say what to do about each failure."""
    findings = outside.examine(Service(stage))
    if as_json:
        shown.as_json({"findings": findings})
    else:
        for each in findings:
            shown.finding(each)
    return 0 if all(each["well"] for each in findings) else FAILED


@app.command(rich_help_panel=_ACT)
def refresh(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Renew a tenant's token now."""
    answer = Service(stage).ask("refresh", tenant=name)
    sentence = f"{name}: {answer['outcome']}; the token is valid until"
    later = f" Try again in {answer['retry_after']} s." if answer["retry_after"] else ""
    _told(answer, as_json, f"{sentence} {shown.day(answer['expires_at'])}.{later}")


@app.command(rich_help_panel=_LOOK)
def facts(name: Name, stage: Stage = MAIN, as_json: Json = False) -> None:
    """Compare the real GoTo with what we assume of it. Asks with a connected tenant's client.

    Changes nothing at GoTo. Ask the customer first.
    """
    answer = Service(stage).ask("facts", tenant=name)
    if as_json:
        shown.as_json(answer)
        return
    shown.compared(answer.need("facts"))


@app.command(rich_help_panel=_ACT)
def disconnect(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The tenant's name.")] = None,
    everybody: Annotated[bool, typer.Option("--all", help="Every tenant of the stage.")] = False,
    yes: Yes = False,
    stage: Stage = MAIN,
    as_json: Json = False,
) -> None:
    """Disconnect a tenant: revoke its grant at GoTo and delete it. Keeps the history."""
    if everybody is (name is not None):
        raise Stopped(WRONG, "Name a tenant, or give --all.")
    service = Service(stage)
    if name is not None:
        _sure(f"Disconnect {name}? Its admin must connect again.", name, yes)
        answer = service.ask("disconnect", tenant=name)
        told = "GoTo has revoked it." if answer.get("withdrawn") else "GoTo is still to be told."
        links = f"All its links are revoked; to connect again: link send {name}."
        _told(answer, as_json, f"{name} is disconnected. {told} {links}")
        return
    _sure(f"Disconnect EVERY tenant of {stage}?", f"disconnect all of {stage}", yes)
    count, after = 0, None
    while True:
        answer = service.ask("disconnect_all", after=after)
        count += answer.need("disconnected")
        after = answer["after"]
        if after is None:
            break
    links = "Their links are revoked; to connect one again: link send NAME."
    _told(
        {"disconnected": count}, as_json, f"Disconnected {shown.number(count, 'tenant')}. {links}"
    )


def _pages(service: Service, command: str, **given: Any) -> list[dict[str, Any]]:
    """All pages of a list."""
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        answer = service.ask(command, after=after, **given)
        rows += answer.need("tenants")
        after = answer["after"]
        if after is None:
            return rows
