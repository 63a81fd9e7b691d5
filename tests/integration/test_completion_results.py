"""What a completion tells of itself: its time, what was lost, and whose sign-in it was."""

from typing import Any

import pytest

from chalicelib.connect.complete import CompletionReport
from chalicelib.durations import TIME_TO_ASK
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto.oauth import Answer
from chalicelib.models import Reason, RequestStatus, Revocation
from chalicelib.tokens.rescue import Rescued
from tests.support.stubs import refusal
from tests.support.world import World

BUSY = DependencyUnavailable("dynamodb", "Busy")


def refuse(*_: object, **__: object) -> Any:
    raise BUSY


@pytest.fixture
def waiting(world: World) -> World:
    """An admin is back from GoTo, with a code that is yet to be exchanged."""
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    world.clock.pass_(90)
    world.come_back(visitor, state=state, code="a-code")
    return world


def run(world: World) -> CompletionReport:
    report = world.completion().run(world.completions[0])
    assert report is not None
    return report


def test_the_seconds_from_the_admins_return_are_told(waiting: World) -> None:
    waiting.clock.pass_(7)
    assert run(waiting) == CompletionReport(None, 7.0)


def test_nothing_is_told_where_there_was_nothing_to_do(waiting: World) -> None:
    waiting.complete()
    assert waiting.completion().run("0" * 64) is None


def test_a_failure_takes_no_time(waiting: World) -> None:
    waiting.goto.script = [refusal(400, "invalid_grant")]
    assert run(waiting) == CompletionReport(Reason.CODE_REFUSED, None)


def test_f21_an_end_that_cannot_be_written_is_told_with_what_ended(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the function to fail with, once it has counted the end."""
    waiting.goto.script = [refusal(400, "invalid_grant")]
    monkeypatch.setattr(waiting.requests, "fail", refuse)
    assert run(waiting) == CompletionReport(Reason.CODE_REFUSED, unwritten=BUSY)


def test_f20_goto_is_asked_with_just_enough_time(waiting: World) -> None:
    waiting.time_left = TIME_TO_ASK
    assert waiting.complete() == [None]


def test_f24_tokens_that_nobody_took_are_told_as_lost(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.connections, "commit_connect", refuse)
    waiting.rescue_queue.down = True
    report = run(waiting)
    assert (report.reason, report.seconds, report.lost) == (Reason.INTERNAL, None, True)
    assert report.tried is not None
    assert report.tried.accounts == waiting.goto.accounts("access-1")
    assert waiting.reported
    assert all(isinstance(error, DependencyUnavailable) for error in waiting.reported)
    assert waiting.goto.revoked == [], "they may be the live connection"


def test_f24_tokens_in_the_queue_are_neither_committed_nor_lost(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(waiting.connections, "commit_connect", refuse)
        assert run(waiting) == CompletionReport(None, None)
    request = waiting.requests.get(waiting.completions[0])
    assert request is not None
    assert request.status is RequestStatus.EXCHANGING
    assert waiting.goto.reads == [], "nothing is tried that is not committed"


def test_f29_an_account_that_cannot_be_read_is_reported_and_costs_nothing(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.goto, "accounts", refuse)
    assert waiting.complete() == [None]
    assert waiting.reported == [BUSY, BUSY], "the second by the probe, which asks as well"
    assert waiting.grant().account_key is None


def test_s25_the_account_is_read_with_the_tokens_that_came(waiting: World) -> None:
    assert waiting.complete() == [None]
    assert set(waiting.goto.account_readers) == {"access-1"}


def test_f29_a_commit_that_fails_as_nobody_foresaw_is_reported_and_rescued(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = KeyError("a fault of ours")

    def fail(*_: object, **__: object) -> Any:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(waiting.connections, "commit_connect", fail)
        assert waiting.complete() == [None]
    assert waiting.reported == [fault]
    assert waiting.rescue() == [Rescued.COMMITTED]


def test_f29_a_judge_that_fails_is_reported(
    waiting: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault = KeyError("a fault of ours")

    def fail(_: Answer) -> Any:
        raise fault

    monkeypatch.setattr("chalicelib.connect.complete.judge", fail)
    waiting.clock.pass_(7)
    assert waiting.complete() == [Reason.INTERNAL]
    assert waiting.reported == [fault]
    [message] = waiting.rescue_queue.messages
    assert str(int(waiting.clock.now)) in message, "from when on what it holds lives"


@pytest.mark.parametrize("heard", [True, False])
def test_s30_tokens_of_another_type_are_given_back(waiting: World, heard: bool) -> None:
    """S30: and so is the refresh token beside them, S22: until GoTo has heard."""
    waiting.goto.revocation = Revocation.DONE if heard else Revocation.LATER
    waiting.goto.script = [lambda: waiting.goto.tokens(refresh=True, token_type="mac")]
    assert waiting.complete() == [Reason.PROVIDER_ERROR]
    assert waiting.goto.revoked == ["refresh-1"]
    assert [client.client_id for client in waiting.goto.revokers] == ["id-acme"]
    assert len(waiting.rescue_queue.messages) == (0 if heard else 1)
    assert waiting.connections.get("acme") is None


def test_tokens_without_a_refresh_token_are_given_back(waiting: World) -> None:
    waiting.goto.script = [lambda: waiting.goto.tokens(refresh=False)]
    assert waiting.complete() == [Reason.NO_REFRESH_TOKEN]
    assert waiting.goto.revoked == ["access-1"]
    assert [client.client_id for client in waiting.goto.revokers] == ["id-acme"]


def test_tokens_are_as_old_as_the_question(waiting: World) -> None:
    asked_at = int(waiting.clock.now)
    waiting.goto.script = [lambda: waiting.clock.pass_(20)]
    assert waiting.complete() == [None]
    connection = waiting.connections.get("acme")
    assert connection is not None
    assert connection.expires_at == asked_at + waiting.goto.lifetime


def test_a_failure_names_who_tried(waiting: World) -> None:
    """For reps alone: the account, and the person."""
    waiting.dynamodb.update_item(
        TableName=waiting.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET pinned_account = :pin",
        ExpressionAttributeValues={":pin": {"S": "4999999999"}},
    )
    report = run(waiting)
    reason = Reason.OTHER_ACCOUNT
    assert (report.reason, report.seconds, report.lost) == (reason, None, False)
    entry = waiting.journal.newest("acme", 1)[0]
    assert entry.at == waiting.clock.now
    assert entry.detail is not None
    assert "admin@acme.example" in entry.detail
    request = waiting.requests.get(waiting.completions[0])
    assert request is not None
    assert (request.status, request.reason) == (RequestStatus.MISMATCHED, reason)
    assert request.finished_at == int(waiting.clock.now)
    assert waiting.goto.revoked == ["refresh-1"]
    assert [client.client_id for client in waiting.goto.revokers] == ["id-acme"]


def test_a_request_that_ended_meanwhile_stays_as_it_ended(waiting: World) -> None:
    key = waiting.completions[0]

    def end() -> Answer:
        other = waiting.completion()
        request = waiting.requests.get(key)
        assert request is not None
        other._end(request, Reason.INTERNAL, None)
        return refusal(400, "invalid_grant")

    waiting.goto.script = [end]
    run(waiting)
    request = waiting.requests.get(key)
    assert request is not None
    assert request.reason is Reason.INTERNAL
