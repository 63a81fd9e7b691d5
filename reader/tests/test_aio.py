"""The same reader for asyncio."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fakes import START, Bench, run
from ha_goto_tokens import AccessToken, AsyncTokenReader, NotConnected, Unavailable

DEAD = int(START) - 1


def test_64_tasks_asking_for_one_dead_token_ask_the_service_once(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.answer = bench.refreshing
    reader = AsyncTokenReader(bench.reader)

    async def ask() -> list[AccessToken]:
        return await asyncio.gather(*(reader.get("acme") for _ in range(64)))

    assert {token.version for token in run(ask())} == {2}
    assert len(bench.function.asked) == 1


def test_a_read_leaves_the_loop_free(bench: Bench) -> None:
    """While DynamoDB takes its time another task runs."""
    running, free = threading.Event(), threading.Event()
    get_item = bench.dynamodb.get_item

    def slow(**arguments: Any) -> dict[str, Any]:
        running.set()
        assert free.wait(10), "the loop was blocked"
        return get_item(**arguments)

    vars(bench.dynamodb).update(get_item=slow)

    async def both() -> AccessToken:
        reading = asyncio.create_task(AsyncTokenReader(bench.reader).get("acme"))
        while not running.is_set():
            await asyncio.sleep(0)
        free.set()
        return await reading

    assert run(both()).version == 1


def test_a_task_that_is_cancelled_does_not_end_the_read_of_another(bench: Bench) -> None:
    free = threading.Event()
    get_item = bench.dynamodb.get_item

    def slow(**arguments: Any) -> dict[str, Any]:
        free.wait(10)
        return get_item(**arguments)

    vars(bench.dynamodb).update(get_item=slow)

    async def two() -> AccessToken:
        reader = AsyncTokenReader(bench.reader)
        first = asyncio.create_task(reader.get("acme"))
        second = asyncio.create_task(reader.get("acme"))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        free.set()
        return await second

    assert run(two()).version == 1
    assert len(bench.dynamodb.reads) == 1


def test_errors_batches_and_rejections_come_through(bench: Bench) -> None:
    reader = AsyncTokenReader(bench.reader)
    token = run(reader.get("acme"))
    assert run(reader.get("acme")) is token
    with pytest.raises(NotConnected):
        run(reader.get("unheard-of"))
    found = run(reader.get_many(["acme", "unheard-of"]))
    assert found["acme"] is token
    assert isinstance(found["unheard-of"], NotConnected)
    with pytest.raises(Unavailable):
        run(reader.rejected(token))
    bench.clock.now += 10
    bench.function.answer = bench.refreshing
    assert run(reader.get("acme")).version == 2


class Slow:
    """Holds each read of a bench's table until it is let go."""

    def __init__(self, bench: Bench) -> None:
        self.reading, self.go = threading.Event(), threading.Event()
        self._get_item = bench.dynamodb.get_item
        vars(bench.dynamodb).update(get_item=self.get_item)

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        self.reading.set()
        assert self.go.wait(10)
        return self._get_item(**arguments)


def test_f32_two_loops_that_miss_together_share_one_read(bench: Bench) -> None:
    """F32: each in a thread of its own, 32 tasks in each."""
    slow, reader = Slow(bench), AsyncTokenReader(bench.reader)
    waiting = threading.Barrier(3)

    async def ask() -> set[int]:
        tasks = [asyncio.create_task(reader.get("acme")) for _ in range(32)]
        await asyncio.sleep(0)
        waiting.wait(10)
        return {token.version for token in await asyncio.gather(*tasks)}

    with ThreadPoolExecutor(2) as pool:
        loops = [pool.submit(asyncio.run, ask()) for _ in range(2)]
        waiting.wait(10)
        slow.go.set()
        assert [loop.result(10) for loop in loops] == [{1}, {1}]
    assert len(bench.dynamodb.reads) == 1


def test_f32_a_loop_that_gives_up_leaves_the_next_one_free(bench: Bench) -> None:
    """F32: one `asyncio.run` a request; the first times out while the table is slow."""
    slow, reader = Slow(bench), AsyncTokenReader(bench.reader)

    async def impatient() -> None:
        await asyncio.wait_for(reader.get("acme"), 0.01)

    with pytest.raises(asyncio.TimeoutError):
        run(impatient())
    slow.go.set()
    assert run(reader.get("acme")).version == 1
    assert len(bench.dynamodb.reads) == 1


def test_f32_a_loop_stopped_in_the_middle_leaves_nothing_behind(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """F32: no cancelling, no shutdown: the loop is closed while its task waits."""
    slow, reader = Slow(bench), AsyncTokenReader(bench.reader)

    def stopped() -> None:
        loop = asyncio.new_event_loop()
        task = loop.create_task(reader.get("acme"))
        loop.run_until_complete(asyncio.sleep(0))
        assert slow.reading.wait(10)
        loop.close()
        task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own complaint

    with ThreadPoolExecutor(1) as thread:
        thread.submit(stopped).result(10)
    slow.go.set()
    for _ in range(2):
        assert run(reader.get("acme")).version == 1
    assert bench.reader._here().memory._flights == {}
    assert [record for record in caplog.records if record.name != "asyncio"] == []


def test_f32_readers_of_many_tenants_do_not_wait_for_the_loops_own_threads(bench: Bench) -> None:
    """F32: every thread of the executor waits for one read; it needs none of them."""
    slow, reader = Slow(bench), AsyncTokenReader(bench.reader)

    async def ask() -> list[int]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        first = asyncio.create_task(reader.get("acme"))
        others = [asyncio.to_thread(bench.reader.get, "acme") for _ in range(2)]
        tasks = [first, *(asyncio.create_task(one) for one in others)]
        await asyncio.sleep(0.01)
        slow.go.set()
        return [token.version for token in await asyncio.wait_for(asyncio.gather(*tasks), 10)]

    assert run(ask()) == [1, 1, 1]
    assert len(bench.dynamodb.reads) == 1
