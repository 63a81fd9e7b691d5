"""The rep's program takes over a file of tenants: checked as a whole first, and gone on with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cli import importing
from cli.service import Service
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
    assert "100 lines have errors; nothing was imported." in ran.err
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
    assert "Tenant 't2' already exists." in ran.out
    assert "keep the file" in ran.err
    assert "previous holder" not in ran.out
    assert "line 2: t1 imported" not in ran.out
    assert world.history("t1") == []


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "tenant,client_id\n", "missing: display_name"),
        ("a.csv", '"tenant"s,client_id\n', "The first line is no CSV"),
        ("a.csv", HEADER + 'a,"b\n', "line 2"),
        ("a.csv", HEADER + row(1).strip() + ",more\n", "more values than columns"),
        ("a.jsonl", "{\n", "not valid JSON"),
        ("a.jsonl", "[]\n", "no tenant in this file"),
        ("a.jsonl", "5\n", "not a JSON object"),
        ("a.csv", HEADER, "no tenant in this file"),
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


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_s25_a_file_may_name_accounts_in_some_of_its_lines(
    world: World, run: Run, tmp_path: Path, form: str
) -> None:
    """S25: those are pinned at once, the others by their first refresh."""
    fields = [*HEADER.strip().split(","), "account_key"]
    rows = [[*row(1).strip().split(","), "4000000001"], [*row(2).strip().split(","), ""]]
    text = "".join(",".join(each) + "\n" for each in (fields, *rows))
    if form == "jsonl":
        text = "".join(
            json.dumps(dict(zip(fields, each, strict=True))) + "\n" for each in rows
        ).replace('"account_key": ""', '"account_key": null')
    file = tmp_path / f"tenants.{form}"
    file.write_text(text)
    assert run("import", str(file), "--yes").code == 0
    assert world.tenants.known("t1").pinned_account == "4000000001"
    assert world.tenants.known("t2").pinned_account is None
    again = run("import", str(file), "--yes", "--json")
    assert again.json == {"imported": [], "there_already": 2}


def test_a_line_ends_where_the_file_says_so(world: World, run: Run, tmp_path: Path) -> None:
    """Not at other characters that Python ends lines at and a company's name may hold."""
    for number, suffix in enumerate((".csv", ".jsonl")):
        file, name = tmp_path / f"tenants{suffix}", "A\u2028B\x85C"
        values = row(number, display_name=name)
        if suffix == ".jsonl":
            given = dict(zip(HEADER.strip().split(","), values[:-1].split(","), strict=True))
            values = json.dumps(given, ensure_ascii=False) + "\n"
        file.write_text((HEADER if suffix == ".csv" else "") + values, "utf-8")
        ran = run("import", str(file), "--yes", "--json")
        assert len(ran.json["problems"]) == 1, "the name is refused, as one line"
        assert world.tenants.get(f"t{number}") is None


HEADING = HEADER.strip()
LINE = row(1, client_secret="s3cret").strip()
VALUES = dict(zip(HEADING.split(","), LINE.split(","), strict=True))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        pytest.param("a.csv", f"{HEADING}\r{LINE}\r".encode(), id="CR alone"),
        pytest.param(
            "a.csv", f"{HEADING}\r\n{LINE}\r\n".replace(",", ";").encode(), id="semicolons"
        ),
        pytest.param(
            "a.csv", f"sep=;\r\n{HEADING}\r\n{LINE}".replace(",", ";").encode(), id="sep="
        ),
        pytest.param(
            "a.csv", f"{HEADING}\n{LINE}\n".replace(",", "\t").encode("utf-16"), id="tabs, UTF-16"
        ),
        pytest.param("a.csv", f"{HEADING}\n{LINE}\n".encode("utf-16"), id="UTF-16"),
        pytest.param("a.csv", f"{HEADING}\n{LINE}\n".encode("utf-16-le"), id="UTF-16, no mark"),
        pytest.param("a.csv", b"\xef\xbb\xbf" + f"{HEADING}\n{LINE}".encode(), id="UTF-8 with BOM"),
        pytest.param(
            "a.csv", f"{HEADING.replace('_', ' ').title()}\n{LINE}".encode(), id="heading in title"
        ),
        pytest.param(
            "a.csv", f"{HEADING}\n{LINE}\n".replace(",", ", ").encode(), id="blanks after commas"
        ),
        pytest.param("a.csv", f"{HEADING}\n{LINE}\n,,,,,\n,,,,,\n".encode(), id="empty rows"),
        pytest.param("a.csv", f"{HEADING},\n{LINE},\n".encode(), id="a comma too many"),
        pytest.param("a.json", json.dumps([VALUES]).encode(), id="JSON array"),
        pytest.param("a.json", json.dumps([VALUES], indent=1).encode(), id="array over lines"),
        pytest.param("a.json", json.dumps(VALUES, indent=1).encode(), id="one object over lines"),
        pytest.param("a.txt", (json.dumps(VALUES) + "\n").encode(), id="JSON of another name"),
    ],
)
def test_a_file_is_read_as_spreadsheets_and_editors_write_it(
    tmp_path: Path, name: str, data: bytes
) -> None:
    file = tmp_path / name
    file.write_bytes(data)
    [line], problems = importing.read(file)
    assert ({**line, "line": None}, problems) == ({"line": None, **VALUES}, [])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(
            f"{HEADING}\n{LINE}".replace("T", "\xdc").encode("cp1252"), "UTF-8", id="1252"
        ),
        pytest.param(b"PK\x03\x04\x14\x00", "Excel workbook", id="a workbook"),
    ],
)
def test_a_file_in_no_known_encoding_is_told_in_one_sentence(
    run: Run, tmp_path: Path, data: bytes, words: str
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(data)
    ran = run("import", str(file), "--yes")
    is_one_sentence(ran, 2)
    assert words in ran.err


def test_an_item_of_an_array_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text(json.dumps([VALUES, {**VALUES, "tenant": ""}], indent=0))
    _, problems = importing.read(file)
    assert problems == [(10, "", "tenant is missing.")]
