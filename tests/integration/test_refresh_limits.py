"""A refresh at its limits: how long it holds a tenant, when it begins, and what it reports."""

import json
from typing import Any

import pytest

from chalicelib.durations import (
    ANSWER_LOST_AFTER,
    CONFIRM_ALONE,
    LEASE_MARGIN,
    RESCUE_PATIENCE,
    STUCK_AFTER,
    TIME_FOR_ONE,
    TIME_TO_ASK,
)
from chalicelib.dynamodb.provider_health import Provider
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.goto.token_response import TokenSet
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import ClientCredentials, Due, EndCause, Grant, Revocation, Status
from chalicelib.refresh.outcomes import Outcome, Refreshed
from chalicelib.refresh.rate_limiter import RateLimiter
from chalicelib.tokens.rescue import Rescued
from tests.support.stubs import ACCOUNT, refusal
from tests.support.world import TESTER, World


class Busy(DependencyUnavailable):
    def __init__(self) -> None:
        super().__init__("dynamodb", "Busy")


def refuse(*_: object, **__: object) -> Any:
    raise Busy


def fail(*_: object, **__: object) -> Any:
    raise KeyError("a fault of ours")


def test_f05_a_lease_outlasts_the_function(connected: World) -> None:
    connected.pass_until_due()
    now = int(connected.clock.now)
    held: list[Grant] = []
    connected.goto.script = [lambda: held.append(connected.grant())]
    connected.tick()
    until = now + int(connected.time_left) + LEASE_MARGIN
    assert [(grant.lease_until, grant.next_refresh_at) for grant in held] == [(until, until)]


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_FOR_ONE, Outcome.REFRESHED), (TIME_FOR_ONE - 1, Outcome.OUT_OF_TIME)],
)
def test_f20_a_refresh_begins_with_just_enough_time(
    connected: World, left: float, outcome: Outcome
) -> None:
    connected.pass_until_due()
    connected.time_left = left
    assert connected.tick() == {outcome: 1}


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_TO_ASK, Outcome.REFRESHED), (TIME_TO_ASK - 1, Outcome.INTERNAL)],
)
def test_f20_goto_is_asked_with_just_enough_time(
    connected: World, monkeypatch: pytest.MonkeyPatch, left: float, outcome: Outcome
) -> None:
    connected.pass_until_due()
    claim = connected.connections.claim

    def slow(due: Due, now: int, lease_until: int) -> Grant | None:
        connected.time_left = left
        return claim(due, now, lease_until)

    monkeypatch.setattr(connected.connections, "claim", slow)
    assert connected.tick() == {outcome: 1}
    late = None if outcome is Outcome.REFRESHED else "no time left to ask GoTo"
    assert connected.grant().last_error == late


@pytest.mark.parametrize(
    ("left", "outcome"),
    [(TIME_FOR_ONE, Outcome.REFRESHED), (TIME_FOR_ONE - 1, Outcome.TRANSIENT)],
)
def test_f09_goto_is_asked_again_with_just_enough_time(
    connected: World, left: float, outcome: Outcome
) -> None:
    """F09: the one declared retry."""
    connected.pass_until_due()

    def slow() -> None:
        connected.time_left = left
        raise ProviderUnreachable("no answer in time", sent=True)

    connected.goto.script = [slow]
    assert connected.tick() == {outcome: 1}
    grant = connected.grant()
    if outcome is Outcome.REFRESHED:
        assert grant.access_expires_at == int(connected.clock.now) + connected.goto.lifetime
    else:
        assert (grant.failures, grant.last_error) == (1, "no answer in time")
        assert grant.inflight is not None


def test_f14_a_claim_that_the_table_refuses_is_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.connections, "claim", refuse)
    assert connected.tick() == {Outcome.STORE_FAILED: 1}
    assert [type(error) for error in connected.reported] == [Busy]


def test_f14_what_nobody_foresaw_is_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.connections, "claim", fail)
    assert connected.tick() == {Outcome.UNEXPECTED: 1}
    assert [type(error) for error in connected.reported] == [KeyError]


