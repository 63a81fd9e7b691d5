"""Claim, ask, commit: one tenant's refresh on real tables."""

from typing import Any

import pytest

from chalicelib.durations import CONFIRM_ALONE, LEASE_MARGIN
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import LANES, Due, EndCause, Grant, Status
from chalicelib.refresh.outcomes import Outcome
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines

EXPIRED_FORM = "Required parameter(s) missing or wrong."


def test_nothing_is_asked_before_it_is_due(connected: World) -> None:
    connected.clock.now = connected.due().at - 1
    assert connected.tick() == {}
    assert len(connected.goto.asked) == 1


def test_a_due_token_is_replaced_and_its_refresh_token_kept(connected: World) -> None:
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    connection, grant = connected.connections.get("acme"), connected.grant()
    assert connection is not None
    assert connection.access_token == "access-2"
    assert (connection.version, grant.version, grant.generation) == (2, 2, 1)
    assert grant.refresh_token == "refresh-1"
    assert connected.goto.asked[1] == {"grant_type": "refresh_token", "refresh_token": "refresh-1"}
    assert connection.expires_at == int(connected.clock.now) + 3600
    assert connection.principal == "admin@acme.example"
    assert (grant.inflight, grant.lease_until, grant.failures) == (None, 0, 0)


def test_a_new_refresh_token_replaces_the_old_one(connected: World) -> None:
    connected.goto.rotates = True
    connected.pass_until_due()
    connected.tick()
    grant = connected.grant()
    assert grant.refresh_token == "refresh-2"
    assert grant.refresh_issued_at == int(connected.clock.now)


def test_a_refresh_that_changes_no_state_leaves_no_journal_entry(connected: World) -> None:
    before = connected.history()
    connected.pass_until_due()
    connected.tick()
    assert connected.history() == before


def test_second_tick_leaves_a_leased_tenant_alone(connected: World) -> None:
    connected.pass_until_due()
    due = connected.due()
    outcomes = []
    connected.goto.script = [lambda: outcomes.append(connected.refresher().refresh(due).outcome)]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert outcomes == [Outcome.NOT_TAKEN]
    assert len(connected.goto.asked) == 2


def test_f01_a_worker_killed_before_asking_costs_a_lease(connected: World) -> None:
    """F01: claimed and never asked; taken again when the lease ends."""
    connected.pass_until_due()
    now = int(connected.clock.now)
    connected.connections.claim(connected.due(), now, now + 100)
    assert connected.tick() == {}
    connected.clock.pass_(100)
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().outcome_unknown_since is None


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(500, b""), id="500"),
        pytest.param(Answer(502, b"<html>bad gateway</html>"), id="502 with HTML"),
        pytest.param(Answer(408, b""), id="408"),
        pytest.param(Answer(503, b"<html>down</html>"), id="503 with HTML"),
        pytest.param(Answer(200, b""), id="200 empty"),
        pytest.param(Answer(200, b'{"access_token":'), id="200 truncated"),
        pytest.param(Answer(200, b"<html>"), id="200 with HTML"),
        pytest.param(Answer(400, b"no JSON"), id="400 without an OAuth error"),
        pytest.param(refusal(400, "invalid_request", "something else"), id="400 invalid_request"),
        pytest.param(Answer(302, b""), id="redirect"),
        pytest.param(ProviderUnreachable("refused", sent=False), id="connection refused"),
        pytest.param(ProviderUnreachable("TLS", sent=False), id="TLS failure"),
    ],
)
def test_f08_a_hiccup_of_goto_changes_nothing_while_the_token_lives(
    connected: World, answer: Answer | ProviderUnreachable
) -> None:
    """F08: connected as long as the token lives, tried again soon, then degraded."""
    connected.pass_until_due()
    connected.goto.script = [answer] * 2
    assert connected.tick() == {Outcome.TRANSIENT: 1}
    grant = connected.grant()
    assert (grant.status, grant.failures) == (Status.CONNECTED, 1)
    assert grant.next_refresh_at is not None
    assert 0 < grant.next_refresh_at - connected.clock.now <= 30
    connection = connected.connections.get("acme")
    assert connection is not None
    assert (connection.access_token, connection.status) == ("access-1", Status.CONNECTED)
    connected.clock.now = connection.expires_at
    assert connected.tick() == {Outcome.TRANSIENT: 1}
    assert connected.grant().status is Status.DEGRADED
    assert connected.history()[-1] == "degraded"
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().status is Status.CONNECTED
    assert connected.history()[-1] == "recovered"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(400, "invalid_grant", "refresh.token.revoked"), id="revoked"),
        pytest.param(refusal(400, "invalid_request", EXPIRED_FORM), id="expired, old hosts"),
    ],
)
def test_f10_a_refused_grant_needs_the_admin(connected: World, answer: Answer) -> None:
    """F10: asked once more, then permanent, out of the schedule, told once."""
    connected.pass_until_due()
    assert connected.tick_refused(answer) == {Outcome.GRANT_REFUSED: 1}
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.REAUTHORIZATION_REQUIRED
    assert connection.next_refresh_at is None
    assert connected.history()[-1] == "reauthorization_required"
    connected.clock.pass_(100_000)
    assert connected.tick() == {}
    assert connected.history().count("reauthorization_required") == 1


