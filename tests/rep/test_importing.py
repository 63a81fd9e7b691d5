"""The rep's program takes over a file of tenants: checked as a whole first, and gone on with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rep import importing
from rep.service import Service
from tests.rep.program import HEADER, SECRET, Run, add, is_one_sentence, row
from tests.support.world import World


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_ten_thousand_lines_with_a_hundred_bad_ones(world: World, run: Run, tmp_path: Path) -> None:
    """All hundred are named by line, and nothing is imported."""
    add(run)
    faults = [
        {"tenant": "Not A Label"},
        {"tenant": "acme"},
        {"tenant": "t1"},
        {"admin_email": "nobody"},
        {"refresh_token": ""},
        {"client_id": "a:b"},
        {"client_secret": "s\u00fc\u00df"},
        {"refresh_token": "x" * 5_000},
    ]
    bad = {100 * number: faults[number % len(faults)] for number in range(1, 101)}
    file = tmp_path / "tenants.csv"
    lines = [row(number, **bad.get(number, {})) for number in range(1, 10_001)]
    file.write_text(HEADER + "".join(lines))
    before = world.everything()
    ran = run("import", str(file), "--yes")
    is_one_sentence(ran, 2)
    assert "100 lines are wrong; nothing was imported." in ran.err
    named = [int(number) for number in re.findall(r"^line (\d+): ", ran.out, re.MULTILINE)]
    assert named == [number + 1 for number in bad]  # the header is line 1
    assert "canary" not in ran.out + ran.err
    assert world.everything() == before
    as_json = run("import", str(file), "--yes", "--json")
    assert len(as_json.json["problems"]) == 100


def test_an_import_goes_on_after_ctrl_c_without_a_duplicate(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "tenants.jsonl"
    fields = HEADER.strip().split(",")
    rows = [dict(zip(fields, row(number).strip().split(","), strict=True)) for number in range(60)]
    file.write_text("".join(json.dumps(each) + "\n" for each in rows))
    ask = Service.ask

    def interrupted(self: Service, command: str, **payload: Any) -> dict[str, Any]:
        answer = ask(self, command, **payload)
        if command == "import_lines" and payload["lines"][0]["line"] > 25:
            raise KeyboardInterrupt  # done by the service, never told
        return answer

    with monkeypatch.context() as patched:
        patched.setattr(Service, "ask", interrupted)
        is_one_sentence(run("import", str(file), "--yes"), 130)
    ran = run("import", str(file), "--yes")
    assert ran.code == 0
    assert "10 imported, 50 were there already." in ran.out
    assert "previous holder" in ran.out
    assert len(run("tenant", "list", "--json").json["tenants"]) == 60
    assert [world.history(f"t{number}").count("imported") for number in range(60)] == [1] * 60
    again = run("import", str(file), "--yes")
    assert "0 imported, 60 were there already." in again.out


def test_a_line_that_was_not_imported_is_never_told_as_imported(
    world: World, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another rep adds one of the names between the check and the import."""
    file = tmp_path / "tenants.csv"
    file.write_text(HEADER + row(1) + row(2))
    check = importing.check

    def checked(*arguments: Any) -> Any:
        found = check(*arguments)
        world.add_tenant("t2")
        return found

    monkeypatch.setattr(importing, "check", checked)
    ran = run("import", str(file), "--yes")
    assert ran.code == 1
    assert "There is a tenant 't2' already." in ran.out
    assert "keep the file" in ran.err
    assert "previous holder" not in ran.out
    assert "line 2: t1 imported" not in ran.out
    assert world.history("t1") == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "tenant,client_id\n", "display_name is not there"),
        ("a.csv", '"tenant"s,client_id\n', "The first line is no CSV"),
        ("a.csv", HEADER + 'a,"b\n', "line 2"),
        ("a.csv", HEADER + row(1).strip() + ",more\n", "more than the six"),
        ("a.jsonl", "{\n", "no JSON"),
        ("a.jsonl", "[]\n", "no JSON object"),
        ("a.jsonl", json.dumps({"tenant": 5}) + "\n", "tenant is missing"),
    ],
)
def test_a_file_that_is_none_is_told_in_words(
    world: World, run: Run, tmp_path: Path, name: str, text: str, words: str
) -> None:
    file = tmp_path / name
    file.write_text(text)
    ran = run("import", str(file), "--yes")
    assert ran.code == 2
    assert words in ran.out + ran.err
    assert SECRET not in ran.out + ran.err
    file.write_bytes(b"\xff\xfe\x00")
    is_one_sentence(run("import", str(file), "--yes"), 2)
