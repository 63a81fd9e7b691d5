"""`make run`: the whole product on this machine, until Ctrl-C."""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import TextIO

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.config import VisitorIdentity
from chalicelib.untrusted_text import inert
from infra.package import NotPackaged
from infra.stack import StackFailed
from sandbox import login, settings, tenants
from sandbox.cloud import LocalCloud
from sandbox.environment import STATE, private_folder, step, write_private
from sandbox.logs import Follower
from sandbox.ministack import REGION
from sandbox.processes import Failed

ENDPOINTS = STATE / "endpoints.json"
FOR_SHELLS = STATE / "aws.sh"
"""Both contain the running local cloud's address and key, for this user only and while it runs."""
_DEMO = ("acme", "Acme Analytics", "admin@acme.example")
_FOLLOW_SECONDS = 1.0
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a request to end, and a closed terminal."""
_EXPECTED = (Failed, NotPackaged, StackFailed, OSError, BotoCoreError, ClientError)


class _Stop(BaseException):
    """Ctrl-C or another of `_ENDINGS`. Not an `Exception`, so no handler takes it for a failure."""


def main() -> int:
    """Start, follow, stop; returns the exit code."""
    try:
        chosen = settings.load(os.environ)
    except settings.BadSettings as error:
        return _refuse(error)
    for number in _ENDINGS:
        signal.signal(number, _stop)
    # Each port has its own state: the port is part of every redirect URI.
    folder = private_folder(STATE) / f"port-{chosen.ports.edge}"
    cloud = LocalCloud(chosen, folder, _log_request)
    status = 0
    try:
        _run(cloud)
    except (_Stop, BrokenPipeError):  # the latter: nobody reads the output any more
        pass
    except _EXPECTED as error:
        status = _refuse(error)
    _end(cloud)
    return status


def _run(cloud: LocalCloud) -> None:
    begun = time.monotonic()
    resumed = (cloud.folder / "cloud" / "services").exists()
    print("Resuming from .sandbox" if resumed else "Starting afresh", flush=True)
    cloud.start(step)
    with step("Demo tenant"):
        link = tenants.onboard(cloud, *_DEMO)
    write_private(ENDPOINTS, json.dumps(cloud.endpoints, indent=2) + "\n")
    write_private(FOR_SHELLS, cloud.key.shell(cloud.aws.endpoint, REGION))
    _summarize(cloud, link, time.monotonic() - begun)
    follower = Follower(cloud.aws, cloud.functions)
    while True:
        time.sleep(_FOLLOW_SECONDS)
        cloud.require_running()
        for line in follower.new_lines():
            print(line, flush=True)


def _summarize(cloud: LocalCloud, link: str, seconds: float) -> None:
    token_server = cloud.provider.token_url
    rows = {
        "Connect link": link,
        "Mails": f"{cloud.origin('mail')}{cloud.mailbox.path}",
        "Product": f"{cloud.origin('<tenant>')}/",
        **_login(cloud),
        "GoTo": f"{cloud.goto_url}/ (sandbox)" if not cloud.settings.provider else token_server,
        "Local cloud": cloud.aws.endpoint,
        "Endpoints": _shown(ENDPOINTS),
        "AWS tools": f"first type `. {_shown(FOR_SHELLS)}`",
    }
    print(f"\nReady after {seconds:.0f} s. Open the link in a browser; Ctrl-C stops.\n")
    for name, value in rows.items():
        print(f"{name}: {value}")
    print("\nLogs of the edge and the functions:", flush=True)


def _login(cloud: LocalCloud) -> dict[str, str]:
    if cloud.settings.visitor_identity is VisitorIdentity.OFF:
        return {}
    origin = cloud.origin("<tenant>")
    return {"Log in, log out": f"{origin}{login.ENTER}, {origin}{login.LEAVE}"}


def _end(cloud: LocalCloud) -> None:
    # A second Ctrl-C must not interrupt writing the state.
    for number in _ENDINGS:
        signal.signal(number, signal.SIG_IGN)
    if cloud.running:
        ENDPOINTS.unlink(missing_ok=True)
        FOR_SHELLS.unlink(missing_ok=True)
        _say("\nStopping; the state is written to .sandbox ...", end="")
        cloud.stop()
        _say(" stopped.")


def _log_request(line: str) -> None:
    _say(f"{time.strftime('%H:%M:%S')}  {'edge':<13} {inert(line)}")


def _say(text: str, file: TextIO = sys.stdout, end: str = "\n") -> None:
    """Print, although nobody may read it any more: the same Ctrl-C ends `| tee`."""
    try:
        print(text, file=file, end=end, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())


def _stop(_number: int, _frame: object) -> None:
    raise _Stop


def _refuse(error: Exception) -> int:
    sentence = "\n".join(map(inert, str(error).split("\n")))
    _say(f"\n{sentence}", sys.stderr)
    return 1


def _shown(path: Path) -> str:
    return str(path.relative_to(STATE.parent))


if __name__ == "__main__":
    sys.exit(main())
