"""F31: DynamoDB is out of reach of a reader that has read a living token."""

import logging
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError

from fakes import START, Bench, refused
from ha_goto_tokens import AccessToken, NotConnected, Refreshing, TokenError, Unavailable

AWAY = ConnectTimeoutError(endpoint_url="https://dynamodb.example", error="x")
OUTAGE = 1_200


def noticed(bench: Bench) -> bool:
    """Whether a disconnect is noticed; a second passes."""
    bench.clock.now += 1
    try:
        bench.reader.get("acme")
    except NotConnected:
        return True
    return False


@pytest.fixture
def dated(bench: Bench) -> Bench:
    bench.dynamodb.clock = bench.clock
    bench.function.answer = {"outcome": "later", "retry_after": 60}
    return bench


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(AWAY, id="no connection"),
        pytest.param(refused("InternalServerError", "GetItem"), id="AWS fails"),
        pytest.param(refused("ThrottlingException", "GetItem"), id="throttled"),
        pytest.param(NoCredentialsError(), id="the role's keys can't be had"),
    ],
)
def test_f31_a_living_token_is_served_through_20_minutes(
    dated: Bench, failure: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """F31: second by second; the last read may be as old as the cache allows."""
    dated.reader.get("acme")
    dated.clock.now += 29
    dated.dynamodb.failing = failure
    for _ in range(OUTAGE):
        dated.clock.now += 1
        assert dated.reader.get("acme").version == 1
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "Tokens that were read before are served for 1200 s more" in warnings[0].getMessage()
    # One attempt in the 5 s in which each may take several.
    assert OUTAGE / 6 <= len(dated.dynamodb.reads) - 1 <= OUTAGE / 5


def test_f31_after_20_minutes_it_is_the_error(dated: Bench) -> None:
    """F31: a token is served for 1200 s beyond the cache's time, and no longer."""
    dated.reader.get("acme")
    dated.dynamodb.failing = AWAY
    dated.clock.now += 30 + OUTAGE - 1
    assert dated.reader.get("acme").version == 1
    dated.clock.now += 1
    with pytest.raises(Unavailable, match="ConnectTimeoutError") as told:
        dated.reader.get("acme")
    assert type(told.value) is Unavailable
    assert told.value.retry_after == 5


def test_f31_how_long_is_a_parameter() -> None:
    bench = Bench(stale_if_error=0)
    bench.dynamodb.put()
    bench.reader.get("acme")
    bench.dynamodb.failing = AWAY
    bench.clock.now += 29
    assert bench.reader.get("acme").version == 1
    bench.clock.now += 1
    with pytest.raises(Unavailable):
        bench.reader.get("acme")


def test_f31_a_token_is_never_served_past_its_end(dated: Bench) -> None:
    dated.dynamodb.put(expires_at=int(START) + 600)
    dated.reader.get("acme")
    dated.dynamodb.failing = AWAY
    served = 0
    for second in range(1, 700):
        dated.clock.now = START + second
        try:
            dated.reader.get("acme")
        except Unavailable:
            continue
        served = second
    assert 600 - 30 <= served < 600


def test_f31_away_from_the_start_it_is_the_typed_error(dated: Bench) -> None:
    dated.dynamodb.failing = AWAY
    for _ in range(3):
        with pytest.raises(Unavailable) as told:
            dated.reader.get("acme")
        assert (told.value.whose_turn, told.value.retry_after) == ("nobody", 5)


def test_f31_back_again_it_is_fresh_within_the_caches_time(
    dated: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """F31: a disconnect during the outage is noticed within 30 s of its end."""
    caplog.set_level(logging.INFO)
    dated.reader.get("acme")
    dated.dynamodb.failing = AWAY
    dated.clock.now += 600
    assert dated.reader.get("acme").version == 1
    dated.dynamodb.put(status="disconnected")
    dated.dynamodb.failing = None
    outcomes = [noticed(dated) for _ in range(30)]
    assert outcomes.index(True) <= 5
    assert "The table answers again." in caplog.text


@pytest.mark.parametrize("code", ["AccessDeniedException", "ResourceNotFoundException"])
def test_f31_a_refusal_is_no_outage(dated: Bench, code: str) -> None:
    """F31: a reader whose rights were taken is not served on."""
    dated.reader.get("acme")
    dated.dynamodb.failing = refused(code, "GetItem")
    dated.clock.now += 30
    with pytest.raises(Unavailable) as told:
        dated.reader.get("acme")
    assert told.value.whose_turn == "operator"


def test_f31_a_rejected_token_is_not_served_in_an_outage_either(dated: Bench) -> None:
    token = dated.reader.get("acme")
    dated.dynamodb.failing = AWAY
    with pytest.raises(Unavailable):
        dated.reader.rejected(token)
    with pytest.raises(Unavailable):
        dated.reader.get("acme")


def test_f31_a_batch_rides_through_too(dated: Bench) -> None:
    dated.dynamodb.put("beta")
    dated.reader.get_many(["acme", "beta"])
    dated.clock.now += 31
    dated.dynamodb.failing = AWAY
    found = dated.reader.get_many(["acme", "beta", "gamma"])
    assert isinstance(found["acme"], AccessToken)
    assert isinstance(found["beta"], AccessToken)
    assert type(found["gamma"]) is Unavailable


def test_f31_an_outage_between_the_services_answer_and_the_second_read(dated: Bench) -> None:
    """F31: the token had less life than asked for, the service has answered, the table is gone."""
    dated.dynamodb.put(expires_at=int(START) + 50)
    assert dated.reader.get("acme", 0).version == 1

    def answer(_wish: dict[str, Any]) -> dict[str, Any]:
        dated.dynamodb.failing = AWAY
        return {"outcome": "refreshed", "version": 2}

    dated.function.answer = answer
    assert dated.reader.get("acme").version == 1


def test_f31_while_one_caller_tries_the_table_the_others_are_served(dated: Bench) -> None:
    """F31: an attempt takes seconds; nobody else waits for it."""
    dated.reader.get("acme")
    dated.clock.now += 60
    dated.dynamodb.failing = AWAY
    dated.reader.get("acme")
    dated.clock.now += 6
    served: list[AccessToken | None] = []
    get_item = dated.dynamodb.get_item

    def slow(**arguments: Any) -> dict[str, Any]:
        served.append(dated.reader.cached("acme"))
        return get_item(**arguments)

    vars(dated.dynamodb).update(get_item=slow)
    assert dated.reader.get("acme").version == 1
    assert [token is not None for token in served] == [True]


def test_f31_a_refresh_under_way_elsewhere_is_no_outage(dated: Bench) -> None:
    dated.dynamodb.put(expires_at=int(START) - 1)
    dated.function.answer = {"outcome": "in_progress", "retry_after": 2}
    with pytest.raises(Refreshing):
        dated.reader.get("acme")
    assert dated.reader.cached("acme") is None


def test_f31_no_error_is_hidden(dated: Bench) -> None:
    """F31: an item that can't be read is no outage."""
    dated.reader.get("acme")
    dated.clock.now += 31
    dated.dynamodb.put(schema=2)
    with pytest.raises(TokenError, match="schema 2"):
        dated.reader.get("acme")
