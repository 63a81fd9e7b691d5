"""SES: mails to the tenants' registered admins and to the reps."""

from typing import TYPE_CHECKING, Any

from chalicelib.aws import aws_errors
from chalicelib.errors import DependencyUnavailable, MailRefused
from chalicelib.letters import Message, Reader

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

_REFUSED = ("MessageRejected", "BadRequestException", "InvalidParameterValue")
"""What SES says of a mail that no repetition would make better."""


class Mail:
    """``configuration``: the configuration set through which SES tells what became of a mail."""

    def __init__(self, client: "SESV2Client", sender: str, configuration: str | None) -> None:
        self._client = client
        self._sender = sender
        self._configuration = configuration

    def send(self, recipient: str, message: Message, *, tenant: str, reader: Reader) -> None:
        """Send one mail. Raises `MailRefused`, `DependencyUnavailable`."""
        body = {"Text": message.text, "Html": message.html}
        wanted: dict[str, Any] = {
            "FromEmailAddress": self._sender,
            "Destination": {"ToAddresses": [recipient]},
            "EmailTags": [
                {"Name": "tenant", "Value": tenant.strip("#")},
                {"Name": "reader", "Value": reader.value},
            ],
            "Content": {
                "Simple": {
                    "Subject": {"Data": message.subject, "Charset": "UTF-8"},
                    "Body": {
                        kind: {"Data": data, "Charset": "UTF-8"} for kind, data in body.items()
                    },
                }
            },
        }
        if self._configuration:
            wanted["ConfigurationSetName"] = self._configuration
        try:
            with aws_errors("ses"):
                self._client.send_email(**wanted)
        except DependencyUnavailable as error:
            if error.code in _REFUSED:
                raise MailRefused(error.code) from None
            raise
