"""Completes the alarms with what they have in common, and the dashboard with what they watch.

Runs when the fragments merge. An alarm that is part of a composite alarm notifies nobody itself;
every other alarm notifies the topic `Alarms`.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

ALARM, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"

_COMMON = {
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
_OURS: dict[str, Any] = {
    "Namespace": {"Fn::Sub": "ha-goto-${Stage}"},
    "Dimensions": [{"Name": "service", "Value": "goto-connection"}],
}
"""For an alarm that names no namespace: it watches one of our metrics."""

_TELLS = {"AlarmActions": [{"Ref": "Alarms"}], "OKActions": [{"Ref": "Alarms"}]}

_ARN = "arn:${{AWS::Partition}}:cloudwatch:${{AWS::Region}}:${{AWS::AccountId}}:alarm:${{{}}}"

_WIDTH, _HEIGHT, _COLUMNS = 8, 6, 3
"""A widget's size in CloudWatch's grid of 24 columns, and widgets in a row."""


def complete(resources: dict[str, Any]) -> None:
    """Fill in, in place, what the alarms leave out, and add to the dashboard what they watch."""
    alarms = {name: each for name, each in resources.items() if each.get("Type") == ALARM}
    composites = [each for each in resources.values() if each.get("Type") == COMPOSITE]
    parts = set(re.findall(r"\$\{(\w+)\}", str([each["Properties"] for each in composites])))
    for name, alarm in alarms.items():
        own = alarm["Properties"]
        ours = {} if "Namespace" in own else _OURS
        alarm["Properties"] = _COMMON | ours | ({} if name in parts else _TELLS) | own
    for composite in composites:
        composite["Properties"] = _TELLS | composite["Properties"]
    if "Glance" in resources:
        properties = resources["Glance"]["Properties"]
        body = json.loads(properties["DashboardBody"]["Fn::Sub"])
        watched = {name: each["Properties"] for name, each in alarms.items()}
        properties["DashboardBody"] = {"Fn::Sub": json.dumps(_shown(body, watched), indent=1)}


def _shown(body: dict[str, Any], alarms: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """The dashboard with every alarm in its list. Each of our metrics that has alarms but no widget
    gets one, below the others."""
    widgets = body["widgets"]
    for widget in widgets:
        if widget["type"] == "alarm":
            widget["properties"]["alarms"] = [_ARN.format(name) for name in sorted(alarms)]
    placed = {line[1] for each in widgets for line in each["properties"].get("metrics", ())}
    missing: dict[str, dict[str, dict[str, Any]]] = {}
    for name, alarm in sorted(alarms.items()):
        if alarm["Namespace"] == _OURS["Namespace"] and alarm["MetricName"] not in placed:
            missing.setdefault(alarm["MetricName"], {})[name] = alarm
    below = max(each["y"] + each["height"] for each in widgets)
    added = [
        _widget(metric, its) | {"x": at % _COLUMNS * _WIDTH, "y": below + at // _COLUMNS * _HEIGHT}
        for at, (metric, its) in enumerate(sorted(missing.items()))
    ]
    return body | {"widgets": widgets + added}


def _widget(metric: str, alarms: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """A metric, by its alarms' statistics, with their thresholds as lines."""
    dimensions = [text for each in _OURS["Dimensions"] for text in each.values()]
    looks = sorted({(alarm["Statistic"], alarm["Period"]) for alarm in alarms.values()})
    return {
        "type": "metric",
        "width": _WIDTH,
        "height": _HEIGHT,
        "properties": {
            "title": metric,
            "region": "${AWS::Region}",
            "period": 60,
            "annotations": {
                "horizontal": [
                    {"label": name, "value": alarm["Threshold"]} for name, alarm in alarms.items()
                ]
            },
            "metrics": [
                [
                    "ha-goto-${Stage}",
                    metric,
                    *dimensions,
                    {"stat": statistic, "period": period, "label": f"{statistic}, {period} s"},
                ]
                for statistic, period in looks
            ],
        },
    }
