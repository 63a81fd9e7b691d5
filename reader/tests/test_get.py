"""What `get` answers: by the table, by the service, and by a clock that is wrong."""

import io
import logging
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from fakes import CANARY, START, Bench, refused
from ha_goto_tokens import (
    AccessToken,
    NotConnected,
    ReauthorizationRequired,
    Refreshing,
    TokenError,
    TokenReader,
    Unavailable,
)

LIVING, DEAD = int(START) + 3600, int(START) - 1
LATER = {"outcome": "later", "retry_after": 60}


def test_a_living_token_costs_one_read_and_no_invocation(bench: Bench) -> None:
    token = bench.reader.get("acme")
    assert token == AccessToken(
        f"{CANARY}-acme-1", LIVING, "cr.v1.read", "4000000001", 1, "acme", "Bearer"
    )
    assert (bench.dynamodb.reads, bench.function.asked) == ([False], [])


def test_s33_an_item_of_another_tenant_is_never_handed_out(bench: Bench) -> None:
    """S33: neither now nor from the cache, whatever put it there."""
    bench.dynamodb.put("beta")
    bench.dynamodb.items["acme"] = bench.dynamodb.items["beta"]
    for _ in range(2):
        with pytest.raises(Unavailable, match="another tenant's item") as error:
            bench.reader.get("acme")
        assert error.value.whose_turn == "operator"
        assert CANARY not in str(error.value)


def test_what_goto_did_not_tell_is_none(bench: Bench) -> None:
    bench.dynamodb.put(scope=None, account_key=None, token_type=None)
    token = bench.reader.get("acme")
    assert (token.scope, token.account_key, token.token_type) == (None, None, "Bearer")
    assert token.authorization == f"Bearer {CANARY}-acme-1"


@pytest.mark.parametrize(
    ("status", "living", "dead", "turn"),
    [
        pytest.param("connected", True, Unavailable, "nobody", id="connected"),
        pytest.param("degraded", True, Unavailable, "nobody", id="degraded"),
        pytest.param(
            "reauthorization_required", True, ReauthorizationRequired, "admin", id="refused grant"
        ),
        pytest.param(
            "credentials_rejected", True, ReauthorizationRequired, "rep", id="refused client"
        ),
        pytest.param("awaiting_credentials", True, NotConnected, "rep", id="no credentials"),
        pytest.param("awaiting_authorization", True, NotConnected, "rep", id="not authorized"),
        pytest.param("disconnected", False, NotConnected, "rep", id="disconnected"),
        pytest.param("a_state_of_later", True, Unavailable, "nobody", id="unknown state"),
    ],
)
def test_every_state_has_its_answer(
    bench: Bench, status: str, living: bool, dead: type[TokenError], turn: str
) -> None:
    """A token that lives is served in every state but `disconnected`; a dead one in none."""
    bench.function.answer = LATER
    bench.dynamodb.put(status=status)
    if living:
        assert bench.reader.get("acme").version == 1
    else:
        with pytest.raises(dead):
            bench.reader.get("acme")
    again = Bench()
    again.function.answer = LATER
    again.dynamodb.put(status=status, expires_at=DEAD)
    with pytest.raises(dead) as told:
        again.reader.get("acme")
    assert type(told.value) is dead
    assert told.value.whose_turn == turn
    assert told.value.tenant == "acme"
    assert told.value.what_to_do.endswith(".")


def test_nobody_has_connected_this_tenant(bench: Bench) -> None:
    with pytest.raises(NotConnected, match="The rep sends"):
        bench.reader.get("unheard-of")
    assert bench.function.asked == []


@pytest.mark.parametrize("status", ["reauthorization_required", "credentials_rejected"])
def test_what_only_a_person_can_end_is_not_asked_for(bench: Bench, status: str) -> None:
    bench.dynamodb.put(status=status, expires_at=DEAD)
    with pytest.raises(ReauthorizationRequired) as told:
        bench.reader.get("acme")
    assert told.value.retry_after is None
    assert bench.function.asked == []


