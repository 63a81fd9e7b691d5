"""F32, S33: what a forked process gets of a reader that its parent made and used."""

import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from fakes import Bench
from ha_goto_tokens import TokenError, TokenReader
from ha_goto_tokens import process as processes
from ha_goto_tokens.errors import Unavailable

if "fork" not in multiprocessing.get_all_start_methods():
    pytest.skip("there is no fork here", allow_module_level=True)

# What Python 3.12 warns of is what is tested here: a fork of a process with several threads.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

FORK = multiprocessing.get_context("fork")


def in_a_fork(work: Callable[[], Any]) -> Any:
    """What the work returns in a forked process. Fails where that hangs."""
    answers = FORK.SimpleQueue()
    child = FORK.Process(target=lambda: answers.put(work()))
    child.start()
    child.join(20)
    hangs = child.is_alive()
    child.kill()
    assert not hangs
    return answers.get()


def reader_of(bench: Bench) -> TokenReader:
    """Its clients are made by functions, once a process."""
    return TokenReader(
        table="Tokens",
        refresh_function="refresh_now",
        dynamodb=lambda: bench.dynamodb,
        lambda_client=lambda: bench.function,
        clock=bench.clock,
        monotonic=bench.clock.monotonic,
    )


def told(reader: TokenReader) -> Any:
    try:
        return reader.get("acme").version
    except TokenError as error:
        return error


def test_f32_a_fork_reads_for_itself(bench: Bench) -> None:
    """F32: cache, rejections and pauses stay with the parent."""
    reader = reader_of(bench)
    reader.get("acme")
    assert reader.cached("acme") is not None
    assert in_a_fork(lambda: reader.cached("acme")) is None
    assert in_a_fork(lambda: reader.get("acme").version) == 1
    assert in_a_fork(lambda: in_a_fork(lambda: reader.get("acme").version)) == 1
    assert reader.cached("acme") is not None
    assert len(bench.dynamodb.reads) == 1


@pytest.mark.parametrize("call", ["get_item", "batch_get_item", "invoke"])
def test_f32_a_fork_waits_for_calls_to_aws(bench: Bench, call: str) -> None:
    """F32: OpenSSL's locks are free then, and the child's first connection does not hang."""
    reader = reader_of(bench)
    bench.dynamodb.put("acme", status="degraded", expires_at=0)  # so that the service is asked
    client: Any = bench.function if call == "invoke" else bench.dynamodb
    answer = getattr(client, call)
    calling, answered = threading.Event(), threading.Event()

    def slow(**arguments: Any) -> Any:
        calling.set()
        time.sleep(0.2)
        answered.set()
        return answer(**arguments)

    vars(client)[call] = slow
    thread = threading.Thread(target=reader.get_many, args=(["acme"],))  # makes all three calls
    thread.start()
    assert calling.wait(10)
    assert in_a_fork(answered.is_set)
    thread.join()
    assert len(bench.function.asked) == 1


def test_f32_a_fork_does_not_wait_for_the_network(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F32: another thread of the parent holds the reader's lock and has a long read under way."""
    monkeypatch.setattr(processes, "LONGEST_WAIT", 0.1)
    reader = reader_of(bench)
    reading, go = threading.Event(), threading.Event()
    get_item = bench.dynamodb.get_item

    def slow(**arguments: Any) -> dict[str, Any]:
        reading.set()
        go.wait(20)
        return get_item(**arguments)

    vars(bench.dynamodb).update(get_item=slow)
    thread = threading.Thread(target=reader.get, args=("acme",))
    thread.start()
    assert reading.wait(10)

    def read() -> Any:
        vars(bench.dynamodb).update(get_item=get_item)
        return reader.get("acme").version

    try:
        with reader._here().memory._lock:
            assert in_a_fork(read) == 1
    finally:
        go.set()
        thread.join()
    assert reader.get("acme").version == 1


def test_s33_a_client_handed_in_before_a_fork_is_refused(bench: Bench) -> None:
    """S33: its connections bring the parent's answers; the error says what to do."""
    assert bench.reader.get("acme").version == 1
    error = in_a_fork(lambda: told(bench.reader))
    assert type(error) is Unavailable
    assert error.whose_turn == "operator"
    assert "handed in before this process was forked" in str(error)
    assert "dynamodb=lambda: session.client('dynamodb')" in error.what_to_do
    found = in_a_fork(lambda: bench.reader.get_many(["acme", "beta"]))
    assert {type(one) for one in found.values()} == {Unavailable}
    assert bench.reader.get("acme").version == 1
