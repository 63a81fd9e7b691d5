"""The rescue queue's adapter on SQS."""

from typing import Any

import pytest

from chalicelib.errors import DependencyUnavailable
from chalicelib.tokens.rescue_queue import SqsRescueQueue
from tests.support.aws import REGION, session


@pytest.fixture
def sqs(aws: None) -> Any:
    return session().create_client("sqs", REGION)


def test_f03_a_message_is_kept_as_it_was_given(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="rescue")["QueueUrl"]
    queue = SqsRescueQueue(sqs, url)
    assert queue.pending() == 0
    queue.send('{"schema": 1}')
    assert queue.pending() == 1
    received = sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)["Messages"]
    assert [message["Body"] for message in received] == ['{"schema": 1}']


def test_f10_a_message_that_is_being_worked_on_still_counts(sqs: Any) -> None:
    """F10: it is committed or comes back; nothing is final until then."""
    url = sqs.create_queue(QueueName="rescue")["QueueUrl"]
    queue = SqsRescueQueue(sqs, url)
    queue.send("{}")
    sqs.receive_message(QueueUrl=url, VisibilityTimeout=60)
    assert queue.pending() == 1


def test_f03_a_queue_that_refuses_says_so_without_the_message(sqs: Any) -> None:
    queue = SqsRescueQueue(sqs, "https://sqs.us-east-1.amazonaws.com/123456789012/none")
    for call in (lambda: queue.send("canary"), queue.pending):
        with pytest.raises(DependencyUnavailable, match=r"^sqs: ") as caught:
            call()
        assert "canary" not in str(caught.value)
        assert caught.value.__cause__ is None
