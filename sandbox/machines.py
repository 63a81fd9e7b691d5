"""`make machines`: tries README's two commands on new machines.

debootstrap makes a minimal Debian of each release, with what README.md requires. chroot enters it
in separate namespaces, so that all processes there end with it. As root, everything is installed
automatically. An ordinary user gets sentences, and root then types the commands in them unchanged.

`MIRROR=` names a Debian mirror other than debootstrap's default. The machines get this machine's
certificates, resolver, and variables of pip, uv, npm and proxies.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.environment import STATE, Missing, private_folder, step
from sandbox.newcomer import checkout
from sandbox.processes import free_port

RELEASES = ("bookworm", "trixie")
"""Debian 12 and 13."""

NAMED = ("make", "python3")
"""What README.md requires, except Python's venv, which is missing on purpose."""

PART = "tests/unit/test_caller.py tests/integration/test_facts.py tests/e2e/test_connecting.py"
"""Part of `make test`: the packages are there, and DynamoDB Local and Chromium work."""

_FOLDER = "/home/dev/check out é"
"""The checkout's folder: a name that programs may stumble over."""
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_THERE = "/etc/certificates-of-the-host.pem"
_HANDED = re.compile(r"(?:https?|no|all)_proxy$|(?:PIP|UV|NPM)_(?!FIND_LINKS|CACHE)", re.IGNORECASE)
_ENTER = """
mount --make-rprivate / && cd "$0" || exit 125
mount -t proc proc proc && mount --rbind /dev dev && mount -t tmpfs tmpfs dev/shm || exit 125
chroot --userspec="$1" . bash -c "cd '$2' && $3"
exit $?
"""
"""The last line keeps bash running: a namespace's first process would ignore the signal to end."""
_LONGEST = 1200
"""Seconds for one command; packages are fetched and installed."""


class Different(Exception):
    """A machine did not do what README.md says; the message has its name and output."""


@dataclass(frozen=True)
class Machine:
    """A root folder with a Debian in it, and a checkout of this repository."""

    name: str
    root: Path

    def type(self, command: str, user: str, folder: str = _FOLDER) -> tuple[int, str]:
        """Run a command in the checkout, with yes as its input; returns exit code and output."""
        try:
            done = subprocess.run(
                self.entered(command, user, folder), env=self.environment(user), input="y\n",
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                timeout=_LONGEST,
            )  # fmt: skip
        except subprocess.TimeoutExpired as late:
            raise Different(f"{self.name}: `{command}` took over {_LONGEST} s.") from late
        return done.returncode, done.stdout

    def run(self, user: str) -> float:
        """Run `make run` until it is ready, then press Ctrl-C; seconds until the first link."""
        begun, output = time.monotonic(), ""
        with subprocess.Popen(
            self.entered("make run", user, _FOLDER), env=self.environment(user), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        ) as product:  # fmt: skip
            assert product.stdout is not None
            seconds = None
            for line in product.stdout:
                output += line
                if line.startswith("Connect link: "):
                    seconds = time.monotonic() - begun
                if line.startswith("Logs of"):
                    os.killpg(product.pid, signal.SIGINT)
        if seconds is None or not re.search(r"^Stopping; .* stopped\.$", output, re.MULTILINE):
            raise Different(f"{self.name}: make run as {user} did not start and stop:\n{output}")
        return seconds

    def entered(self, command: str, user: str, folder: str) -> list[str]:
        """The command line that runs a command on this machine."""
        namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
        return [*namespaces, "bash", "-c", _ENTER, str(self.root), user, folder, command]

    def environment(self, user: str) -> dict[str, str]:
        """The environment of that user's commands."""
        handed = {name: value for name, value in os.environ.items() if _HANDED.match(name)}
        trusted = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")
        return {
            **handed,
            **(dict.fromkeys(trusted, _THERE) if _CERTIFICATES.exists() else {}),
            "HOME": "/root" if user == "root" else "/home/dev",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "PORT": str(free_port(3)),
        }


