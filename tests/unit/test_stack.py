"""What CloudFormation is told and asked, where the local cloud is not as AWS is: pages that end,
triggers that undo."""

from collections.abc import Collection, Iterator, Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest

from infra.stack import BEFORE, Stack
from infra.triggers import NONE, WATCHED

PAGE = 100
"""Resources that CloudFormation tells of at once."""

STACK_ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/ha-goto-x/1"


class CloudFormation:
    """CloudFormation with one stack, of which it tells a page at a time."""

    def __init__(self, resources: Mapping[str, str]) -> None:
        self.stack: dict[str, Any] = {"StackId": STACK_ID, "StackStatus": "UPDATE_COMPLETE"}
        self.asked: dict[str, Any] = {}
        self._resources = [
            {"LogicalResourceId": name, "PhysicalResourceId": real, "ResourceStatus": status}
            for name, real in resources.items()
            for status in ["DELETE_COMPLETE" if real.startswith("gone") else "CREATE_COMPLETE"]
        ]

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        return {"Stacks": [self.stack]}

    def describe_stack_resources(self, **_: Any) -> dict[str, Any]:
        return {"StackResources": self._resources[:PAGE]}

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, f"_{operation}"))

    def _list_stack_resources(self, **_: Any) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self._resources), PAGE):
            yield {"StackResourceSummaries": self._resources[start : start + PAGE]}

    def _describe_change_set(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield {"Changes": []}

    def create_change_set(self, **asked: Any) -> dict[str, Any]:
        self.asked = asked
        return {"Id": "a-change-set"}

    def describe_change_set(self, **_: Any) -> dict[str, Any]:
        return {"Status": "CREATE_COMPLETE"}


class Session:
    """A session of boto3's in which the bucket is there and holds templates."""

    region_name = "eu-west-1"

    def __init__(self, cloudformation: CloudFormation, ringing: Collection[str] = ()) -> None:
        self._ringing = ringing
        self._clients = {
            "cloudformation": cloudformation,
            "cloudwatch": SimpleNamespace(describe_alarms=self._alarms),
            "s3": SimpleNamespace(
                meta=SimpleNamespace(endpoint_url="https://s3"),
                head_bucket=lambda **_: {},
                get_object=lambda **_: {"Body": BytesIO(b"Parameters: {Kept: {}, New: {}}")},
            ),
            "sts": SimpleNamespace(get_caller_identity=lambda: {"Account": "123456789012"}),
        }

    def _alarms(self, AlarmNames: list[str]) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        assert AlarmNames
        states = {name: "ALARM" if name in self._ringing else "OK" for name in AlarmNames}
        told = [{"AlarmName": name, "StateValue": state} for name, state in states.items()]
        return {"MetricAlarms": told}

    def client(self, name: str, endpoint_url: str | None = None) -> Any:
        return self._clients[name]


def stack(cloudformation: CloudFormation, ringing: Collection[str] = ()) -> Stack:
    session = Session(cloudformation, ringing)
    return Stack(session, "ha-goto-x", poll={"Delay": 0, "MaxAttempts": 1})


def triggers(cloudformation: CloudFormation) -> set[str]:
    """The alarms that undo the change set that was asked for."""
    found = cloudformation.asked["RollbackConfiguration"]["RollbackTriggers"]
    return {each["Arn"].partition("123456789012:")[2] for each in found}


ALARMS = {name: f"x-{name}" for name in WATCHED}
EVERY = {f"alarm:x-{name}" for name in WATCHED}
MANY = {f"Resource{number}": f"r-{number}" for number in range(2 * PAGE)}


@pytest.mark.parametrize(
    ("resources", "undoing"),
    [
        (ALARMS | MANY, EVERY),
        (MANY | ALARMS, EVERY),
        (MANY | ALARMS | {"TickFails": "gone-1"}, EVERY - {"alarm:x-TickFails"}),
        (MANY, set()),
    ],
    ids=["on the first page", "on the last page", "one is gone", "a version without alarms"],
)
def test_each_watched_alarm_that_runs_undoes_an_update(
    resources: dict[str, str], undoing: set[str]
) -> None:
    cloudformation = CloudFormation(resources)
    assert stack(cloudformation).plan("d" * 64, {}) is not None
    assert triggers(cloudformation) == undoing


def test_an_alarm_that_rings_already_does_not_undo_its_cure() -> None:
    cloudformation = CloudFormation(ALARMS)
    plan = stack(cloudformation, {"x-TickFails", "x-PagesFail"}).plan("d" * 64, {})
    assert plan is not None
    assert plan.ringing == ("PagesFail", "TickFails")
    assert triggers(cloudformation) == EVERY - {"alarm:x-TickFails", "alarm:x-PagesFail"}


def test_an_empty_list_is_said_where_all_ring() -> None:
    """Without one, CloudFormation takes the triggers of the operation before."""
    cloudformation = CloudFormation(ALARMS)
    assert stack(cloudformation, set(ALARMS.values())).plan("d" * 64, {}) is not None
    assert triggers(cloudformation) == set()


def test_no_alarm_undoes_going_back() -> None:
    """The alarms that call for it ring while it runs, and CloudFormation keeps old triggers."""
    cloudformation = CloudFormation(ALARMS)
    cloudformation.stack["Tags"] = [{"Key": BEFORE, "Value": "b" * 64}]
    cloudformation.stack["Parameters"] = [{"ParameterKey": name} for name in ("Kept", "Gone")]
    plan = stack(cloudformation, set(ALARMS.values())).plan_back()
    assert plan is not None
    assert plan.ringing == ()
    assert cloudformation.asked["RollbackConfiguration"] == NONE
    assert NONE["RollbackTriggers"] == []
    assert [each["ParameterKey"] for each in cloudformation.asked["Parameters"]] == ["Kept"]
