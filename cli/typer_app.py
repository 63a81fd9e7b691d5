"""What all commands share: the program, groups, options, prompts and output."""

import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from cli import output
from cli.local_checks import PROGRAM
from cli.service import WRONG, Service, Stopped

_HELP = {"help_option_names": ["-h", "--help"]}

_ORDER = (
    "tenant",
    "intake",
    "credentials",
    "link",
    "import",
    "status",
    "doctor",
    "export",
    "facts",
)
"""Commands in the help, in the order that reps need them; the others follow."""


class _InOrder(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        others = (name for name in super().list_commands(ctx) if name not in _ORDER)
        return [*_ORDER, *others]


app = typer.Typer(
    name=PROGRAM,
    cls=_InOrder,
    help="Manage tenants' GoTo connections.\n\n"
    "To onboard a customer: tenant add NAME --admin-email EMAIL; then intake send NAME, so that the"
    " customer enters the client ID and secret of their GoTo (or, if they gave you both,"
    " credentials set NAME); then link send NAME, so that their admin connects. To see what to do"
    " next: tenant show NAME.\n\n"
    "You act with your AWS login (AWS_PROFILE, AWS_REGION), on one stage (--stage,"
    " HA_GOTO_STAGE).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings=_HELP,
)
ONBOARD, LOOK, ACT = "Onboard a customer", "Look", "Act"
_GROUPS = {
    "tenant": (ONBOARD, "Add, find, show, change and remove tenants."),
    "intake": (ONBOARD, "The one-time form where a customer enters client ID and secret."),
    "link": (ONBOARD, "The link where the customer's admin connects."),
    "credentials": (ONBOARD, "Enter client ID and secret that the customer gave you."),
    "pin": (ACT, "Confirm, share or change the GoTo account that a tenant may connect."),
}
groups = {
    name: typer.Typer(help=text, no_args_is_help=True, context_settings=_HELP)
    for name, (_, text) in _GROUPS.items()
}
for _name, _group in groups.items():
    app.add_typer(_group, name=_name, rich_help_panel=_GROUPS[_name][0])

_NAME_HELP = "The tenant's name: a-z, 0-9 and inner hyphens."
Name = Annotated[str, typer.Argument(metavar="NAME", help=_NAME_HELP)]
Stage = Annotated[
    str, typer.Option(envvar="HA_GOTO_STAGE", help="The stage to act on, as its operator calls it.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")]

MAIN = "main"


def tell(answer: dict[str, Any], as_json: bool, *sentences: str) -> None:
    if as_json:
        output.as_json(answer)
        return
    for sentence in sentences:
        output.say(sentence)


def tell_expiry(answer: dict[str, Any], how: str) -> None:
    """On standard error, so that standard output is only the link."""
    if answer.get("expires_at"):  # older services do not send it
        until = output.moment(answer["expires_at"])
        output.errors.print(output.plain(f"{how} until {until} {output.zone()}."))


def confirm(question: str, wanted: str, yes: bool) -> None:
    """Ask before an act that can't be undone. Raises `Stopped` unless the rep agrees."""
    if yes:
        return
    if not interactive():
        raise Stopped(WRONG, f"{question} Confirm it with --yes.")
    asked = output.plain(f"{question} Type {wanted!r} to go on").plain
    if typer.prompt(asked, default="", show_default=False) != wanted:
        raise Stopped(WRONG, "Nothing was changed.")


def interactive() -> bool:
    """Whether a person can answer a prompt."""
    return sys.stdin.isatty()


def pages(service: Service, command: str, member: str = "tenants", **given: Any) -> Iterator[Any]:
    """``member`` of each page's answer, up to the last page."""
    after = None
    while True:
        answer = service.ask(command, after=after, **given)
        yield answer.need(member)
        after = answer["after"]
        if after is None:
            return


def listed(service: Service, command: str, **given: Any) -> list[dict[str, Any]]:
    """The rows of all pages."""
    return [row for page in pages(service, command, **given) for row in page]
