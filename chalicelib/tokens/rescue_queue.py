"""SQS: the rescue queue, encrypted under the grants key."""

from __future__ import annotations

from typing import Any, Protocol

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors

_WAITING: list[Any] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]


class RescueQueue(Protocol):
    """Keeps tokens that DynamoDB did not take. Both methods raise `DependencyUnavailable`."""

    def send(self, message: str, delay: int = 0) -> None: ...

    def pending(self) -> int: ...


class SqsRescueQueue:
    def __init__(self, client: clients.SQSClient, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: str, delay: int = 0) -> None:
        """Queue a message, for delivery after ``delay`` seconds (900 at most). Raises
        `DependencyUnavailable`."""
        later = {"DelaySeconds": delay} if delay else {}
        self._call("send_message", MessageBody=message, **later)

    def pending(self) -> int:
        """How many messages wait or are in progress; SQS's count may lag by a minute. Raises
        `DependencyUnavailable`."""
        answer = self._call("get_queue_attributes", AttributeNames=_WAITING)
        return sum(int(number) for number in answer["Attributes"].values())

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with aws_errors("sqs"):
            answer: dict[str, Any] = getattr(self._client, operation)(
                QueueUrl=self._url, **arguments
            )
        return answer
