"""`ha-goto` may be newer or older than the service: what an answer leaves out is no traceback."""

from pathlib import Path
from typing import Any

import pytest

from cli import main, typer_app
from cli.service import Answer, Service
from tests.rep.program import HEADER, Run, row

COMMANDS = [
    "tenant add acme --admin-email a@acme.example",
    "tenant change acme --display-name Acme",
    "tenant list",
    "tenant list --state degraded",
    "tenant find acme",
    "tenant show acme",
    "tenant show acme --all",
    "tenant remove acme --yes",
    "intake send acme",
    "intake show acme",
    "link send acme",
    "link show acme",
    "link revoke acme --yes",
    "pin set acme --account 1 --yes",
    "pin share acme --account 1 --yes",
    "pin lift acme --yes",
    "refresh acme",
    "retry acme",
    "retry --ended-since 2026-11-01",
    "facts acme",
    "disconnect acme --yes",
    "disconnect --all --yes",
    "import FILE --yes",
    "export",
    "status",
    "doctor",
]

EMPTY: list[dict[str, Any]] = [{}]
LISTS = ("tenants", "timeline", "needs_a_person", "ending_soonest", "findings", "lines", "facts")


def answers(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]) -> None:
    monkeypatch.setattr(Service, "ask", lambda *_, **__: Answer.of(answer))


@pytest.mark.parametrize("answer", [{}, dict.fromkeys(LISTS, EMPTY)], ids=["nothing", "empty"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_member_that_is_missing_is_no_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, answer: dict[str, Any]
) -> None:
    answers(monkeypatch, answer)
    file = tmp_path / "tenants.csv"
    file.write_text(HEADER + row(1))
    for form in ([], ["--json"]):
        ran = run(*command.replace("FILE", str(file)).split(), *form)
        assert ran.code in (0, 1), ran.err
        assert "Traceback" not in ran.err
        assert ran.code == 0 or "of another version" in ran.err or "not:" in ran.err, ran.err


def test_what_can_not_be_left_out_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, {})
    ran = run("tenant", "list")
    assert (ran.code, "(tenants is missing in its answer)" in ran.err) == (1, True)


def test_every_command_is_tried() -> None:
    groups = {
        f"{name} {each.name}"
        for name, group in typer_app.groups.items()
        for each in group.registered_commands
    }
    alone = {
        each.name or each.callback.__name__
        for each in main.app.registered_commands
        if each.callback
    }
    tried = {" ".join(command.split()[:2]) for command in COMMANDS} | {
        command.split()[0] for command in COMMANDS
    }
    assert (groups | alone) - {"credentials set"} <= tried