def require_tools() -> None:
    """Raise `Missing` if this machine can't make and enter a root folder."""
    if os.geteuid() != 0:
        raise Missing("make machines enters minimal Debians by chroot: run it as root.")
    lacking = [name for name in ("debootstrap", "unshare", "chroot") if not shutil.which(name)]
    if lacking:
        raise Missing(
            f"make machines lacks {', '.join(lacking)}: on Debian, `apt-get install debootstrap"
            " util-linux coreutils`."
        )


def base(release: str) -> Path:
    """A minimal Debian with what README.md requires, made once. Raises `Missing` if that fails."""
    folder = private_folder(STATE / "machines") / release
    if folder.exists():
        return folder
    new = folder.with_suffix(".new")
    bare = Machine(release, new)
    shutil.rmtree(new, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", release, str(new)]
    with step(f"Minimal Debian {release}"):
        _make(release, [*command, *filter(None, [os.environ.get("MIRROR")])], dict(os.environ))
        for file in ("/etc/resolv.conf", "/etc/hosts"):
            shutil.copy(file, f"{new}{file}")
        if _CERTIFICATES.exists():
            shutil.copy(_CERTIFICATES, f"{new}{_THERE}")
        for typed in (
            "apt-get update -qq",
            f"apt-get install -qq -y --no-install-recommends {' '.join(NAMED)}",
            "useradd --create-home --shell /bin/bash dev",
        ):
            words = bare.entered(typed, "root", "/")
            _make(release, words, {**bare.environment("root"), "DEBIAN_FRONTEND": "noninteractive"})
        new.rename(folder)
    return folder


def _make(release: str, command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode:
        last = done.stdout.decode(errors="replace").strip().rpartition("\n")[2]
        raise Missing(f"No minimal Debian {release} could be made: {last}")


@contextmanager
def machine(release: str, user: str) -> Iterator[Machine]:
    """A new machine, with a checkout that belongs to the user."""
    made = base(release)
    with tempfile.TemporaryDirectory(dir=made.parent) as name, checkout() as sources:
        root = Path(name)
        root.chmod(0o755)
        # Not shutil.copytree: cp keeps owners, devices and links.
        subprocess.run(["cp", "-a", f"{made}/.", name], check=True)
        shutil.copytree(sources, f"{root}{_FOLDER}", symlinks=True)
        new = Machine(f"Debian {release}, {user}", root)
        _need(new, f"chown -R {user}: .", "root")
        yield new


def _need(new: Machine, command: str, user: str) -> str:
    code, output = new.type(command, user)
    if code:
        raise Different(f"{new.name}: `{command}` as {user} ended with {code}:\n{output}")
    return output


def look(new: Machine, user: str) -> None:
    """Try README's two commands on one machine. Raises `Different`."""
    test = f"make test ARGUMENTS='{PART}'"
    if user != "root":
        code, output = new.type(test, user)
        sentence, *_ = output.splitlines()
        command = re.search(r"`(apt-get install [^`]+)`", sentence)
        if not code or command is None or "Traceback" in output:
            raise Different(f"{new.name}: what is missing is not said:\n{output}")
        _show(new, 0, f"make test: {sentence}")
        begun = time.monotonic()
        _need(new, command[1], "root")
        _show(new, time.monotonic() - begun, "what it named, typed by root")
    _show(new, new.run(user), "make run, nothing there: first link")
    _show(new, new.run(user), "make run again: first link")
    _need(new, "rm -rf .venv .sandbox", user)
    _show(new, new.run(user), "make run, only the caches of packages there: first link")
    begun = time.monotonic()
    output = _need(new, test, user)
    if "every test that was asked for ran" not in output:
        raise Different(f"{new.name}: tests were skipped:\n{output}")
    _show(new, time.monotonic() - begun, f"{test}: {output.strip().splitlines()[-1]}")


def _show(new: Machine, seconds: float, what: str) -> None:
    print(f"{new.name:<22} {seconds:6.1f} s  {what}", flush=True)


def main(releases: list[str]) -> int:
    """Try each named release, or all, as root and as a user; 1 if one differs or can't be made."""
    failed = 0
    try:
        require_tools()
        for release in releases or RELEASES:
            for user in ("dev", "root"):
                with machine(release, user) as new:
                    try:
                        look(new, user)
                    except Different as different:
                        failed += 1
                        print(different, flush=True)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main(sys.argv[1:]))
