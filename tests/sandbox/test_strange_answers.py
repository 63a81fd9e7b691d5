"""The sandbox imitates servers and bad hours that GoTo may have (F10, F11, F26-F28, F36)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.goto.answers import OTHER_WORDS, PROXY_PAGE
from sandbox.goto.switches import SwitchError, Switches
from tests.sandbox.client import DAY, NOT_FOUND, REVOKED, GoTo, answer_of, parsed


def test_f27_an_unchanged_refresh_token_comes_back(make: Callable[..., GoTo]) -> None:
    goto = make(rotation="never", echo_refresh_token=True)
    held = goto.connect()["refresh_token"]
    assert parsed(goto.refresh(held))["refresh_token"] == held
    assert parsed(goto.refresh(held))["refresh_token"] == held


def test_f27_a_rotated_refresh_token_is_not_echoed(make: Callable[..., GoTo]) -> None:
    goto = make(rotation="always", echo_refresh_token=True)
    held = goto.connect()["refresh_token"]
    assert parsed(goto.refresh(held))["refresh_token"] != held


def test_f28_tokens_come_with_201(make: Callable[..., GoTo]) -> None:
    goto = make(success_status=201)
    answer = goto.exchange(goto.code())
    assert answer.status_code == 201
    assert "refresh_token" in parsed(answer)


def test_f28_one_byte_is_not_utf_8(make: Callable[..., GoTo]) -> None:
    goto = make(answer_charset="iso-8859-1")
    body = goto.exchange(goto.code()).data
    with pytest.raises(UnicodeDecodeError):
        body.decode("utf-8")
    assert json.loads(body.decode("iso-8859-1"))["name"] == "Andr\u00e9"


def test_f28_white_space_stands_around_tokens(make: Callable[..., GoTo]) -> None:
    answer = parsed((goto := make(padded_tokens=True)).exchange(goto.code()))
    for name in ("access_token", "refresh_token"):
        assert answer[name] != answer[name].strip()


@pytest.mark.parametrize("told", [0, -1, 5])
def test_f28_another_life_is_told_than_the_token_has(make: Callable[..., GoTo], told: int) -> None:
    goto = make(told_lifetime=told)
    answer = goto.connect()
    assert answer["expires_in"] == told
    goto.clock.now += 600
    assert goto.call(answer["access_token"]).status_code == 200


def test_f28_the_refresh_tokens_own_life_is_told(make: Callable[..., GoTo]) -> None:
    goto = make(tell_refresh_lifetime=True, rotation="never")
    answer = goto.connect()
    assert answer["refresh_token_expires_in"] == 30 * DAY
    goto.clock.now += DAY
    assert parsed(goto.refresh(answer["refresh_token"]))["refresh_token_expires_in"] == 29 * DAY


@pytest.mark.parametrize(
    ("form", "status", "fields"),
    [
        ("plain", 400, {"error": "invalid_grant"}),
        ("ok", 200, {"error": "invalid_grant"}),
        ("errors", 400, {"errors": [{"code": "invalid_grant", "message": "refused"}]}),
        ("upper_case", 400, {"error": "INVALID_GRANT"}),
        ("other_words", 400, {"error": "invalid_request", "error_description": OTHER_WORDS}),
    ],
)
def test_f26_a_refusal_comes_in_many_forms(
    make: Callable[..., GoTo], form: str, status: int, fields: dict[str, Any]
) -> None:
    goto = make(refusal_form=form)
    answer = goto.refresh("made-up")
    assert answer.status_code == status
    assert fields.items() <= parsed(answer).items()


def test_f26_a_refusal_may_hold_raw_control_characters(make: Callable[..., GoTo]) -> None:
    body = make(refusal_form="long").refresh("made-up").data
    assert b"\r\n\t" in body
    assert len(body) > 3_900
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [("invalid_grant", 400, REVOKED), ("invalid_client", 401, NOT_FOUND)],
)
def test_f26_good_ones_are_refused_for_as_long_as_the_switch_says(
    goto: GoTo, kind: str, status: int, body: bytes
) -> None:
    held = goto.connect()["refresh_token"]
    goto.turn(refuse_good=kind)
    for _ in range(2):
        refused = goto.refresh(held)
        assert (refused.status_code, refused.data) == (status, body)
    goto.turn(refuse_good=None)
    assert goto.refresh(held).status_code == 200, "nothing had happened to it"


@pytest.mark.parametrize("status", [200, 401])
def test_f36_a_proxy_answers_a_revocation(goto: GoTo, status: int) -> None:
    held = goto.connect()["refresh_token"]
    goto.turn(revocation_page=status)
    page = goto.post("/oauth/revoke", token=held)
    assert (page.status_code, page.data) == (status, PROXY_PAGE)
    assert goto.refresh(held).status_code == 200, "GoTo itself never heard of it"


def test_f28_a_busy_server_says_when_to_come_back(make: Callable[..., GoTo]) -> None:
    goto = make(retry_after="120", fail_next=[{"status": 503}])
    assert goto.refresh("made-up").headers["Retry-After"] == "120"
    assert "Retry-After" not in goto.refresh("made-up").headers
    goto.turn(rate_per_second=1)
    limited = [goto.refresh("made-up") for _ in range(2)][-1]
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "120")


@pytest.mark.parametrize("error", ["server_error", "temporarily_unavailable"])
def test_a_sign_in_may_fail_before_there_is_a_code(goto: GoTo, error: str) -> None:
    goto.turn(authorize_error=error)
    goto.log_in()
    found = answer_of(goto.decide("allow"))
    assert found["error"] == error
    assert "code" not in found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("success_status", 302),
        ("answer_charset", "utf-16"),
        ("refusal_form", "rude"),
        ("refuse_good", "invalid_scope"),
        ("revocation_page", 99),
        ("retry_after", 120),
        ("retry_after", "1\r\nX: y"),
        ("told_lifetime", "0"),
        ("authorize_error", "server error"),
        ("echo_refresh_token", 1),
    ],
)
def test_a_value_that_such_a_switch_cannot_take_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SwitchError, match=name):
        Switches().changed(**{name: value})
