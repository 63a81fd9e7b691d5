"""Each alarm's definition over the metrics of its cause: it fires, and a good day keeps it quiet.

Metrics of our own are what the product emitted when the test brought the cause about. Those of
AWS's services are written down as AWS documents them.
"""

import json
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

import pytest

import app
from chalicelib import measures, refresh
from chalicelib.errors import DependencyUnavailable, Misconfigured
from chalicelib.measures import Metrics
from chalicelib.model import Fresh
from chalicelib.oauth import Answer
from chalicelib.telemetry import SERVICE, measure
from infra import cloudformation, package
from infra.deploy import TICK
from tests.support.standins import START, refusal
from tests.support.world import World

NAMESPACE = "ha-goto-test"

Series = Sequence[float | None]
"""One value a period, the oldest first; None where there was no datapoint."""

QUIET: Series = [None] * 5
BY_AWS: dict[str, tuple[Series, Series]] = {
    "TickMissing": ([1, 1, 1, 1, 1], [None] * 5),
    "TickFails": ([0, 1, 0, 0, 1], [1, 1, 0, 0, 1]),
    "LaneFails": ([0, 0, 3, 0, 0], [16, 0, 16, 0, 16]),
    "CompletionDropped": ([0], [1]),
    "CompletionFails": ([0], [1]),
    "PagesFail": ([2], [3]),
    "RefreshNowFails": ([0, 1, 1, 0, 0], [1, 1, 1, 0, 0]),
    "ReadersTurnedAway": ([10, 10, 10, 10, 10], [11, 40, 0, 11, 0]),
    "TellingLate": ([899_999] * 5, [900_001] * 5),
    "RepsTurnedAway": ([2], [3]),
    "RescueWaits": ([900], [901]),
    "AnswersLost": ([0], [1]),
    "NotTold": ([0], [1]),
}
"""What AWS counts on a good day, and on the day of the alarm's cause."""

OURS = ("AnswersUnstored", "GoToDown", "ManyNeedPeople", "Overdue", "OwnFailures")


@cache
def alarms() -> dict[str, dict[str, Any]]:
    """Those that tell somebody by themselves; tests/integration/test_objectives.py has the rest."""
    resources = cloudformation.load(package.build().template.read_text())["Resources"]
    return {
        name: made["Properties"]
        for name, made in resources.items()
        if made["Type"] == "AWS::CloudWatch::Alarm" and "AlarmActions" in made["Properties"]
    }


def rings(alarm: dict[str, Any], series: Series) -> bool:
    """Whether CloudWatch would be in ALARM after these periods (M of N; missing data as told)."""
    periods = alarm["EvaluationPeriods"]
    last = [*[None] * periods, *series][-periods:]
    least = alarm.get("DatapointsToAlarm", periods)
    return sum(_breaches(alarm, value) for value in last) >= int(least)


def _breaches(alarm: dict[str, Any], value: float | None) -> bool:
    if value is None:
        return bool(alarm["TreatMissingData"] == "breaching")
    if alarm["ComparisonOperator"] == "LessThanThreshold":
        return bool(value < alarm["Threshold"])
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    return bool(value > alarm["Threshold"])


def emitted(capsys: pytest.CaptureFixture[str], world: World) -> dict[str, float]:
    """Metrics of one tick of half a second, as CloudWatch reads the embedded format."""
    schedule = world.schedule()
    counts = schedule.tick()
    capsys.readouterr()
    Metrics(partial(measure, NAMESPACE)).tick(counts, schedule.glimpse, 0.5)
    line = json.loads(capsys.readouterr().out)
    [described] = line["_aws"]["CloudWatchMetrics"]
    assert described["Namespace"] == NAMESPACE
    assert described["Dimensions"] == [["service"]]
    assert line["service"] == SERVICE
    return {each["Name"]: float(line[each["Name"]][0]) for each in described["Metrics"]}


def test_every_alarm_is_provoked_somewhere_here() -> None:
    ours = {
        name for name, alarm in alarms().items() if not str(alarm["Namespace"]).startswith("AWS/")
    }
    assert ours == set(OURS)
    assert set(alarms()) == set(BY_AWS) | ours


@pytest.mark.parametrize("name", sorted(BY_AWS))
def test_an_alarm_on_what_aws_counts(name: str) -> None:
    good, bad = BY_AWS[name]
    alarm = alarms()[name]
    assert not rings(alarm, good)
    assert rings(alarm, bad)
    if name != "TickMissing":
        assert not rings(alarm, QUIET)


@pytest.mark.parametrize("name", OURS)
def test_an_alarm_on_our_own_metric_names_it_as_it_is_emitted(name: str) -> None:
    alarm = alarms()[name]
    assert alarm["Namespace"] == {"Fn::Sub": "ha-goto-${Stage}"}
    assert alarm["Dimensions"] == [{"Name": "service", "Value": SERVICE}]
    assert alarm["MetricName"] in {*measures.GROUPS, "OldestOverdueSeconds", "ProviderDown"}
    assert not rings(alarm, QUIET)


