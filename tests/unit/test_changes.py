"""What a change set would lose, by CloudFormation's own documents and schemas.

AWS: "ResourceChange", CloudFormation API Reference (API_ResourceChange.html); "Resource type
definition schema", CloudFormation CLI User Guide (resource-type-schema.html), on
``createOnlyProperties`` and ``conditionalCreateOnlyProperties``.
"""

from importlib import import_module
from typing import Any

import pytest

from infra import changes

TABLE, KEY, QUEUE = changes.KEPT


def document(kind: str, name: str, recreates: str, replacement: str, **more: str) -> dict[str, Any]:
    """A `ResourceChange` as DescribeChangeSet tells it, of one property that was edited."""
    target = {"Attribute": "Properties", "Name": name, "RequiresRecreation": recreates}
    return {
        "Action": "Modify",
        "LogicalResourceId": "Tokens",
        "PhysicalResourceId": "ha-goto-production-Tokens-1X2Y3Z",
        "ResourceType": kind,
        "Replacement": replacement,
        "Scope": ["Properties"],
        "Details": [
            {"Target": target, "Evaluation": "Static", "ChangeSource": "DirectModification"}
        ],
        **more,
    }


def replacing(kind: str) -> list[tuple[str, str, str]]:
    """Every property that replaces a resource of a kind: name, recreation, how it is reported."""
    registry = import_module("cfnlint.schema.manager").PROVIDER_SCHEMA_MANAGER
    schema = registry.get_resource_schema("us-east-1", kind).schema
    always, perhaps = "createOnlyProperties", "conditionalCreateOnlyProperties"
    names = {
        place: [path.rpartition("/")[2] for path in schema.get(place, ())]
        for place in (always, perhaps)
    }
    return [(name, "Always", "True") for name in names[always]] + [
        (name, "Conditionally", "Conditional") for name in names[perhaps]
    ]


def test_a_table_s_key_schema_replaces_it_conditionally() -> None:
    """As the registry's schema says; a template without names can change no other."""
    assert ("KeySchema", "Conditionally", "Conditional") in replacing(TABLE)
    assert replacing(KEY) == []


@pytest.mark.parametrize("kind", changes.KEPT)
def test_the_properties_that_replace_are_those_of_the_registry(kind: str) -> None:
    assert changes.REPLACES[kind] == {name for name, _, _ in replacing(kind)}


@pytest.mark.parametrize(
    ("kind", "name", "recreates", "replacement"),
    [(kind, *each) for kind in changes.KEPT for each in replacing(kind)],
)
def test_whatever_may_replace_what_is_kept_loses_it(
    kind: str, name: str, recreates: str, replacement: str
) -> None:
    change = document(kind, name, recreates, replacement)
    assert changes.loses(change)
    assert changes.line(change).endswith(f"replaced ({name})")


@pytest.mark.parametrize(
    "change",
    [
        document(TABLE, "KeySchema", "Never", "False", Action="Remove", PolicyAction="Retain"),
        document(TABLE, "KeySchema", "Never", "False", PolicyAction="ReplaceAndRetain"),
        document(QUEUE, "QueueName", "Never", "False", Action="Dynamic"),
        document(TABLE, "KeySchema", "Never", "Conditional"),
    ],
    ids=["taken out", "replaced by its policy", "decided while it runs", "for no reason told"],
)
def test_so_does_whatever_takes_it_out(change: dict[str, Any]) -> None:
    assert changes.loses(change)


@pytest.mark.parametrize(
    "change",
    [
        document(TABLE, "TimeToLiveSpecification", "Never", "False"),
        document(KEY, "KeyPolicy", "Never", "False"),
        document(KEY, "KeyPolicy", "Conditionally", "Conditional"),
        document("AWS::Lambda::EventSourceMapping", "StartingPosition", "Always", "True"),
        {"Action": "Add", "LogicalResourceId": "New", "ResourceType": TABLE},
        {"Action": "Import", "LogicalResourceId": "Old", "ResourceType": TABLE},
    ],
    ids=[
        "a table's other property",
        "a key's policy",
        "a key's policy on the local cloud",
        "what holds nothing",
        "new",
        "imported",
    ],
)
def test_what_loses_nothing_is_carried_out(change: dict[str, Any]) -> None:
    assert not changes.loses(change)


def test_a_line_names_what_happens() -> None:
    added = {"Action": "Add", "LogicalResourceId": "Tokens", "ResourceType": TABLE}
    assert changes.line(added) == "Add     Tokens                           AWS::DynamoDB::Table"
