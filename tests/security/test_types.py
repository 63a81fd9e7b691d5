"""S19: the type checker itself refuses a refresh token where none may ever be."""

import ast
import fcntl
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.environment import ROOT, STATE, private_folder

SAMPLE = """
from chalicelib.dynamodb.connections import Connections


def leak(connections: Connections) -> object:
    grant = connections.grant_summary("acme")
    return grant.{name} if grant else None
"""


def checked(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    """What mypy says of a function that reads this of a grant."""
    sample = folder / "sample.py"
    sample.write_text(SAMPLE.format(name=name))
    options = ["--strict", "--follow-imports=silent", "--cache-dir", str(STATE / "mypy")]
    command = [sys.executable, "-m", "mypy", *options, str(sample)]
    with (private_folder(STATE) / "mypy.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # its cache has one writer at a time
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_s19_a_summary_of_a_grant_has_no_refresh_token(tmp_path: Path) -> None:
    """S19: and what it has, it has: the sample is wrong for this one attribute alone."""
    wrong = checked(tmp_path, "refresh_token")
    assert wrong.returncode == 1, wrong.stdout + wrong.stderr
    assert 'has no attribute "refresh_token"' in wrong.stdout
    assert checked(tmp_path, "failures").returncode == 0


@pytest.mark.parametrize("package", ["connect", "web", "rep"])
def test_s19_these_packages_read_no_grant_with_its_secrets(package: str) -> None:
    """S19: they ask for summaries only, and never name the type that has the token."""
    for path in (ROOT / "chalicelib" / package).glob("*.py"):
        code = path.read_text()
        assert not re.search(r"connections\.(grant|claim)\(", code), path
        names = [
            alias.name
            for node in ast.walk(ast.parse(code))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        ]
        assert "Grant" not in names, path
