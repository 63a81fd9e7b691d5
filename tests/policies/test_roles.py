"""S21: each function's role against what the function asks AWS for, both ways."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from tests.policies import roles, story
from tests.policies.roles import FUNCTIONS, Roles
from tests.support.deployment import Deployment
from tests.support.recorder import Call, overhear


@pytest.fixture(scope="module")
def packaged() -> Roles:
    return roles.packaged()


@pytest.fixture(scope="module")
def calls() -> Iterator[set[Call]]:
    """What the functions ask for on all their ways, and what Lambda does in their name."""
    with pytest.MonkeyPatch.context() as patch, mock_aws(), overhear() as heard:
        story.everything(Deployment(patch))
        yield heard | {
            (function, asked) for function in FUNCTIONS for asked in roles.by_lambda(function)
        }


def test_s21_nothing_is_denied_that_is_used(packaged: Roles, calls: set[Call]) -> None:
    """S21: and every function has asked for something."""
    assert {function for function, _ in calls} == set(FUNCTIONS)
    assert roles.denied(packaged, calls) == []


def test_s21_no_attribute_is_written_that_is_another_functions(
    packaged: Roles, calls: set[Call]
) -> None:
    """S21: of the attributes that the functions together write in a table, each function may write
    its own and no other: the pages' can make no link, nor give an old one to another tenant."""
    strange = roles.strange_writes(calls)
    assert len(strange) > 300
    web = {
        name
        for function, asked in strange
        if function == "APIHandler" and asked.resource.endswith("-Links")
        for name in dict(asked.context).get("dynamodb:Attributes", ())
    }
    assert web >= {"tenant", "series", "expires_at", "kind", "used_by"}
    assert set(strange) - set(roles.denied(packaged, strange)) == set()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_s21_nothing_is_allowed_that_is_not_used(
    packaged: Roles, calls: set[Call], function: str
) -> None:
    """S21: each action on each resource, each attribute of a list."""
    own = {asked for who, asked in calls if who == function}
    assert roles.unused(packaged, function, own) == []
