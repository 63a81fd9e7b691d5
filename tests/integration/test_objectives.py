"""Service level objectives: the SLIs as the product emits them, and the alarms on their budgets."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.aws.telemetry import SERVICE
from chalicelib.connect.complete import CompletionReport
from chalicelib.durations import dead_after
from chalicelib.errors import DependencyUnavailable
from chalicelib.models import Reason
from chalicelib.notify import metrics
from chalicelib.notify.metrics import Metrics
from chalicelib.refresh.scheduler import TickReport
from sandbox.environment import ROOT
from tests.support.aws import create_tables, template
from tests.support.cloudwatch import ALARM, COMPOSITE, EMITTED, CloudWatch, children, objectives
from tests.support.memory import MemoryDynamoDB
from tests.support.stubs import refusal
from tests.support.world import World

HOUR = 3_600
OBJECTIVES = objectives()
WINDOWS = {child for made in OBJECTIVES.values() for child in children(made)}
COUNTED_BY_AWS = {
    "AWS/Lambda": {"Errors", "Throttles", "Invocations", "IteratorAge"},
    "AWS/SQS": {"ApproximateNumberOfMessagesVisible"},
    "AWS/ApiGateway": {"Latency", "5XXError", "4XXError"},
}


class Deployment:
    """A world whose metrics arrive in CloudWatch, minute by minute."""

    def __init__(self, tenants: int) -> None:
        memory = MemoryDynamoDB()
        self.world = World(memory, create_tables(memory, ""))
        self.cloudwatch = CloudWatch(template()["Resources"])
        self.metrics = Metrics(self._put)
        self.names = [f"t{number}" for number in range(tenants)]
        for name in self.names:
            self.world.connect(self.world.add_tenant(name))

    def _put(self, values: Any) -> None:
        self.cloudwatch.put(self.world.clock.now, values)

    def minutes(self, number: int, *, ticks: bool = True) -> None:
        """Each with its tick, of a second, and with the journal's stream read."""
        for _ in range(number):
            self.world.clock.pass_(60)
            for name in self.names:
                self.world.fleet_counts.note(self.world.journal.newest(name, 1)[0])
            if ticks:
                self.metrics.tick(self.world.schedule().tick(), 1.0)

    def connect(self, seconds: float) -> None:
        """Somebody connects anew, and `complete` takes that long."""
        name = f"c{len(self.names)}"
        self.names.append(name)
        visitor = self.world.browser(self.world.add_tenant(name))
        state = self.world.start(visitor)["state"]
        self.world.come_back(visitor, state=state, code="a-code")
        self.world.clock.pass_(seconds)
        self.metrics.connect(self.world.completion().run(self.world.completions.pop()))

    def rings(self, name: str) -> bool:
        return self.cloudwatch.rings(name, self.world.clock.now)

    @property
    def ringing(self) -> set[str]:
        return self.cloudwatch.ringing(self.world.clock.now) & set(OBJECTIVES)


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


def without_secrets(deployment: Deployment, tenants: list[str]) -> None:
    """Secrets Manager refuses those of some tenants: a failure of our own (F16)."""
    real = deployment.world.secret_store.credentials

    def credentials(tenant: str, version: str) -> Any:
        if tenant in tenants:
            raise DependencyUnavailable("secretsmanager", "InternalServiceError")
        return real(tenant, version)

    vars(deployment.world.secret_store).update(credentials=credentials)


