"""Why an operation failed, among the events of all operations of a stack."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.events import first_failure

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/x/1"
PAGE = 3


def of_stack(token: str, status: str, reason: str = "") -> dict[str, str]:
    return event(token, status, "x", reason) | {"PhysicalResourceId": STACK}


def event(token: str, status: str, name: str, reason: str = "") -> dict[str, str]:
    told = {"StackId": STACK, "LogicalResourceId": name, "ResourceStatus": status}
    told |= {"ClientRequestToken": token} if token else {}
    return told | ({"ResourceStatusReason": reason} if reason else {})


class CloudFormation:
    """CloudFormation that tells what it was given, oldest last."""

    def __init__(self, *events: dict[str, str]) -> None:
        self._events = events[::-1]
        self.pages = 0

    def get_paginator(self, operation: str) -> "CloudFormation":
        assert operation == "describe_stack_events"
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        for start in range(0, len(self._events), PAGE):
            self.pages += 1
            yield {"StackEvents": self._events[start : start + PAGE]}


BEFORE = (
    of_stack("", "CREATE_IN_PROGRESS", "User Initiated"),
    event("", "CREATE_FAILED", "Ancient", "of no token"),
    of_stack("one", "UPDATE_IN_PROGRESS", "User Initiated"),
    event("one", "UPDATE_FAILED", "Older", "of another operation"),
    of_stack("one", "UPDATE_ROLLBACK_IN_PROGRESS", "The following failed: [Older]"),
    of_stack("one", "UPDATE_ROLLBACK_COMPLETE"),
)
BEGUN = of_stack("two", "UPDATE_IN_PROGRESS", "User Initiated")
MANY = tuple(event("two", "UPDATE_COMPLETE", f"Resource{number}") for number in range(3 * PAGE))
FAILED = event("two", "UPDATE_FAILED", "Guilty", "it may not")
CANCELLED = event("two", "UPDATE_FAILED", "Innocent", "Resource update cancelled")
NOT_MADE = event("two", "CREATE_FAILED", "Unmade", "Resource creation cancelled")
BACK = of_stack("two", "UPDATE_ROLLBACK_IN_PROGRESS", "Alarm TickFails went to state ALARM")
LATER = event("two", "UPDATE_FAILED", "Later", "it came after")


@pytest.mark.parametrize(
    ("happened", "why"),
    [
        ((FAILED, CANCELLED, BACK), "Guilty: it may not"),
        ((CANCELLED, NOT_MADE, FAILED, BACK), "Guilty: it may not"),
        ((FAILED, BACK, LATER, *MANY), "Guilty: it may not"),
        ((*MANY, FAILED, BACK, *MANY), "Guilty: it may not"),
        ((*MANY, BACK), "Alarm TickFails went to state ALARM"),
        ((event("two", "DELETE_FAILED", "Stuck"), BACK), "Stuck: no reason given"),
        (MANY, "no reason given"),
    ],
    ids=[
        "what was cancelled after it",
        "what was cancelled before it",
        "what failed after it",
        "pages of others",
        "an alarm",
        "no reason",
        "nothing",
    ],
)
def test_the_first_failure_of_this_operation_is_told(
    happened: tuple[dict[str, str], ...], why: str
) -> None:
    assert first_failure(CloudFormation(*BEFORE, BEGUN, *happened), "x", "two") == why


def test_an_operation_that_came_after_is_passed_over() -> None:
    after = of_stack("three", "DELETE_IN_PROGRESS", "User Initiated")
    stuck = event("three", "DELETE_FAILED", "Stuck", "of another operation")
    told = CloudFormation(*BEFORE, BEGUN, FAILED, BACK, after, stuck)
    assert first_failure(told, "x", "two") == "Guilty: it may not"


def test_it_is_read_no_further_back_than_the_beginning() -> None:
    told = CloudFormation(*BEFORE * 50, BEGUN, *MANY, FAILED)
    first_failure(told, "x", "two")
    assert told.pages == 4
