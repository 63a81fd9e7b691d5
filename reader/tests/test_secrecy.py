"""S20: no token in any log, error, repr or traceback of this library."""

import copy
import dataclasses
import logging
import pickle
import traceback

import pytest

from fakes import CANARY, START, Bench, refused
from ha_goto_tokens import AccessToken, TokenError, Unavailable
from ha_goto_tokens.http_rules import check

DEAD = int(START) - 1


def test_s20_the_repr_of_a_token_hides_its_value(bench: Bench) -> None:
    """S20: in print, format, logs and containers alike."""
    token = bench.reader.get("acme")
    assert CANARY in token.value
    for text in (repr(token), str(token), f"{token}", f"{[token]!r}", repr(bench.reader)):
        assert CANARY not in text
    assert "acme" in repr(token)


def test_a_token_cannot_be_changed(bench: Bench) -> None:
    token = bench.reader.get("acme")
    with pytest.raises(dataclasses.FrozenInstanceError):
        token.value = "another"  # type: ignore[misc]  # that is the point
    assert copy.deepcopy(token) == pickle.loads(pickle.dumps(token)) == token


@pytest.mark.parametrize("status", ["connected", "degraded", "reauthorization_required"])
def test_s20_no_error_and_no_log_holds_a_token(
    bench: Bench, caplog: pytest.LogCaptureFixture, status: str
) -> None:
    """S20: at the lowest level, with the frames' variables as error trackers record them."""
    caplog.set_level(logging.DEBUG)
    bench.dynamodb.put(status=status, expires_at=DEAD)
    written = []
    for failing in (None, refused("ThrottlingException", "GetItem")):
        bench.dynamodb.failing = failing
        with pytest.raises(TokenError) as told:
            bench.reader.get("acme")
        recorded = traceback.TracebackException.from_exception(told.value, capture_locals=True)
        written += [*recorded.format(), repr(told.value), str(told.value)]
    bench.dynamodb.failing = None
    bench.clock.now += 10
    bench.dynamodb.put(status=status, expires_at=int(START) + 320)
    bench.reader.get("acme")
    assert CANARY not in caplog.text + "".join(written)
    assert caplog.records


def test_s20_an_item_that_cannot_be_read_is_not_quoted(bench: Bench) -> None:
    """S20: not in the error, not in the variables of its frames."""
    bench.dynamodb.put(schema=2)
    with pytest.raises(Unavailable) as told:
        bench.reader.get("acme")
    recorded = traceback.TracebackException.from_exception(told.value, capture_locals=True)
    assert CANARY not in "".join(recorded.format())
    assert told.value.__context__ is None


def test_errors_survive_a_process_boundary() -> None:
    error = Unavailable("acme", "It is down.", "Ask again.", retry_after=5, whose_turn="operator")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.retry_after, again.whose_turn) == (str(error), 5, "operator")
    assert str(error) == "acme: It is down. Ask again."


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://api.goto.com/users/v1/me", True),
        ("http://127.0.0.1:8001/users/v1/me", True),
        ("http://acme.localhost:8000/", True),
        ("http://api.goto.com/users/v1/me", False),
        ("http://localhost.example/", False),
        ("ftp://api.goto.com/", False),
        ("", False),
    ],
)
def test_s17_a_token_travels_over_tls_only(url: str, allowed: bool) -> None:
    """S17: https, except on this machine."""
    if allowed:
        check(url)
    else:
        with pytest.raises(ValueError, match="https"):
            check(url)


@pytest.mark.parametrize("kind", ["Bearer\r\nX: y", "DPoP", ""])
def test_whatever_the_item_says_the_scheme_is_bearer(kind: str) -> None:
    """Else an HTTP library's error would quote the header, and the token in it (S30)."""
    token = AccessToken("t", 1, None, None, 1, "acme", kind)
    assert token.authorization == "Bearer t"


def test_a_token_type_in_small_letters_is_sent_as_the_scheme() -> None:
    token = AccessToken("value", 0, None, None, 1, "acme", "bearer")
    assert token.authorization == "Bearer value"
