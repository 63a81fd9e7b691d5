"""Reads from a stack's events why one operation failed, or what it is still doing.

CloudFormation lists the events of all operations of the last 90 days, newest first, in pages. Each
carries its operation's token.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled")
"""Reasons of resources that CloudFormation stopped because another one failed."""

_WAITS_FOR = {
    "AWS::CertificateManager::Certificate": (
        "the proof of its domain in DNS (the domain must be delegated to the zone of HostedZoneId)"
    ),
    "AWS::DynamoDB::Table": "DynamoDB, which builds an index",
}
"""What resources of these types wait for, often long."""


def still_at(cloudformation: Any, stack: str) -> str | None:
    """What a stack's operation is doing now, resource by resource; None if it has ended."""
    status = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    if not status.endswith("_IN_PROGRESS"):
        return None
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    busy = [
        _waiting(resource)
        for page in pages
        for resource in page["StackResourceSummaries"]
        if resource["ResourceStatus"].endswith("_IN_PROGRESS")
    ]
    return "; ".join(busy or [f"its status is {status}"]) + "."


def _waiting(resource: Mapping[str, Any]) -> str:
    waits_for = _WAITS_FOR.get(resource["ResourceType"])
    name, status = resource["LogicalResourceId"], resource["ResourceStatus"]
    return f"{name} waits for {waits_for}" if waits_for else f"{name} is {status}"


def first_failure(cloudformation: Any, stack: str, token: str) -> str:
    """What failed first in the operation with this ClientRequestToken, and why.

    If no resource failed: why CloudFormation rolled back (an alarm, or a person).
    """
    failed, back = "", "no reason given"
    for event in _of(cloudformation, stack, token):
        status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
        if status.endswith("_FAILED") and not reason.startswith(_CANCELLED):
            failed = f"{event['LogicalResourceId']}: {reason or 'no reason given'}"
        elif status.endswith("ROLLBACK_IN_PROGRESS") and reason:
            back = reason
    return failed or back


def _of(cloudformation: Any, stack: str, token: str) -> Iterator[Mapping[str, Any]]:
    """The operation's events, from the newest back to its first."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    for event in (event for page in pages for event in page["StackEvents"]):
        if event.get("ClientRequestToken") == token:
            yield event
            of_stack = event.get("PhysicalResourceId") == event["StackId"]
            if of_stack and event["ResourceStatus"] in _BEGINNINGS:
                return
