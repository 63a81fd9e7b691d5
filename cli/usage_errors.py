"""Messages for invalid command lines. They never repeat the input: it may hold a secret."""

import difflib
from typing import Any

import typer
from typer.main import get_command

from cli.local_checks import PROGRAM

_NAME_OWN = ("MissingParameter", "BadOptionUsage")
"""Errors that name one of our own parameters and repeat no input."""


def sentence(app: typer.Typer, arguments: list[str], error: Any) -> str:
    """One sentence for a usage error of Click's (S20)."""
    path, close = _closest(get_command(app), arguments)
    command = " ".join(path)
    if type(error).__name__ in _NAME_OWN:
        return f"{error.format_message()} See {command} --help."
    if close:
        return f"There is no such command or option. Did you mean: {command} {close}?"
    if type(error).__name__ == "BadParameter" and getattr(error, "param", None) is not None:
        return (
            f"{command} does not take that value of {_called(error.param)}. See {command} --help."
        )
    if path == [PROGRAM] and arguments and arguments[0].startswith("-"):
        return f"Options come after the command. See {PROGRAM} --help."
    return (
        f"{command} does not take what was typed; nothing was sent. See {command} --help. If you"
        " typed a secret, delete it from your shell's history: secrets are read from standard"
        " input."
    )


def _called(parameter: Any) -> str:
    """An option by its name, an argument as in the help."""
    return str(parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0])


def _closest(command: Any, arguments: list[str]) -> tuple[list[str], str | None]:
    """The command that was reached, and our names that the first unknown word resembles."""
    path = [PROGRAM]
    for word in arguments:
        names = [] if word.startswith("-") else list(getattr(command, "commands", {}))
        if word in names:
            command = command.commands[word]
            path.append(word)
            continue
        options = [each for param in command.params for each in param.opts if each.startswith("-")]
        if word.partition("=")[0] in options:
            continue
        candidates = [*options, "--help"] if word.startswith("-") else names
        bare = {each.strip("-"): each for each in candidates}
        found = difflib.get_close_matches(word.partition("=")[0].strip("-"), bare, n=2)
        if found:
            return path, f" or {' '.join(path)} ".join(bare[each] for each in found)
        if names:
            break
    return path, None
