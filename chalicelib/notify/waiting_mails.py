"""SQS: mails that SES did not take, by the key of their journal entry. Holds no address or text."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.errors import Misconfigured


@dataclass(frozen=True, kw_only=True)
class WaitingMails:
    """The queue redelivers each key until its mails are sent; after a day it alerts a person."""

    client: clients.SQSClient
    url: str | None

    def add(self, key: str) -> None:
        """Retry an entry's mails later. Raises `DependencyUnavailable`, `Misconfigured`."""
        if self.url is None:
            raise Misconfigured("the queue of waiting mails is not set")
        with aws_errors("sqs"):
            self.client.send_message(QueueUrl=self.url, MessageBody=key)
