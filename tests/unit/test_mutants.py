"""That `make mutants` notices what it is there for, on a module of four lines."""

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.environment import ROOT
from tests.security import mutants
from tests.security.mutant_runs import Mutant, Result
from tests.security.mutants import judge
from tests.security.mutants_explained import Explained

PRODUCT = """
def tired(hours):
    if hours > 16:
        raise ValueError("a day has its end")
    return hours >= 8
"""

TESTS = """
import pytest
from product import tired

def test_tired_after_nine_hours():
    assert tired(9) and not tired(7)

def test_nobody_works_all_day():
    with pytest.raises(ValueError):
        tired(24)
"""

RUN = """
import sys
from pathlib import Path
from tests.security.mutant_runs import run

run(Path.cwd(), {"product.py": ["test_product.py"]}, workers=1, told=lambda each: print(
    "by", (each.by or "nobody").rpartition("::")[2], each.mutant.was, "->", each.mutant.becomes))
"""


def test_a_mutant_is_killed_by_the_test_that_fails_or_survives(tmp_path: Path) -> None:
    (tmp_path / "product.py").write_text(PRODUCT)
    (tmp_path / "test_product.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\npythonpath = .")
    ran = subprocess.run(
        [sys.executable, "-c", RUN],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = [line for line in ran.stdout.splitlines() if line.startswith("by ")]
    assert sorted(told) == [
        "by nobody if hours > 16: -> if hours > 17:",
        "by nobody if hours > 16: -> if hours >= 16:",
        "by nobody return hours >= 8 -> return hours > 8",
        "by nobody return hours >= 8 -> return hours >= 9",
    ], ran.stdout + ran.stderr


MUTANT = Mutant("product.py", "tired", 5, "return hours >= 8", "return hours > 8", judge.__code__)


@pytest.mark.parametrize(
    ("by", "was", "well"),
    [
        pytest.param(None, ">=", True, id="explained"),
        pytest.param("test_tired", ">=", False, id="explained, and killed after all"),
        pytest.param(None, "<=", False, id="another is explained"),
    ],
)
def test_an_explanation_must_be_needed(
    by: str | None, was: str, well: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = (Explained("product.py", "tired", was, ">", "eight hours come to the same"),)
    monkeypatch.setattr(mutants, "EXPLAINED", table)
    assert judge("product.py", [Result(MUTANT, by)]) is well
