"""GoTo's bad hours and strange answers, by the product's own means (F10, F11, F25-F30, F36)."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.bootstrap import notify
from chalicelib.durations import (
    CONFIRM_ALONE,
    DAY,
    KEPT_AFTER_REFUSAL,
    LONGEST_WAIT,
    STUCK_AFTER,
)
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import (
    PROVIDER,
    ClientCredentials,
    EndCause,
    Phase,
    Reason,
    Revocation,
    Status,
)
from chalicelib.refresh.circuit_breaker import Change
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.rescue import Rescued
from tests.support.site import PAGE, Site
from tests.support.stubs import Scripted, refusal
from tests.support.world import World

EXPIRED_FORM = "Required parameter(s) missing or wrong."
DEAD = refusal(400, "invalid_grant", "refresh.token.revoked")
WRONG = {
    "grants": DEAD,
    "clients": refusal(401, "invalid_client", "client not found"),
    "the expired form": refusal(400, "invalid_request", EXPIRED_FORM),
}


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world


def answers_always(world: World, answer: Scripted) -> None:
    """GoTo gives this answer to every refresh."""

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        world.goto.asked.append(form)
        if isinstance(answer, ProviderUnreachable):
            raise answer
        found = answer() if callable(answer) else answer
        assert isinstance(found, Answer)
        return found

    world.goto.answer_by(token)


def hours(world: World, number: int) -> None:
    for _ in range(number):
        world.clock.pass_(3_600)
        world.tick()


def test_f26_many_grants_that_end_together_stop_nobody(world: World) -> None:
    """Customers who came in one import, with grants that GoTo never renews, end in one hour; what
    was expected is no trouble of GoTo's, and the others are refreshed."""
    ending = {f"old-{number}" for number in range(30)}
    staying = {f"new-{number}" for number in range(6)}
    for name in ending:
        world.connect(world.add_tenant(name))
    for _ in range(29):
        world.clock.pass_(DAY)
        world.tick()
    for name in staying:
        world.connect(world.add_tenant(name))
    real = world.goto.token

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        over = world.grant(client.client_id.removeprefix("id-")).refresh_expires_at
        return DEAD if over <= world.clock.now else real(client, form)

    world.goto.answer_by(token)
    for minutes in [60] * 22 + [1] * 200:
        world.clock.pass_(60 * minutes)
        world.time_left = 120.0
        world.tick()
        assert world.provider.get().open_since is None
    over = {name for name in ending if world.grant(name).ended_by is EndCause.EXPIRED}
    assert over == ending
    assert all(world.grant(name).status is Status.CONNECTED for name in staying)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refusal(400, "invalid_request", "The token request is invalid."), id="words"),
        pytest.param(Answer(503, b"<html>"), id="503"),
        pytest.param(Answer(200, b"{}"), id="200 without tokens"),
        pytest.param(ProviderUnreachable("no connection", sent=False), id="no connection"),
    ],
)
def test_f25_a_grant_ends_at_its_own_end_whatever_goto_says(
    connected: World, answer: Scripted
) -> None:
    """(a): 45 days of it; the rep hears of it after hours, people are warned, and it ends."""
    answers_always(connected, answer)
    hours(connected, 24 * 45)
    grant = connected.grant()
    assert grant.status is Status.REAUTHORIZATION_REQUIRED
    assert grant.ended_by is EndCause.EXPIRED
    told = connected.history()
    assert (told.count("stuck"), told.count("reconnect_soon")) == (1, 2)
    assert told.count("reauthorization_required") == 1
    end = next(entry for entry in connected.journal.newest("acme", 9) if entry.kind == grant.status)
    late = end.at - (connected.journal.newest("acme", 50)[-1].at + 30 * DAY)
    assert late < DAY + 3 * 3_600


def test_f25_the_rep_hears_of_a_tenant_that_alone_gets_no_token(connected: World) -> None:
    answers_always(connected, Answer(503, b""))
    connected.clock.pass_(3_600)
    while connected.clock.now < connected.grant().access_expires_at + STUCK_AFTER:
        assert "stuck" not in connected.history()
        connected.clock.pass_(600)
        connected.tick()
    hours(connected, 24)
    assert connected.history().count("stuck") == 1
    entry = next(e for e in connected.journal.newest("acme", 9) if e.kind == "stuck")
    assert "HTTP 503" in entry.text