def test_a_dead_token_is_refreshed_and_read_again_consistently(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.answer = bench.refreshing
    assert bench.reader.get("acme").version == 2
    assert bench.dynamodb.reads == [False, True]
    assert bench.function.asked == [{"tenant": "acme", "min_valid_seconds": 360}]


def test_a_degraded_tenant_is_asked_for_and_the_living_token_served(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.dynamodb.put(status="degraded")
    bench.function.answer = LATER
    assert bench.reader.get("acme").version == 1
    assert len(bench.function.asked) == 1
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("answer", "error", "retry_after"),
    [
        pytest.param({"outcome": "in_progress", "retry_after": 2}, Refreshing, 2, id="another"),
        pytest.param({"outcome": "later", "retry_after": 60}, Unavailable, 60, id="later"),
        pytest.param({"outcome": "later", "retry_after": 9999}, Unavailable, 300, id="too long"),
        pytest.param({"outcome": "later"}, Unavailable, 5, id="later, no time named"),
        pytest.param({"outcome": "invalid", "detail": "x"}, Unavailable, 5, id="invalid"),
        pytest.param({"outcome": "of_a_later_service"}, Unavailable, 5, id="unknown outcome"),
        pytest.param({"outcome": "alive", "version": 2}, Unavailable, 5, id="alive, not there"),
        pytest.param(
            {"outcome": "reauthorization_required"}, ReauthorizationRequired, None, id="a"
        ),
        pytest.param({"outcome": "credentials_rejected"}, ReauthorizationRequired, None, id="b"),
        pytest.param({"outcome": "not_connected"}, NotConnected, None, id="c"),
    ],
)
def test_every_outcome_of_refresh_now_has_its_answer(
    bench: Bench, answer: dict[str, Any], error: type[TokenError], retry_after: int | None
) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.answer = answer
    with pytest.raises(error) as told:
        bench.reader.get("acme")
    assert type(told.value) is error
    assert told.value.retry_after == retry_after


def _endpoint(kind: Any) -> Exception:
    made: Exception = kind(endpoint_url="https://lambda.example", error="x")
    return made


@pytest.mark.parametrize(
    ("failure", "named"),
    [
        pytest.param(
            refused("TooManyRequestsException", "Invoke"), "TooManyRequestsException", id="busy"
        ),
        pytest.param(refused("ServiceException", "Invoke"), "ServiceException", id="AWS fails"),
        pytest.param(
            refused("AccessDeniedException", "Invoke"), "AccessDeniedException", id="forbidden"
        ),
        pytest.param(_endpoint(ReadTimeoutError), "ReadTimeoutError", id="no answer"),
        pytest.param(_endpoint(ConnectTimeoutError), "ConnectTimeoutError", id="no connection"),
    ],
)
def test_a_function_that_does_not_answer_counts_as_later(
    bench: Bench, failure: Exception, named: str
) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.answer = failure
    with pytest.raises(Unavailable, match=named) as told:
        bench.reader.get("acme")
    assert told.value.retry_after == 5


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"<html>", b'{"outcome": 5}'])
def test_an_answer_that_cannot_be_read_counts_as_later(bench: Bench, raw: bytes) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.raw = raw or b" "
    with pytest.raises(Unavailable):
        bench.reader.get("acme")