def test_a_secret_that_cannot_be_read_is_reported_and_tried_again(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.tenants, "get", refuse)
    refresher = connected.refresher()
    assert refresher.refresh(connected.due()).outcome is Outcome.INTERNAL
    assert [type(error) for error in connected.reported] == [Busy]
    grant = connected.grant()
    # GoTo was not asked, so that nothing can be lost.
    assert (grant.failures, grant.inflight, grant.outcome_unknown_since) == (1, None, None)
    assert len(connected.goto.asked) == 1


def test_seconds_that_the_tokens_had_left_are_kept(connected: World) -> None:
    connected.pass_until_due()
    left = connected.grant().access_expires_at - int(connected.clock.now)
    assert connected.refresher().refresh(connected.due()) == Refreshed(Outcome.REFRESHED, left)


def test_tokens_are_as_old_as_the_question(connected: World) -> None:
    """No life is overestimated, however slowly GoTo answers."""
    connected.pass_until_due()
    asked_at = int(connected.clock.now)
    connected.goto.script = [lambda: connected.clock.pass_(20)]
    connected.tick()
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.expires_at == asked_at + connected.goto.lifetime


def test_f29_an_answer_that_waits_for_rescue_is_as_old_as_its_question(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    asked_at = int(connected.clock.now)
    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.refresh.refresher.judge", fail)
        assert connected.tick() == {Outcome.RESCUED: 1}
    assert [type(error) for error in connected.reported] == [KeyError]
    connected.clock.pass_(100)
    assert connected.rescue() == [Rescued.COMMITTED]
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.expires_at == asked_at + connected.goto.lifetime


def test_goto_is_asked_as_the_tenants_own_client(connected: World) -> None:
    connected.pass_until_due()
    connected.tick()
    assert connected.goto.clients[-1] == ClientCredentials("id-acme", "secret-acme+/=")
    assert connected.goto.asked[-1]["refresh_token"] == "refresh-1"


def test_a_note_is_journalled_with_the_success(connected: World) -> None:
    connected.pass_until_due()
    note = JournalEntry("acme", connected.clock(), "refreshed_by_hand", "a rep", "By hand.")
    assert connected.refresher().refresh(connected.due(), note).outcome is Outcome.REFRESHED
    assert connected.journal.newest("acme", 1)[0].text == "By hand."


def test_f26_a_token_that_was_kept_after_its_end_is_forgotten(connected: World) -> None:
    connected.pass_until_due()
    connected.tick_refused(refusal(400, "invalid_grant"))
    connected.pass_until_due()
    asked = len(connected.goto.asked)
    assert connected.tick() == {Outcome.FORGOTTEN: 1}
    assert (connected.grant().refresh_token, len(connected.goto.asked)) == (None, asked)


@pytest.mark.parametrize("fleet", ["well", "unwell", "unknown"])
def test_f12_f25_who_waits_for_an_answer_is_stuck_where_all_others_are_well(
    connected: World, monkeypatch: pytest.MonkeyPatch, fleet: str
) -> None:
    """F26: and while nobody can tell how the others are, nothing is told of one."""
    connected.clock.now = now = connected.grant().access_expires_at + STUCK_AFTER
    connected.connections.claim(connected.due(), now, now + 100)
    connected.rescue_queue.messages.append("perhaps its answer")
    connected.clock.pass_(100)
    if fleet == "unwell":
        monkeypatch.setattr(connected.provider, "get", lambda: Provider(open_since=now))
    if fleet == "unknown":
        monkeypatch.setattr(connected.provider, "get", refuse)
    assert connected.refresher().refresh(connected.due()).outcome is Outcome.WAITING
    assert ("stuck" in connected.history()) is (fleet == "well")
    assert [type(error) for error in connected.reported] == [Busy] * (fleet == "unknown")


def test_f10_what_waits_to_be_rescued_for_others_delays_nobody(connected: World) -> None:
    connected.pass_until_due()
    connected.rescue_queue.messages.append("of another tenant")
    assert connected.tick() == {Outcome.REFRESHED: 1}


@pytest.mark.parametrize(
    ("waited", "outcome"),
    [(RESCUE_PATIENCE - 1, Outcome.WAITING), (RESCUE_PATIENCE, Outcome.REFRESHED)],
)
def test_f10_an_answer_that_may_come_is_waited_for(
    connected: World, waited: int, outcome: Outcome
) -> None:
    """F10: nothing is asked meanwhile, and it stays unknown what became of the last request."""
    since = connected.due().at
    connected.clock.now = since
    connected.connections.claim(connected.due(), since, since + waited)
    connected.rescue_queue.messages.append("perhaps its answer")
    connected.clock.pass_(waited)
    assert connected.tick() == {outcome: 1}
    grant = connected.grant()
    if outcome is Outcome.WAITING:
        assert (grant.outcome_unknown_since, grant.failures) == (since, 1)
        assert (grant.inflight, grant.last_error) == (None, "an earlier answer may still come")
        assert len(connected.goto.asked) == 1


def test_f10_a_queue_that_does_not_tell_may_hold_an_answer(connected: World) -> None:
    since = connected.due().at
    connected.clock.now = since
    connected.connections.claim(connected.due(), since, since + 100)
    connected.rescue_queue.down = True
    connected.clock.pass_(100)
    assert connected.tick() == {Outcome.WAITING: 1}


def test_s25_an_account_that_was_not_read_is_read_by_a_refresh(world: World) -> None:
    link = world.add_tenant()
    world.goto.account_key = None
    world.connect(link)
    world.goto.account_key = ACCOUNT
    world.pass_until_due()
    assert world.tick() == {Outcome.REFRESHED: 1}
    connection = world.connections.get("acme")
    assert connection is not None
    assert (connection.account_key, world.grant().account_key) == (ACCOUNT, ACCOUNT)
    tenant = world.tenants.get("acme")
    assert tenant is not None
    assert tenant.pinned_account == ACCOUNT


def test_s25_f03_whose_an_answer_is_comes_along_to_the_rescue_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = world.add_tenant()
    world.goto.account_key = None
    world.connect(link)
    world.goto.account_key = ACCOUNT
    world.pass_until_due()
    with monkeypatch.context() as patched:
        patched.setattr(world.connections, "commit_refresh", refuse)
        assert world.tick() == {Outcome.RESCUED: 1}
    assert world.rescue() == [Rescued.COMMITTED]
    assert world.grant().account_key == ACCOUNT


def test_s25_an_account_that_is_known_is_not_read_again(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    monkeypatch.setattr(connected.goto, "accounts", refuse)
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.reported == []


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "no answer"])
def test_f09_f11_a_second_question_that_fails_leaves_known_what_the_first_left_known(
    connected: World, lost: bool
) -> None:
    """F09: after silence nobody knows what GoTo did. F11: a refusal has done nothing."""
    connected.pass_until_due()

    def first() -> Answer:
        if lost:
            raise ProviderUnreachable("no answer in time", sent=True)
        connected.onboarding.set_credentials("acme", "id-acme", "another-secret", TESTER)
        return refusal(401, "invalid_client")

    connected.goto.script = [first, Answer(503, b"")]
    asked = len(connected.goto.asked)
    assert connected.tick() == {Outcome.TRANSIENT: 1}
    grant = connected.grant()
    assert (grant.inflight is not None) is lost
    assert (grant.failures, len(connected.goto.asked)) == (1, asked + 2)


