"""The same reader for asyncio."""

import asyncio
import threading
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

    bench.dynamodb.get_item = slow  # type: ignore[method-assign]  # a slow table

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

    bench.dynamodb.get_item = slow  # type: ignore[method-assign]  # a slow table

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