@pytest.mark.parametrize("told", ["opaque", "JWT"])
def test_f27_an_unchanged_refresh_token_is_no_new_one(world: World, told: str) -> None:
    """(b): warned seven and two days before day 30, and told on it."""
    born = int(world.clock.now)
    held = "an-opaque-one" if told == "opaque" else f"e30.{_jwt(born + 30 * DAY)}.sig"
    world.goto.script = [world.goto.tokens(refresh=True, refresh_token=held)]
    world.connect(world.add_tenant())
    answers_always(world, lambda: world.goto.tokens(refresh=True, refresh_token=held))
    for _ in range(4 * 29):
        world.clock.pass_(DAY / 4)
        world.tick()
        assert world.grant().refresh_expires_at == born + 30 * DAY
    assert world.history().count("reconnect_soon") == 2
    answers_always(world, DEAD)
    world.clock.now = born + 30 * DAY
    for _ in range(2):
        world.tick()
        world.clock.pass_(CONFIRM_ALONE)
    assert world.grant().status is Status.REAUTHORIZATION_REQUIRED


def _jwt(end: int) -> str:
    return base64.urlsafe_b64encode(json.dumps({"exp": end}).encode()).decode().rstrip("=")


def test_f27_its_end_may_come_nearer_but_never_goes_away(connected: World) -> None:
    end = connected.grant().refresh_expires_at
    for life, expected in ((90 * DAY, end), (10 * DAY, None)):
        connected.pass_until_due()
        asked_at = int(connected.clock.now)
        connected.goto.script = [
            connected.goto.tokens(refresh=False, refresh_token_expires_in=life)
        ]
        connected.tick()
        assert connected.grant().refresh_expires_at == (expected or asked_at + life)
    connection = connected.connections.get("acme")
    assert connection is not None
    assert connection.reconnect_by == connected.grant().refresh_expires_at


@pytest.mark.parametrize("kind", WRONG)
def test_f26_minutes_of_wrong_refusals_end_nobody(world: World, kind: str) -> None:
    """(c): 60 due tenants, one of them truly dead; one alert, and that one is ended in time."""
    names = [f"tenant-{number}" for number in range(60)]
    for name in names:
        world.connect(world.add_tenant(name))
    world.clock.now = max(world.due(name).at for name in names)
    good, wrong, dead = world.goto.token, True, "id-tenant-7"

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        if wrong:
            return WRONG[kind]
        return DEAD if client.client_id == dead else good(client, form)

    world.goto.answer_by(token)
    for _ in range(3):
        world.tick()
        world.clock.pass_(60)
    wrong = False
    for minute in range(10):
        world.tick()
        world.clock.pass_(60)
        assert minute < 9 or world.grant("tenant-7").ended_by is EndCause.REFUSED
    statuses = {name: world.grant(name).status for name in names if name != "tenant-7"}
    assert set(statuses.values()) == {Status.CONNECTED}
    assert world.history(PROVIDER) == [Change.DOWN, Change.UP]
    assert world.grant("tenant-7").status is Status.REAUTHORIZATION_REQUIRED


def test_f26_refusals_that_come_one_by_one_are_goto_s_affair_as_well(world: World) -> None:
    """A tenant or two a minute, for twenty minutes; the first is to be confirmed in the fifth."""
    names = [f"tenant-{number}" for number in range(40)]
    for name in names:
        world.connect(world.add_tenant(name))
        world.clock.pass_(45)
    world.clock.now = min(world.due(name).at for name in names)
    good = world.goto.token
    answers_always(world, DEAD)
    for minute in range(40):
        if minute == 20:
            world.goto.answer_by(good)
        world.tick()
        world.clock.pass_(60)
    assert {world.grant(name).status for name in names} == {Status.CONNECTED}
    assert world.history(PROVIDER) == [Change.DOWN, Change.UP]


