"""How a message of the rescue queue ends that brings no connection (F29, S22)."""

import json

import pytest

from chalicelib.goto.oauth import Answer
from chalicelib.models import AuthorizationRequest, Reason, RequestStatus, Revocation
from chalicelib.tokens.rescue import Rescued, answer_message, exchange_message
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
    assert world.connections.get("acme") is None


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
