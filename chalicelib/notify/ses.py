"""SES: mails to the tenants' registered admins and to the reps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.errors import DependencyUnavailable, MailRefused
from chalicelib.notify.email_templates import Message, Reader

SENDER_NAME = "hireanalytiX"

_REFUSED = ("BadRequestException", "InvalidParameterValue")
"""SES's codes for a mail or recipient that it would refuse again.

Not `MessageRejected`: SES returns that for an unverified *sender*, and for every recipient while
the account is in its sandbox, so all mails fail until an operator acts (F34). AWS: "Amazon SES API
errors", SES Developer Guide."""


@dataclass(frozen=True, kw_only=True)
class Mail:
    """``configuration``: the configuration set that publishes what happened to a mail.
    ``reply_to``: where replies go; None: to the sender."""

    client: clients.SESV2Client
    sender: str
    configuration: str | None
    reply_to: str | None = None

    def send(self, recipient: str, message: Message, *, tenant: str, reader: Reader) -> None:
        """Send one mail. Raises `MailRefused`, `DependencyUnavailable`."""
        body = {"Text": message.text, "Html": message.html}
        wanted: dict[str, Any] = {
            "FromEmailAddress": f"{SENDER_NAME} <{self.sender}>",
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
        if self.reply_to:
            wanted["ReplyToAddresses"] = [self.reply_to]
        if self.configuration:
            wanted["ConfigurationSetName"] = self.configuration
        try:
            with aws_errors("ses"):
                self.client.send_email(**wanted)
        except DependencyUnavailable as error:
            if error.code in _REFUSED:
                raise MailRefused(error.code) from None
            raise
