"""`make release`, on a throw-away repository."""

import re
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from sandbox import release
from sandbox.environment import ROOT
from sandbox.release import PARTS, Refused

CHANGES = """# Changelog

## 1.1.0 - 2027-01-31

### For operators

- Deploy it.

### Added

- Something.

## 1.0.0
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The real parts, beside a changelog of their own."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "Test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.com")
    folder = tmp_path / "repository"
    made = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", "tests")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=made)
    (folder / "CHANGELOG.md").write_text(CHANGES)
    (folder / "SECURITY.md").write_text("Write to security@example.com.")
    (folder / ".gitignore").write_text("dist/\n")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    commit(folder)
    return folder


def commit(folder: Path) -> None:
    release.git(folder, "add", "--all")
    release.git(folder, "commit", "--quiet", "--no-verify", "--message", "Change")


def replace(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new, 1))


def test_a_release_is_tagged_built_and_says_what_is_left(repository: Path) -> None:
    said = release.release(repository)
    assert release.git(repository, "tag", "--points-at", "HEAD") == "v1.1.0"
    assert "- Deploy it." in said
    assert "- Something." not in said
    dist = {file.name: file for file in (repository / "dist").iterdir()}
    told = re.findall(r"^  [0-9a-f]{64}  (\S+)$", said, re.MULTILINE)
    assert sorted(told) == sorted(name for name in dist if name[0] != ".")
    for part, stem in (("cli", "ha_goto"), ("reader", "ha_goto_tokens")):
        version = release.newest(ROOT / part / "CHANGELOG.md").version
        wheel = zipfile.ZipFile(dist[f"{stem}-{version}-py3-none-any.whl"]).namelist()
        assert len([name for name in wheel if name.endswith(".py")]) > 5
        with tarfile.open(dist[f"{stem}-{version}.tar.gz"]) as source:
            assert f"{stem}-{version}/pyproject.toml" in source.getnames()


@pytest.fixture
def released(repository: Path) -> Path:
    """1.1.0 is out, and 1.1.1 is to come."""
    release.git(repository, "tag", "v1.1.0")
    replace(repository / "CHANGELOG.md", "1.1.0", "1.1.1")
    commit(repository)
    return repository


def refusal(folder: Path) -> str:
    tags = release.git(folder, "tag")
    with pytest.raises(Refused) as refused:
        release.release(folder)
    assert release.git(folder, "tag") == tags
    assert not (folder / "dist").exists()
    return str(refused.value)


def test_what_is_not_committed_is_refused(repository: Path) -> None:
    (repository / "new.txt").touch()
    assert "Not everything is committed" in refusal(repository)


def test_a_version_that_is_out_is_refused(repository: Path) -> None:
    release.git(repository, "tag", "v1.1.0")
    assert "v1.1.0 is there already" in refusal(repository)


@pytest.mark.parametrize("title", ["Unreleased", "1.2", "1.2.0 (soon)"])
def test_a_changelog_without_a_version_is_refused(repository: Path, title: str) -> None:
    replace(repository / "CHANGELOG.md", "1.1.0 - 2027-01-31", title)
    commit(repository)
    assert f"begins with *{title}*" in refusal(repository)


def test_operators_are_not_left_without_a_word(repository: Path) -> None:
    replace(repository / "CHANGELOG.md", "- Deploy it.\n", "")
    commit(repository)
    assert "does not say under *For operators*" in refusal(repository)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_whose_changelog_is_behind_is_refused(repository: Path, part: str) -> None:
    replace(repository / part / "pyproject.toml", 'version = "', 'version = "9')
    commit(repository)
    assert f"{part}/CHANGELOG.md begins with" in refusal(repository)


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_has_changed_needs_a_version(released: Path, part: str) -> None:
    (released / part / "new.py").touch()
    commit(released)
    assert f"{part} has changed since v1.1.0" in refusal(released)


def test_a_builder_that_fails_leaves_no_tag(repository: Path) -> None:
    replace(repository / "cli" / "pyproject.toml", "setuptools.build_meta", "nobody")
    commit(repository)
    with pytest.raises(Refused, match="`uv build` failed"):
        release.release(repository)
    assert release.git(repository, "tag") == ""


@pytest.mark.parametrize("part", PARTS)
def test_each_part_has_told_of_its_version(part: str) -> None:
    told = release.newest(ROOT / part / "CHANGELOG.md").version
    assert f'version = "{told}"' in (ROOT / part / "pyproject.toml").read_text()


def test_an_address_that_is_missing_is_said(repository: Path) -> None:
    assert release.no_address(repository) is None
    (repository / "SECURITY.md").write_text("Write to **[address to be named]**.")
    sentence = release.no_address(repository)
    assert sentence is not None
    assert "SECURITY.md has no address yet" in sentence
