"""What the pages tell somebody to type is real: each `ha-goto`, `make`, path and output exists."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import typer

from chalicelib.refresh.outcomes import Outcome
from cli import main
from sandbox.docs import SHOWN
from sandbox.environment import ROOT
from sandbox.newcomer_answers import ANSWERS
from tests.security.protections import PROTECTIONS
from tests.support.aws import template

PAGES = {
    str(page.relative_to(ROOT)): page.read_text()
    for name in SHOWN
    for page in ([ROOT / name] if name.endswith(".md") else sorted((ROOT / name).glob("*.md")))
}
RUNBOOK = PAGES["docs/runbook.md"]

ROOMS = ("", "chalicelib", "docs", "infra", "tests/security")
"""Where a file that a page names without its folder is looked for, besides the page's own."""

NOT_OF_THE_REPOSITORY = (".sandbox", "developer.logmeininc.com", "AWS/", "/")
"""Beginnings of what looks like a path and is none: what is made, addresses, names of metrics."""


def code(text: str) -> str:
    """What stands in blocks of `sh` or between backticks."""
    return "\n".join(
        map("".join, re.findall(r"```sh\n(.*?)```|`([^`\n]+(?:\n[^`\n]+)?)`", text, re.DOTALL))
    )


CODE = {name: code(text) for name, text in PAGES.items()}
REP = sorted(
    {
        words
        for text in CODE.values()
        for words in re.findall(r"ha-goto ([a-z]+)(?:[ \n]+([a-z]+))?", text)
    }
)
PATHS = sorted(
    {
        (name, path)
        for name, text in PAGES.items()
        for path in re.findall(
            r"`([\w.-]*/[\w./-]*|[\w-]+\.(?:py|md|ya?ml|toml|html|css|js|mjs))`", text
        )
        if not path.startswith(NOT_OF_THE_REPOSITORY)
    }
)


@pytest.mark.parametrize("words", REP, ids=" ".join)
def test_each_command_of_a_rep_exists(words: tuple[str, str]) -> None:
    found: Any = typer.main.get_command(main.app)
    for word in words:
        if word and hasattr(found, "commands"):
            assert word in found.commands
            found = found.commands[word]
    assert not hasattr(found, "commands"), "a group is no command"


@pytest.mark.parametrize("page", sorted(CODE))
def test_each_target_of_make_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)", CODE[page])) <= targets


@pytest.mark.parametrize(("page", "path"), PATHS)
def test_each_path_leads_somewhere(page: str, path: str) -> None:
    rooms = [(ROOT / page).parent, *(ROOT / room for room in ROOMS)]
    assert any((room / path).exists() for room in rooms)


def test_each_output_and_resource_exists() -> None:
    outputs, resources = template()["Outputs"], template()["Resources"]
    named = set(re.findall(r"\$\(out (\w+)\)", CODE["docs/runbook.md"]))
    assert {"GrantsTable", "AfterRestoreFunction", "RefreshTickFunction"} <= named
    assert named <= set(outputs)
    assert set(re.findall(r"\$\(id (\w+)\)", CODE["docs/runbook.md"])) <= set(resources)
    assert set(re.findall(r"\b\w+Key\b", RUNBOOK)) - {"OutputKey"} <= set(resources)


def modules() -> dict[str, Path]:
    """The service's modules by their names below `chalicelib`, as ``web.http``."""
    library = ROOT / "chalicelib"
    paths = [path for path in library.rglob("*.py") if path.name != "__init__.py"]
    return {".".join(path.relative_to(library).with_suffix("").parts): path for path in paths}


def members() -> set[str]:
    """What the service defines, as ``package.module.name`` and ``Class.name``."""
    found = set()
    for module, path in {"app": ROOT / "app.py", **modules()}.items():
        tree = ast.parse(path.read_text())
        classes = [(each.name, each.body) for each in tree.body if isinstance(each, ast.ClassDef)]
        for owner, body in [(module, tree.body), *classes]:
            for each in body:
                if isinstance(each, ast.FunctionDef | ast.ClassDef):
                    found.add(f"{owner}.{each.name}")
                elif isinstance(each, ast.AnnAssign):
                    found.add(f"{owner}.{ast.unparse(each.target)}")
    return found


def test_the_map_names_every_module_once() -> None:
    rows = re.findall(r"^\| `([\w/]+)\.py` \| \S", PAGES["docs/architecture.md"], re.MULTILINE)
    named = sorted(path.replace("/", ".") for path in rows if path != "app")
    assert named == sorted(modules())


