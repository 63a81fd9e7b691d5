"""A 403: the service is told once, the token stays, and what was found comes with it."""

from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from fakes import Bench, run
from ha_goto_tokens import AsyncTokenReader
from ha_goto_tokens.http_rules import Verdict, verdict


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(200, b"", Verdict.FINE, id="answered"),
        pytest.param(401, b"", Verdict.REJECTED, id="401"),
        pytest.param(
            403, b'{"errorCode": "AUTHZ_INSUFFICIENT_SCOPE"}', Verdict.FORBIDDEN, id="scope"
        ),
        pytest.param(403, b'{"int_err_code": "InvalidToken"}', Verdict.REJECTED, id="dead token"),
        pytest.param(403, b"<html>", Verdict.FORBIDDEN, id="HTML"),
        pytest.param(403, b'["InvalidToken"]', Verdict.FORBIDDEN, id="a list"),
        pytest.param(403, b"\xff", Verdict.FORBIDDEN, id="not UTF-8"),
        pytest.param(403, b" " * 70_000 + b"{}", Verdict.FORBIDDEN, id="huge"),
        pytest.param(500, b'{"int_err_code": "InvalidToken"}', Verdict.FINE, id="500"),
    ],
)
def test_what_an_answer_says_about_the_token(status: int, body: bytes, expected: Verdict) -> None:
    assert verdict(status, body) is expected


def found(bench: Bench, usable: str) -> Any:
    def answer(wish: dict[str, Any]) -> dict[str, Any]:
        bench.dynamodb.put(usable=usable, usable_checked_at=int(bench.clock.now))
        return {"outcome": "alive", "version": 1}

    return answer


def test_f33_a_403_is_reported_once_and_the_token_stays(bench: Bench) -> None:
    """F33: 100 reports within five minutes are one; then it may be reported again."""
    token = bench.reader.get("acme")
    assert (token.usable, token.usable_checked_at) == ("unknown", None)
    bench.function.answer = found(bench, "scope_missing")
    for _ in range(100):
        described = bench.reader.forbidden(token)
        assert (described.value, described.usable) == (token.value, "scope_missing")
        assert described.usable_checked_at == int(bench.clock.now)
    assert bench.function.asked == [{"tenant": "acme", "forbidden_version": 1}]
    assert bench.reader.get("acme") is bench.reader.forbidden(token)
    bench.clock.now += 300
    bench.reader.forbidden(token)
    assert len(bench.function.asked) == 2


def test_f33_what_could_not_be_looked_at_is_reported_again_when_the_service_says_so(
    bench: Bench,
) -> None:
    token = bench.reader.get("acme")
    bench.function.answer = {"outcome": "later", "retry_after": 60}
    for seconds, reports in ((0, 1), (59, 1), (1, 2)):
        bench.clock.now += seconds
        assert bench.reader.forbidden(token).version == 1
        assert len(bench.function.asked) == reports


def test_f33_where_the_service_had_looked_just_before_it_is_reported_again(bench: Bench) -> None:
    """F33: it looks once a minute at most; what changed since is found within two."""
    bench.dynamodb.clock = bench.clock
    bench.dynamodb.put(usable="yes", usable_checked_at=int(bench.clock.now) - 50)
    token = bench.reader.get("acme")
    bench.function.answer = {"outcome": "alive", "version": 1}
    for _ in range(60):
        assert bench.reader.forbidden(token).usable == "yes"
        bench.clock.now += 1
    assert len(bench.function.asked) == 1
    bench.function.answer = found(bench, "forbidden")
    assert bench.reader.forbidden(token).usable == "forbidden"
    assert len(bench.function.asked) == 2


def test_f33_a_report_never_raises(bench: Bench) -> None:
    """F33: AWS is away, the tenant was disconnected meanwhile: the next `get` tells."""
    token = bench.reader.get("acme")
    bench.function.answer = ReadTimeoutError(endpoint_url="https://lambda.example")
    bench.dynamodb.put(status="disconnected")
    assert bench.reader.forbidden(token) is token
    bench.clock.now += 5
    bench.dynamodb.failing = ReadTimeoutError(endpoint_url="https://dynamodb.example")
    assert bench.reader.forbidden(token) is token
    assert len(bench.function.asked) == 2


def test_f33_asynchronously(bench: Bench) -> None:
    token = bench.reader.get("acme")
    bench.function.answer = found(bench, "forbidden")
    assert run(AsyncTokenReader(bench.reader).forbidden(token)).usable == "forbidden"
