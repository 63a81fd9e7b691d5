"""SES: mails to the tenants' registered admins, in plain text."""

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import DependencyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


class Mail:
    def __init__(self, client: "SESV2Client", sender: str) -> None:
        self._client = client
        self._sender = sender

    def send(self, recipient: str, subject: str, text: str) -> None:
        """Send one mail. Raises `DependencyUnavailable`."""
        try:
            self._client.send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": [recipient]},
                Content={
                    "Simple": {
                        "Subject": {"Data": subject, "Charset": "UTF-8"},
                        "Body": {"Text": {"Data": text, "Charset": "UTF-8"}},
                    }
                },
            )
        except ClientError as error:
            raise DependencyUnavailable("ses", error.response["Error"]["Code"]) from None
        except BotoCoreError as error:
            raise DependencyUnavailable("ses", type(error).__name__) from None
