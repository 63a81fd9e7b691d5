"""What goes to Lambda: whole enough, small, compiled, and the same each time."""

import ast
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import package
from infra.cloudformation import load
from sandbox.environment import ROOT, digest

MOST = 8 * 1024 * 1024
"""Bytes of the archive."""

MADE = shutil.ignore_patterns("__pycache__", "deployments")
"""What another run of the tests may be writing."""

UNCHECKED_HASH = 0b01
"""PEP 552: the flags of bytecode that is never compared with its source."""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The archive as Lambda mounts it: nobody may write to it."""
    folder = tmp_path_factory.mktemp("task")
    with zipfile.ZipFile(package.build().code) as archive:
        archive.extractall(folder)
    yield folder
    shutil.rmtree(folder)


def run(folder: Path, program: str) -> str:
    """A fresh process with the package alone, without this environment's packages."""
    ran = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(folder), "AWS_DEFAULT_REGION": "us-east-1"},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def services_called() -> set[str]:
    """AWS services that chalicelib names when it makes a client."""
    called = set()
    for file in (ROOT / "chalicelib").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "client"
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                called.add(str(node.args[0].value))
    return called


def test_every_service_that_is_called_is_described(unpacked: Path) -> None:
    called = services_called()
    assert len(called) > 5
    program = f"""
import botocore.session
session = botocore.session.get_session()
for name in {sorted(called)}:
    client = session.create_client(name, "us-east-1")
    assert client.meta.service_model.operation_names, name
    print(name, client.meta.endpoint_url)
"""
    assert len(run(unpacked, program).splitlines()) == len(called)
    assert called == package.SERVICES


def test_every_module_of_ours_is_imported_from_it(unpacked: Path) -> None:
    modules = [
        ".".join(file.relative_to(ROOT).with_suffix("").parts)
        for file in sorted((ROOT / "chalicelib").rglob("*.py"))
        if file.name != "__init__.py"
    ]
    program = f"import importlib, app\nfor name in {modules}: importlib.import_module(name)"
    run(unpacked, program)


def test_every_module_brings_bytecode_that_is_believed(unpacked: Path) -> None:
    """Else each cold start would compile it: Lambda's file system takes none."""
    without = []
    for source in unpacked.rglob("*.py"):
        compiled = Path(importlib.util.cache_from_source(str(source)))
        if not compiled.exists():
            without.append(str(source.relative_to(unpacked)))
            continue
        head = compiled.read_bytes()[:8]
        assert head[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(head[4:8], "little") == UNCHECKED_HASH, source
    assert without == []
    before = sorted(unpacked.rglob("*"))
    run(unpacked, "import app")
    assert sorted(unpacked.rglob("*")) == before


def test_it_is_small() -> None:
    assert package.build().code.stat().st_size < MOST


def test_the_same_sources_make_the_same_package_from_any_folder(tmp_path: Path) -> None:
    """Digest, archive and template: two operators with two checkouts deploy one version."""
    first = package.build()
    elsewhere = tmp_path / "another" / "checkout"
    elsewhere.mkdir(parents=True)
    for name in package._INPUTS:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, elsewhere / name, ignore=MADE)
        else:
            shutil.copy(ROOT / name, elsewhere)
    command = [sys.executable, "-m", "infra.package"]
    said = subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, check=True)
    made = Path(said.stdout.strip())
    assert made.is_relative_to(elsewhere)
    assert (made / "digest").read_text() == first.digest
    assert digest(made / first.code.name) == digest(first.code)
    assert digest(made / first.template.name) == digest(first.template)


def test_another_python_makes_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made for the local cloud is never taken for what AWS gets, nor the other way."""
    digests = set()
    for minor in (11, 12, 13):
        monkeypatch.setattr(sys, "version_info", (3, minor, 0))
        digests.add(package.digest())
    assert len(digests) == 3


def test_the_template_names_the_python_that_compiled_it() -> None:
    made = load(package.build().template.read_text())["Resources"].values()
    runtimes = {one["Properties"].get("Runtime") for one in made if "Function" in one["Type"]}
    assert runtimes == {f"python{sys.version_info[0]}.{sys.version_info[1]}"}


def test_a_stages_parameters_make_no_new_version(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("app.py", "infra/deploy.py", "infra/stages/production.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(package, "ROOT", tmp_path)
    monkeypatch.setattr(package, "_INPUTS", ("app.py", "infra"))
    before = package.digest()
    (tmp_path / "infra/stages/production.json").write_text('{"KeyOperators": "arn"}')
    assert package.digest() == before
    (tmp_path / "infra/deploy.py").write_text("pass")
    assert package.digest() != before


def test_what_is_left_out_is_not_ours() -> None:
    assert package.is_shipped("chalicelib/templates/page.css")
    assert package.is_shipped("botocore/data/dynamodb/2012-08-10/service-2.json.gz")
    assert package.is_shipped("botocore/data/endpoints.json")
    assert not package.is_shipped("chalicelib/__pycache__/gone.cpython-311.pyc")
    assert not package.is_shipped("botocore/data/ec2/2016-11-15/service-2.json.gz")
    assert not package.is_shipped("markupsafe/_speedups.cpython-311-x86_64-linux-gnu.so")


def test_a_new_package_leaves_those_that_were_used_last(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A run of the tests that began before a change still reads the one before."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        (folder / "sam.yaml").write_text("{}")
        zipfile.ZipFile(folder / "deployment.zip", "w").close()

    monkeypatch.setattr(package, "FOLDER", tmp_path / "packages")
    monkeypatch.setattr(package, "_package", make)
    monkeypatch.setattr(package, "_shorten", lambda _: None)
    built = []
    for number in range(package.KEPT + 2):
        monkeypatch.setattr(package, "digest", lambda number=number: f"{number:064}"[::-1])
        built.append(package.build())
        package.build()
    there = [each.template.exists() for each in built]
    assert there == [False, False, *[True] * package.KEPT]
