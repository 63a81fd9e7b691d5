"""The deployable package: what `chalice package` makes of app.py and infra/, slimmed and compiled.

The same package for the local cloud and for AWS. Lambda's file system is read-only: without
bytecode in the package every cold start compiles every module. Cached by what goes in, because
the packager takes seconds; the same input makes the same archive, byte for byte.
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
"""How many there are at most: whoever reads an older one, such as a run of the tests that began
before a change, goes on."""
STAGE = "main"

SERVICES = frozenset(
    {"dynamodb", "events", "kms", "lambda", "secretsmanager", "sesv2", "sqs", "sts"}
)
"""AWS services that chalicelib calls; botocore describes four hundred."""

_ENDPOINTS = SERVICES - {"sesv2"} | {"email"}
"""The same as `endpoints.json` names them."""

_INPUTS = ("app.py", "requirements.txt", "chalicelib", ".chalice", "infra")
_NOT_INPUTS = ("__pycache__", "deployments", "stages")
"""Parameters of a stage are no part of its package: a deployment that changes nothing else, such as
naming who may use a key, is no new version to go back from."""

_PACKAGER = "from chalice.cli import main; main()"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The date of every file in the archive: the earliest that a zip can hold."""


class NotPackaged(Exception):
    """There is no package; the message is one sentence that says why."""


@dataclass(frozen=True)
class Package:
    """The merged SAM template, the code, and a digest of the sources of both."""

    template: Path
    code: Path
    digest: str


def require_runtime() -> None:
    """Raise `NotPackaged` where what is made here would not be what Lambda is to run."""
    if said := runtime.fault():
        raise NotPackaged(said)


def build() -> Package:
    """The package of the sources as they are. Raises `NotPackaged`."""
    sources = digest()
    folder = FOLDER / sources[:16]
    package = Package(folder / "sam.yaml", folder / "deployment.zip", sources)
    with _alone():
        _make(package, folder)
        _forget_old()
    return package


@contextmanager
def _alone() -> Iterator[None]:
    """Two processes at once would write the same files: the second finds them made."""
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
    """Leave the packages that were used last."""
    for old in sorted(FOLDER.iterdir(), key=lambda each: each.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)


def build_unslimmed(folder: Path) -> None:
    """What `chalice package` makes: `deployment.zip` and `sam.yaml`. Raises `NotPackaged`."""
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
    """What is merged over Chalice's part: the fragments, and the functions' roles."""
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
        said = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise NotPackaged(f"`chalice package` failed: {said[-1]}")


def is_shipped(name: str) -> bool:
    """Whether a file of the unslimmed archive goes to Lambda.

    Not: other services' descriptions; native code, for which each library here has Python to fall
    back on, so that one package serves every architecture; time zones, which nothing asks for;
    bytecode, which is made anew: a checkout still has that of modules that are gone.
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
    """Take out of botocore's descriptions what no call reads: they are parsed at each cold start.

    Prose, and the endpoints of services that are not called.
    """
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
    """Without the key ``documentation`` wherever its value is text; a member of that name stays."""
    if isinstance(described, dict):
        if isinstance(described.get("documentation"), str):
            del described["documentation"]
        for value in described.values():
            _drop_prose(value)
    elif isinstance(described, list):
        for value in described:
            _drop_prose(value)


def _compile(folder: Path) -> None:
    """Bytecode for the Python that `chalice package` names as the runtime: the one it runs on.

    Unchecked: nothing on Lambda changes a source, so nothing need be compared at each import.
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
    """Writes what is the same twice: CloudFormation reads no YAML aliases."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _flatten(template: Path) -> None:
    merged = yaml.load(template.read_text(), yaml.CSafeLoader)  # nosec B506 - a SafeLoader
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


if __name__ == "__main__":
    print(build().template.parent)  # noqa: T201 - a command line speaks to its user
