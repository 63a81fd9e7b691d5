"""Each alarm's cause is brought about, and it rings; on a good day none does.

Everything runs through `app.py` on moto. Our own metrics are what it emits; AWS's are counted as
AWS documents it (tests/support/counted.py).
"""

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.aws.telemetry import SERVICE, emit_metrics
from chalicelib.durations import CONFIRM_PAUSE, TICK_WORKS_FOR
from chalicelib.goto.oauth import Answer
from chalicelib.notify import metrics
from chalicelib.notify.metrics import Metrics
from chalicelib.refresh.outcomes import Outcome
from infra import cloudformation, package
from tests.support.cloudwatch import ALARM, OURS
from tests.support.counted import Counted
from tests.support.site import PAGE
from tests.support.stubs import START, refusal
from tests.support.world import World

Cause = Callable[[Counted], None]

FITS = 25
"""Due tenants that a tick refreshes by itself here: a fleet of 201 would take its time."""


@cache
def resources() -> dict[str, Any]:
    found: dict[str, Any] = cloudformation.load(package.build().template.read_text())["Resources"]
    return found


@cache
def alarms() -> dict[str, dict[str, Any]]:
    """Those that tell somebody by themselves; tests/integration/test_objectives.py has the rest."""
    return {
        name: made["Properties"]
        for name, made in resources().items()
        if made["Type"] == ALARM and "AlarmActions" in made["Properties"]
    }


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counted]:
    monkeypatch.setattr("chalicelib.refresh.scheduler.TICK_CARRIES", FITS / TICK_WORKS_FOR)
    with mock_aws():
        yield Counted(monkeypatch, resources())


def fleet(aws: Counted, size: int) -> list[str]:
    """Tenants that are connected, with tokens that are due at once."""
    names = [f"t{number}" for number in range(size)]
    aws.take_over(names)
    return names


def press(aws: Counted) -> None:
    """An admin comes back from GoTo; `complete` is invoked, and has not run yet."""
    site = aws.tenant("acme")
    site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    assert [waiting.function for waiting in aws.queued] == ["Complete"]


def ask(aws: Counted, times: int = 1) -> None:
    """HA's services ask for a refresh, so many at once."""
    event = {"tenant": "t0", "min_valid_seconds": 60}
    aws.at_once("RefreshNow", [event] * times)


def unanswered(aws: Counted) -> None:
    """DynamoDB takes no commit of what GoTo gave to a tick."""
    fleet(aws, 1)
    aws.down.add("TransactWriteItems")
    aws.minutes(1)


def answers_lost(aws: Counted) -> None:
    unanswered(aws)
    for _ in range(3):
        aws.deliver()
    aws.receive(998)
    aws.deliver()
    aws.minutes(1)


def answers_unstored(aws: Counted) -> None:
    """F03: neither DynamoDB nor SQS takes what GoTo gave."""
    aws.down.add("SendMessage")
    unanswered(aws)


def answers_unstored_for_a_service(aws: Counted) -> None:
    """F03: what a service asked for is lost likewise."""
    fleet(aws, 1)
    aws.scheduled = False
    aws.down |= {"SendMessage", "TransactWriteItems"}
    ask(aws)


def answers_unstored_of_an_admin(aws: Counted) -> None:
    """F24: and what an admin's code was exchanged for."""
    press(aws)
    aws.down |= {"SendMessage", "TransactWriteItems"}
    aws.minutes(1)


def completion_dropped(aws: Counted) -> None:
    """The account's concurrency is used up by something else."""
    press(aws)
    aws.throttled.add("Complete")
    aws.minutes(2)


def completion_fails(aws: Counted) -> None:
    press(aws)
    aws.down |= {"GetItem", "UpdateItem", "TransactWriteItems"}
    aws.minutes(1)


def feedback_dropped(aws: Counted) -> None:
    aws.tenant("acme")
    aws.bring("MailFeedback", aws.bounce("acme"))
    aws.down |= {"GetItem", "UpdateItem", "PutItem"}
    aws.minutes(4)


def goto_down(aws: Counted, minutes: int = 12) -> None:
    """F12: GoTo answers nobody of the fleet."""
    fleet(aws, 6)
    aws.goto.script = [refusal(503, "busy")] * 1_000
    aws.minutes(minutes)


def lane_fails(aws: Counted, minutes: int = 4) -> None:
    """More is due than a tick does by itself; the lanes are ended for their memory."""
    fleet(aws, FITS + 1)
    aws.killed.add("RefreshLane")
    aws.minutes(minutes)


