"""Rollback triggers: alarms that make CloudFormation undo an update.

CloudFormation keeps a stack's triggers for later operations, so each operation sets its own, even
if it has none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

WATCHED = ("CompletionFails", "OwnFailures", "PagesFail", "TickFails", "TickMissing")
"""Alarms that undo an update; CloudFormation allows five."""

WATCHED_MINUTES = 5

NONE = {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}
"""No triggers. If the list were omitted, the previous operation's would apply."""


@dataclass(frozen=True)
class Watched:
    """The alarms of `WATCHED` that a stack has: their names in AWS, by their template names."""

    alarms: Mapping[str, str]
    ringing: Collection[str] = ()
    """Template names of alarms that are already ringing: each would undo any update."""

    def configuration(self, stack: str) -> dict[str, Any]:
        """CloudFormation's RollbackConfiguration for the stack with this ARN."""
        account = ":".join(stack.split(":")[:5]).replace("cloudformation", "cloudwatch")
        quiet = sorted(real for name, real in self.alarms.items() if name not in self.ringing)
        return {
            "RollbackTriggers": [
                {"Arn": f"{account}:alarm:{real}", "Type": "AWS::CloudWatch::Alarm"}
                for real in quiet
            ],
            "MonitoringTimeInMinutes": WATCHED_MINUTES,
        }


def watched(cloudwatch: Any, resources: Mapping[str, str]) -> Watched:
    """The alarms to watch among a stack's resources, and which of them are ringing."""
    alarms = {name: resources[name] for name in WATCHED if name in resources}
    if not alarms:  # without names CloudWatch would return all alarms
        return Watched({})
    described = cloudwatch.describe_alarms(AlarmNames=list(alarms.values()))["MetricAlarms"]
    ringing = {alarm["AlarmName"] for alarm in described if alarm["StateValue"] == "ALARM"}
    return Watched(alarms, tuple(name for name, real in alarms.items() if real in ringing))
