"""The runbook's commands are real: each `ha-goto`, `make` and output that it names exists."""

import re
from typing import Any

import pytest
import typer

from rep import cli
from sandbox.environment import ROOT
from tests.support.aws import template

TEXT = (ROOT / "docs" / "runbook.md").read_text()
CODE = "\n".join(map("".join, re.findall(r"```sh\n(.*?)```|`([^`]+)`", TEXT, re.DOTALL)))
REP = sorted(set(re.findall(r"ha-goto ([a-z]+)(?:\s+([a-z]+))?", CODE)))


@pytest.mark.parametrize("words", REP, ids=" ".join)
def test_each_command_of_a_rep_exists(words: tuple[str, str]) -> None:
    found: Any = typer.main.get_command(cli.app)
    for word in words:
        if word and hasattr(found, "commands"):
            assert word in found.commands
            found = found.commands[word]
    assert not hasattr(found, "commands"), "a group is no command"


def test_each_target_of_make_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", CODE))
    assert {"rollback", "deploy"} <= named
    assert named <= targets


def test_each_output_and_resource_exists() -> None:
    outputs, resources = template()["Outputs"], template()["Resources"]
    named = set(re.findall(r"\$\(out (\w+)\)", CODE))
    assert {"GrantsTable", "AfterRestoreFunction", "RefreshTickFunction"} <= named
    assert named <= set(outputs)
    assert set(re.findall(r"\$\(id (\w+)\)", CODE)) <= set(resources)
    assert set(re.findall(r"\b\w+Key\b", TEXT)) - {"OutputKey"} <= set(resources)
