"""What a stack tells of its versions: by outputs, and by tags where it was made before them."""

import json
from typing import Any

import pytest

from infra import versions
from infra.versions import Versions


def stack(**told: str) -> dict[str, Any]:
    """A stack with tags, in small letters, and outputs."""
    tags = {"package": told.get("tag"), "package-before": told.get("tag_before"), "cost": "1"}
    outputs = {"Package": told.get("live"), "PackageBefore": told.get("before"), "ApiId": "x"}
    return {
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value],
        "Outputs": [
            {"OutputKey": key, "OutputValue": value} for key, value in outputs.items() if value
        ],
    }


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, Versions()),
        ({}, Versions()),
        (stack(), Versions()),
        (stack(tag="a"), Versions("a")),
        (stack(tag="a", tag_before="b"), Versions("a", "b")),
        (stack(live="a", before="b"), Versions("a", "b")),
        (stack(live="a", tag="c", tag_before="b"), Versions("a")),
    ],
    ids=["no stack", "none made", "neither", "a tag", "tags", "outputs", "never both"],
)
def test_a_stack_tells_its_versions(found: dict[str, Any] | None, told: Versions) -> None:
    assert versions.of(found) == told


@pytest.mark.parametrize(
    ("now", "digest", "then"),
    [
        (Versions(), "a", Versions("a")),
        (Versions("a"), "b", Versions("b", "a")),
        (Versions("a", "b"), "a", Versions("a", "b")),
        (Versions("a", "b"), "b", Versions("b", "a")),
        (Versions("a", "b"), "c", Versions("c", "a")),
    ],
    ids=["the first", "the second", "the same again", "back", "on"],
)
def test_what_runs_becomes_what_ran(now: Versions, digest: str, then: Versions) -> None:
    assert now.after(digest) == then


def test_a_template_is_told_by_two_outputs_more() -> None:
    made = json.loads(versions.telling("Resources: {A: {Ref: !Ref B}}", Versions("a")))
    assert made == {
        "Resources": {"A": {"Ref": {"Ref": "B"}}},
        "Outputs": {"Package": {"Value": "a"}},
    }
    made = json.loads(versions.telling("Outputs: {X: {Value: 1}}", Versions("b", "a")))
    assert made["Outputs"] == {
        "X": {"Value": 1},
        "Package": {"Value": "b"},
        "PackageBefore": {"Value": "a"},
    }


def test_tags_of_before_go_once_and_others_stay() -> None:
    assert versions.kept_tags(None) is None
    assert versions.kept_tags(stack(live="a")) is None
    assert versions.kept_tags(stack(tag="a", tag_before="b")) == [{"Key": "cost", "Value": "1"}]