def test_the_admin_ends_a_required_reauthorization(connected: World) -> None:
    connected.pass_until_due()
    connected.tick_refused(refusal(400, "invalid_grant"))
    link = connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    connected.connect(link)
    assert connected.grant().status is Status.CONNECTED
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}


def test_f10_a_refusal_that_another_worker_made_stale_is_ignored(connected: World) -> None:
    """F10: the token was rotated by somebody else while this worker asked with the old one."""
    link = connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    connected.pass_until_due()

    def reconnect_meanwhile() -> Answer:
        connected.connect(link)
        return refusal(400, "invalid_grant")

    connected.goto.script = [reconnect_meanwhile]
    assert connected.tick() == {Outcome.SUPERSEDED: 1}
    assert connected.grant().status is Status.CONNECTED


def test_f02_a_grant_refused_after_a_lost_answer_says_so(connected: World) -> None:
    """F02: the worker died after GoTo had rotated; asked again, then flagged as response lost."""
    connected.pass_until_due()
    now = int(connected.clock.now)
    connected.connections.claim(connected.due(), now, now + 100)
    connected.clock.pass_(100)
    connected.goto.script = [refusal(400, "invalid_grant")] * 2
    assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    assert connected.grant().status is Status.CONNECTED
    connected.clock.pass_(CONFIRM_ALONE)
    assert connected.tick() == {Outcome.GRANT_REFUSED: 1}
    assert connected.grant().ended_by is EndCause.RESPONSE_LOST
    assert connected.history().count("reauthorization_required") == 1


def test_f07_a_reconnect_during_a_refresh_wins(connected: World) -> None:
    """F07: the late answer of the older generation is dropped."""
    link = connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    connected.pass_until_due()
    connected.goto.script = [lambda: connected.connect(link)]
    assert connected.tick() == {Outcome.SUPERSEDED: 1}
    grant = connected.grant()
    assert (grant.generation, grant.refresh_token) == (2, "refresh-2")


def test_f06_a_success_commits_though_its_lease_is_another_workers(connected: World) -> None:
    """F06: a late answer may hold the only valid refresh token; the fence must not stop it."""
    connected.goto.rotates = True
    connected.pass_until_due()

    def slow() -> None:
        connected.clock.pass_(connected.time_left + LEASE_MARGIN)
        now = int(connected.clock.now)
        assert connected.connections.claim(connected.due(), now, now + 100) is not None

    connected.goto.script = [slow]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().refresh_token == "refresh-2"


def test_f06_a_late_failure_is_refused_by_the_fence(connected: World) -> None:
    connected.pass_until_due()

    def slow() -> Answer:
        connected.clock.pass_(connected.time_left + LEASE_MARGIN)
        now = int(connected.clock.now)
        assert connected.connections.claim(connected.due(), now, now + 100) is not None
        return Answer(503, b"")

    connected.goto.script = [slow]
    assert connected.tick() == {Outcome.SUPERSEDED: 1}
    assert connected.grant().failures == 0


def test_f11_a_refused_client_needs_the_rep_and_keeps_the_refresh_token(connected: World) -> None:
    """F11: `credentials_rejected`; entering them anew is all that is needed."""
    connected.pass_until_due()
    refused = refusal(401, "invalid_client", "client not found")
    assert connected.tick_refused(refused) == {Outcome.CLIENT_REFUSED: 1}
    grant = connected.grant()
    assert (grant.status, grant.refresh_token) == (Status.CREDENTIALS_REJECTED, "refresh-1")
    connected.onboarding.set_credentials("acme", "id-acme", "another-secret", TESTER)
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.goto.clients[-1].client_secret == "another-secret"
    assert connected.history()[-1] == "recovered"


def test_a_grant_is_refreshed_with_the_client_it_came_from(connected: World) -> None:
    connected.onboarding.set_credentials("acme", "another-client", "its-secret", TESTER)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.goto.clients[-1].client_id == "id-acme"


def test_f20_no_refresh_is_begun_that_cannot_be_finished(connected: World) -> None:
    """F20: with too little time left, the tenant stays due."""
    connected.pass_until_due()
    connected.time_left = 30
    assert connected.tick() == {Outcome.OUT_OF_TIME: 1}
    assert connected.grant().fence == 0
    connected.time_left = 120
    assert connected.tick() == {Outcome.REFRESHED: 1}


