"""AWS looked at for the doctor: indexes, keys, the mails' sender. Changes nothing."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.aws import aws_errors
from chalicelib.errors import DependencyUnavailable

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_sesv2 import SESV2Client


def indexes(client: "DynamoDBClient", table: str, wanted: Sequence[str]) -> str | None:
    """Whether these indexes of a table serve. Raises `DependencyUnavailable`."""
    with aws_errors("dynamodb"):
        found = client.describe_table(TableName=table)["Table"]
    serving = {
        index["IndexName"]
        for index in found.get("GlobalSecondaryIndexes", [])
        if index.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    missing = [name for name in wanted if name not in serving]
    return f"The index {missing[0]!r} of {table} does not serve." if missing else None


def key(client: "KMSClient", arn: str) -> str | None:
    """Whether a key can be used. Raises `DependencyUnavailable`."""
    with aws_errors("kms"):
        state = client.describe_key(KeyId=arn)["KeyMetadata"].get("KeyState", "Enabled")
    return None if state == "Enabled" else f"The secrets' key is {state}."


def sender(client: "SESV2Client", address: str) -> str | None:
    """Whether SES sends from this address, verified itself or by its domain.

    Raises `DependencyUnavailable`.
    """
    for identity in (address, address.rpartition("@")[2]):
        try:
            with aws_errors("ses"):
                found = client.get_email_identity(EmailIdentity=identity)
        except DependencyUnavailable as error:
            if error.code == "NotFoundException":
                continue
            raise
        if found.get("VerifiedForSendingStatus"):
            return None
    return f"SES has not verified {address} or its domain."
