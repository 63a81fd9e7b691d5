"""`make release`: tags the commit, builds the packages to install, and says what is left to do.

The newest heading of CHANGELOG.md is the release's version. `ha-goto` and the reader have their own
versions and changelogs. Nothing is pushed or uploaded.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import ROOT, UV

PARTS = ("cli", "reader")
"""Folders of the packages that others install."""

OPERATORS = "For operators"
"""The heading above what operators must do, even if that is nothing."""

UNNAMED = "to be named"
"""SECURITY.md contains this until somebody fills in the address."""


class Refused(Exception):
    """There is no release; the message says why in one sentence."""


@dataclass(frozen=True)
class Entry:
    """A changelog's newest version and its text."""

    version: str
    text: str


def newest(changelog: Path) -> Entry:
    """The first entry. Raises `Refused` if it has no version."""
    found = re.search(r"^## (.+)\n(?s:(.*?))(?=^## |\Z)", changelog.read_text(), re.MULTILINE)
    title = found[1] if found else "nothing"
    version = re.fullmatch(r"(\d+\.\d+\.\d+)( - \d{4}-\d\d-\d\d)?", title)
    if found is None or version is None:
        raise Refused(
            f"{changelog} begins with *{title}*: put the version and the date there, such as"
            " `## 1.2.0 - 2027-01-31`."
        )
    return Entry(version[1], found[2])


def for_operators(entry: Entry) -> str:
    """What operators must do. Raises `Refused` if the entry does not say."""
    found = re.search(rf"^### {OPERATORS}\n(?s:(.*?))(?=^### |\Z)", entry.text, re.MULTILINE)
    if found is None or not found[1].strip():
        raise Refused(
            f"CHANGELOG.md does not say under *{OPERATORS}* what they must do for {entry.version}:"
            " write it, or that it is nothing."
        )
    return found[1].strip()


def no_address(root: Path = ROOT) -> str | None:
    """A sentence if SECURITY.md does not yet say whom to write to, else None."""
    if UNNAMED not in (root / "SECURITY.md").read_text():
        return None
    return (
        "SECURITY.md has no address yet: whoever operates the service must fill it in before"
        " going live."
    )


def release(root: Path) -> str:
    """Build into ``dist``, then tag; returns what is left to do. Raises `Refused`."""
    if git(root, "status", "--porcelain"):
        raise Refused("Not everything is committed: `git status` names it.")
    entry = newest(root / "CHANGELOG.md")
    tag, to_do = f"v{entry.version}", for_operators(entry)
    if git(root, "tag", "--list", tag):
        raise Refused(f"{tag} is there already: CHANGELOG.md must begin with a new version.")
    before = git(root, "tag", "--list", "v*", "--sort=-creatordate").splitlines()
    for part in PARTS:
        _require_version(root, part, before[0] if before else None)
    built = _build(root)
    git(root, "tag", "--annotate", tag, "--message", f"Release {entry.version}")
    left = [to_do, *filter(None, [no_address(root)])]
    return (
        f"{tag} is tagged. In dist:\n{built}\n\nAn operator must do:\n\n"
        + "\n\n".join(left)
        + f"\n\nThen `git push origin {tag}`, and put the wheels where those who use them look."
    )


def _require_version(root: Path, part: str, before: str | None) -> None:
    """Raise `Refused` if the version is inconsistent, or was used before for other contents."""
    file = f"{part}/pyproject.toml"
    version = _version((root / file).read_text())
    logged = newest(root / part / "CHANGELOG.md").version
    if logged != version:
        raise Refused(f"{part}/CHANGELOG.md begins with {logged}, but {file} says {version}.")
    if before is None or not git(root, "diff", "--name-only", before, "HEAD", "--", part):
        return
    if _version(git(root, "show", f"{before}:{file}")) == version:
        raise Refused(f"{part} has changed since {before}, and is still {version} in {file}.")


def _version(pyproject: str) -> str:
    return str(tomllib.loads(pyproject)["project"]["version"])


def _build(root: Path) -> str:
    """Build each part's source archive and wheel from the commit; returns names with SHA-256."""
    dist = root / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        sources, archive = Path(name, "sources"), Path(name, "sources.tar")
        git(root, "archive", "--output", str(archive), "HEAD", *PARTS)
        with tarfile.open(archive) as packed:
            packed.extractall(sources, filter="data")
        for part in PARTS:
            # Use the lock's builder, and no other.
            options = ["--quiet", "--no-build-isolation", "--python", sys.executable]
            _ran([str(UV), "build", *options, "--out-dir", str(dist), str(sources / part)], root)
    files = sorted(file for file in dist.iterdir() if not file.name.startswith("."))
    digests = (hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    return "\n".join(
        f"  {digest}  {file.name}" for file, digest in zip(files, digests, strict=True)
    )


def git(root: Path, *words: str) -> str:
    """git's output. Raises `Refused`."""
    return _ran(["git", *words], root)


def _ran(command: list[str], root: Path) -> str:
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"`{Path(command[0]).name} {command[1]}` failed: {done.stderr.strip()}")
    return done.stdout.strip()


def main() -> int:
    """Release this checkout; 1 if that is refused."""
    try:
        print(release(ROOT))
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