def test_f11_a_client_that_is_refused_is_not_asked_with_the_same_secret(connected: World) -> None:
    connected.pass_until_due()
    connected.goto.script = [refusal(401, "invalid_client")]
    asked = len(connected.goto.asked)
    assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    assert len(connected.goto.asked) == asked + 1
    assert connected.grant().refused_since == int(connected.clock.now)


def test_f28_goto_says_when_to_come_back(connected: World) -> None:
    """F28: the pause that it asks for, and the tenant's own to it; and the others slow down."""
    connected.pass_until_due()
    connected.goto.script = [Answer(429, b"", "90")]
    limiter = RateLimiter(10.0, 1e12, lambda: 0.0, connected.pause)
    refresher = connected.refresher(limiter)
    assert refresher.refresh(connected.due()).outcome is Outcome.RATE_LIMITED
    due = connected.grant().next_refresh_at
    assert due is not None
    assert 90 < due - connected.clock.now <= 90 + 30
    assert limiter._gap == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("revocation", "words", "outcome"),
    [
        (Revocation.DONE, "GoTo has revoked", Outcome.REVOKED),
        (Revocation.REFUSED, "could not be revoked", Outcome.REVOKED),
        (Revocation.ENDED, "before GoTo confirmed", Outcome.REVOKED),
        (Revocation.LATER, "", Outcome.TRANSIENT),
    ],
)
def test_s22_a_grant_that_is_given_up_is_told_goto_until_it_has_heard(
    connected: World, revocation: Revocation, words: str, outcome: Outcome
) -> None:
    connected.goto.revocation = Revocation.LATER
    connected.rep("disconnect", tenant="acme")
    connected.pass_until_due()
    connected.goto.revocation = revocation
    failures = connected.grant().failures
    assert connected.tick() == {outcome: 1}
    entry = connected.journal.newest("acme", 1)[0]
    if outcome is Outcome.REVOKED:
        assert (entry.kind, entry.who, entry.at) == (
            "withdrawn",
            "the scheduler",
            connected.clock.now,
        )
        assert words in entry.text
        assert connected.grant().refresh_token is None
    else:
        assert entry.kind == "disconnected"
        assert connected.grant().failures == failures + 1
    assert connected.goto.revoked == ["refresh-1"] * 2


