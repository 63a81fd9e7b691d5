"""`make newcomer`: types every command of the pages, in order, in a new checkout.

Each page has its own shell, so a command's variables are there for the next. `ANSWERS` and
`MEANWHILE` do what a person would: open the link, answer questions, fill in a file. If a page needs
an AWS account, AWS's own variables lead to the local cloud of `make run` instead.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import commands
from sandbox.environment import ROOT, STATE, private_folder, virtual_environment
from sandbox.newcomer_answers import ANSWERS, MEANWHILE, Newcomer
from sandbox.processes import require_free
from sandbox.shell import Shell, Stuck

LOCK = ROOT / "sandbox" / "requirements-newcomer.txt"
PORTS = (8000, 8001, 8002)
STUCK = 124
"""Exit code for a command that did not end, as with `timeout`."""

LONGEST = 300
"""Seconds for one command; the slowest installs packages."""

PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "cli/README.md",
    "cli/CHANGELOG.md",
    "reader/README.md",
    "reader/CHANGELOG.md",
    "bench/README.md",
    "docs/admin.md",
    "docs/architecture.md",
    "docs/local.md",
    "docs/deploying.md",
    "docs/contract.md",
    "docs/rep-contract.md",
    "docs/slo.md",
    "docs/runbook.md",
    "docs/costs.md",
    "docs/year.md",
    "docs/decisions.md",
    "docs/four-values.md",
    "docs/glossary.md",
    "docs/security.md",
    "CHANGELOG.md",
    "SECURITY.md",
)
"""In the order in which a person would read them all."""

EXCEPTED = {
    "make test": "CI runs it before this",
    ".venv/bin/python -m pytest -q tests/unit": "a part of make test, which CI runs before this",
    "make check": "CI runs it first of all",
    "make docs": "CI runs it before this",
    "make release": "a checkout is released once; tests/sandbox/test_release.py releases another",
    "ha-goto doctor --stage production": (
        "example.json names the real GoTo, and a sender that the local cloud's SES does not know"
    ),
    ".sandbox/service/bin/python -c": (
        "by then the rep's page has disconnected everybody; tests/reader/test_with_the_service.py"
        " does it"
    ),
    "export AWS_PROFILE=...": "the account is the local cloud's, by AWS's other variables",
    "place=$(aws dynamodbstreams get-shard-iterator": (
        "the numbers are those of a message, and there is none in that queue"
    ),
    "aws dynamodbstreams get-records": "reads at the place of the command before",
    "ha-goto facts": "NAME is a customer's who agrees; tests/integration/test_facts.py has one",
    "make prove": (
        "a person must confirm the subscription's mail for it; tests/e2e/test_prove.py does it"
    ),
    "make adopt": (
        "takes up what a destroyed stack has left, and this one lives; tests/e2e/test_deploying.py"
        " does it"
    ),
    "aws dynamodb restore-table-to-point-in-time": (
        "the local cloud keeps no history to restore from; tests/faults/test_restore.py does it"
    ),
    "until aws dynamodb wait table-exists --table-name ha-goto-grants-restored": (
        "waits for the table of the command before"
    ),
}
"""Commands that are not typed here, by their beginning, each with the reason."""

LAST = ("make destroy",)
"""Typed after all pages: the pages that follow need what these commands end."""

AWS = """\
#!/bin/sh
# Version 1, which the registry has, takes payloads as they are; version 2 has this option for it.
# And it asks SQS at AWS's own address, unless it is told otherwise here.
for word; do
  shift
  case "$word" in
    --cli-binary-format | raw-in-base64-out) ;;
    *) set -- "$@" "$word" ;;
  esac
