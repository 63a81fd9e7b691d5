"""The cache, the collapsing of concurrent misses, and `rejected`."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fakes import START, Bench
from ha_goto_tokens import AccessToken, NotConnected, TokenError, Unavailable
from ha_goto_tokens.memory import Memory

DEAD = int(START) - 1
THREADS = 64


def at_once(work: Any, threads: int = THREADS) -> list[Any]:
    """Call ``work`` in that many threads that start together."""
    gate = threading.Barrier(threads)

    def go(_: int) -> Any:
        gate.wait()
        return work()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(go, range(threads)))


def test_a_second_get_reads_nothing(bench: Bench) -> None:
    assert bench.reader.get("acme") is bench.reader.get("acme")
    assert len(bench.dynamodb.reads) == 1


def test_the_cache_never_serves_past_its_margin() -> None:
    """Second by second: what it knows without asking lives 300 s longer than asked for, and a
    hundredth of the time since it was read."""
    bench = Bench(cached_for=10_000)
    bench.dynamodb.put(expires_at=int(START) + 1000)
    bench.reader.get("acme")
    last = None
    for second in range(1100):
        bench.clock.now = START + second
        if bench.reader.cached("acme", 60):
            last = second
    assert last == int((1000 - 300 - 60) / 1.01)


def test_the_cache_is_read_anew_after_its_time(bench: Bench) -> None:
    """A disconnected tenant is served 30 s longer at most."""
    bench.reader.get("acme")
    bench.dynamodb.put(status="disconnected")
    bench.clock.now += 29
    assert bench.reader.get("acme").version == 1
    bench.clock.now += 1
    with pytest.raises(NotConnected):
        bench.reader.get("acme")
    assert bench.reader.cached("acme") is None


def test_the_cache_does_not_outlive_a_clock_that_jumps_back(bench: Bench) -> None:
    bench.reader.get("acme")
    bench.clock.wrong_by = -3600
    assert bench.reader.cached("acme") is None


def test_a_cache_of_no_seconds_is_none(bench: Bench) -> None:
    reader = Bench(cached_for=0)
    reader.dynamodb.put()
    reader.reader.get("acme")
    reader.reader.get("acme")
    assert len(reader.dynamodb.reads) == 2


def test_64_threads_asking_for_one_dead_token_ask_the_service_once(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.answer = bench.refreshing
    tokens = at_once(lambda: bench.reader.get("acme"))
    assert {token.version for token in tokens} == {2}
    assert len(bench.function.asked) == 1


def test_64_threads_share_one_refusal(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)

    def ask() -> str:
        try:
            return bench.reader.get("acme").tenant
        except TokenError as error:
            return type(error).__name__

    assert at_once(ask) == ["Unavailable"] * THREADS
    assert len(bench.function.asked) == 1


def test_64_threads_rejecting_one_version_ask_the_service_once(bench: Bench) -> None:
    token = bench.reader.get("acme")
    bench.function.answer = bench.refreshing
    tokens = at_once(lambda: bench.reader.rejected(token))
    assert {token.version for token in tokens} == {2}
    assert bench.function.asked == [{"tenant": "acme", "rejected_version": 1}]


def test_a_rejected_version_is_never_served_again(bench: Bench) -> None:
    token = bench.reader.get("acme")
    bench.function.answer = {"outcome": "later", "retry_after": 60}
    with pytest.raises(Unavailable):
        bench.reader.rejected(token)
    for _ in range(200):
        bench.clock.now += 1
        with pytest.raises(Unavailable):
            bench.reader.get("acme", 0)
    assert len(bench.function.asked) == 4
    assert all(wish["rejected_version"] == 1 for wish in bench.function.asked)


def test_a_rejected_version_is_not_served_in_an_ended_state_either(bench: Bench) -> None:
    token = bench.reader.get("acme")
    bench.dynamodb.put(status="reauthorization_required")
    with pytest.raises(TokenError):
        bench.reader.rejected(token)


def test_where_another_has_refreshed_already_nothing_is_asked(bench: Bench) -> None:
    token = bench.reader.get("acme")
    bench.dynamodb.put(version=2)
    assert bench.reader.rejected(token).version == 2
    assert bench.function.asked == []
    assert bench.dynamodb.reads == [False, True]


def test_rejecting_an_old_version_leaves_the_newer_one_in_the_cache(bench: Bench) -> None:
    old = bench.reader.get("acme")
    bench.dynamodb.put(version=2)
    bench.reader.rejected(old)
    reads = len(bench.dynamodb.reads)
    assert bench.reader.rejected(old).version == 2
    assert len(bench.dynamodb.reads) == reads


def test_a_token_rejected_while_it_was_read_is_not_handed_out(bench: Bench) -> None:
    """Another thread says 401 between this one's read and its return."""
    bench.function.answer = bench.refreshing
    get_item = bench.dynamodb.get_item
    stale = AccessToken("x", DEAD, None, None, 1, "acme")

    def reading(**arguments: Any) -> dict[str, Any]:
        found = get_item(**arguments)
        if len(bench.dynamodb.reads) == 1:
            bench.reader.reject(stale)
        return found

    vars(bench.dynamodb).update(get_item=reading)
    assert bench.reader.get("acme").version == 2


def test_a_stale_read_does_not_replace_a_newer_token(bench: Bench) -> None:
    bench.dynamodb.put(version=2)
    bench.reader.get("acme")
    bench.clock.now += 1
    bench.dynamodb.put(version=1)
    bench.reader.get("acme", 1800 - 1)
    assert bench.reader.get("acme").version == 2


def test_an_interrupted_thread_does_not_end_the_others() -> None:
    memory, token = Memory(), AccessToken("t", DEAD, None, None, 7, "acme")
    started, release = threading.Event(), threading.Event()

    def interrupted() -> AccessToken:
        started.set()
        release.wait(10)
        raise KeyboardInterrupt

    def lead() -> str:
        try:
            memory.share("key", interrupted)
        except KeyboardInterrupt:
            return "interrupted"
        return "not interrupted"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lead)
        started.wait(10)
        second = pool.submit(memory.share, "key", lambda: token)
        release.set()
        assert (first.result(10), second.result(10)) == ("interrupted", token)
