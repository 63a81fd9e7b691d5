"""CloudWatch in the small: metrics minute by minute, and alarms evaluated by their definitions."""

import operator
import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from chalicelib.aws.telemetry import SERVICE
from chalicelib.notify.metrics import METRICS
from tests.support.aws import template

STAGE = "test"
OURS = f"ha-goto-{STAGE}"
"""The namespace of our own metrics."""

ALARM, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"

EMITTED = set(METRICS)
"""Our own metrics, by name."""

_COMPARED: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}
_STATISTICS: dict[str, Callable[[list[float]], float]] = {
    "Average": lambda values: sum(values) / len(values),
    "Sum": sum,
    "Maximum": max,
    "Minimum": min,
}


@cache
def objectives() -> dict[str, Any]:
    """The alarms made of alarms."""
    resources = template()["Resources"].items()
    return {name: made for name, made in resources if made.get("Type") == COMPOSITE}


Metric = tuple[str, str, str]
"""Namespace, the one dimension's value, name."""


class CloudWatch:
    """Samples by metric and second; ``rings`` is what an alarm over them would be at a moment."""

    def __init__(self, resources: Mapping[str, Any]) -> None:
        self._alarms = {
            name: made for name, made in resources.items() if made.get("Type") in (ALARM, COMPOSITE)
        }
        self._samples: dict[Metric, list[tuple[float, float]]] = defaultdict(list)

    def put(
        self, at: float, values: Mapping[str, float], namespace: str = OURS, of: str = SERVICE
    ) -> None:
        """Samples of one second. ``of``: the dimension's value, or what it refers to."""
        for name, value in values.items():
            self._samples[namespace, of, name].append((at, value))

    def forget(self, before: float) -> None:
        """Drop samples that no window reaches back to."""
        for samples in self._samples.values():
            del samples[: bisect_left(samples, before, key=_second)]

    def ringing(self, now: float) -> set[str]:
        return {name for name in self._alarms if self.rings(name, now)}

    def rings(self, name: str, now: float) -> bool:
        """Whether it is in ALARM, after windows that end at ``now``."""
        made = self._alarms[name]
        if made["Type"] == COMPOSITE:
            return all(self.rings(child, now) for child in children(made))
        alarm = made["Properties"]
        periods = int(alarm["EvaluationPeriods"])
        breaching = sum(self._breaches(alarm, now, back) for back in range(periods))
        return breaching >= int(alarm.get("DatapointsToAlarm", periods))

    def _breaches(self, alarm: Mapping[str, Any], now: float, back: int) -> bool:
        end = now - back * alarm["Period"]
        begin = end - alarm["Period"]
        samples = self._samples[watched(alarm)]
        first, last = (bisect_right(samples, at, key=_second) for at in (begin, end))
        values = [value for _, value in samples[first:last]]
        if not values:
            return bool(alarm["TreatMissingData"] == "breaching")
        value = _STATISTICS[alarm["Statistic"]](values)
        return bool(_COMPARED[alarm["ComparisonOperator"]](value, float(alarm["Threshold"])))


def _second(sample: tuple[float, float]) -> float:
    return sample[0]


def watched(alarm: Mapping[str, Any]) -> Metric:
    """The metric that an alarm looks at."""
    [dimension] = alarm["Dimensions"]
    return _text(alarm["Namespace"]), _text(dimension["Value"]), str(alarm["MetricName"])


def _text(value: Any) -> str:
    """A value of the template; for what is known once a resource exists, its name there."""
    match value:
        case {"Fn::Sub": text}:
            return str(text).replace("${Stage}", STAGE)
        case {"Ref": name} | {"Fn::GetAtt": [name, _]}:
            return str(name)
    return str(value)


def children(composite: Mapping[str, Any]) -> list[str]:
    """The alarms that a rule joins; rules here are AND alone."""
    rule = composite["Properties"]["AlarmRule"]["Fn::Sub"].strip()
    terms = rule.split(" AND ")
    found = [re.fullmatch(r'ALARM\("\$\{(\w+)\}"\)', term) for term in terms]
    assert all(found), rule
    return [match[1] for match in found if match]
