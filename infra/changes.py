"""What a change set would do, resource by resource, and what of it would lose data. Pure.

Reads CloudFormation's `ResourceChange` documents. A property that replaces its resource under some
conditions only, such as a table's `KeySchema`, is reported as ``Replacement: Conditional``.
CloudFormation then decides while it runs, so here that counts as replaced.
"""

from collections.abc import Mapping
from typing import Any

REPLACES: dict[str, frozenset[str]] = {
    "AWS::DynamoDB::Table": frozenset({"ImportSourceSpecification", "KeySchema", "TableName"}),
    "AWS::KMS::Key": frozenset(),
    "AWS::SQS::Queue": frozenset({"FifoQueue", "QueueName"}),
}
"""Of what holds something that exists nowhere else, the properties that can replace it, as the
registry's schemas say. (The local cloud says `Conditional` of all that a key has.)"""

KEPT = tuple(REPLACES)

_REPLACED = {"True": "replaced", "Conditional": "perhaps replaced"}
_RECREATES = ("Always", "Conditionally")


def line(change: Mapping[str, Any]) -> str:
    """One change, for the operator."""
    named = f"{change['Action']:<7} {change['LogicalResourceId']:<32} {change['ResourceType']}"
    how = _REPLACED.get(change.get("Replacement", ""), "")
    because = ", ".join(_causes(change))
    return f"{named}, {how}{because and f' ({because})'}" if how else named


def loses(change: Mapping[str, Any]) -> bool:
    """Whether it takes something in `KEPT` out of the stack, surely or perhaps."""
    if change["ResourceType"] not in KEPT:
        return False
    replaced = change.get("Replacement") == "True"
    if change.get("Replacement") == "Conditional":
        causes = set(_causes(change))
        replaced = not causes or bool(causes & REPLACES[change["ResourceType"]])
    by_policy = str(change.get("PolicyAction", "")).startswith("ReplaceAnd")
    return change["Action"] in ("Remove", "Dynamic") or replaced or by_policy


def _causes(change: Mapping[str, Any]) -> list[str]:
    """Names of the properties for which it is replaced."""
    targets = [detail.get("Target", {}) for detail in change.get("Details", ())]
    return sorted(
        {
            str(target.get("Name") or target.get("Attribute"))
            for target in targets
            if target.get("RequiresRecreation") in _RECREATES
        }
    )
