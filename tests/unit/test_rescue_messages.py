"""What waits in the rescue queue comes back as it was put in (F03, F24, F29)."""

import base64
import json
from dataclasses import asdict, replace
from typing import Any

import pytest

from chalicelib.goto.oauth import Answer
from chalicelib.models import (
    AuthorizationRequest,
    EndCause,
    Grant,
    Inflight,
    NewTokens,
    Reason,
    RequestStatus,
    Status,
)
from chalicelib.permissions import GoToAccount, Owner
from chalicelib.tokens import rescue
from chalicelib.tokens.rescue import (
    answer_message,
    connect_message,
    exchange_message,
    read_connect_message,
    refresh_message,
)

GRANT = Grant("acme", Status.DEGRADED, 3, 7, "id", "1", refresh_token="held", failures=2)
TOKENS = NewTokens("access", "Bearer", 1, 2, 3, "a.scope", "refresh", 4)
OWNER = Owner("41", "admin@acme.example", (GoToAccount("41", "Acme"), GoToAccount("42")))
REQUEST = AuthorizationRequest(
    key="a key",
    tenant="acme",
    sequence=5,
    browser="a browser",
    client_id="id",
    secret_version="1",
    redirect_uri="https://acme.example/oauth/callback",
    reference="A1",
    started_at=10,
    expires_at=20,
    verifier="a verifier",
    link_series=0,
    code="a code",
)
ANSWER = Answer(200, b'{"access_token": "\xff"}')


@pytest.mark.parametrize(
    "grant",
    [
        pytest.param(GRANT, id="idle"),
        pytest.param(replace(GRANT, inflight=Inflight(1, 7, 9)), id="asked"),
        pytest.param(replace(GRANT, ended_by=EndCause.REFUSED), id="ended"),
    ],
)
def test_a_refresh_comes_back_with_the_grant_that_was_asked(grant: Grant) -> None:
    content = json.loads(refresh_message(grant, TOKENS, OWNER))
    assert content.keys() == {"schema", "asked", "fresh", "account", "principal", "accounts"}
    assert content["schema"] == 1
    assert rescue._grant(content["asked"]) == grant
    assert rescue._checked(content["fresh"]) == TOKENS
    assert rescue._owner(content) == OWNER


def test_a_refresh_whose_owner_was_not_read_names_none() -> None:
    content = json.loads(refresh_message(GRANT, TOKENS))
    assert content.keys() == {"schema", "asked", "fresh"}
    assert rescue._owner(content) == Owner()


def test_a_grant_of_the_version_before_comes_back() -> None:
    values: dict[str, Any] = json.loads(refresh_message(GRANT, TOKENS))["asked"]
    del values["ended_by"]
    assert rescue._grant(values) == GRANT


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(REQUEST, id="of nobody whom the front named"),
        pytest.param(replace(REQUEST, pressed_by="a@acme.example"), id="of a person"),
        pytest.param(
            replace(REQUEST, status=RequestStatus.FAILED, reason=Reason.INTERNAL), id="ended"
        ),
        pytest.param(replace(REQUEST, accounts=OWNER.accounts, account="42"), id="chosen"),
    ],
)
def test_an_exchange_comes_back_without_what_is_used_up(request_: AuthorizationRequest) -> None:
    message = connect_message(request_, TOKENS, OWNER)
    kept = replace(request_, verifier="", code=None)
    assert read_connect_message(message) == (kept, TOKENS, OWNER)
    assert json.loads(message)["schema"] == 1
    # The version before does not know of it.
    assert ("pressed_by" in json.loads(message)["request"]) is (kept.pressed_by is not None)


def test_f29_an_answer_that_could_not_be_read_comes_back_byte_by_byte() -> None:
    raw = {
        "schema": 1,
        "status": 200,
        "body": base64.b64encode(ANSWER.body).decode(),
        "asked_at": 77,
    }
    refresh = json.loads(answer_message(GRANT, ANSWER, 77))
    assert refresh == raw | {"asked": json.loads(json.dumps(asdict(GRANT)))}
    exchange = json.loads(exchange_message(REQUEST, ANSWER, 77))
    assert rescue._request(exchange.pop("request")) == replace(REQUEST, verifier="", code=None)
    assert exchange == raw


def test_s30_what_waited_is_checked_as_at_the_entrance() -> None:
    """S30: a version without these checks may have put it in."""
    fresh = asdict(TOKENS) | {"token_type": "bEARER", "scope": "a\x00scope"}
    assert rescue._checked(fresh) == replace(TOKENS, scope=None)
    accounts = [["41", "Ac\nme"], ["no account", "Bad"], ["42", None]]
    owner = rescue._owner({"account": "4 1", "principal": "ad\nmin", "accounts": accounts})
    assert owner == Owner(None, "ad min", (GoToAccount("41", "Ac me"), GoToAccount("42")))
