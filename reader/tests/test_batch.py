"""Many tenants at once: 100 a read, the rest asked for again, each with its own answer."""

from typing import Any

import pytest

from fakes import START, Bench, refused
from ha_goto_tokens import (
    AccessToken,
    NotConnected,
    ReauthorizationRequired,
    TokenError,
    Unavailable,
)

DEAD = int(START) - 1


def versions(found: dict[str, AccessToken | TokenError]) -> dict[str, object]:
    return {
        tenant: one.version if isinstance(one, AccessToken) else type(one)
        for tenant, one in found.items()
    }


def test_each_tenant_has_its_own_answer(bench: Bench) -> None:
    bench.dynamodb.put("dead", expires_at=DEAD)
    bench.dynamodb.put("refused", expires_at=DEAD, status="reauthorization_required")
    bench.dynamodb.put("gone", status="disconnected")
    bench.dynamodb.put("later", schema=2)
    bench.function.answer = bench.refreshing
    asked = ["acme", "dead", "refused", "gone", "later", "unheard-of", "acme"]
    found = bench.reader.get_many(asked)
    assert versions(found) == {
        "acme": 1,
        "dead": 2,
        "refused": ReauthorizationRequired,
        "gone": NotConnected,
        "later": Unavailable,
        "unheard-of": NotConnected,
    }
    assert list(found) == asked[:-1]
    assert bench.dynamodb.batches == [6]


def test_250_tenants_take_three_reads_and_fill_the_cache(bench: Bench) -> None:
    names = [f"tenant-{number}" for number in range(250)]
    for name in names:
        bench.dynamodb.put(name)
    assert set(versions(bench.reader.get_many(names)).values()) == {1}
    assert bench.dynamodb.batches == [100, 100, 50]
    bench.reader.get_many(names)
    assert bench.dynamodb.batches == [100, 100, 50]
    assert bench.dynamodb.reads == []


def test_what_was_not_processed_is_asked_for_again(bench: Bench) -> None:
    names = [f"tenant-{number}" for number in range(100)]
    for name in names:
        bench.dynamodb.put(name)
    bench.dynamodb.unprocessed = [99, 40]
    assert set(versions(bench.reader.get_many(names)).values()) == {1}
    assert bench.dynamodb.batches == [100, 99, 40]
    assert bench.slept == [0.05, 0.1]


def test_what_is_never_processed_is_unavailable_and_the_rest_is_served(bench: Bench) -> None:
    bench.dynamodb.put("beta")
    bench.dynamodb.unprocessed = [1] * 10
    assert versions(bench.reader.get_many(["acme", "beta"])) == {"acme": 1, "beta": Unavailable}
    assert len(bench.dynamodb.batches) == 5


def test_a_throttled_batch_is_unavailable_for_each(bench: Bench) -> None:
    bench.dynamodb.failing = refused("ThrottlingException", "BatchGetItem")
    found = bench.reader.get_many(["acme", "beta"])
    assert versions(found) == {"acme": Unavailable, "beta": Unavailable}


def test_no_tenants_are_no_read(bench: Bench) -> None:
    assert bench.reader.get_many([]) == {}
    assert bench.dynamodb.batches == []


@pytest.mark.parametrize("how", ["in its place", "beside it"])
def test_s33_a_batch_that_holds_anothers_item_is_believed_in_nothing(
    bench: Bench, how: str
) -> None:
    """S33: it answers a question that this reader did not ask."""
    bench.dynamodb.put("beta")
    batch_get_item = bench.dynamodb.batch_get_item

    def crossed(**arguments: Any) -> dict[str, Any]:
        answer = batch_get_item(**arguments)
        [rows] = answer["Responses"].values()
        rows[:] = [*(rows if how == "beside it" else []), bench.dynamodb.items["beta"]]
        return answer

    vars(bench.dynamodb).update(batch_get_item=crossed)
    found = bench.reader.get_many(["acme", "gamma"])
    assert versions(found) == {"acme": Unavailable, "gamma": Unavailable}
    assert {one.whose_turn for one in found.values() if isinstance(one, TokenError)} == {"operator"}
    assert bench.reader.cached("acme") is None
