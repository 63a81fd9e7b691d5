"""How a message of the rescue queue ends that brings no connection (F29, S22)."""

import json

import pytest

from chalicelib.durations import REVOKE_AGAIN
from chalicelib.goto.oauth import Answer
from chalicelib.goto.token_response import TokenSet
from chalicelib.models import AuthorizationRequest, Reason, RequestStatus, Revocation
from chalicelib.permissions import Owner
from chalicelib.tokens.rescue import (
    Rescued,
    answer_message,
    connect_message,
    exchange_message,
)
from tests.support.stubs import ACCOUNT
from tests.support.world import World


@pytest.fixture
def request_(world: World) -> AuthorizationRequest:
    """A sign-in whose code is taken out: its answer is all that is left of it."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    claimed = world.requests.claim(world.completions[0])
    assert claimed is not None
    return claimed


def test_f29_an_exchange_that_came_without_tokens_ends(
    world: World, request_: AuthorizationRequest
) -> None:
    world.clock.pass_(50)
    message = exchange_message(request_, Answer(503, b""), int(world.clock.now))
    assert world.rescuer().commit(message) is Rescued.REFUSED
    ended = world.requests.get(request_.key)
    assert ended is not None
    assert (ended.status, ended.reason) == (RequestStatus.FAILED, Reason.INTERNAL)
    assert ended.finished_at == int(world.clock.now)
    assert world.journal.newest("acme", 1)[0].at == world.clock.now
    assert world.goto.revoked == []


@pytest.mark.parametrize("heard", [True, False])
def test_f29_tokens_of_an_exchange_that_came_as_it_was_are_given_up(
    world: World, request_: AuthorizationRequest, heard: bool
) -> None:
    """F29, S22: its admin has read that it failed."""
    answer = world.goto.tokens(refresh=True)
    world.goto.revocation = Revocation.DONE if heard else Revocation.LATER
    message = exchange_message(request_, answer, int(world.clock.now))
    done = world.rescuer().commit(message)
    assert done is (Rescued.REFUSED if heard else Rescued.POSTPONED)
    assert world.goto.revoked == ["refresh-1"]
    assert world.rescue_queue.messages == ([] if heard else [message])
    assert world.rescue_queue.delays == ([] if heard else [REVOKE_AGAIN])
    assert world.connections.get("acme") is None


def test_s25_a_sign_in_that_is_refused_after_its_rescue_names_who_tried(
    world: World, request_: AuthorizationRequest
) -> None:
    world.dynamodb.update_item(
        TableName=world.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET pinned_account = :pin",
        ExpressionAttributeValues={":pin": {"S": "4999999999"}},
    )
    tokens = world.commits.dated("acme", TokenSet("access", "refresh"), int(world.clock.now))
    message = connect_message(request_, tokens, Owner(ACCOUNT, "admin@acme.example"))
    assert world.rescuer().commit(message) is Rescued.REFUSED
    detail = world.journal.newest("acme", 1)[0].detail
    assert detail is not None
    assert "admin@acme.example" in detail
    assert world.goto.revoked == ["refresh"]


def test_f27_a_refresh_token_that_comes_back_in_a_rescued_answer_is_no_new_one(
    connected: World,
) -> None:
    before = connected.grant()
    answer = connected.goto.tokens(refresh=True, refresh_token="refresh-1")
    connected.clock.pass_(100)
    message = answer_message(before, answer, int(connected.clock.now))
    assert connected.rescuer().commit(message) is Rescued.COMMITTED
    grant = connected.grant()
    assert grant.access_expires_at == int(connected.clock.now) + connected.goto.lifetime
    assert grant.refresh_issued_at == before.refresh_issued_at
    assert grant.refresh_expires_at == before.refresh_expires_at


def test_f29_a_refresh_that_came_without_tokens_is_dropped(connected: World) -> None:
    before = connected.everything()
    message = answer_message(connected.grant(), Answer(503, b""), int(connected.clock.now))
    assert connected.rescuer().commit(message) is Rescued.REFUSED
    assert connected.everything() == before


def test_a_message_of_another_schema_stays_in_the_queue(connected: World) -> None:
    """A version that knows it may be deployed again."""
    content = json.loads(answer_message(connected.grant(), Answer(503, b""), 1))
    with pytest.raises(ValueError, match="another schema"):
        connected.rescuer().commit(json.dumps(content | {"schema": 2}))