def test_a_good_tick_rings_nothing(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    found = emitted(capsys, world)
    assert found == {
        "Refreshed": 1.0,
        "LeastSecondsToExpiry": world.goto.lifetime - (world.clock.now - START),
        "TickSeconds": 0.5,
        "TicksOnTime": 1.0,
        "OldestOverdueSeconds": 0.0,
        "ProviderDown": 0.0,
        "TenantsInUse": 0.0,
        "TenantsWithoutToken": 0.0,
    }
    for alarm in alarms().values():
        if alarm["MetricName"] in found:
            assert not rings(alarm, [found[alarm["MetricName"]]] * 5)


def test_overdue(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    world.clock.pass_(601)
    late = emitted(capsys, world)["OldestOverdueSeconds"]
    assert late == 601
    assert rings(alarms()["Overdue"], [late] * 5)
    assert not rings(alarms()["Overdue"], [late] * 4)


def test_f03_answers_unstored(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F03: neither DynamoDB nor SQS took what GoTo gave."""
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    world.rescue_queue.down = True

    def refuse(asked: object, fresh: Fresh, note: object) -> bool:
        raise DependencyUnavailable("dynamodb", "InternalServerError")

    monkeypatch.setattr(world.commits, "refresh", refuse)
    found = emitted(capsys, world)
    assert rings(alarms()["AnswersUnstored"], [found["AnswersUnstored"]])


def test_f16_own_failures(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """F16: Secrets Manager is down."""
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()

    def refuse(tenant: str, version: str) -> None:
        raise DependencyUnavailable("secretsmanager", "InternalServiceError")

    monkeypatch.setattr(world.vault, "credentials", refuse)
    found = emitted(capsys, world)["OwnFailures"]
    assert rings(alarms()["OwnFailures"], [found, None, found, None, found])
    assert not rings(alarms()["OwnFailures"], [found, None, None, None, found])


def test_many_need_people(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """GoTo refuses the grants of 21 tenants at once; of 20 it may be chance."""
    names = [f"t{number}" for number in range(21)]
    for name in names:
        world.connect(world.add_tenant(name))
    world.clock.pass_(3_600)
    world.goto.script = [refusal(400, "invalid_grant")] * len(names)
    found = emitted(capsys, world)["NeedsPerson"]
    assert found == 21
    assert rings(alarms()["ManyNeedPeople"], [found])
    assert not rings(alarms()["ManyNeedPeople"], [found - 1])


def test_every_outcome_is_counted_or_left_out_on_purpose() -> None:
    counted = {outcome for kinds in measures.GROUPS.values() for outcome in kinds}
    assert set(refresh.Outcome) - counted == {
        refresh.Outcome.SUPERSEDED,
        refresh.Outcome.WITHDRAWN,
        refresh.Outcome.NOT_TAKEN,
        refresh.Outcome.OUT_OF_TIME,
    }


def test_what_goto_refuses_for_a_while_is_its_own_metric(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.connect(world.add_tenant("acme"))
    world.pass_until_due()
    world.goto.script = [Answer(503, b"")]
    assert emitted(capsys, world)["ProviderFailures"] == 1


HANDLERS: dict[str, tuple[str, dict[str, Any]]] = {
    "TickFails": ("refresh_tick", TICK),
    "LaneFails": ("refresh_lane", {"lane": 0, "rate": 1}),
    "CompletionFails": ("complete", {"request": "0" * 64}),
    "RefreshNowFails": ("refresh_now", {"tenant": "acme", "min_valid_seconds": 60}),
    "RepsTurnedAway": ("rep_command", {"command": "status"}),
}


class Context:
    aws_request_id = "a-request"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


@pytest.mark.parametrize("name", sorted(HANDLERS))
def test_a_function_that_fails_is_an_error_to_lambda_and_rings(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handler itself raises where its settings are wrong; Lambda counts that."""

    def misconfigured() -> None:
        raise Misconfigured("TOKENS_TABLE is not set")

    monkeypatch.setattr(app, "services", misconfigured)
    handler, event = HANDLERS[name]
    errors = 0
    for _ in range(3):
        try:
            getattr(app, handler)(event, Context())
        except Misconfigured:
            errors += 1
    alarm = alarms()[name]
    assert alarm["MetricName"] == "Errors"
    series = [errors] if alarm["EvaluationPeriods"] == 1 else [1.0] * errors
    assert rings(alarm, series)


def test_f12_goto_is_down(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """F12: a fleet that gets no answer; the tick decides, and says so until GoTo answers."""
    for number in range(6):
        world.connect(world.add_tenant(f"t{number}"))
    world.pass_until_due("t0")
    world.clock.pass_(600)
    world.goto.script = [Answer(503, b"")] * 1_000
    down = []
    for _ in range(12):
        down.append(emitted(capsys, world)["ProviderDown"])
        world.clock.pass_(60)
    assert down[0] == 0
    assert rings(alarms()["GoToDown"], down)
    assert not rings(alarms()["GoToDown"], down[:5])
    world.goto.script = []
    for _ in range(30):
        last = emitted(capsys, world)["ProviderDown"]
        world.clock.pass_(60)
    assert last == 0
