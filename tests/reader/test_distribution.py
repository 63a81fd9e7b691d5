"""The wheel of `ha-goto-tokens`: built, installed beside boto3 alone, its own tests run there."""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sandbox.environment import LOCK, ROOT

READER = ROOT / "reader"
PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")


def run(*command: str | Path, expect: int = 0, **environment: str) -> str:
    done = subprocess.run(
        list(map(str, command)),
        env={**os.environ, **environment},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stdout + done.stderr


def closure(*names: str) -> set[str]:
    """The packages and all that they need here, as pip names them."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = canonicalize_name(left.pop())
        if name not in found:
            found.add(name)
            needed = [Requirement(text) for text in requires(name) or ()]
            left += [one.name for one in needed if not one.marker or one.marker.evaluate()]
    return found


def locked(names: set[str], target: Path) -> Path:
    """The lines of the lock for these packages, with their hashes."""
    blocks = re.findall(r"^[a-z0-9][^\n]*(?:\n {4}[^\n]*)*", LOCK.read_text(), re.MULTILINE)
    kept = [block for block in blocks if re.split(r"[=\[; ]", block)[0] in names]
    assert len(kept) == len(names)
    target.write_text("\n".join(kept) + "\n")
    return target


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(READER, folder / "reader", ignore=shutil.ignore_patterns("build"))
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder)
    run(*PIP, "wheel", *options, source)
    [made] = folder.glob("*.whl")
    return made


def test_the_wheel_holds_the_library_its_types_and_one_dependency(wheel: Path) -> None:
    assert wheel.name == "ha_goto_tokens-1.0.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
        metadata = opened.read("ha_goto_tokens-1.0.0.dist-info/METADATA").decode()
    library = READER / "src" / "ha_goto_tokens"
    files = {f"ha_goto_tokens/{file.name}" for file in library.glob("*.py")}
    assert names == files | {"ha_goto_tokens/py.typed"}
    needed = re.findall(r"^Requires-Dist: (.*)$", metadata, re.MULTILINE)
    assert [one for one in needed if "extra ==" not in one] == ["boto3>=1.28"]
    assert "Requires-Python: >=3.10" in metadata


def test_its_own_tests_pass_beside_boto3_alone(wheel: Path, tmp_path: Path) -> None:
    python, runner = tmp_path / "venv" / "bin" / "python", tmp_path / "runner"
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    pip = (*PIP, "--python", python)
    install = ("install", "--quiet", "--no-compile")
    beside, runs = closure("boto3"), closure("pytest")
    lock = locked(beside, tmp_path / "boto3.txt")
    run(*pip, *install, "--require-hashes", "--requirement", lock)
    run(*pip, *install, "--no-index", wheel)
    installed = {one["name"] for one in json.loads(run(*pip, "list", "--format", "json"))}
    ours = {canonicalize_name(name) for name in installed}
    assert ours == beside | {"ha-goto-tokens"}
    assert "No broken requirements" in run(*pip, "check")

    # The test runner stands beside the environment, not in it.
    lock = locked(runs, tmp_path / "pytest.txt")
    run(*pip, *install, "--require-hashes", "--target", runner, "--requirement", lock)
    tests = shutil.copytree(READER / "tests", tmp_path / "tests")
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", tests, tests)
    said = run(python, "-m", "pytest", *options, PYTHONPATH=str(runner))
    summary = said.strip().splitlines()[-1]
    assert re.match(r"\d{3,} passed in ", summary), said
    print(f"\nbeside {', '.join(sorted(beside))}: {summary}")

    where = run(python, "-c", "import ha_goto_tokens; print(ha_goto_tokens.__file__)")
    assert where.startswith(str(tmp_path / "venv"))
    for optional in ("requests", "httpx"):
        said = run(python, "-c", f"import ha_goto_tokens.{optional}_auth", expect=1)
        assert f"No module named '{optional}'" in said