done
exec {aws} ${{AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"}} "$@"
"""


@dataclass
class Typed:
    """Results of the commands: page, command, seconds, and exit code (`-` if not typed)."""

    rows: list[tuple[str, str, float, str]] = field(default_factory=list)
    failed: int = 0

    def note(self, page: str, command: str, seconds: float, ended: str) -> None:
        """Add a result, and print it."""
        self.rows.append((page, command, seconds, ended))
        first, *more = command.splitlines()
        shown = f"{first} ..." if more else first
        print(f"{ended:>4}  {seconds:6.1f} s  {page:<18} {shown}", flush=True)


def main() -> int:
    """Type everything; 1 if a command failed or hung."""
    for port in PORTS:
        require_free(port)
    tools = virtual_environment(private_folder(STATE) / "newcomer-venv", LOCK, "AWS's command line")
    typed = Typed()
    bin_ = private_folder(STATE / "newcomer-bin")
    (bin_ / "aws").write_text(AWS.format(aws=tools.with_name("aws")))
    (bin_ / "aws").chmod(0o700)
    with checkout() as folder:
        newcomer = Newcomer(folder)
        try:
            _type_all(newcomer, bin_, typed)
        finally:
            newcomer.stop()
    begun = sum(row[2] for row in typed.rows)
    excepted = sum(row[3] == "-" for row in typed.rows)
    print(f"\n{len(typed.rows) - excepted} commands typed in {begun:.0f} s, {excepted} excepted:")
    for beginning, reason in EXCEPTED.items():
        print(f"  {beginning}: {reason}")
    ran = len(typed.rows) - excepted - typed.failed
    print(f"\n{ran} passed, {typed.failed} failed")
    return 1 if typed.failed else 0


def excepted(command: str) -> bool:
    """Whether the command is not typed here."""
    return any(command.startswith(beginning) for beginning in EXCEPTED)


def _type_all(newcomer: Newcomer, tools: Path, typed: Typed) -> None:
    later: list[tuple[str, str]] = []
    for page in PAGES:
        found = commands.of_page(newcomer.folder / page)
        later += [(page, command) for command in found if command.startswith(LAST)]
        now = [command for command in found if not command.startswith(LAST)]
        _type_page(newcomer, tools, page, now, typed)
    for page, command in later:
        _type_page(newcomer, tools, page, [command], typed)


def _type_page(newcomer: Newcomer, tools: Path, page: str, found: list[str], typed: Typed) -> None:
    if not found:
        return
    shell = Shell(newcomer.folder, environment(tools, newcomer.folder))
    try:
        for command in found:
            if excepted(command):
                typed.note(page, command, 0, "-")
                continue
            begun = time.monotonic()
            try:
                code, output = _type(newcomer, shell, command)
            except Stuck as stuck:
                code, output = STUCK, stuck.said
            typed.note(page, command, time.monotonic() - begun, str(code))
            if code:
                typed.failed += 1
                print(output, flush=True)
            if code == STUCK:
                print(f"The rest of {page} was not typed: its shell hangs.", flush=True)
                return
    finally:
        shell.close()


def _type(newcomer: Newcomer, shell: Shell, command: str) -> tuple[int, str]:
    if command.startswith("make run"):
        return newcomer.run(command, shell.environment)
    for beginning, act in MEANWHILE.items():
        if command.startswith(beginning):
            act(newcomer, shell)
    answers = next((told for start, told in ANSWERS.items() if command.startswith(start)), ())
    return shell.type(command, answers, LONGEST)


def account(folder: Path) -> dict[str, str]:
    """The AWS variables of operators and services: the local cloud's, once it runs."""
    file = folder / ".sandbox" / "endpoints.json"
    if not file.exists():
        return {}
    aws = json.loads(file.read_text())["aws"]
    return {
        "AWS_ENDPOINT_URL": aws["endpoint"],
        "AWS_REGION": aws["region"],
        "AWS_DEFAULT_REGION": aws["region"],
        "AWS_ACCESS_KEY_ID": aws["access_key"],
        "AWS_SECRET_ACCESS_KEY": aws["secret_key"],
        "AWS_PAGER": "",
    }


def environment(tools: Path, folder: Path) -> dict[str, str]:
    """A person's environment, without this program's own variables, and with an AWS account's."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "GOTO_", "HA_GOTO_", "VIRTUAL_ENV", "MAKE", "MFLAGS"))
        and name not in ("PORT", "CI", "STAGE", "ARGUMENTS", "BENCH")
    }
    return {**own, **account(folder), "PATH": f"{tools}:{own['PATH']}"}


@contextmanager
def checkout() -> Iterator[Path]:
    """A clone of this repository, including uncommitted changes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        git = ["git", "-C", str(ROOT)]
        subprocess.run([*git, "clone", "-q", str(ROOT), str(folder)], check=True)
        listing = [*git, "ls-files", "-z", "-m", "-o", "--exclude-standard"]
        changed = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
        for file in filter(None, changed.split("\0")):
            if (ROOT / file).exists():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file)
            else:
                (folder / file).unlink(missing_ok=True)
        yield folder


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
