"""What a rep installs: the wheel, beside what it names as its dependencies."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from sandbox.environment import ROOT

UV = Path(sys.executable).with_name("uv")


def run(*command: str | Path) -> str:
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_wheel_installs_a_program_and_nothing_of_the_service(tmp_path: Path) -> None:
    source = tmp_path / "source"  # the builder leaves its traces beside what it builds
    shutil.copytree(ROOT / "cli", source, ignore=shutil.ignore_patterns("__pycache__"))
    run(UV, "build", "--quiet", "--wheel", "--out-dir", tmp_path, source)
    [wheel] = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if not name.startswith("ha_goto-")} == {
        str(file.relative_to(ROOT)) for file in (ROOT / "cli").rglob("*.py")
    }
    run(UV, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    locked = ROOT / "requirements-dev.txt"
    run(UV, "pip", "install", "--quiet", "--python", python, "--constraint", locked, wheel)
    told = run(tmp_path / "venv" / "bin" / "ha-goto", "--help")
    assert "doctor" in told
    told = run(python, "-m", "cli", "tenant", "--help")
    assert "show" in told
