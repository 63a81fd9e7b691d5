"""What the pages tell somebody to type is typed by `make newcomer`, all of it, or excepted by name;
and the site's checker sees what leads nowhere."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.smoke import pages_of
from sandbox import commands, docs, newcomer
from sandbox.docs import SHOWN
from sandbox.environment import ROOT
from sandbox.newcomer_answers import ANSWERS, MEANWHILE
from sandbox.shell import Answer, Shell, Stuck

SHOWN_PAGES = {
    str(page.relative_to(ROOT))
    for name in SHOWN
    for page in ([ROOT / name] if name.endswith(".md") else (ROOT / name).glob("*.md"))
}
TYPED = {command for page in sorted(SHOWN_PAGES) for command in commands.of_page(ROOT / page)}


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    opened = Shell(tmp_path, {"PATH": os.environ["PATH"]})
    yield opened
    opened.close()


def test_no_page_is_left_out() -> None:
    assert set(newcomer.PAGES) == SHOWN_PAGES
    assert len(TYPED) > 40


@pytest.mark.parametrize("beginning", [*newcomer.EXCEPTED, *newcomer.LAST, *MEANWHILE, *ANSWERS])
def test_what_is_said_of_a_command_is_of_one_that_a_page_has(beginning: str) -> None:
    assert any(command.startswith(beginning) for command in TYPED)


@pytest.mark.parametrize("page", sorted(SHOWN_PAGES))
def test_commands_stand_in_blocks_that_are_found(page: str) -> None:
    """A block under another name, or under none, would be typed by nobody."""
    for name, block in re.findall(
        r"^ *```(\w*)\n(.*?)^ *```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    ):
        assert name not in ("bash", "shell", "console", "zsh")
        if name != "sh":
            assert not re.search(r"^ *\$?(make|ha-goto|aws|pip|git) ", block, re.MULTILINE)


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("make run   # a remark\nmake test\n", ["make run", "make test"]),
        ("f() { a \\\n  b; }\nf\n", ["f() { a \\\n  b; }", "f"]),
        ("for x in 1 2; do\n  echo $x\ndone\n", ["for x in 1 2; do\n  echo $x\ndone"]),
        ("A=$(one \\\n  two)\n", ["A=$(one \\\n  two)"]),
        ("# nothing\n\n", []),
    ],
    ids=["remarks", "a function", "a loop", "a line that goes on", "no command"],
)
def test_a_command_is_as_many_lines_as_the_shell_takes(block: str, found: list[str]) -> None:
    assert commands.of_block(block) == found


def test_a_command_that_never_ends_is_refused() -> None:
    with pytest.raises(ValueError, match="No shell would begin"):
        commands.of_block("f() { a\n")


def test_what_a_command_sets_the_next_one_finds(shell: Shell) -> None:
    assert shell.type("export A=1; cd /") == (0, "")
    assert shell.type('echo "$A $PWD"') == (0, "1 /")
    assert shell.type("false")[0] == 1


def test_questions_are_answered_at_a_terminal(shell: Shell) -> None:
    command = "read -p 'first? ' a; test -t 0 && read -p 'second? ' b; echo \"$a-$b\""
    code, said = shell.type(command, [Answer("first?", "1"), Answer("second?", "2")])
    assert (code, said.splitlines()[-1]) == (0, "first? second? 1-2")


def test_a_hidden_answer_waits_until_it_is_heard(shell: Shell) -> None:
    """What is typed before `getpass` has switched the echo off is thrown away."""
    asks = "import getpass, time; print('secret:', flush=True); time.sleep(0.3); "
    command = f'python3 -c "{asks}print(getpass.getpass(str()) == str(12))"'
    code, said = shell.type(command, [Answer("secret:", "12", hidden=True)], seconds=10)
    assert (code, said.split()) == (0, ["secret:", "True"])


def test_a_command_that_waits_for_nobody_is_given_up(shell: Shell) -> None:
    with pytest.raises(Stuck):
        shell.type("read a", seconds=0.2)


def test_the_site_s_checker_sees_what_leads_nowhere(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text('<h1 id="here">There</h1>')
    good = (
        '<a href="there.html#here">a</a><a href="#own" id="own">b</a><a href="https://x.y/">c</a>'
    )
    bad = (
        '<a href="gone.html">1</a><a href="there.html#gone">2</a><img src="gone.png">'
        '<script src="https://cdn.example/x.js"></script><a href="../outside.html">3</a>'
    )
    (tmp_path / "index.html").write_text(good)
    assert docs.check(tmp_path) == []
    assert docs.leading_out(tmp_path) == [("https://x.y/", "index.html")]
    (tmp_path / "index.html").write_text(good + bad)
    assert len(docs.check(tmp_path)) == 5


def test_a_deployment_is_tried_where_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"PagesURL": "https://x.example", "ApiId": "a", "ApiStage": "api"}
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert pages_of(outputs) == "https://x.example"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8002/")
    assert pages_of(outputs) == "http://127.0.0.1:8002/_aws/execute-api/a/api"
