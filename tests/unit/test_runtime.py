"""One Python for Lambda, whatever makes the package.

AWS: "Lambda runtimes", Lambda Developer Guide (lambda-runtimes.html), as cfn-lint ships its dates.
"""

import json
import re
import sys
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra import deploy, runtime
from sandbox import environment
from sandbox.environment import ROOT, Missing


def lifecycle() -> dict[str, Any]:
    """AWS's dates of each runtime."""
    [file] = Path(str(resources.files("cfnlint"))).rglob("LmbdRuntimeLifecycle.json")
    known: dict[str, Any] = json.loads(file.read_text())
    return known


@pytest.fixture
def another_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose Python is not Lambda's, before AWS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))


def test_the_runbook_says_until_when_aws_serves_it() -> None:
    dates = lifecycle()[runtime.NAME]
    said = (ROOT / "docs" / "runbook.md").read_text().partition("## The runtime ends")[2]
    assert re.findall(r"20\d\d-\d\d-\d\d", said)[:2] == [dates["deprecated"], dates["update-block"]]
    assert f"Python {runtime.RUNTIME[0]}.{runtime.RUNTIME[1]}" in said


@pytest.mark.parametrize("command", ["deploy", "diff"])
def test_another_python_is_refused_in_one_sentence(
    another_python: None, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert deploy.main([command, "production"]) == 1
    said = capsys.readouterr().err
    assert said == (
        "Lambda runs the product on Python 3.13, and this is 3.12:"
        " install python3.13, then run make again.\n"
    )


def test_the_local_cloud_takes_any(another_python: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:8002")
    assert runtime.fault() is None


def test_make_takes_lambda_s_python_where_there_is_one(
    another_python: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In an environment of its own: `.venv` goes on with whatever it was made of."""
    (tmp_path / "pyvenv.cfg").write_text("home = /usr\nversion = 3.12.1\n")
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "prepare", lambda *_: Path("any"))
    monkeypatch.setattr(environment, "virtual_environment", lambda folder, *_: folder)
    monkeypatch.setattr("sandbox.environment.shutil.which", lambda _name: None)
    with pytest.raises(Missing, match=r"install python3\.13"):
        environment.prepare_package()
    monkeypatch.setattr("sandbox.environment.shutil.which", lambda name: f"/bin/{name}")
    for code, found in ((127, None), (0, "python3.13-venv")):
        ran = SimpleNamespace(returncode=code)
        monkeypatch.setattr("sandbox.environment.subprocess.run", lambda *_, ran=ran, **__: ran)
        if found is None:
            with pytest.raises(Missing):
                environment.prepare_package()
        else:
            assert environment.prepare_package().name == found
    (tmp_path / "pyvenv.cfg").write_text("version = 3.13.0\n")
    assert environment.prepare_package() == Path("any")
