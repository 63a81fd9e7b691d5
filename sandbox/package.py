"""The deployable package: what `chalice package` makes of app.py and infra/.

The same command as for AWS. Cached by what goes in, because the packager takes seconds.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from sandbox.environment import ROOT, STATE
from sandbox.processes import Failed

FOLDER = STATE / "package"
STAGE = "main"
_INPUTS = ("app.py", "requirements.txt", "chalicelib", ".chalice", "infra")
_NOT_INPUTS = ("__pycache__", "deployments")
_PACKAGER = "from chalice.cli import main; main()"


@dataclass(frozen=True)
class Package:
    """The merged SAM template, the code, and a digest that names both."""

    template: Path
    code: Path
    digest: str


def build() -> Package:
    """The package of the sources as they are; raises `Failed` with the packager's last line."""
    wanted = digest()
    mark = FOLDER / "digest"
    package = Package(FOLDER / "sam.yaml", FOLDER / "deployment.zip", wanted)
    if mark.exists() and mark.read_text() == wanted:
        return package
    shutil.rmtree(FOLDER, ignore_errors=True)
    command = ["package", "--stage", STAGE, "--template-format", "yaml"]
    merge = ["--merge-template", "infra/template.yaml", str(FOLDER)]
    done = subprocess.run(
        [sys.executable, "-c", _PACKAGER, *command, *merge],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise Failed(f"`chalice package` failed: {said[-1]}")
    _flatten(package.template)
    mark.write_text(wanted)
    return package


class _Flat(yaml.SafeDumper):
    """Writes what is the same twice: CloudFormation reads no YAML aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _flatten(template: Path) -> None:
    merged = yaml.safe_load(template.read_text())
    template.write_text(yaml.dump(merged, Dumper=_Flat, sort_keys=False))


def digest() -> str:
    """SHA-256 over the names and contents of everything that the package is made of."""
    total = hashlib.sha256(f"python {sys.version_info[:2]}".encode())
    for file in _inputs():
        total.update(f"\0{file.relative_to(ROOT)}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def _inputs() -> Iterator[Path]:
    for name in _INPUTS:
        top = ROOT / name
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file() and not set(_NOT_INPUTS) & set(file.relative_to(ROOT).parts):
                yield file
