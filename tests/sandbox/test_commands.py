"""The long commands of `make help` in small: what `make` starts, for seconds.

`make simulate` is in `tests/year`, `make processes` in `tests/faults/test_processes.py`, `make
pictures` in `tests/e2e`. `.ci/run` starts `make bench`, `make scan` and `make newcomer`.
"""

import importlib.util
import re
import subprocess
import sys

import pytest

from sandbox import environment
from sandbox.environment import ROOT

IN_THE_SETUP = {"help", "setup", "clean"}
"""Commands that no module of their own does."""


def test_each_command_of_make_has_its_module() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert set(environment._MODULES) == commands - IN_THE_SETUP
    for words in environment._MODULES.values():
        assert importlib.util.find_spec(words.split()[0]), words


@pytest.mark.parametrize(
    ("words", "told"),
    [
        pytest.param(
            "interleavings --short",
            r"^\d{2,} interleavings, 0 violations, \d+ seconds$",
            id="interleavings",
        ),
        pytest.param(
            "mutants opaque --workers 1",
            r"^chalicelib/opaque\.py: \d{2,} mutants, \d{2,} killed,",
            id="mutants, of a module that takes seconds",
        ),
        pytest.param(
            "protections S04",
            r"^(\d+) of \1 removals were noticed$",
            id="protections, of a row that takes seconds",
        ),
    ],
)
def test_a_long_command_works(words: str, told: str) -> None:
    command, *options = words.split()
    started = [sys.executable, "-m", environment._MODULES[command], *options]
    ran = subprocess.run(started, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(told, ran.stdout, re.MULTILINE)
