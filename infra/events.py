"""Events of a stack: why one operation failed, and no other; or what it is still at.

CloudFormation tells them newest first, a page at a time, of all operations of ninety days; each
carries the token of the operation that it belongs to.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_BEGINNINGS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")
_CANCELLED = ("Resource creation cancelled", "Resource update cancelled")
"""Said of what was under way when something else failed."""

_WAITS_FOR = {
    "AWS::CertificateManager::Certificate": (
        "the proof of its domain in DNS (the domain must be delegated to the zone of HostedZoneId)"
    ),
    "AWS::DynamoDB::Table": "DynamoDB, which builds an index",
}
"""What a kind of resource waits for, where it is known to wait long."""


def still_at(cloudformation: Any, stack: str) -> str | None:
    """What a stack's operation is at now, resource by resource; None where it has ended."""
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
    """What failed first in the operation of that ClientRequestToken, and why.

    Where no resource did: why CloudFormation went back, an alarm or a person.
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
    """The operation's events, newest first, down to its beginning."""
    pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName=stack)
    for event in (event for page in pages for event in page["StackEvents"]):
        if event.get("ClientRequestToken") == token:
            yield event
            of_stack = event.get("PhysicalResourceId") == event["StackId"]
            if of_stack and event["ResourceStatus"] in _BEGINNINGS:
                return