def test_a_function_that_fails_counts_as_later(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    bench.function.function_error = True
    with pytest.raises(Unavailable, match="refresh_now failed"):
        bench.reader.get("acme")


def test_a_living_token_is_served_with_a_warning_while_goto_is_down(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """Less life than asked for, and no better token to be had: 1000 reads ask once a minute."""
    bench.dynamodb.put(expires_at=int(START) + 330)
    bench.function.answer = {"outcome": "later", "retry_after": 60}
    for _ in range(1000):
        assert bench.reader.get("acme").version == 1
    assert len(bench.function.asked) == 1
    [record] = caplog.records
    assert (record.name, record.levelno) == ("ha_goto_tokens", logging.WARNING)
    assert "acme" in record.getMessage()
    bench.clock.now += 29
    assert bench.reader.get("acme").version == 1
    bench.clock.now += 1  # 300 s of life: by a clock that is 5 minutes slow it is dead
    with pytest.raises(Unavailable) as told:
        bench.reader.get("acme")
    assert told.value.retry_after == 30
    assert len(bench.function.asked) == 1
    bench.clock.now += 30
    with pytest.raises(Unavailable):
        bench.reader.get("acme")
    assert len(bench.function.asked) == 2


def test_a_pause_lasts_as_long_as_it_was_named_whatever_the_clock_says(bench: Bench) -> None:
    bench.dynamodb.clock = bench.clock
    bench.dynamodb.put(expires_at=DEAD)
    for wrong_by in (0, -3600, 3600):
        bench.clock.wrong_by = wrong_by
        with pytest.raises(Unavailable):
            bench.reader.get("acme")
    assert len(bench.function.asked) == 1
    bench.clock.now += 5
    with pytest.raises(Unavailable):
        bench.reader.get("acme")
    assert len(bench.function.asked) == 2


def test_a_token_that_somebody_else_committed_ends_the_pause(bench: Bench) -> None:
    bench.dynamodb.put(expires_at=DEAD)
    with pytest.raises(Unavailable):
        bench.reader.get("acme")
    bench.dynamodb.put(version=2)
    assert bench.reader.get("acme").version == 2


@pytest.mark.parametrize("wrong_by", [-300, 300], ids=["5 minutes slow", "5 minutes fast"])
def test_f15_no_dead_token_by_a_clock_that_is_wrong(wrong_by: int) -> None:
    """F15: second by second to its end and beyond, with the service down: what is served lives."""
    bench = Bench(cached_for=30)
    bench.dynamodb.put(expires_at=int(START) + 1000)
    served = 0
    for second in range(1010):
        bench.clock.now = START + second + wrong_by
        try:
            bench.reader.get("acme", 0)
        except TokenError:
            continue
        served += 1
        assert second < 1000
    assert served == (1000 if wrong_by < 0 else 400)


@pytest.mark.parametrize("minimum", [0, 60, 1800])
def test_f15_a_slow_clock_still_gives_the_life_that_was_asked_for(minimum: int) -> None:
    """F15: what is left by the true clock is less than asked for only where none is to be had."""
    bench = Bench()
    bench.clock.now = START - 300
    bench.dynamodb.put(expires_at=int(START) + minimum)
    bench.function.answer = bench.refreshing
    assert bench.reader.get("acme", minimum).version == 2
    assert len(bench.function.asked) == 1
    bench = Bench()
    bench.clock.now = START - 300
    bench.dynamodb.put(expires_at=int(START) + minimum + 1)
    assert bench.reader.get("acme", minimum).version == 1
    assert bench.function.asked == []


def test_f15_a_fast_clock_takes_the_services_word(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    """F15: by this clock it is nearly dead, by the service's it lives: the service knows."""
    bench.clock.now = START + 3600 - 60
    bench.function.answer = {"outcome": "alive", "version": 1}
    assert bench.reader.get("acme").version == 1
    assert "clock" in caplog.text


def test_the_margin_for_clocks_is_configurable() -> None:
    bench = Bench(clock_error=10)
    bench.dynamodb.put(expires_at=int(START) + 71)
    assert bench.reader.get("acme").version == 1
    assert bench.function.asked == []


@pytest.mark.parametrize(
    ("code", "turn", "retry_after"),
    [
        pytest.param("ThrottlingException", "nobody", 5, id="throttled"),
        pytest.param("ProvisionedThroughputExceededException", "nobody", 5, id="capacity"),
        pytest.param("InternalServerError", "nobody", 5, id="AWS fails"),
        pytest.param("AccessDeniedException", "operator", None, id="forbidden"),
        pytest.param("ResourceNotFoundException", "operator", None, id="no such table"),
    ],
)
def test_a_table_that_does_not_answer(
    bench: Bench, code: str, turn: str, retry_after: int | None
) -> None:
    bench.dynamodb.failing = refused(code, "GetItem")
    with pytest.raises(Unavailable, match=code) as told:
        bench.reader.get("acme")
    assert (told.value.whose_turn, told.value.retry_after) == (turn, retry_after)
    assert bench.function.asked == []


def test_a_throttled_table_leaves_the_cached_token(bench: Bench) -> None:
    bench.reader.get("acme")
    bench.dynamodb.failing = refused("ThrottlingException", "GetItem")
    assert bench.reader.get("acme").version == 1


def test_an_item_without_a_token_is_asked_for(bench: Bench) -> None:
    bench.dynamodb.put(access_token=None)
    bench.function.answer = {"outcome": "alive", "version": 1}
    with pytest.raises(Unavailable, match="the table holds none"):
        bench.reader.get("acme")
    bench.clock.now += 10
    bench.function.answer = bench.refreshing
    assert bench.reader.get("acme").version == 2


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"schema": 2}, id="of a later service"),
        pytest.param({"schema": None}, id="no schema"),
        pytest.param({"status": None}, id="no status"),
        pytest.param({"version": None}, id="no version"),
        pytest.param({"version": "one"}, id="a version that is text"),
    ],
)
def test_an_item_of_an_unknown_schema_is_not_guessed_at(
    bench: Bench, changed: dict[str, Any]
) -> None:
    bench.dynamodb.put(**changed)
    with pytest.raises(Unavailable, match="ha-goto-tokens") as told:
        bench.reader.get("acme")
    assert told.value.whose_turn == "operator"
    assert bench.function.asked == []


