"""What every alarm has in common, and the dashboard's list of them: added when the fragments merge.

An alarm that a composite one is made of tells nobody itself; every other one tells `Alarms`.
"""

import re
from typing import Any

ALARM, COMPOSITE = "AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"

_COMMON = {
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
_OURS = {
    "Namespace": {"Fn::Sub": "ha-goto-${Stage}"},
    "Dimensions": [{"Name": "service", "Value": "goto-connection"}],
}
"""Where an alarm names no other namespace, it watches a metric of ours."""

_TELLS = {"AlarmActions": [{"Ref": "Alarms"}], "OKActions": [{"Ref": "Alarms"}]}

_EVERY_ALARM = '"EVERY_ALARM"'
_ARN = '"arn:${{AWS::Partition}}:cloudwatch:${{AWS::Region}}:${{AWS::AccountId}}:alarm:${{{}}}"'


def complete(resources: dict[str, Any]) -> None:
    """Add to alarms what they leave out, and to the dashboard's body every alarm's ARN."""
    alarms = {name: each for name, each in resources.items() if each.get("Type") == ALARM}
    composites = [each for each in resources.values() if each.get("Type") == COMPOSITE]
    parts = set(re.findall(r"\$\{(\w+)\}", str([each["Properties"] for each in composites])))
    for name, alarm in alarms.items():
        said = alarm["Properties"]
        ours = {} if "Namespace" in said else _OURS
        alarm["Properties"] = _COMMON | ours | ({} if name in parts else _TELLS) | said
    for composite in composites:
        composite["Properties"] = _TELLS | composite["Properties"]
    if "Glance" in resources:
        body = resources["Glance"]["Properties"]["DashboardBody"]
        arns = ",\n           ".join(_ARN.format(name) for name in sorted(alarms))
        body["Fn::Sub"] = body["Fn::Sub"].replace(_EVERY_ALARM, arns)
