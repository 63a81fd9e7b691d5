"""Which mails have been sent, so that a repetition of the stream does not send them again.

Kept in `Links`, whose rows end by themselves; a day longer than the stream keeps a record.
"""

from typing import TYPE_CHECKING

from chalicelib.store import wire
from chalicelib.times import SENT_KEPT

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class Sent:
    def __init__(self, client: "DynamoDBClient", table: str) -> None:
        self._client = client
        self._table = table

    def known(self, occasion: str) -> bool:
        """Whether this mail has been sent. Raises `DependencyUnavailable`."""
        with wire.dynamodb_errors():
            found = self._client.get_item(
                TableName=self._table, Key=wire.item(_key(occasion)), ConsistentRead=True
            )
        return "Item" in found

    def note(self, occasion: str, now: int) -> None:
        """Note that it was sent. Raises `DependencyUnavailable`."""
        row = {**_key(occasion), "delete_after": now + SENT_KEPT}
        with wire.dynamodb_errors():
            self._client.put_item(TableName=self._table, Item=wire.item(row))


def _key(occasion: str) -> dict[str, str]:
    return {"link": f"sent#{occasion}"}