def test_readers_without_tokens_burn_the_budget_until_they_have_them(
    aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four: nobody notices while the old tokens live; then it rings, and stops."""
    lives = {"LiveTokensFast", "LiveTokensSlow"}
    deployment = Deployment(4)
    deployment.minutes(5)
    assert deployment.ringing & lives == set()
    good = deployment.world.secret_store.credentials
    without_secrets(deployment, deployment.names[:3])
    deployment.minutes(53)
    assert deployment.ringing & lives == set(), "their tokens live"
    deployment.minutes(10)
    assert deployment.ringing & lives == lives
    monkeypatch.setattr(deployment.world.secret_store, "credentials", good)
    deployment.minutes(30)
    assert not deployment.rings("LiveTokensFast"), "the short window is over"
    assert deployment.rings("WithoutTokenHour")


def test_one_dead_tenant_of_ten_wakes_nobody(aws: None) -> None:
    """A tenth of the fleet is a thousand times the budget, and the trouble of one customer."""
    deployment = Deployment(10)
    without_secrets(deployment, deployment.names[:1])
    deployment.minutes(90)
    assert deployment.rings("WithoutTokenHour")
    assert deployment.rings("WithoutTokenFiveMinutes")
    assert deployment.ringing & {"LiveTokensFast", "LiveTokensSlow"} == set()


def test_tenants_that_nobody_asks_for_count_as_without_a_token() -> None:
    """While GoTo is down the journal hears of few; the rest are seen to be long overdue."""
    seen = TickReport(long_overdue=30, in_use=100, degraded=3)
    assert metrics.of_tick(seen, 1.0)["WithoutTokenPercent"] == 33
    assert TickReport(long_overdue=99, in_use=100, degraded=3).without_token == 100
    assert TickReport(long_overdue=99).without_token is None
    assert dead_after(0.33) == pytest.approx(2_412)


def test_the_long_overdue_are_counted(aws: None) -> None:
    deployment = Deployment(3)
    deployment.world.pass_until_due("t0")
    deployment.world.clock.pass_(dead_after(0.33) + 300)
    seen = deployment.world.schedule().tick()
    assert seen.long_overdue == 3
    assert seen.least_left is not None
    assert seen.least_left < 0


def test_a_disconnected_tenant_has_no_life_to_look_at(aws: None) -> None:
    deployment = Deployment(1)
    deployment.world.rep("disconnect", tenant="t0")
    deployment.minutes(2)
    assert deployment.world.schedule().tick().least_left is None


def test_a_tick_that_is_missed_wakes_nobody_and_a_seventh_of_them_does(aws: None) -> None:
    deployment = Deployment(0)
    deployment.minutes(6 * 60)
    deployment.minutes(1, ticks=False)
    deployment.minutes(3)
    assert deployment.rings("TicksOfFiveMinutes")
    assert deployment.ringing == set()
    for _ in range(12):
        deployment.minutes(4)
        deployment.minutes(1, ticks=False)
    assert "TicksFast" in deployment.ringing
    deployment.minutes(6)
    assert "TicksFast" not in deployment.ringing
    for _ in range(12):
        deployment.minutes(9)
        deployment.minutes(1, ticks=False)
    assert deployment.ringing == {"TicksSlow"}


def test_a_late_tick_is_not_on_time() -> None:
    assert metrics.of_tick(TickReport(), 59.9)["TicksOnTime"] == 1
    assert metrics.of_tick(TickReport(), 60.0)["TicksOnTime"] == 0


def test_admins_who_wait_too_long_are_noticed_once_they_are_three(aws: None) -> None:
    deployment = Deployment(0)
    for seconds in (2, 3, 12, 11):
        deployment.connect(seconds)
    assert deployment.ringing & {"ConnectsSlow"} == set()
    deployment.connect(30)
    assert "ConnectsSlow" in deployment.ringing
    deployment.world.clock.pass_(1_801)
    assert "ConnectsSlow" not in deployment.ringing


def test_what_becomes_of_a_connect(aws: None) -> None:
    """On time, late, refused for the customer's own reason, failed by GoTo, waiting for rescue."""
    deployment = Deployment(0)
    seen: list[dict[str, float]] = []
    deployment.metrics = Metrics(lambda values: seen.append(dict(values)))
    deployment.connect(2)
    deployment.world.goto.script = [refusal(400, "invalid_grant")]
    deployment.connect(2)
    deployment.world.goto.script = [refusal(401, "invalid_client")]
    deployment.connect(2)
    assert seen == [
        {"ConnectsLate": 0.0, "ConnectsLatePercent": 0.0, "ConnectSeconds": 2.0},
        {"ConnectsLate": 1.0, "ConnectsLatePercent": 100.0},
    ]
    assert metrics.of_connect(CompletionReport(None, None))["ConnectsLate"] == 1, (
        "it waits for rescue"
    )
    assert metrics.of_connect(CompletionReport(Reason.OTHER_ACCOUNT, None)) == {}
    assert metrics.of_connect(None) == {}, "a doubled invocation"


def test_every_window_is_joined_and_names_what_is_emitted() -> None:
    quiet = {
        name: made["Properties"]
        for name, made in template()["Resources"].items()
        if made.get("Type") == ALARM and "AlarmActions" not in made["Properties"]
    }
    assert set(quiet) == WINDOWS
    assert {made["Type"] for made in OBJECTIVES.values()} == {COMPOSITE}
    for alarm in quiet.values():
        assert alarm["Namespace"] == {"Fn::Sub": "ha-goto-${Stage}"}
        assert alarm["Dimensions"] == [{"Name": "service", "Value": SERVICE}]
        assert alarm["MetricName"] in EMITTED


def test_f12_goto_being_down_silences_the_objective_of_readers() -> None:
    """F12: one alarm for one outage, and half an hour to catch up."""
    suppressed = {
        name
        for name, made in OBJECTIVES.items()
        if made["Properties"].get("ActionsSuppressor") == {"Ref": "GoToDown"}
    }
    assert suppressed == {"LiveTokensFast", "LiveTokensSlow"}


def test_the_dashboard_shows_only_what_is_counted() -> None:
    resources = template()["Resources"]
    text = resources["Glance"]["Properties"]["DashboardBody"]["Fn::Sub"]
    shown, known = set(), set()
    for widget in json.loads(text)["widgets"]:
        properties = widget["properties"]
        known |= {re.findall(r"\$\{(\w+)\}$", name)[0] for name in properties.get("alarms", ())}
        for namespace, metric, *_ in properties.get("metrics", ()):
            counted = COUNTED_BY_AWS.get(namespace, EMITTED)
            assert namespace in {*COUNTED_BY_AWS, "ha-goto-${Stage}"}
            assert metric in counted, f"{widget['properties']['title']}: {metric}"
            if counted is EMITTED:
                shown.add(metric)
    assert known == {name for name, made in resources.items() if made.get("Type") == ALARM}
    assert shown == EMITTED, "each metric of ours is on it"


def test_the_dashboard_shows_what_an_alarm_looks_at_as_the_alarm_does() -> None:
    resources = template()["Resources"]
    body = json.loads(resources["Glance"]["Properties"]["DashboardBody"]["Fn::Sub"])
    shown = {
        (metric, options["stat"])
        for widget in body["widgets"]
        for _, metric, *_, options in widget["properties"].get("metrics", ())
    }
    alarms = [made["Properties"] for made in resources.values() if made.get("Type") == ALARM]
    telling = [alarm for alarm in alarms if "AlarmActions" in alarm]
    looked_at = {(each["MetricName"], each["Statistic"]) for each in telling}
    ours = {(metric, statistic) for metric, statistic in looked_at if metric in EMITTED}
    assert len(ours) > 5
    assert ours <= shown


def test_a_metric_that_only_an_alarm_names_has_a_widget_with_the_alarm_s_line() -> None:
    resources = template()["Resources"]
    widgets = json.loads(resources["Glance"]["Properties"]["DashboardBody"]["Fn::Sub"])["widgets"]
    titles = {each["properties"]["title"]: each["properties"] for each in widgets}
    overdue = titles["OldestOverdueSeconds"]
    assert overdue["annotations"]["horizontal"] == [{"label": "Overdue", "value": 600}]
    for metric in ("OldestOverdueSeconds", "MailsUnsent", "ConnectsLatePercent"):
        drawn = {(options["stat"], options["period"]) for *_, options in titles[metric]["metrics"]}
        alarms = [made["Properties"] for made in resources.values() if made.get("Type") == ALARM]
        assert drawn == {
            (alarm["Statistic"], alarm["Period"])
            for alarm in alarms
            if alarm["MetricName"] == metric
        }
    cells = {
        (x, y)
        for each in widgets
        for x in range(each["x"], each["x"] + each["width"])
        for y in range(each["y"], each["y"] + each["height"])
    }
    assert len(cells) == sum(each["width"] * each["height"] for each in widgets), "none overlaps"
    assert max(x for x, _ in cells) < 24


def test_the_page_of_objectives_names_every_alarm_and_metric_that_it_rests_on() -> None:
    text = (ROOT / "docs" / "slo.md").read_text()
    for name in (*OBJECTIVES, "WithoutTokenPercent", "TicksOnTime", "ConnectSeconds"):
        assert f"`{name}`" in text
