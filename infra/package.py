"""Builds the deployable package: `chalice package` from app.py and infra/, slimmed and compiled.

The local cloud and AWS get the same package. Lambda's file system is read-only, so without bytecode
in the package every cold start would compile every module. Packaging takes seconds, so packages are
cached by their inputs; the same inputs make the same archive, byte for byte.
"""

import fcntl
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from infra import cloudformation, roles, runtime

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".sandbox" / "packages"
KEPT = 4
"""Packages to keep: a test run that began before a change still uses an older one."""
STAGE = "main"

SERVICES = frozenset(
    {"dynamodb", "events", "kms", "lambda", "secretsmanager", "sesv2", "sqs", "sts"}
)
"""AWS services that chalicelib calls, of botocore's four hundred."""

_ENDPOINTS = SERVICES - {"sesv2"} | {"email"}
"""`SERVICES` by their names in `endpoints.json`."""

_INPUTS = ("app.py", "requirements.txt", "chalicelib", ".chalice", "infra")
_NOT_INPUTS = ("__pycache__", "deployments", "stages")
"""A stage's parameters are not part of its package: a deployment that changes only them, such as
who may use a key, makes no new version to roll back."""

_PACKAGER = "from chalice.cli import main; main()"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Date of every file in the archive: the earliest that a zip can hold."""


class NotPackaged(Exception):
    """There is no package; the message says why in one sentence."""


@dataclass(frozen=True)
class Package:
    """The merged SAM template, the code, and a digest of their sources."""

    template: Path
    code: Path
    digest: str


def require_runtime() -> None:
    """Raise `NotPackaged` if this Python can't package for AWS."""
    if fault := runtime.fault():
        raise NotPackaged(fault)


def build() -> Package:
    """The package of the current sources, built unless cached. Raises `NotPackaged`."""
    sources = digest()
    folder = FOLDER / sources[:16]
    package = Package(folder / "sam.yaml", folder / "deployment.zip", sources)
    with _alone():
        _make(package, folder)
        _forget_old()
    return package


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other processes from writing the same files: they wait, then find them built."""
    FOLDER.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    FOLDER.mkdir(exist_ok=True)
    with FOLDER.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(package: Package, made: Path) -> None:
    mark = made / "digest"
    if mark.exists():
        os.utime(made)
        return
    _package(made)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with zipfile.ZipFile(package.code) as archive:
            archive.extractall(folder, [one for one in archive.namelist() if is_shipped(one)])
        _shorten(folder / "botocore" / "data")
        _compile(folder)
        _archive(folder, package.code)
    mark.write_text(package.digest)


def _forget_old() -> None:
    """Delete all but the most recently used packages."""
    for old in sorted(FOLDER.iterdir(), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)


def build_unslimmed(folder: Path) -> None:
    """Write `chalice package`'s `deployment.zip` and `sam.yaml`. Raises `NotPackaged`."""
    with _alone():
        _package(folder)


def _package(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    command = ["package", "--stage", STAGE, "--template-format", "yaml"]
    with tempfile.NamedTemporaryFile("w", suffix=".json") as ours:
        json.dump(_ours(), ours)
        ours.flush()
        _chalice([*command, "--merge-template", ours.name, str(folder)])
    _flatten(folder / "sam.yaml")


def _ours() -> dict[str, Any]:
    """The template to merge over Chalice's: the fragments, and the functions' roles."""
    ours = cloudformation.merged()
    return {**ours, "Resources": ours["Resources"] | roles.resources()}


def _chalice(command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PACKAGER, *command],
        cwd=ROOT,
        env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise NotPackaged(f"`chalice package` failed: {lines[-1]}")


def is_shipped(name: str) -> bool:
    """Whether a file of the unslimmed archive goes to Lambda.

    Left out: other services' descriptions; native code, which every library here can replace with
    Python, so that one package serves every architecture; time zones, which nothing uses; and
    bytecode, which is compiled again because a checkout may hold that of deleted modules.
    """
    path = PurePosixPath(name)
    if path.suffix in (".so", ".pyi") or "__pycache__" in path.parts:
        return False
    if path.parts[:2] == ("dateutil", "zoneinfo"):
        return path.suffix == ".py"
    if path.parts[:2] == ("botocore", "data") and len(path.parts) > 3:
        return path.parts[2] in SERVICES
    return True


def _shorten(data: Path) -> None:
    """Remove from botocore's descriptions, which each cold start parses, what no call reads: prose,
    and the endpoints of services that we do not call."""
    for file in [*data.rglob("*.json"), *data.rglob("*.json.gz")]:
        packed = file.suffix == ".gz"
        raw = file.read_bytes()
        described = json.loads(gzip.decompress(raw) if packed else raw)
        if file.name == "endpoints.json":
            for partition in described["partitions"]:
                services = partition["services"]
                partition["services"] = {
                    name: services[name] for name in services if name in _ENDPOINTS
                }
        else:
            _drop_prose(described)
        short = json.dumps(described, separators=(",", ":")).encode()
        file.write_bytes(gzip.compress(short, mtime=0) if packed else short)


def _drop_prose(described: object) -> None:
    """Delete each ``documentation`` whose value is text; an API's member of that name stays."""
    if isinstance(described, dict):
        if isinstance(described.get("documentation"), str):
            del described["documentation"]
        for value in described.values():
            _drop_prose(value)
    elif isinstance(described, list):
        for value in described:
            _drop_prose(value)


def _compile(folder: Path) -> None:
    """Compile for the Python that runs this; `chalice package` names the same one as the runtime.

    Unchecked: nothing on Lambda changes a source, so an import need not compare it.
    """
    where = ["-s", str(folder), "-p", "/var/task"]
    command = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", *where]
    done = subprocess.run(
        [sys.executable, "-s", *command, str(folder)],
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise NotPackaged(f"The package does not compile: {done.stdout.strip()}")


def _archive(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                entry = zipfile.ZipInfo(str(file.relative_to(folder)), _EPOCH)
                entry.external_attr = 0o644 << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())


class _Flat(yaml.CSafeDumper):
    """Writes repeated parts in full: CloudFormation does not accept YAML aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _flatten(template: Path) -> None:
    merged = yaml.load(template.read_text(), yaml.CSafeLoader)  # nosec B506 - a SafeLoader
    template.write_text(yaml.dump(merged, Dumper=_Flat, sort_keys=False))


def digest() -> str:
    """SHA-256 over the names and contents of all inputs of the package."""
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


if __name__ == "__main__":
    print(build().template.parent)  # noqa: T201 - a command line speaks to its user
