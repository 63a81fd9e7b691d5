"""Child processes and ports. Ends only what it started, by process id."""

import fcntl
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

_KEPT = ("PATH", "HOME", "LANG", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""The only variables passed on from this shell: the local cloud's functions inherit them."""
_READY_SECONDS = 60.0
_STOP_SECONDS = 20.0
"""Long enough for MiniStack to write its state, which took 2 s when measured."""


class Failed(Exception):
    """A part of the local cloud does not work; the message says which and why in one sentence."""


def require_free(port: int) -> None:
    """Raise `Failed` if another program already listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Failed(
                f"Port {port} is taken: stop what listens there, or choose others with `PORT=`."
            ) from error


def free_port(in_a_row: int = 1) -> int:
    """The first of ``in_a_row`` consecutive loopback ports that were free a moment ago.

    Avoids the ports that the system gives to connections: one could be taken at any time.
    """
    while True:
        first = random.SystemRandom().randrange(10_000, 30_000)
        try:
            for port in range(first, first + in_a_row):
                require_free(port)
        except Failed:
            continue
        return first


class Started:
    """Records one state folder's processes, by id and start time, while this program runs.

    If this program is killed, they go on. The next one ends them, and nothing else.
    """

    def __init__(self, file: Path) -> None:
        """Raises `Failed` if another running program uses the folder."""
        self._file = os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
        known = self._file.read().splitlines()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed(
                f"It is running already, as process {known[0] if known else '?'}: stop it there by"
                " Ctrl-C, or choose other ports with `PORT=`."
            ) from error
        for line in known[1:]:
            number, _, born = line.partition(" ")
            if born and _born(int(number)) == born:
                _end_group(int(number))
        self._file.seek(0)
        self._file.truncate()
        print(os.getpid(), file=self._file, flush=True)

    def note(self, child: "Child") -> None:
        """Record a process that must not outlive this program."""
        print(child.number, _born(child.number), file=self._file, flush=True)

    def close(self) -> None:
        """Call when all of them have ended: frees the folder for the next program."""
        self._file.seek(0)
        self._file.truncate()
        self._file.close()


def _born(number: int) -> str:
    """When a process started, in the kernel's ticks, which with its id identifies it. Empty if no
    process with this id runs, or there is no /proc."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _end_group(number: int) -> None:
    """Ask a group's leader to end, wait, then kill the rest of the group."""
    with suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while _born(number) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(number, signal.SIGKILL)


class Child:
    """One server process, in its own session, so that Ctrl-C reaches only this program."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        """Start it; its output goes to `log`, which only this user may read."""
        self.name = name
        self.log = log
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            self._process = subprocess.Popen(
                command,
                env={**kept, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
            )
        finally:
            os.close(descriptor)

    @property
    def number(self) -> int:
        """The id of the process, which leads its own group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self._process.poll() is None

    def wait_ready(self, url: str, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        """Return once the address answers. Raises `Failed` if it ends or takes too long."""
        deadline = time.monotonic() + _READY_SECONDS
        request = urllib.request.Request(url, headers=dict(headers))
        while time.monotonic() < deadline:
            if not self.running:
                raise Failed(f"{self.name} ended at once: {self._last_line()}")
            try:
                with urllib.request.urlopen(request, timeout=5):
                    return
            except urllib.error.HTTPError as answer:
                if answer.code < 500:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise Failed(f"{self.name} did not answer within {_READY_SECONDS:.0f} s: see {self.log}")

    def stop(self) -> None:
        """Ask it to end and wait; then kill the rest of its session."""
        if self.running:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"it printed nothing to {self.log}"