def test_without_a_refresh_function_the_table_alone_is_read() -> None:
    bench = Bench()
    reader = TokenReader(table="Tokens", dynamodb=bench.dynamodb, clock=bench.clock)
    bench.dynamodb.put()
    assert reader.get("acme").version == 1
    bench.dynamodb.put("dead", expires_at=DEAD)
    with pytest.raises(Unavailable, match="no refresh function"):
        reader.get("dead")


@pytest.mark.parametrize("minimum", [-1, 1801])
def test_a_minimum_that_makes_no_sense_is_refused_cached_or_not(bench: Bench, minimum: int) -> None:
    """A negative one would serve a cached token past its margin."""
    for _ in range(2):
        with pytest.raises(ValueError, match="min_valid_seconds"):
            bench.reader.get("acme", minimum)
        bench.reader.get("acme")


@pytest.mark.parametrize("tenant", ["", "a" * 64])
def test_a_name_that_is_none_is_refused(bench: Bench, tenant: str) -> None:
    with pytest.raises(ValueError, match="a tenant is a name"):
        bench.reader.get(tenant)
    assert bench.dynamodb.reads == []


def test_a_stage_is_looked_up_once() -> None:
    class FakeSSM:
        def get_parameter(self, *, Name: str) -> dict[str, Any]:
            assert Name == "/ha-goto/main/reader"
            value = '{"table": "Tokens-1", "refresh_function": "refresh-1"}'
            return {"Parameter": {"Value": value}}

    class NamedLambda:
        def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
            asked.append(FunctionName)
            return {"Payload": io.BytesIO(b'{"outcome": "later"}')}

    asked: list[str] = []
    bench = Bench()
    bench.dynamodb.put(expires_at=DEAD)
    reader = TokenReader(
        "main",
        ssm=FakeSSM(),
        dynamodb=bench.dynamodb,
        lambda_client=NamedLambda(),
        clock=bench.clock,
    )
    with pytest.raises(Unavailable):
        reader.get("acme")
    assert asked == ["refresh-1"]


@pytest.mark.parametrize("given", [{}, {"stage": "main", "table": "Tokens"}])
def test_either_a_stage_or_a_table_is_given(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="stage"):
        TokenReader(**given)  # type: ignore[arg-type]  # the other arguments are left out