def test_s22_a_secret_that_cannot_be_read_ends_no_revocation(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.goto.revocation = Revocation.LATER
    connected.rep("disconnect", tenant="acme")
    connected.pass_until_due()
    refresher = connected.refresher()
    monkeypatch.setattr(connected.tenants, "get", refuse)
    assert refresher.refresh(connected.due()).outcome is Outcome.INTERNAL
    assert [type(error) for error in connected.reported] == [Busy]
    assert connected.grant().refresh_token == "refresh-1"


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "no answer, then refused"])
def test_f02_f10_an_end_says_whether_an_answer_was_lost(connected: World, lost: bool) -> None:
    """F02: also where the answer was lost in the very round in which the refusal is confirmed."""
    refused = refusal(400, "invalid_grant")
    connected.pass_until_due()
    connected.goto.script = [refused]
    assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    connected.clock.pass_(CONFIRM_ALONE)
    silence = [ProviderUnreachable("no answer in time", sent=True)] if lost else []
    connected.goto.script = [*silence, refused]
    assert connected.tick() == {Outcome.GRANT_REFUSED: 1}
    assert connected.grant().ended_by is (EndCause.RESPONSE_LOST if lost else EndCause.REFUSED)


@pytest.mark.parametrize(
    ("waited", "outcome"),
    [
        (ANSWER_LOST_AFTER - 1, Outcome.UNCONFIRMED),
        (ANSWER_LOST_AFTER, Outcome.GRANT_REFUSED),
    ],
)
def test_f10_a_refusal_is_believed_in_spite_of_a_queue_that_holds_an_answer_for_a_day(
    connected: World, waited: int, outcome: Outcome
) -> None:
    since = connected.due().at
    connected.clock.now = since
    connected.connections.claim(connected.due(), since, since + RESCUE_PATIENCE)
    connected.rescue_queue.messages.append("perhaps its answer")
    connected.clock.pass_(RESCUE_PATIENCE)
    connected.goto.script = [refusal(400, "invalid_grant")] * 2
    assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    connected.clock.now = since + waited
    assert connected.tick() == {outcome: 1}


def test_f10_a_refusal_of_what_another_has_refreshed_meanwhile_means_nothing(
    connected: World,
) -> None:
    connected.pass_until_due()

    def overtaken() -> Answer:
        asked, now = connected.grant(), int(connected.clock.now)
        tokens = connected.commits.dated("acme", TokenSet("access-9", "refresh-9"), now, asked)
        connected.connections.commit_refresh(asked, tokens, warned=None, entries=[])
        return refusal(400, "invalid_grant")

    connected.goto.script = [overtaken]
    assert connected.tick() == {Outcome.SUPERSEDED: 1}
    assert (connected.grant().refresh_token, connected.grant().refused_since) == ("refresh-9", None)