@pytest.mark.parametrize("fleet", [1, 2, 3, 5, 10, 15, 25, 60, 120])
def test_f26_a_fleet_that_has_refreshed_all_day_is_not_ended_either(
    world: World, fleet: int
) -> None:
    """Many good answers came before the first wrong one, and hide the next ones for minutes; a
    small fleet has so few that nobody can tell GoTo's affair from one customer's."""
    names = [f"tenant-{number}" for number in range(fleet)]
    for name in names:
        world.connect(world.add_tenant(name))
        world.clock.pass_(1_200 / fleet)
    good = world.goto.token
    for minute in range(60):
        if minute == 30:
            answers_always(world, DEAD)
        elif minute == 45:
            world.goto.answer_by(good)
        world.tick()
        world.clock.pass_(60)
    assert {world.grant(name).status for name in names} == {Status.CONNECTED}
    assert world.history(PROVIDER) == ([Change.DOWN, Change.UP] if fleet > 3 else [])


@pytest.mark.parametrize("fleet", [1, 2, 10, 60])
def test_f26_a_truly_dead_grant_of_a_small_fleet_is_told(world: World, fleet: int) -> None:
    """In a fleet that gets tokens meanwhile after the pause, alone after twenty minutes."""
    names = [f"tenant-{number}" for number in range(fleet)]
    for name in names:
        world.connect(world.add_tenant(name))
        world.clock.pass_(1_800 / fleet)
    good, minutes = world.goto.token, 0

    def token(client: ClientCredentials, form: dict[str, str]) -> Answer:
        return DEAD if client.client_id == "id-tenant-0" else good(client, form)

    world.goto.answer_by(token)
    while not world.grant("tenant-0").refused_since:
        world.tick()
        world.clock.pass_(60)
    while world.grant("tenant-0").status is Status.CONNECTED:
        minutes += 1
        world.tick()
        world.clock.pass_(60)
    assert minutes <= (22 if fleet < 5 else 7)


@pytest.mark.parametrize("status", [201, 202, 203])
def test_f28_tokens_answered_with_another_2xx_are_kept(connected: World, status: int) -> None:
    """(d)"""
    connected.goto.rotates = True
    tokens = connected.goto.tokens(refresh=True)
    connected.goto.script = [Answer(status, tokens.body)]
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().refresh_token == "refresh-2"


def test_f28_a_code_exchange_answered_with_201_connects(world: World) -> None:
    world.goto.script = [Answer(201, world.goto.tokens(refresh=True).body)]
    world.connect(world.add_tenant())
    assert world.grant().refresh_token == "refresh-1"


def test_f28_one_byte_of_another_charset_costs_no_tokens(connected: World) -> None:
    """(d)"""
    body = b'{"access_token":" a2 ","refresh_token":"r2\\n","expires_in":0,"name":"Andr\xe9"}'
    connected.goto.script = [Answer(200, body)]
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    connection = connected.connections.get("acme")
    assert connection is not None
    assert (connection.access_token, connected.grant().refresh_token) == ("a2", "r2")


def test_f28_an_access_token_that_is_too_long_costs_no_refresh_token(connected: World) -> None:
    """The one that is served is not touched; the refresh token may be the only valid one."""
    before = connected.connections.get("acme")
    connected.goto.script = [
        connected.goto.tokens(refresh=True, access_token="a" * 400_000, refresh_token="r2")
    ]
    connected.pass_until_due()
    connected.tick()
    after = connected.connections.get("acme")
    assert before is not None
    assert after is not None
    assert connected.grant().refresh_token == "r2"
    assert (after.access_token, after.expires_at) == (before.access_token, before.expires_at)


@pytest.mark.parametrize("life", [0, -1, "0"])
def test_f28_a_life_of_nothing_makes_no_request_each_minute(connected: World, life: Any) -> None:
    answers_always(connected, lambda: connected.goto.tokens(refresh=False, expires_in=life))
    connected.pass_until_due()
    asked = len(connected.goto.asked)
    for _ in range(60):
        connected.tick()
        connected.clock.pass_(60)
    assert len(connected.goto.asked) - asked <= 4


@pytest.mark.parametrize("status", [429, 503])
def test_f28_retry_after_is_heeded_for_an_hour_at_most(connected: World, status: int) -> None:
    connected.pass_until_due()
    for header, least, most in (("600", 600, 640), ("86400", LONGEST_WAIT, LONGEST_WAIT + 900)):
        connected.goto.script = [Answer(status, b"", header)]
        connected.tick()
        assert least <= connected.due().at - connected.clock.now <= most
        connected.pass_until_due()


