"""The rep's program before the service's own desk."""

import io
import json
from typing import Any

import pytest

import rep.cli
from chalicelib import commands
from rep.service import Service
from tests.rep.program import Ran, Run
from tests.support.world import TESTER, World


@pytest.fixture
def wire(world: World, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every payload that would have gone to the function."""
    sent: list[dict[str, Any]] = []

    def invoke(self: Service, payload: dict[str, Any]) -> Any:
        received = json.loads(json.dumps(payload))
        sent.append(received)
        return json.loads(json.dumps(commands.run(world.desk(), received, lambda: TESTER)))

    monkeypatch.setattr(Service, "_invoke", invoke)
    return sent


@pytest.fixture
def run(
    wire: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    def ran(*arguments: str, stdin: str = "") -> Ran:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        capsys.readouterr()
        code = rep.cli.main(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran
