"""The `#provider` row of `Grants`: what the fleet's requests say of GoTo as a whole.

Lanes add to its counters at any time; a turn is one conditional write, by the tick.
"""

from typing import TYPE_CHECKING, Any

from chalicelib.model import PROVIDER, JournalEntry, Provider
from chalicelib.store import journal, wire

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

_ADDED = ("asked", "failed", "limited")
_SET = ("turn", "turned_at", "trend_asked", "trend_failed", "open_since", "rate")
ATTRIBUTES = (*_ADDED, *_SET, "ticked_at")


class ProviderRow:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self) -> Provider:
        """The row as it is now, read consistently. Raises `DependencyUnavailable`."""
        key = {"tenant": PROVIDER}
        return Provider(**wire.get(self._tables.client, self._tables.grants, key, ATTRIBUTES))

    def add(self, asked: int, failed: int, limited: int) -> None:
        """Count requests on top of what is there. Raises `DependencyUnavailable`."""
        wire.change(self._tables.client, "provider", self._adding(asked, failed, limited))

    def ticked(self, now: int) -> None:
        """Note that a tick came to its end. Raises `DependencyUnavailable`."""
        change = wire.update(self._tables.grants, {"tenant": PROVIDER}, setting={"ticked_at": now})
        wire.change(self._tables.client, "provider", change)

    def turn(self, before: Provider, after: Provider, entry: JournalEntry | None) -> None:
        """Write a decision; its counters are what to add. Raises `Conflict` when another tick has
        decided since ``before`` was read, `DependencyUnavailable`."""
        change = self._adding(after.asked, after.failed, after.limited)
        kept = {name: getattr(after, name) for name in _SET if getattr(after, name) is not None}
        gone = [name for name in _SET if getattr(after, name) is None]
        change["UpdateExpression"] += " SET " + ", ".join(f"#{name} = :{name}" for name in kept)
        if gone:
            change["UpdateExpression"] += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        change["ExpressionAttributeNames"] |= {f"#{name}": name for name in _SET}
        change["ExpressionAttributeValues"] |= wire.item(
            {f":{name}": value for name, value in kept.items()}
        )
        change["ConditionExpression"] = "attribute_not_exists(#turn)"
        if before.turn:
            change["ConditionExpression"] = "#turn = :before"
            change["ExpressionAttributeValues"][":before"] = wire.encode(before.turn)
        written = [journal.row(self._tables.journal, entry)] if entry else []
        wire.transact(self._tables.client, [wire.Action("provider", {"Update": change}), *written])

    def _adding(self, asked: int, failed: int, limited: int) -> dict[str, Any]:
        added = zip(_ADDED, (asked, failed, limited), strict=True)
        return {
            "TableName": self._tables.grants,
            "Key": {"tenant": {"S": PROVIDER}},
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :add_{name}" for name in _ADDED),
            "ExpressionAttributeNames": {f"#{name}": name for name in _ADDED},
            "ExpressionAttributeValues": wire.item(
                {f":add_{name}": number for name, number in added}
            ),
        }