class Foreseen(Exception):
    """No: nobody foresaw it."""


def _raise(*arguments: object, **named: object) -> Any:
    raise Foreseen


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("chalicelib.refresh.refresher.judge", id="judging the answer"),
        pytest.param("chalicelib.tokens.commit._dated", id="dating the tokens"),
        pytest.param("chalicelib.dynamodb.rows.token_values", id="the commit itself"),
        pytest.param("chalicelib.refresh.refresher.refresh_message", id="even writing the message"),
    ],
)
def test_f29_tokens_in_hand_survive_any_fault_of_ours(
    connected: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """(e): the rescue queue has them, whatever is raised; and commits them once that is mended."""
    connected.goto.rotates = True
    connected.pass_until_due()
    with monkeypatch.context() as patched:
        patched.setattr(broken, _raise)
        if broken.endswith("message"):
            patched.setattr(connected.connections, "commit_refresh", _raise)
        assert connected.tick() == {Outcome.RESCUED: 1}
    assert connected.grant().refresh_token == "refresh-1"
    assert connected.rescue() == [Rescued.COMMITTED]
    assert connected.grant().refresh_token == "refresh-2"
    assert any(isinstance(error, Foreseen) for error in connected.reported)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("chalicelib.connect.complete.judge", id="judging the answer"),
        pytest.param("chalicelib.tokens.commit._dated", id="dating the tokens"),
    ],
)
def test_f29_an_exchange_that_ends_internal_is_revoked(
    world: World, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """(e): queued first, for whatever broke may break again."""
    visitor = world.browser(world.add_tenant())
    with monkeypatch.context() as patched:
        patched.setattr(broken, _raise)
        world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
        assert world.complete() == [Reason.INTERNAL]
    assert world.goto.revoked == []
    assert world.rescue() == [Rescued.REFUSED]
    assert world.goto.revoked == ["refresh-1"]
    assert world.connections.get("acme") is None


def test_f29_a_look_up_that_breaks_costs_no_connection(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world.goto, "accounts", _raise)
    world.connect(world.add_tenant())
    assert world.grant().refresh_token == "refresh-1"


def test_f29_a_commit_that_breaks_sends_an_exchange_to_the_queue(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = world.browser(world.add_tenant())
    with monkeypatch.context() as patched:
        patched.setattr(world.connections, "commit_connect", _raise)
        world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
        assert world.complete() == [None]
    assert world.rescue() == [Rescued.COMMITTED]
    assert world.grant().refresh_token == "refresh-1"


def test_f26_a_refused_grant_is_kept_for_a_week_and_then_forgotten(connected: World) -> None:
    connected.pass_until_due()
    assert connected.tick_refused(DEAD) == {Outcome.GRANT_REFUSED: 1}
    assert connected.grant().phase is Phase.ENDED
    asked = len(connected.goto.asked)
    connected.clock.pass_(KEPT_AFTER_REFUSAL - 1)
    assert connected.tick() == {}
    assert connected.grant().refresh_token == "refresh-1"
    connected.clock.pass_(1)
    assert connected.tick() == {Outcome.FORGOTTEN: 1}
    grant = connected.grant()
    assert (grant.refresh_token, grant.phase) == (None, Phase.FORGOTTEN)
    assert grant.status is Status.REAUTHORIZATION_REQUIRED
    assert len(connected.goto.asked) == asked
    assert connected.goto.revoked == []


def test_f11_a_rejected_client_s_grant_ends_at_its_own_end(connected: World) -> None:
    connected.pass_until_due()
    assert connected.tick_refused(WRONG["clients"]) == {Outcome.CLIENT_REFUSED: 1}
    end = connected.grant().refresh_expires_at
    answers_always(connected, WRONG["clients"])
    while connected.clock.now < end + 3_600:
        connected.clock.pass_(600)
        connected.tick()
    assert connected.grant().status is Status.REAUTHORIZATION_REQUIRED
    assert connected.grant().ended_by is EndCause.EXPIRED
    assert connected.history().count("degraded") == 0


def journal_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write to the history is refused, in a transaction as well."""
    write, name = world.dynamodb.transact_write_items, world.settings.journal_table

    def transact(**arguments: Any) -> Any:
        if any(
            name == next(iter(each.values()))["TableName"] for each in arguments["TransactItems"]
        ):
            raise DependencyUnavailable("dynamodb", "InternalServerError")
        return write(**arguments)

    monkeypatch.setattr(world.dynamodb, "transact_write_items", transact)


def test_f30_a_refresh_does_not_wait_for_the_history(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F30: the tokens are stored, and what there is to tell is told by the next refresh."""
    connected.clock.pass_(3_700)
    connected.goto.script = [Answer(503, b"")]
    connected.tick()
    assert connected.grant().status is Status.DEGRADED
    connected.goto.rotates = True
    connected.pass_until_due()
    with monkeypatch.context() as broken:
        journal_fails(connected, broken)
        assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().refresh_token == "refresh-2"
    assert connected.grant().status is Status.DEGRADED
    connected.pass_until_due()
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.grant().status is Status.CONNECTED
    assert connected.history()[-1] == "recovered"


@pytest.mark.parametrize("later", [1, 12])
def test_f36_a_revocation_is_tried_until_goto_has_said_so(connected: World, later: int) -> None:
    """(f): whatever a proxy says; the state stays *to be told* until then."""
    connected.goto.revocation = Revocation.LATER
    assert connected.rep("disconnect", tenant="acme") == {
        "ok": True,
        "tenant": "acme",
        "withdrawn": False,
    }
    hours(connected, later)
    assert connected.grant().refresh_token == "refresh-1"
    connected.goto.revocation = Revocation.DONE
    hours(connected, 1)
    assert connected.grant().refresh_token is None


def test_f36_until_the_token_has_ended_by_itself(connected: World) -> None:
    connected.goto.revocation = Revocation.LATER
    connected.rep("disconnect", tenant="acme")
    connected.clock.now = connected.grant().refresh_expires_at
    connected.tick()
    assert connected.grant().refresh_token is None
    entry = connected.journal.newest("acme", 1)[0]
    assert "before GoTo confirmed" in entry.text


def test_f36_what_waits_in_the_queue_comes_back_until_then(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = world.browser(world.add_tenant())
    world.goto.revocation = Revocation.LATER
    with monkeypatch.context() as patched:
        patched.setattr("chalicelib.tokens.commit._dated", _raise)
        world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
        world.complete()
    for _ in range(20):
        assert world.rescue() == [Rescued.POSTPONED]
        world.clock.pass_(900)
    world.clock.pass_(30 * DAY)
    assert world.rescue() == [Rescued.REFUSED]
    assert world.rescue_queue.messages == []


def test_f26_who_was_ended_wrongly_is_put_back_by_one_command(connected: World) -> None:
    """F26: `ha-goto retry NAME` takes what was kept, and the next tick uses it."""
    connected.pass_until_due()
    connected.tick_refused(DEAD)
    assert connected.rep("retry", tenant="acme") == {"ok": True, "tenant": "acme"}
    assert connected.grant().phase is Phase.IDLE
    assert connected.tick() == {Outcome.REFRESHED: 1}
    assert connected.history()[-2:] == ["retried", "recovered"]
    assert connected.rep("retry", tenant="acme")["kind"] == "not_connected"


def test_f26_who_was_ended_rightly_ends_again(connected: World) -> None:
    connected.pass_until_due()
    connected.tick_refused(DEAD)
    connected.rep("retry", tenant="acme")
    connected.goto.script = [DEAD]
    assert connected.tick() == {Outcome.UNCONFIRMED: 1}
    connected.clock.pass_(CONFIRM_ALONE)
    connected.goto.script = [DEAD]
    assert connected.tick() == {Outcome.GRANT_REFUSED: 1}
    assert connected.history().count("reauthorization_required") == 2


def test_f26_what_is_forgotten_cannot_be_put_back(connected: World) -> None:
    connected.pass_until_due()
    connected.tick_refused(DEAD)
    connected.clock.pass_(KEPT_AFTER_REFUSAL)
    connected.tick()
    before = connected.everything()
    assert connected.rep("retry", tenant="acme")["kind"] == "not_connected"
    assert connected.everything() == before


def test_s25_another_account_s_grant_cannot_be_put_back(connected: World) -> None:
    """It is to be revoked, not used."""
    connected.rep("pin_set", tenant="acme", account="4000000009")
    connected.goto.revocation = Revocation.LATER
    connected.pass_until_due()
    assert connected.tick() == {Outcome.OTHER_ACCOUNT: 1}
    assert connected.rep("retry", tenant="acme")["kind"] == "not_connected"


def test_f26_all_that_ended_since_a_moment_are_put_back(world: World) -> None:
    names = [f"tenant-{number:02}" for number in range(30)]
    for name in names:
        world.connect(world.add_tenant(name))
    world.clock.now = max(world.due(name).at for name in names)
    answers_always(world, DEAD)
    since = 0
    for number, name in enumerate(names):  # one after the other: not GoTo's affair
        since = int(world.clock.now) if number == 10 else since
        for _ in range(2):
            world.refresher().refresh(world.due(name))
            world.clock.pass_(CONFIRM_ALONE)
        for entry in world.journal.newest(name, 1):
            world.fleet_counts.note(entry)
    first = world.rep("retry_since", ended_since=since)
    second = world.rep("retry_since", ended_since=since, after=first["after"])
    assert first["after"] is None or second["after"] is None
    assert sorted(first["retried"] + second["retried"]) == names[10:]
    assert world.grant("tenant-09").phase is Phase.ENDED
    assert world.grant("tenant-10").phase is Phase.IDLE
    assert world.rep("retry_since", ended_since="yesterday")["kind"] == "invalid_input"


def test_f25_nobody_reads_two_things_that_exclude_each_other(site: Site) -> None:
    """F25: while it fails and its end is near, page and command say the one thing that helps."""
    world = site.world
    site.connect(world.add_tenant())
    answers_always(world, Answer(503, b""))
    hours(world, 24 * 25)
    page, shown = site.get(PAGE).body, world.rep("tenant_show", tenant="acme")
    assert shown["state"] == Status.DEGRADED
    assert "Please reconnect soon" in page
    assert "nothing you need to do" not in page
    assert "by itself" not in page
    assert "press Get Access Token before" in shown["next_action"]
    hours(world, 24 * 20)
    page, shown = site.get(PAGE).body, world.rep("tenant_show", tenant="acme")
    assert shown["state"] == Status.REAUTHORIZATION_REQUIRED
    assert "Please reconnect" in page
    assert "Ask the admin to open the link" in shown["next_action"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("server_error", "GoTo could not sign you in"),
        ("temporarily_unavailable", "GoTo is busy"),
        ("something_else", "GoTo could not complete"),
    ],
)
def test_a_sign_in_that_goto_fails_is_counted_once(site: Site, error: str, words: str) -> None:
    """With its own sentence; a Deny is the customer's own affair."""
    seen: list[dict[str, float]] = []
    deployment = replace(
        site.world.deployment, write_metrics=lambda name, values: seen.append(dict(values))
    )
    vars(deployment).update(dynamodb=site.world.dynamodb, rescue_queue=site.world.rescue_queue)
    site.world.deployment = deployment
    site.open(site.world.add_tenant())
    for given, counted in ((error, 1), ("access_denied", 1)):
        state = site.press()["state"]
        for _ in range(2):
            site.get(f"{PAGE}?error={given}&state={state}")
        assert len(seen) == counted
        if given == error:
            assert words in site.get(PAGE).body
    assert seen == [{"ConnectsLate": 1.0, "ConnectsLatePercent": 100.0}]


def test_f30_mails_and_events_do_not_wait_for_statistics(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F30"""
    world.connect(world.add_tenant())
    mailed: list[str] = []
    published: list[str] = []
    announcer = notify.announcer(world.deployment)
    monkeypatch.setattr(type(announcer.fleet), "note", _unavailable)
    monkeypatch.setattr(
        type(announcer.bus), "publish", lambda bus, entry, key: published.append(entry.kind)
    )
    monkeypatch.setattr(
        type(announcer.mail), "send", lambda mail, address, *_, **__: mailed.append(address)
    )
    entry = world.journal.newest("acme", 1)[0]
    announcer.announce(entry, "a-key")
    assert mailed == ["admin@acme.example"]
    assert published == ["connected"]
    assert len(world.reported) == 1


def _unavailable(*arguments: object) -> None:
    raise DependencyUnavailable("dynamodb", "InternalServerError")
