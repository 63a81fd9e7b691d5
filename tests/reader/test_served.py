"""S33, F32: one reader, used before the workers are forked, and from two event loops."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from sandbox.environment import ROOT
from tests.reader.forks import dynamodb

ROUNDS = 5
REQUESTS = 200
NO_TIME = 60
NO_ANSWER = 10
"""Seconds after which nobody answers: the connections of a loop that was stopped stay open."""


@contextmanager
def started(environment: dict[str, str], *module: str) -> Iterator[subprocess.Popen[str]]:
    """A Python module in a process of its own, ended at the end."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "reader" / "src")))
    program = subprocess.Popen(
        [sys.executable, "-m", *module],
        env={**os.environ, **environment, "PYTHONPATH": paths},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield program
    finally:
        program.terminate()
        program.communicate(timeout=NO_TIME)


def line(program: subprocess.Popen[str], pattern: str) -> str:
    """The first group of the next line that fits."""
    assert program.stdout is not None
    for said in program.stdout:
        found = re.search(pattern, said)
        if found:
            return found[1]
    raise AssertionError("it ended")


def answers(
    ports: list[int], requests: int, midway: Callable[[], None] = lambda: None
) -> tuple[Counter[str], set[int]]:
    """What so many requests got, eight at a time, and who answered; `gone` where nobody did."""

    def ask(number: int) -> tuple[str, int]:
        if number == REQUESTS // 2:
            midway()
        url = f"http://127.0.0.1:{ports[number % len(ports)]}/tenant-{number % 7}"
        try:
            answer = client.get(url).raise_for_status()
        except httpx.HTTPError:  # not there, or stopped in the middle of its answer
            return "gone", 0
        found = answer.json()
        return found["got"], found["by"]

    # A connection that is kept stays with its worker: each request makes its own.
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(timeout=NO_ANSWER, limits=limits) as client, ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(ask, range(requests)))
    return Counter(got for got, _ in asked), {by for _, by in asked}


def stop(program: subprocess.Popen[str], port: int) -> None:
    """Have it stop the loop that serves this port."""
    assert program.stdin is not None
    program.stdin.write(f"{port}\n")
    program.stdin.flush()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_s33_forked_workers_read_their_own_tenants(tls: bool, tmp_path: Path) -> None:
    """S33, F32: none wrong, none falsely not connected, none hanging."""
    with (
        dynamodb(tmp_path, tls=tls) as environment,
        started(environment, "tests.reader.forks", str(ROUNDS)) as program,
    ):
        assert program.stdout is not None
        said = program.stdout.read()
        assert program.wait(NO_TIME) == 0, said
    assert json.loads(said)["right"] == 4 * ROUNDS


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "TLS"])
def test_s33_gunicorn_with_preload(tls: bool, tmp_path: Path) -> None:
    """S33, F32: four workers with two threads each, forked after the reader has read."""
    options = ("--preload", "--workers", "4", "--threads", "2", "--bind", "127.0.0.1:0")
    with (
        dynamodb(tmp_path, tls=tls) as environment,
        started(environment, "gunicorn", *options, "tests.reader.served:wsgi") as program,
    ):
        port = int(line(program, r"Listening at: http://127\.0\.0\.1:(\d+)"))
        got, workers = answers([port], REQUESTS)
    assert got == {"right": REQUESTS}
    assert 1 < len(workers) <= 4  # a busy machine may leave one without a request


def test_f32_uvicorn_with_two_loops(tmp_path: Path) -> None:
    """F32: both loops read through one reader; one is stopped in the middle, the other goes on."""
    with (
        dynamodb(tmp_path, tls=False) as environment,
        started(environment, "tests.reader.served") as program,
    ):
        ports = [int(line(program, r"^(\d+)$")) for _ in range(2)]
        got, loops = answers(ports, REQUESTS)
        assert got == {"right": REQUESTS}
        assert len(loops) == 2
        with ThreadPoolExecutor(1) as pool:
            meanwhile = pool.submit(answers, ports[1:], REQUESTS)
            stopped, _ = answers(ports[:1], 10 * REQUESTS, midway=partial(stop, program, ports[0]))
            other, _ = meanwhile.result(NO_TIME)
        assert set(stopped) == {"right", "gone"}, "it was not stopped in the middle"
        assert other == {"right": REQUESTS}
        assert answers(ports[1:], REQUESTS)[0] == {"right": REQUESTS}
