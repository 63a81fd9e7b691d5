"""Which mails have been sent, so that a repetition of the stream does not send them again.

Kept in `Links`, whose rows end by themselves; for longer than the stream keeps a record.
"""

from typing import TYPE_CHECKING

from chalicelib.store import wire
from chalicelib.times import SENT_KEPT

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables


class Sent:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def known(self, occasion: str) -> bool:
        """Whether this mail has been sent. Raises `DependencyUnavailable`."""
        return bool(wire.get(self._tables.client, self._tables.links, _key(occasion)))

    def note(self, occasion: str, now: int) -> None:
        """Note that it was sent. Raises `DependencyUnavailable`."""
        row = {**_key(occasion), "delete_after": now + SENT_KEPT}
        with wire.dynamodb_errors():
            self._tables.client.put_item(TableName=self._tables.links, Item=wire.item(row))


def _key(occasion: str) -> dict[str, str]:
    return {"link": f"sent#{occasion}"}