def many_need_people(aws: Counted, tenants: int = 21) -> None:
    """GoTo refuses the grants of many tenants at once."""
    fleet(aws, 2 * tenants)  # of nearly all it would be GoTo's own affair (F26)
    aws.goto.script = [refusal(400, "invalid_grant")] * tenants
    aws.minutes(CONFIRM_PAUSE // 60)
    aws.goto.script = [refusal(400, "invalid_grant")] * tenants
    aws.minutes(2)


def mails_unsent(aws: Counted, minutes: int = 45) -> None:
    """F34: SES refuses the sender, as it does in its sandbox, and there is a mail to send."""
    aws.tenant("acme")
    aws.rep("link_send", tenant="acme")
    aws.down.add("SendEmail")
    aws.minutes(minutes)


def not_told(aws: Counted, minutes: int = 105) -> None:
    telling_late(aws, minutes)


def telling_late(aws: Counted, minutes: int = 21) -> None:
    """EventBridge takes no event."""
    aws.tenant("acme")
    aws.down.add("PutEvents")
    aws.minutes(minutes)


def unread(aws: Counted, minutes: int = 15) -> None:
    """F35: nobody reads the journal's stream: its mapping is disabled, or a key is."""
    aws.read = False
    aws.minutes(minutes)


def overdue(aws: Counted, minutes: int = 16) -> None:
    lane_fails(aws, minutes)


def own_failures(aws: Counted, minutes: int = 5) -> None:
    """F16: Secrets Manager is down."""
    fleet(aws, 1)
    aws.down.add("GetSecretValue")
    aws.minutes(minutes)


def pages_fail(aws: Counted, visits: int = 3) -> None:
    site = aws.connected("acme")
    aws.down.add("GetItem")
    assert [aws.visit(site, PAGE).status for _ in range(visits)] == [503] * visits


def readers_turned_away(aws: Counted, at_once: int = 21) -> None:
    fleet(aws, 1)
    for _ in range(3):
        ask(aws, at_once)
        aws.minutes(1)


def refresh_now_fails(aws: Counted, minutes: int = 3) -> None:
    fleet(aws, 1)
    aws.unset.add("RefreshNow")
    for _ in range(minutes):
        ask(aws)
        aws.minutes(1)


def reps_turned_away(aws: Counted, commands: int = 3) -> None:
    aws.unset.add("RepCommand")
    for _ in range(commands):
        assert not aws.attempt("RepCommand", {"command": "status"})


def rescue_waits(aws: Counted, minutes: int = 16) -> None:
    unanswered(aws)
    aws.minutes(minutes)


def tick_fails(aws: Counted, minutes: int = 3) -> None:
    aws.unset.add("RefreshTick")
    aws.minutes(minutes)


def tick_missing(aws: Counted, minutes: int = 5) -> None:
    """Somebody has disabled its rule."""
    aws.scheduled = False
    aws.minutes(minutes)


CAUSES: dict[str, Cause] = {
    "AnswersLost": answers_lost,
    "AnswersUnstored": answers_unstored,
    "CompletionDropped": completion_dropped,
    "CompletionFails": completion_fails,
    "FeedbackDropped": feedback_dropped,
    "GoToDown": goto_down,
    "LaneFails": lane_fails,
    "MailsUnsent": mails_unsent,
    "ManyNeedPeople": many_need_people,
    "NotTold": not_told,
    "Overdue": overdue,
    "OwnFailures": own_failures,
    "PagesFail": pages_fail,
    "ReadersTurnedAway": readers_turned_away,
    "RefreshNowFails": refresh_now_fails,
    "RepsTurnedAway": reps_turned_away,
    "RescueWaits": rescue_waits,
    "TellingLate": telling_late,
    "TickFails": tick_fails,
    "TickMissing": tick_missing,
}


UNTIL_A_PERSON_COMES = ("AnswersLost", "NotTold")
"""What these ring for stays in a queue."""

SHORT: dict[str, Cause] = {
    "GoToDown": partial(goto_down, minutes=5),
    "LaneFails": partial(lane_fails, minutes=3),
    "MailsUnsent": partial(mails_unsent, minutes=14),
    "ManyNeedPeople": partial(many_need_people, tenants=20),
    "NotTold": partial(not_told, minutes=100),
    "Overdue": partial(overdue, minutes=14),
    "OwnFailures": partial(own_failures, minutes=2),
    "PagesFail": partial(pages_fail, visits=2),
    "ReadersTurnedAway": partial(readers_turned_away, at_once=20),
    "RefreshNowFails": partial(refresh_now_fails, minutes=2),
    "RepsTurnedAway": partial(reps_turned_away, commands=2),
    "RescueWaits": partial(rescue_waits, minutes=12),
    "TellingLate": partial(telling_late, minutes=19),
    "TickFails": partial(tick_fails, minutes=2),
    "TickMissing": partial(tick_missing, minutes=4),
}
"""The most of a cause that is nobody's business yet."""


OTHERWISE: tuple[tuple[str, Cause], ...] = (
    ("AnswersUnstored", answers_unstored_for_a_service),
    ("AnswersUnstored", answers_unstored_of_an_admin),
    ("TellingLate", unread),
)
"""What else makes one ring."""


def test_every_alarm_is_provoked_here() -> None:
    assert set(CAUSES) == set(alarms())


def test_every_alarm_that_waits_for_more_than_one_has_what_is_too_little() -> None:
    waits = {
        name
        for name, alarm in alarms().items()
        if alarm["Threshold"] or alarm.get("DatapointsToAlarm", 1) > 1
    }
    assert waits <= set(SHORT)


@pytest.mark.parametrize("name", sorted(CAUSES))
def test_its_cause_makes_it_ring_and_the_cause_s_end_silences_it(aws: Counted, name: str) -> None:
    aws.minutes(6)
    assert aws.ringing == set()
    CAUSES[name](aws)
    assert name in aws.ringing
    aws.mend()
    aws.minutes(20)
    assert aws.ringing == {name} & set(UNTIL_A_PERSON_COMES)


@pytest.mark.parametrize(("name", "cause"), OTHERWISE)
def test_another_cause_makes_it_ring(aws: Counted, name: str, cause: Cause) -> None:
    aws.minutes(1)
    cause(aws)
    assert name in aws.ringing


@pytest.mark.parametrize("name", sorted(SHORT))
def test_a_little_less_makes_nothing_ring(aws: Counted, name: str) -> None:
    aws.minutes(6)
    SHORT[name](aws)
    assert name not in aws.ringing


def test_a_day_of_a_connected_fleet_rings_nothing(aws: Counted) -> None:
    """Three hours of it, with an admin, a rep and services; refreshed each time."""
    names = fleet(aws, 3)
    site = aws.connected("acme")
    refreshed = 0
    for _ in range(180):
        refreshed += len(aws.goto.asked)
        aws.goto.asked.clear()
        aws.visit(site, PAGE)
        aws.minutes(1)
        ask(aws)
        assert aws.ringing == set()
    assert refreshed >= 3 * len(names)


def test_a_good_tick_is_told_in_cloudwatch_s_format(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    assert emitted(capsys, world) == {
        "Refreshed": 1.0,
        "LeastSecondsToExpiry": world.goto.lifetime - (world.clock.now - START),
        "TickSeconds": 0.5,
        "TicksOnTime": 1.0,
        "OldestOverdueSeconds": 0.0,
        "ProviderDown": 0.0,
        "RescueDepth": 0.0,
        "TenantsInUse": 0.0,
        "TenantsWithoutToken": 0.0,
        "TenantsNotUsable": 0.0,
    }


def emitted(capsys: pytest.CaptureFixture[str], world: World) -> dict[str, float]:
    """Metrics of one tick of half a second, as CloudWatch reads the embedded format."""
    report = world.schedule().tick()
    capsys.readouterr()
    Metrics(partial(emit_metrics, OURS)).tick(report, 0.5)
    line = json.loads(capsys.readouterr().out)
    [described] = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == OURS
    assert described["Dimensions"] == [["service"]]
    assert line["service"] == SERVICE
    return {each["Name"]: float(line[each["Name"]][0]) for each in described["Metrics"]}


def test_every_outcome_is_counted_or_left_out_on_purpose() -> None:
    counted = {outcome for kinds in metrics.GROUPS.values() for outcome in kinds}
    assert set(Outcome) - counted == {
        Outcome.SUPERSEDED,
        Outcome.REVOKED,
        Outcome.FORGOTTEN,
        Outcome.NOT_TAKEN,
        Outcome.OUT_OF_TIME,
    }


def test_what_goto_refuses_for_a_while_is_its_own_metric(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    world.goto.script = [Answer(503, b"")]
    assert emitted(capsys, world)["ProviderFailures"] == 1