def test_f11_a_refused_client_waits_for_another_secret(connected: World) -> None:
    connected.pass_until_due()
    assert connected.tick_refused(refusal(401, "invalid_client")) == {Outcome.CLIENT_REFUSED: 1}
    assert connected.tick() == {}
    assert connected.grant().status is Status.CREDENTIALS_REJECTED
    assert connected.grant().next_refresh_at == connected.grant().refresh_expires_at


def test_f27_a_refresh_token_that_comes_back_is_no_new_one(connected: World) -> None:
    """F27: its life goes on from its issue."""
    before = connected.grant()
    connected.pass_until_due()
    connected.goto.script = [lambda: connected.goto.tokens(refresh=True, refresh_token="refresh-1")]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    grant = connected.grant()
    assert grant.refresh_token == "refresh-1"
    assert grant.refresh_issued_at == before.refresh_issued_at
    assert grant.refresh_expires_at == before.refresh_expires_at


def test_f29_a_commit_that_fails_as_nobody_foresaw_is_reported_and_rescued(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.goto.rotates = True
    connected.pass_until_due()
    with monkeypatch.context() as patched:
        patched.setattr(connected.connections, "commit_refresh", fail)
        assert connected.tick() == {Outcome.RESCUED: 1}
    assert [type(error) for error in connected.reported] == [KeyError]
    [message] = connected.rescue_queue.messages
    assert json.loads(message)["fresh"]["refresh_token"] == "refresh-2"
    assert connected.rescue() == [Rescued.COMMITTED]
    assert connected.grant().refresh_token == "refresh-2"


def test_f03_an_answer_that_nobody_takes_is_lost_and_reported(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected.pass_until_due()
    connected.rescue_queue.down = True
    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.refresh.refresher.judge", fail)
        assert connected.tick() == {Outcome.LOST: 1}
    kinds = {type(error) for error in connected.reported}
    assert kinds == {KeyError, DependencyUnavailable}
    assert str(connected.reported[-1]) == "sqs: ServiceUnavailable"


def test_s25_what_another_account_brought_is_revoked_at_once(connected: World) -> None:
    """S25, S22: its admin may connect anew within the minute."""
    connected.dynamodb.update_item(
        TableName=connected.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET pinned_account = :pin",
        ExpressionAttributeValues={":pin": {"S": "4999999999"}},
    )
    connected.pass_until_due()
    one_slot = RateLimiter(1.0, 0.0, lambda: 0.0, connected.pause)
    refresher = connected.refresher(one_slot)
    assert refresher.refresh(connected.due()).outcome is Outcome.OTHER_ACCOUNT
    assert connected.goto.revoked == ["refresh-1"]
    assert connected.history()[-2:] == ["reauthorization_required", "withdrawn"]
    assert connected.grant().next_refresh_at is None


@pytest.mark.parametrize("heard", [True, False])
def test_s22_tokens_that_come_after_the_end_are_given_back(connected: World, heard: bool) -> None:
    connected.goto.rotates = True
    connected.pass_until_due()

    def disconnect() -> None:
        connected.rep("disconnect", tenant="acme")
        connected.goto.revocation = Revocation.DONE if heard else Revocation.LATER

    connected.goto.script = [disconnect]
    assert connected.tick() == {Outcome.SUPERSEDED: 1}
    assert connected.goto.revoked == ["refresh-1", "refresh-2"]
    waiting = [json.loads(message)["fresh"] for message in connected.rescue_queue.messages]
    assert [fresh["refresh_token"] for fresh in waiting] == ([] if heard else ["refresh-2"])


@pytest.mark.parametrize(
    ("kind", "outcome"), [("Bearer", Outcome.REFRESHED), ("mac", Outcome.TRANSIENT)]
)
def test_s30_tokens_of_another_type_are_kept_for_their_refresh_token(
    connected: World, kind: str, outcome: Outcome
) -> None:
    connected.pass_until_due()
    connected.goto.script = [lambda: connected.goto.tokens(refresh=True, token_type=kind)]
    assert connected.tick() == {outcome: 1}
    assert connected.grant().refresh_token == "refresh-2"


def test_s25_a_tenant_that_has_connected_anew_meanwhile_is_left_alone(connected: World) -> None:
    asked = len(connected.goto.asked)
    connected.refresher()._tell_at_once("acme")
    assert (len(connected.goto.asked), connected.goto.revoked) == (asked, [])
