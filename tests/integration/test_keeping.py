"""What GoTo gave is kept: in the tables, or in the rescue queue until they take it."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from chalicelib.bootstrap import deployment
from chalicelib.durations import RESCUE_PATIENCE, TIME_TO_COMMIT, TIME_TO_END
from chalicelib.dynamodb.table import tables_of
from chalicelib.errors import DependencyUnavailable
from chalicelib.models import Status
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.commit import ATTEMPTS_BEFORE_RESCUE, Queued, keep
from chalicelib.tokens.rescue import Rescued
from chalicelib.tokens.rescue_queue import SqsRescueQueue
from tests.support.aws import environment
from tests.support.stubs import refusal
from tests.support.world import World
from tests.unit.test_config import TABLES

pytestmark = pytest.mark.engines


def refuse_commits(world: World, monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let DynamoDB refuse that many commits of tokens."""
    refusals = [DependencyUnavailable("dynamodb", "Throttling")] * times
    commit = world.connections.commit_refresh

    def refuse(*arguments: Any, **named: Any) -> None:
        if refusals:
            raise refusals.pop()
        commit(*arguments, **named)

    monkeypatch.setattr(world.connections, "commit_refresh", refuse)


def test_f03_a_refused_write_is_tried_again(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03: a moment's refusal costs a moment."""
    refuse_commits(connected, monkeypatch, 3)
    connected.goto.rotates = True
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().refresh_token == "refresh-2"
    assert connected.rescue_queue.messages == []


def test_f03_a_refusal_without_its_reasons_is_one_all_the_same(connected: World) -> None:
    """F03: any other error would pass the rescue queue by."""

    class Client:
        def transact_write_items(self, **_: Any) -> None:
            error: Any = {"Error": {"Code": "TransactionCanceledException"}}
            raise ClientError(error, "TransactWriteItems")

    client: Any = Client()
    with pytest.raises(DependencyUnavailable, match="dynamodb: Unknown"):
        tables_of(client, connected.settings).transact()


def test_f03_what_dynamodb_will_not_take_is_rescued(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03: the only valid refresh token goes to the queue, and is committed from there."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.goto.rotates = True
    connected.pass_until_due()
    assert connected.tick() == {Outcome.RESCUED: 1}
    assert connected.grant().refresh_token == "refresh-1"
    assert connected.rescue() == [Rescued.COMMITTED]
    grant, connection = connected.grant(), connected.connections.get("acme")
    assert connection is not None
    assert (grant.refresh_token, grant.version) == ("refresh-2", 2)
    assert (connection.access_token, connection.version) == ("access-2", 2)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}


def test_f03_a_rescued_message_that_comes_twice_is_recognised(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03, F04: SQS delivers at least once."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.pass_until_due()
    connected.tick()
    connected.rescue_queue.messages *= 2
    assert connected.rescue() == [Rescued.COMMITTED] * 2
    assert connected.grant().version == 2


def test_f03_a_message_stays_in_the_queue_while_dynamodb_is_down(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03: what can't be committed is never dropped."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE + 1)
    connected.pass_until_due()
    connected.tick()
    with pytest.raises(DependencyUnavailable):
        connected.rescue()
    assert len(connected.rescue_queue.messages) == 1
    assert connected.rescue() == [Rescued.COMMITTED]


def test_f03_with_the_queue_down_too_it_is_tried_to_the_end_and_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03: nobody took it; that is said, and the next refresh knows that an answer was lost."""
    refuse_commits(connected, monkeypatch, 10_000)
    connected.rescue_queue.down = True
    connected.pass_until_due()
    assert connected.tick() == {Outcome.LOST: 1}
    assert 60 < sum(connected.paused) < 120
    assert {str(error) for error in connected.reported} == {"sqs: ServiceUnavailable"}
    assert connected.grant().inflight is not None


def test_f10_nothing_is_asked_while_the_rescue_queue_may_hold_the_answer(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: the old refresh token is not shown again; its successor is on its way."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.goto.rotates = True
    connected.pass_until_due()
    connected.tick()
    asked = len(connected.goto.asked)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.WAITING: 1}
    assert len(connected.goto.asked) == asked
    assert connected.rescue() == [Rescued.COMMITTED]
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.goto.asked[-1]["refresh_token"] == "refresh-2"


def test_f10_a_refusal_is_not_final_while_the_rescue_queue_holds_anything(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: even after the patience is over, when the old token had to be shown again."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.goto.rotates = True
    connected.pass_until_due()
    connected.tick()
    connected.goto.script = [refusal(400, "invalid_grant")] * 3
    connected.clock.pass_(RESCUE_PATIENCE)
    for _ in range(3):
        connected.pass_until_due()
        assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    assert connected.rescue() == [Rescued.COMMITTED]
    assert connected.grant().refresh_token == "refresh-2"
    assert connected.grant().status is Status.CONNECTED


def test_f06_an_answer_after_the_verdict_brings_the_connection_back(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F06: the tokens were rescued, and come when all had given up: told, never silently."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.pass_until_due()
    connected.tick()
    messages, connected.rescue_queue.messages = connected.rescue_queue.messages, []
    connected.pass_until_due()
    connected.tick_refused(refusal(400, "invalid_grant"))
    assert connected.grant().status is Status.REAUTHORIZATION_REQUIRED
    connected.rescue_queue.messages = messages
    assert connected.rescue() == [Rescued.COMMITTED]
    assert connected.history()[-2:] == ["reauthorization_required", "recovered"]
    assert connected.grant().status is Status.CONNECTED


def test_f04_a_commit_whose_answer_was_lost_is_recognised(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F04: written, then no answer: read back and known as our own."""
    commit = connected.connections.commit_refresh
    lost = [DependencyUnavailable("dynamodb", "ReadTimeoutError")]

    def lose(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(connected.connections, "commit_refresh", lose)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().version == 2


def test_f06_an_earlier_answer_does_not_cost_a_later_new_refresh_token(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F06: the version has moved on, but GoTo takes no other refresh token any more."""
    refuse_commits(connected, monkeypatch, ATTEMPTS_BEFORE_RESCUE)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.RESCUED: 1}
    connected.clock.pass_(RESCUE_PATIENCE)
    connected.goto.rotates = True
    connected.goto.script = [lambda: connected.rescue() and None]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    grant, connection = connected.grant(), connected.connections.get("acme")
    assert connection is not None
    assert (grant.refresh_token, grant.version, connection.version) == ("refresh-3", 3, 3)
    assert connection.access_token == "access-3"


def test_f03_a_table_that_hangs_leaves_time_for_the_rescue_queue() -> None:
    """F03, F24: one commit may take nearly all that is left; the queue is asked in time."""
    left, rescued = TIME_TO_END + TIME_TO_COMMIT + 8, []

    def hang() -> None:
        nonlocal left
        left -= TIME_TO_COMMIT
        raise DependencyUnavailable("dynamodb", "ReadTimeoutError")

    kept = keep(
        hang,
        lambda: rescued.append(left),
        pause=lambda _: None,
        time_left=lambda: left,
        report=lambda _: None,
    )
    assert kept == Queued()
    assert rescued == [TIME_TO_END + 8]


def test_f03_a_commit_that_hangs_ends_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What botocore is told of DynamoDB and SQS: connecting and waiting, each time, and a pause."""
    for name, value in environment(TABLES, AWS_DEFAULT_REGION="us-east-1").items():
        monkeypatch.setenv(name, value)
    process = deployment.live()
    assert isinstance(process.rescue_queue, SqsRescueQueue)
    for client in (process.dynamodb, process.rescue_queue._client):
        told: Any = client.meta.config
        longest = told.retries["total_max_attempts"] * (told.connect_timeout + told.read_timeout)
        assert longest <= TIME_TO_COMMIT
