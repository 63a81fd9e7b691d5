"""What a change set would do, resource by resource, and which changes would lose data. Pure.

Reads CloudFormation's `ResourceChange` documents. If a changed property may replace its resource,
as a table's `KeySchema` may, CloudFormation reports ``Replacement: Conditional`` and decides during
the update. Here that counts as replaced.
"""

from collections.abc import Mapping
from typing import Any

REPLACES: dict[str, frozenset[str]] = {
    "AWS::DynamoDB::Table": frozenset({"ImportSourceSpecification", "KeySchema", "TableName"}),
    "AWS::KMS::Key": frozenset(),
    "AWS::SQS::Queue": frozenset({"FifoQueue", "QueueName"}),
}
"""Types that hold what exists nowhere else, and the properties that can replace such a resource, by
the registry's schemas. (The local cloud reports all properties of a key as `Conditional`.)"""

KEPT = tuple(REPLACES)

_REPLACED = {"True": "replaced", "Conditional": "perhaps replaced"}
_RECREATES = ("Always", "Conditionally")


def line(change: Mapping[str, Any]) -> str:
    """One change, as a line for the operator."""
    named = f"{change['Action']:<7} {change['LogicalResourceId']:<32} {change['ResourceType']}"
    how = _REPLACED.get(change.get("Replacement", ""), "")
    because = ", ".join(_causes(change))
    return f"{named}, {how}{because and f' ({because})'}" if how else named


def loses(change: Mapping[str, Any]) -> bool:
    """Whether the change removes or replaces, or might, a resource of a type in `KEPT`."""
    if change["ResourceType"] not in KEPT:
        return False
    replaced = change.get("Replacement") == "True"
    if change.get("Replacement") == "Conditional":
        causes = set(_causes(change))
        replaced = not causes or bool(causes & REPLACES[change["ResourceType"]])
    by_policy = str(change.get("PolicyAction", "")).startswith("ReplaceAnd")
    return change["Action"] in ("Remove", "Dynamic") or replaced or by_policy


def _causes(change: Mapping[str, Any]) -> list[str]:
    """Names of the properties that cause the replacement."""
    targets = [detail.get("Target", {}) for detail in change.get("Details", ())]
    return sorted(
        {
            str(target.get("Name") or target.get("Attribute"))
            for target in targets
            if target.get("RequiresRecreation") in _RECREATES
        }
    )
