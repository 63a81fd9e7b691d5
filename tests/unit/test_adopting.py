"""What a destroyed stack has left is found by CloudFormation's own memory, and nothing else.

AWS: "ListStackResources" and "ListStacks", CloudFormation API Reference: a deleted stack is told of
for 90 days, by its id; what it left is ``DELETE_SKIPPED``.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from infra import adopt, package
from infra.adopt import Adopter, remains
from infra.cloudformation import load
from infra.stack import StackFailed

TABLE, KEY, QUEUE = "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SQS::Queue"


def summary(name: str, kind: str, status: str = "DELETE_SKIPPED") -> dict[str, str]:
    return {
        "LogicalResourceId": name,
        "PhysicalResourceId": f"x-{name}",
        "ResourceType": kind,
        "ResourceStatus": status,
    }


LEFT = {
    "old": [summary("Tokens", TABLE), summary("TokensKey", KEY)],
    "newer": [summary("Grants", KEY), summary("Gone", QUEUE, "DELETE_COMPLETE")],
    "failed": [summary("Grants", TABLE), summary("GrantsKey", KEY, "DELETE_COMPLETE")],
}


class CloudFormation:
    """CloudFormation that remembers three stacks of one name, and one of another."""

    def get_paginator(self, operation: str) -> Any:
        return SimpleNamespace(paginate=getattr(self, operation))

    def list_stacks(self, StackStatusFilter: list[str]) -> Iterator[dict[str, Any]]:  # noqa: N803
        assert StackStatusFilter == ["DELETE_COMPLETE"]
        for day, name in enumerate(("old", "newer", "failed"), 1):
            gone = {"StackName": "ha-goto-x", "StackId": name}
            yield {"StackSummaries": [gone | {"DeletionTime": datetime(2026, 1, day, tzinfo=UTC)}]}
        yield {"StackSummaries": [{"StackName": "another", "StackId": "another"}]}

    def list_stack_resources(self, StackName: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        for one in LEFT[StackName]:
            yield {"StackResourceSummaries": [one]}


def adopter(name: str) -> Adopter:
    session = SimpleNamespace(client=lambda *_, **__: CloudFormation())
    return Adopter(session, name)


def test_the_newest_that_left_anything_is_taken_up() -> None:
    """A first deployment that failed since has left empty tables, and no key."""
    assert adopter("ha-goto-x")._left() == [summary("Grants", KEY)]


def test_a_package_that_cannot_be_made_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> None:
        raise package.NotPackaged("`chalice package` failed: no disk.")

    monkeypatch.setattr(package, "build", fails)
    assert adopt.main(["production"]) == 1
    assert capsys.readouterr().err == "`chalice package` failed: no disk.\n"


def test_nothing_is_made_up() -> None:
    with pytest.raises(StackFailed, match="has left anything"):
        adopter("ha-goto-y")._left()


def test_the_template_has_nothing_else() -> None:
    """AWS imports only what a template has, all of it retained."""
    whole = package.build().template.read_text()
    kept = [
        summary(name, made["Type"])
        for name, made in load(whole)["Resources"].items()
        if made["Type"] in (TABLE, KEY, QUEUE) and "DeletionPolicy" in made
    ]
    made = json.loads(remains(whole, kept))
    assert set(made) == {"Parameters", "Conditions", "Resources"}
    assert {one["Type"] for one in made["Resources"].values()} == {TABLE, KEY, QUEUE}
    assert len(made["Resources"]) == 7 + 6 + 2


def test_a_table_without_its_key_is_refused() -> None:
    whole = package.build().template.read_text()
    with pytest.raises(StackFailed, match="TokensKey is not left"):
        remains(whole, [summary("Tokens", TABLE)])
