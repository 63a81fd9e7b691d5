"""The program: its commands, exit codes and error messages."""

import importlib.metadata
import sys
from typing import Annotated, Any

import typer

from cli import output, usage_errors
from cli.commands import onboarding, operations, tenants
from cli.local_checks import PROGRAM
from cli.service import WRONG, Stopped
from cli.typer_app import app

__all__ = ["app", "main"]

COMMANDS = (tenants, onboarding, operations)
"""Modules that add their commands to `app` when they are loaded."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in shells."""

_USAGE_ERRORS: Any = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)
"""The base class of Click's usage errors; Typer bundles a Click or uses the installed one."""


def _print_version(wanted: bool) -> None:
    if wanted:
        output.say(f"{PROGRAM} {_version()}")
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


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Exit codes: 0, 1 (AWS or the service failed), 2 (input), 130 (Ctrl-C)."""
    try:
        code = app(arguments, prog_name=PROGRAM, standalone_mode=False)
    except Stopped as stopped:
        return _fail(stopped.code, str(stopped))
    except _USAGE_ERRORS as error:
        # An empty message: nothing was typed, and Click has already shown the help.
        text = usage_errors.sentence(app, sys.argv[1:] if arguments is None else arguments, error)
        return _fail(WRONG, text) if error.format_message() else WRONG
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    if code == INTERRUPTED:
        output.errors.print()  # the terminal has printed ^C on this line
        return _fail(INTERRUPTED, "Stopped. It is safe to run the same command again.")
    return code if isinstance(code, int) else 0


def _fail(code: int, sentence: str) -> int:
    output.errors.print(output.plain(" ".join(sentence.split())))
    return code
