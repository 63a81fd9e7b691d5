"""An authorization request from the press of the button to the commit, on real tables."""

from typing import Any

import pytest

from chalicelib.connection_state import GrantSummary
from chalicelib.durations import PROCESSING_TIMEOUT, TIME_TO_ASK, TOKEN_SHOWN_FOR
from chalicelib.dynamodb.authorization_requests import AuthorizationRequests
from chalicelib.errors import CallbackNotAccepted, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import (
    AuthorizationRequest,
    Reason,
    RequestStatus,
    Revocation,
    Status,
    TenantDetails,
)
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.commit import ATTEMPTS_BEFORE_RESCUE
from chalicelib.tokens.rescue import Rescued
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


def test_a_tenant_without_a_client_is_told_to_wait(world: World) -> None:
    world.onboarding.add_tenant("acme", TenantDetails("Acme", "admin@acme.example"), TESTER)
    link = world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    view = world.visit.settings_page(world.browser(link))
    assert view.status is Status.AWAITING_CREDENTIALS


def test_the_whole_way_ends_with_a_visible_token(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    assert world.visit.settings_page(visitor).status is Status.AWAITING_AUTHORIZATION
    state = world.start(visitor)["state"]
    world.come_back(visitor, state=state, code="a-code")
    assert world.visit.settings_page(visitor).processing
    assert world.visit.processing(visitor)
    assert world.complete() == [None]
    assert not world.visit.processing(visitor)
    view = world.visit.settings_page(visitor)
    assert (view.status, view.token) == (Status.CONNECTED, "access-1")
    assert view.details is not None
    assert view.details.connection.principal == "admin@acme.example"
    assert view.details.connection.access_token is None, "S18: it is in `token` or nowhere"
    assert world.history()[-1] == "connected"


def test_the_exchange_carries_what_the_request_was_made_with(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    asked = world.start(visitor)
    world.come_back(visitor, state=asked["state"], code="a-code")
    world.complete()
    form = world.goto.asked[0]
    assert form["redirect_uri"] == asked["redirect_uri"]
    assert form["redirect_uri"] == "https://acme.analytics.example/admin/settings/activities/"
    assert (form["code"], form["client_id"]) == ("a-code", "id-acme")
    assert world.goto.clients[0].client_secret == "secret-acme+/="


def test_tokens_and_grant_are_committed_together(world: World) -> None:
    world.connect(world.add_tenant())
    connection, grant = world.connections.get("acme"), world.grant()
    assert connection is not None
    assert (connection.generation, connection.version) == (1, 1)
    assert (grant.generation, grant.version, grant.refresh_token) == (1, 1, "refresh-1")
    assert connection.expires_at == int(world.clock.now) + 3600
    assert grant.refresh_expires_at == int(world.clock.now) + 2_592_000


def test_reconnecting_is_a_new_generation(world: World) -> None:
    link = world.add_tenant()
    world.connect(link)
    world.clock.pass_(1000)
    world.connect(link)
    grant = world.grant()
    assert (grant.generation, grant.version, grant.sequence) == (2, 2, 2)
    assert grant.refresh_token == "refresh-2"
    assert world.history()[-1] == "reconnected"


def test_denial_leaves_a_live_connection_alone(world: World) -> None:
    link = world.add_tenant()
    visitor = world.connect(link)
    before = world.connections.get("acme")
    state = world.start(visitor)["state"]
    world.come_back(visitor, state=state, error="access_denied")
    view = world.visit.settings_page(visitor)
    assert view.notice is not None
    assert view.notice.reason is Reason.DENIED
    assert view.status is Status.CONNECTED
    assert world.connections.get("acme") == before
    assert len(world.goto.asked) == 1


def test_f20_an_exchange_that_cannot_be_finished_is_not_begun(world: World) -> None:
    """F20: killed in the middle, the code would be spent and what came of it lost."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    world.time_left = TIME_TO_ASK - 1
    assert world.complete() == [Reason.INTERNAL]
    assert str(world.reported[-1]) == "complete: no time left to ask GoTo"
    assert world.goto.asked == []
    assert world.history()[-1] == "authorization_failed"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(refusal(401, "invalid_client"), Reason.CLIENT_REFUSED, id="client refused"),
        pytest.param(refusal(400, "invalid_grant"), Reason.CODE_REFUSED, id="code refused"),
        pytest.param(Answer(503, b"<html>"), Reason.PROVIDER_ERROR, id="GoTo down"),
        pytest.param(Answer(200, b"[]"), Reason.OUTCOME_UNKNOWN, id="no tokens in the answer"),
        pytest.param(
            ProviderUnreachable("read timeout", sent=True), Reason.OUTCOME_UNKNOWN, id="timeout"
        ),
        pytest.param(
            ProviderUnreachable("refused", sent=False), Reason.PROVIDER_ERROR, id="no connection"
        ),
        pytest.param(
            Answer(200, b'{"access_token":"only-this"}'),
            Reason.NO_REFRESH_TOKEN,
            id="no refresh token",
        ),
    ],
)
def test_f22_a_failed_exchange_ends_the_request_and_nothing_else(
    world: World, answer: Answer | ProviderUnreachable, reason: Reason
) -> None:
    """F22: the request has failed, the admin presses again; the same code is never sent twice."""
    visitor = world.connect(world.add_tenant())
    before = world.connections.get("acme"), world.grant()
    state = world.start(visitor)["state"]
    world.come_back(visitor, state=state, code="another-code")
    world.goto.script = [answer]
    assert world.complete() == [reason]
    view = world.visit.settings_page(visitor)
    assert view.notice is not None
    assert view.notice.reason is reason
    assert (world.connections.get("acme"), world.grant()) == before
    assert [form.get("code") for form in world.goto.asked] == ["a-code", "another-code"]
    assert world.history()[-1] == "authorization_failed"


def test_f21_a_completion_that_runs_twice_sends_the_code_once(world: World) -> None:
    """F21: doubled or retried invocations find no code in the row."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    world.completions.append(world.completions[0])
    assert world.complete() == [None, None]
    assert len(world.goto.asked) == 1
    assert world.grant().version == 1


def test_f21_a_lost_completion_is_told_after_a_minute(world: World) -> None:
    """F21: after 60 s the page says to press again; the connection stays."""
    visitor = world.connect(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")
    world.clock.pass_(PROCESSING_TIMEOUT - 1)
    assert world.visit.settings_page(visitor).processing
    world.clock.pass_(1)
    view = world.visit.settings_page(visitor)
    assert not view.processing
    assert view.notice is not None
    assert view.notice.reason is Reason.OUTCOME_UNKNOWN
    assert view.status is Status.CONNECTED


def test_s18_a_token_that_comes_while_the_page_is_made_is_shown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S18: between its look at the browser and at the request; nothing would load it anew."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    get = AuthorizationRequests.get

    def late(self: AuthorizationRequests, key: str) -> AuthorizationRequest | None:
        world.complete()
        return get(self, key)

    monkeypatch.setattr(AuthorizationRequests, "get", late)
    view = world.visit.settings_page(visitor)
    assert (view.status, view.processing) == (Status.CONNECTED, False)
    assert view.token == "access-1"


def test_f21_a_completion_that_cannot_be_started_is_told_at_once(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]

    def refuse(*_: object) -> None:
        raise DependencyUnavailable("lambda", "TooManyRequestsException")

    world.stand_in(invoke_later=refuse)
    world.come_back(visitor, state=state, code="a-code")
    view = world.visit.settings_page(visitor)
    assert view.notice is not None
    assert view.notice.reason is Reason.INTERNAL
    assert world.goto.asked == []


def two_requests(world: World) -> list[str]:
    """Two browsers of one tenant come back from GoTo; their requests, the older first."""
    link = world.add_tenant()
    for visitor in (world.browser(link), world.browser(link)):
        world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    return world.completions


def test_f23_the_higher_sequence_wins_whichever_finishes_last(world: World) -> None:
    """F23: an older request that finishes last is refused and its grant revoked."""
    older, newer = two_requests(world)
    assert world.complete_one(newer) is None
    assert world.complete_one(older) is Reason.SUPERSEDED
    assert world.grant().refresh_token == "refresh-1"
    assert world.goto.revoked == ["refresh-2"]
    assert world.grant().sequence == 2


def test_s22_a_refused_grant_is_given_back_until_goto_has_heard(world: World) -> None:
    """S22: and never becomes the connection on the way."""
    older, newer = two_requests(world)
    world.complete_one(newer)
    world.goto.revocation = Revocation.LATER
    assert world.complete_one(older) is Reason.SUPERSEDED
    assert world.rescue() == [Rescued.POSTPONED]
    assert len(world.rescue_queue.messages) == 1
    world.goto.revocation = Revocation.DONE
    world.goto.revoked.clear()
    assert world.rescue() == [Rescued.REFUSED]
    assert world.rescue_queue.messages == []
    assert world.goto.revoked == ["refresh-2"]
    assert world.grant().refresh_token == "refresh-1"


@pytest.mark.parametrize("readable", [True, False], ids=["read", "as it came"])
def test_s20_no_used_code_or_verifier_waits_in_the_queue(world: World, readable: bool) -> None:
    """S20: an answer that waits there takes neither along, read (F24) or as it came (F29)."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="canary-code")
    down = DependencyUnavailable("dynamodb", "Throttling")

    def refuse(*_: object, **__: object) -> None:
        raise down if readable else RuntimeError

    broken = "chalicelib.dynamodb.connections.Connections.grant_summary"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(broken if readable else "chalicelib.connect.complete.judge", refuse)
        world.complete()
    [message] = world.rescue_queue.messages
    [asked] = world.goto.asked
    assert asked["code"] == "canary-code"
    assert asked["code"] not in message
    assert asked["code_verifier"] not in message


def test_f04_a_connection_that_was_refreshed_before_its_message_came_stays(world: World) -> None:
    """F03, F04: committed, the answer lost, so it is in the queue as well; then refreshed."""
    link = world.add_tenant()
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    commit = world.connections.commit_connect
    lost = [DependencyUnavailable("dynamodb", "ReadTimeoutError")] * ATTEMPTS_BEFORE_RESCUE
    grant = world.connections.grant_summary

    def lose(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        raise lost.pop()

    def hang(tenant: str) -> GrantSummary | None:
        if 0 < len(lost) < ATTEMPTS_BEFORE_RESCUE:
            raise lost.pop()
        return grant(tenant)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(world.connections, "commit_connect", lose)
        patched.setattr(world.connections, "grant_summary", hang)
        world.complete_one(world.completions[0])
    assert len(world.rescue_queue.messages) == 1
    world.pass_until_due()
    assert world.tick() == {Outcome.REFRESHED: 1}
    assert world.rescue() == [Rescued.COMMITTED]
    assert world.goto.revoked == []


def test_s22_a_refused_grant_that_nobody_hears_of_is_reported(world: World) -> None:
    """S22: neither GoTo nor the queue; the admin reads the true reason all the same."""
    older, newer = two_requests(world)
    world.complete_one(newer)
    world.goto.revocation, world.rescue_queue.down = Revocation.LATER, True
    assert world.complete_one(older) is Reason.SUPERSEDED
    assert [str(error) for error in world.reported] == ["sqs: ServiceUnavailable"]


def test_f23_an_older_request_that_finishes_first_is_replaced(world: World) -> None:
    two_requests(world)
    assert world.complete() == [None, None]
    assert (world.grant().generation, world.grant().refresh_token) == (2, "refresh-2")
    assert world.goto.revoked == []


def test_a_refresh_that_commits_during_the_exchange_does_not_stop_it(world: World) -> None:
    link = world.add_tenant()
    visitor = world.connect(link)
    world.pass_until_due()
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")

    def refresh_meanwhile() -> None:
        world.tick()

    world.goto.script = [refresh_meanwhile]
    assert world.complete() == [None]
    assert (world.grant().generation, world.grant().version) == (2, 3)


def test_an_unreadable_account_connects_only_an_unpinned_tenant(world: World) -> None:
    link = world.add_tenant()
    world.goto.account_key = None
    visitor = world.connect(link)
    world.goto.account_key = "4000000001"
    world.pass_until_due()
    world.tick()
    world.goto.account_key = None
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")
    assert world.complete() == [Reason.ACCOUNT_UNREADABLE]


def test_a_new_start_voids_the_older_one_of_the_same_browser(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    older = world.start(visitor)["state"]
    newer = world.start(visitor)["state"]
    with pytest.raises(CallbackNotAccepted):
        world.come_back(visitor, state=older, code="a-code")
    world.come_back(visitor, state=newer, code="a-code")
    assert world.complete() == [None]


def test_a_callback_repeated_by_its_browser_is_one_exchange(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    world.come_back(visitor, state=state, code="a-code")
    world.come_back(visitor, state=state, code="another-code")
    assert world.complete() == [None, None]
    world.come_back(visitor, state=state, code="a-code")
    assert world.completions == []
    assert [form["code"] for form in world.goto.asked] == ["a-code"]


def test_the_token_is_masked_after_ten_minutes(world: World) -> None:
    visitor = world.connect(world.add_tenant())
    world.clock.pass_(TOKEN_SHOWN_FOR)
    view = world.visit.settings_page(visitor)
    assert view.token is None
    assert view.connected
    assert view.details is not None


def test_a_request_that_the_tables_forgot_is_left_alone(world: World) -> None:
    assert world.complete_one("0" * 64) is None
    assert world.goto.asked == []


def test_a_code_leaves_the_table_before_goto_is_asked(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    key = world.completions[0]

    def look() -> None:
        request = world.requests.get(key)
        assert request is not None
        assert (request.status, request.code) == (RequestStatus.EXCHANGING, None)
        assert request.verifier == ""

    world.goto.script = [look]
    assert world.complete() == [None]


def test_a_callback_whose_completion_was_never_started_starts_it_when_repeated(
    world: World,
) -> None:
    """The function died between the two; the browser asks again."""
    visitor = world.browser(world.add_tenant())
    state = world.start(visitor)["state"]
    world.come_back(visitor, state=state, code="a-code")
    world.completions.clear()
    world.come_back(visitor, state=state, code="a-code")
    assert world.complete() == [None]


def test_f04_a_commit_whose_answer_was_lost_is_not_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F04: written, then no answer; read back and known as our own."""
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    commit = world.connections.commit_connect
    lost = [DependencyUnavailable("dynamodb", "ReadTimeoutError")]

    def lose(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(world.connections, "commit_connect", lose)
    assert world.complete() == [None]
    assert world.goto.revoked == []
    assert world.grant().version == 1