def test_each_protection_stands_where_it_is_said_to() -> None:
    rows = re.findall(r"^\| S\d\d \| .*? \| (.*?) \|", PAGES["docs/security.md"], re.MULTILINE)
    named = set(re.findall(r"`((?:\w+\.)+(?!(?:py|txt)`)\w+)`", "\n".join(rows)))
    assert len(named) >= 20
    assert named <= members()


@pytest.mark.parametrize(
    ("page", "letter", "rows"),
    [
        ("docs/security.md", "S", [*range(1, 35)]),
        ("docs/architecture.md", "F", [*range(1, 37)]),
    ],
)
def test_each_row_is_explained(page: str, letter: str, rows: list[int]) -> None:
    explained = re.findall(rf"^\| ({letter}\d\d) \| \S", PAGES[page], re.MULTILINE)
    assert explained == [f"{letter}{number:02}" for number in rows]


def test_the_removals_are_counted() -> None:
    told = re.search(r"(\d+) removals over (\d+)\srows", PAGES["docs/security.md"])
    assert told
    rows = {each.row for each in PROTECTIONS}
    assert [int(number) for number in told.groups()] == [len(PROTECTIONS), len(rows)]


def test_each_outcome_that_the_runbook_looks_for_is_one_of_a_refresh() -> None:
    named = set(re.findall(r"`(\w+)` in the logs' outcomes", RUNBOOK))
    assert named
    assert named <= {str(outcome) for outcome in Outcome}


def test_each_alarm_says_how_urgent_it_is_and_what_to_do() -> None:
    """The index by urgency agrees with the sections, and neither leaves one out."""
    index, _, sections = RUNBOOK.partition("\n## First, in each shell")
    urgency = {
        name: urgent
        for urgent, names in re.findall(r"^\| (\w.*?) \| (\[.*) \|$", index, re.MULTILINE)
        for name in re.findall(r"\[(\w+)\]", names)
    }
    found = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##)", sections, re.MULTILINE | re.DOTALL))
    assert set(found) == set(urgency)
    for name, text in found.items():
        said = " ".join(text.split())
        assert f"**Urgency:** {urgency[name]}" in said, name
        assert re.search(r"\*\*Impact:.*\*\*Do this.*\*\*if that fails", said, re.IGNORECASE), name


def test_each_decision_is_dated() -> None:
    page = PAGES["docs/decisions.md"]
    assert len(re.findall(r"^### ", page, re.MULTILINE)) == len(
        re.findall(r"^### .*\n\n\*2026-\d\d-\d\d(?:, 2026-\d\d-\d\d)*\.\* ", page, re.MULTILINE)
    )


def test_a_front_is_pointed_at_the_one_output_for_it() -> None:
    """The gateway's own address ends with a slash, and is switched off where there is a host."""
    assert "PagesURL" in template()["Outputs"]
    assert "`PagesURL`" in RUNBOOK
    assert [name for name, text in PAGES.items() if "EndpointURL" in text] == []


def test_no_page_waits_for_a_restored_table_once() -> None:
    """The command gives up after twenty-five looks, 500 seconds: a large table takes longer."""
    waits = re.findall(r"^ *(.*aws dynamodb wait.*)$", CODE["docs/runbook.md"], re.MULTILINE)
    assert waits
    assert all(line.startswith("until ") and line.endswith("; do :; done") for line in waits)


@pytest.mark.parametrize("page", sorted(PAGES))
def test_what_stands_in_a_list_is_moved_in_by_four(page: str) -> None:
    """With less the site's Markdown ends the list before a block, and counts no further."""
    assert re.findall(r"^(?: {1,3}| {5,7})```.*$", PAGES[page], re.MULTILINE) == []


def test_the_pages_were_found() -> None:
    """Without commands and paths the tests above would pass for nothing."""
    assert len(PAGES) >= 15
    assert ("disconnect", "") in REP or any(words[0] == "disconnect" for words in REP)
    assert ("docs/architecture.md", "chalicelib/refresh/refresher.py") in PATHS
    assert Path(ROOT / "docs" / "admin.md").exists()


@pytest.mark.parametrize(
    "command",
    re.findall(r"^(ha-goto .*?) +# asks", PAGES["cli/README.md"], re.MULTILINE),
)
def test_who_types_the_pages_knows_what_to_answer(command: str) -> None:
    """Otherwise `make newcomer` waits for minutes at a question, and then fails."""
    assert any(command.startswith(known) for known in ANSWERS)
