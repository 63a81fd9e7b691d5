"""Rollback triggers: alarms at which CloudFormation undoes an update by itself.

CloudFormation keeps a stack's triggers for the operations that follow, so each operation names its
own, also where it wants none.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

WATCHED = ("CompletionFails", "OwnFailures", "PagesFail", "TickFails", "TickMissing")
"""Alarms that undo an update; CloudFormation takes five."""

WATCHED_MINUTES = 5

NONE = {"RollbackTriggers": [], "MonitoringTimeInMinutes": 0}
"""Nothing undoes it. An omitted list would be the one of the operation before."""


@dataclass(frozen=True)
class Watched:
    """The alarms of `WATCHED` that a stack has: their names in AWS, by those in the template."""

    alarms: Mapping[str, str]
    ringing: Collection[str] = ()
    """Those, as the template names them, that ring already: each would undo whatever is done."""

    def configuration(self, stack: str) -> dict[str, Any]:
        """CloudFormation's RollbackConfiguration for the stack of that ARN."""
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
    """The alarms to watch among a stack's resources, and which of them ring now."""
    alarms = {name: resources[name] for name in WATCHED if name in resources}
    if not alarms:  # without names CloudWatch would tell of everybody's
        return Watched({})
    told = cloudwatch.describe_alarms(AlarmNames=list(alarms.values()))["MetricAlarms"]
    ringing = {alarm["AlarmName"] for alarm in told if alarm["StateValue"] == "ALARM"}
    return Watched(alarms, tuple(name for name, real in alarms.items() if real in ringing))
