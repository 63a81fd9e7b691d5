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


@pytest.mark.parametrize("function", FUNCTIONS)
def test_s21_nothing_is_allowed_that_is_not_used(
    packaged: Roles, calls: set[Call], function: str
) -> None:
    """S21: each action on each resource, each attribute of a list."""
    own = {asked for who, asked in calls if who == function}
    assert roles.unused(packaged, function, own) == []
