"""`make run` and the local cloud: started again after any end, with the same key (S34)."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sandbox.cloud import LocalCloud
from sandbox.processes import free_port, require_free
from sandbox.settings import Ports, Settings
from tests.e2e import story

RUN = """
import sys
from pathlib import Path
from sandbox import environment
environment.STATE = Path(sys.argv[1])
from sandbox import run
sys.exit(run.main())
"""
"""`make run` with its state elsewhere: another may run beside the tests."""


def test_s34_a_second_start_goes_on_with_the_same_key_and_sends_mails(tmp_path: Path) -> None:
    """S34: what a shell was told stays true, and functions go on."""
    ports = Ports.free()
    known: list[Any] = []
    for name in ("first", "second"):
        local = LocalCloud(Settings(ports), tmp_path)
        local.start()
        try:
            story.new_tenant(local, name)
            assert local.rep("link_send", tenant=name)["ok"]
            story.mail(local, f"admin@{name}.example", "Connect hireanalytiX")
        finally:
            local.stop()
        known.append(local.key)
    assert known[0] == known[1]


@contextmanager
def make_run(folder: Path, port: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`make run`, and what it has said until it was ready; ended by Ctrl-C, if it lives still.
    ``port``: the first of three."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-P", "-c", RUN, str(folder)]
    environment = {**os.environ, "PORT": str(port), "PYTHONPATH": str(root)}
    with subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as run:  # fmt: skip
        assert run.stdout is not None
        said = []
        try:
            for line in run.stdout:
                said.append(line)
                if line.startswith("Logs of"):
                    break
            yield run, said
        finally:
            run.send_signal(signal.SIGINT)


def test_s34_make_run_tells_its_key_to_no_terminal(tmp_path: Path) -> None:
    """S34: it stands in files of this user's alone, which go when it ends."""
    with make_run(tmp_path, free_port(3)) as (run, said):
        assert said[-1].startswith("Logs of"), said
        told = [tmp_path / "endpoints.json", tmp_path / "aws.sh"]
        assert all(file.stat().st_mode & 0o777 == 0o600 for file in told)
        key = json.loads(told[0].read_text())["aws"]["secret_key"]
        assert f"export AWS_SECRET_ACCESS_KEY={key}\n" in told[1].read_text()
        run.send_signal(signal.SIGINT)
        assert run.stdout is not None
        said.extend(run.stdout.readlines())
    assert run.returncode == 0
    assert key not in "".join(said)
    assert not any(file.exists() for file in told)
    for log in tmp_path.rglob("*.log"):
        assert key not in log.read_text(), log


def test_make_run_goes_on_after_any_end_of_the_one_before(tmp_path: Path) -> None:
    """Two at once: one sentence. Killed: the next ends what is left. Read by nobody: it stops."""
    port = free_port(3)
    with make_run(tmp_path, port) as (first, _):
        with make_run(tmp_path, port) as (second, said):
            assert second.wait(20) == 1
        assert f"running already, as process {first.pid}" in "".join(said)
        assert first.poll() is None
        first.kill()
    with make_run(tmp_path, port) as (third, said):
        assert said[-1].startswith("Logs of"), said
        assert third.stdout is not None
        third.stdout.close()
        third.send_signal(signal.SIGINT)
        assert third.wait(30) == 0
    for number in range(port, port + 3):
        require_free(number)
