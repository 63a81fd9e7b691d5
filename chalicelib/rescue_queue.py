"""SQS: the rescue queue, encrypted under the grants key."""

from typing import TYPE_CHECKING, Any

from chalicelib.aws import aws_errors

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_WAITING: list[Any] = [
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
]


class RescueQueue:
    def __init__(self, client: "SQSClient", url: str) -> None:
        self._client = client
        self._url = url

    def send(self, message: str) -> None:
        """Keep a message. Raises `DependencyUnavailable`."""
        self._call("send_message", MessageBody=message)

    def pending(self) -> int:
        """How many messages wait or are being worked on, as far as SQS knows (it may lag by a
        minute). Raises `DependencyUnavailable`."""
        answer = self._call("get_queue_attributes", AttributeNames=_WAITING)
        return sum(int(number) for number in answer["Attributes"].values())

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        with aws_errors("sqs"):
            answer: dict[str, Any] = getattr(self._client, operation)(
                QueueUrl=self._url, **arguments
            )
        return answer