def test_f20_goto_is_not_asked_when_the_time_ran_out_after_the_claim(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F20: the lease may be over by then, and another worker asking."""
    connected.pass_until_due()
    claim = connected.connections.claim

    def slow(due: Due, now: int, lease_until: int) -> Grant | None:
        connected.time_left = 40
        return claim(due, now, lease_until)

    monkeypatch.setattr(connected.connections, "claim", slow)
    asked = len(connected.goto.asked)
    assert connected.tick() == {Outcome.INTERNAL: 1}
    assert len(connected.goto.asked) == asked
    assert (connected.grant().status, connected.grant().inflight) == (Status.CONNECTED, None)


def test_many_tenants_are_refreshed_from_every_lane(world: World) -> None:
    for number in range(2 * LANES):
        world.connect(world.add_tenant(f"tenant-{number}"))
    world.clock.pass_(3000)
    assert world.tick() == {Outcome.REFRESHED: 2 * LANES}
    for number in range(2 * LANES):
        connection = world.connections.get(f"tenant-{number}")
        assert connection is not None
        assert connection.version == 2


@pytest.mark.parametrize("odd", [{"client_id": {}}, {"access_expires_at": {"S": "soon"}}])
def test_f14_a_row_that_nobody_foresaw_does_not_end_the_tick(
    world: World, odd: dict[str, dict[str, str]]
) -> None:
    """F14: the other tenants finish in the same tick."""
    for number in range(5):
        world.connect(world.add_tenant(f"tenant-{number}"))
    table, key = world.settings.grants_table, {"tenant": {"S": "tenant-2"}}
    row = world.dynamodb.get_item(TableName=table, Key=key)["Item"] | odd
    row = {name: value for name, value in row.items() if value}
    world.dynamodb.put_item(TableName=table, Item=row)
    world.clock.pass_(3000)
    assert world.tick() == {Outcome.REFRESHED: 4, Outcome.UNEXPECTED: 1}
    assert len(world.reported) == 1


def test_f08_429_slows_the_fleet_and_ends_nothing(connected: World) -> None:
    """F08: the request is tried again later; the rate is halved at the next tick."""
    connected.pass_until_due()
    connected.goto.script = [Answer(429, b"")]
    assert connected.tick() == {Outcome.RATE_LIMITED: 1}
    assert connected.grant().status is Status.CONNECTED
    connected.clock.pass_(60)
    connected.tick()
    assert connected.provider.get().rate == 5_000


def test_f09_an_answer_that_never_comes_is_asked_for_once_more(connected: World) -> None:
    """F09: the one declared retry."""
    connected.pass_until_due()
    connected.goto.script = [ProviderUnreachable("no answer in time", sent=True)]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert len(connected.goto.asked) == 3


def test_f09_two_answers_that_never_come_leave_the_outcome_unknown(connected: World) -> None:
    """F09: no third request; a refusal later is then a lost response."""
    lost = ProviderUnreachable("no answer in time", sent=True)
    connected.pass_until_due()
    connected.goto.script = [lost, lost]
    assert connected.tick() == {Outcome.TRANSIENT: 1}
    assert len(connected.goto.asked) == 3
    assert connected.grant().inflight is not None
    connected.pass_until_due()
    connected.tick_refused(refusal(400, "invalid_grant"))
    assert connected.grant().ended_by is EndCause.RESPONSE_LOST


def test_f11_a_secret_entered_during_the_refusal_is_used(connected: World) -> None:
    """F11: read again, once; nobody needs to act."""
    connected.pass_until_due()

    def enter_meanwhile() -> Answer:
        connected.onboarding.set_credentials("acme", "id-acme", "right-secret", TESTER)
        return refusal(401, "invalid_client")

    connected.goto.script = [enter_meanwhile]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.goto.clients[-1].client_secret == "right-secret"


def test_an_old_clients_newest_secret_is_used(connected: World) -> None:
    connected.onboarding.set_credentials("acme", "id-acme", "rotated-secret", TESTER)
    connected.onboarding.set_credentials("acme", "another-client", "its-secret", TESTER)
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    used = connected.goto.clients[-1]
    assert (used.client_id, used.client_secret) == ("id-acme", "rotated-secret")


def test_f11_a_secret_entered_while_the_refusal_is_written_is_tried(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F11: after the last look at the client, before the refusal stands in the table."""
    commit = connected.connections.commit_end

    def enter_meanwhile(*arguments: Any, **named: Any) -> None:
        connected.onboarding.set_credentials("acme", "id-acme", "right-secret", TESTER)
        commit(*arguments, **named)

    monkeypatch.setattr(connected.connections, "commit_end", enter_meanwhile)
    connected.pass_until_due()
    assert connected.tick_refused(refusal(401, "invalid_client")) == {Outcome.CLIENT_REFUSED: 1}
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.goto.clients[-1].client_secret == "right-secret"
