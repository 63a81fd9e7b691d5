"""What the keys of `Grants` tell of a fleet at a glance: what is overdue, whose grant ends soonest.

Reads two indexes lane by lane, a bounded number of rows each, and nothing that is secret.
"""

from typing import TYPE_CHECKING

from chalicelib.model import LANES, Status
from chalicelib.store import wire
from chalicelib.store.connections import DUE_INDEX

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

ENDING_INDEX = "ending"

MOST_COUNTED = 1_000
"""Overdue rows counted in one lane at most: more is `more than`, whatever the number."""

MOST_LOOKED_AT = 100
"""Ends looked at in one lane, those of grants that are not in use any more among them."""


class Glance:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def overdue(self, since: int) -> tuple[int, bool]:
        """How many refreshes fell due before ``since``, and whether there are more than that."""
        counted = [self._overdue(number, since) for number in range(LANES)]
        return sum(counted), any(number >= MOST_COUNTED for number in counted)

    def ending(self, now: int, count: int) -> list[tuple[int, str]]:
        """The soonest ends of grants that are in use, with their tenants."""
        found = [row for number in range(LANES) for row in self._ending(number, now)]
        return sorted(found)[:count]

    def _overdue(self, number: int, since: int) -> int:
        with wire.dynamodb_errors():
            found = self._tables.client.query(
                TableName=self._tables.grants,
                IndexName=DUE_INDEX,
                Select="COUNT",
                KeyConditionExpression="#lane = :lane AND #at <= :at",
                ExpressionAttributeNames={"#lane": "lane", "#at": "next_refresh_at"},
                ExpressionAttributeValues=wire.item({":lane": number, ":at": since}),
                Limit=MOST_COUNTED,
            )
        return found["Count"]

    def _ending(self, number: int, now: int) -> list[tuple[int, str]]:
        with wire.dynamodb_errors():
            found = self._tables.client.query(
                TableName=self._tables.grants,
                IndexName=ENDING_INDEX,
                KeyConditionExpression="#lane = :lane AND #ends >= :now",
                FilterExpression="#status IN (:connected, :degraded)",
                ExpressionAttributeNames={
                    "#lane": "lane",
                    "#ends": "refresh_expires_at",
                    "#status": "status",
                },
                ExpressionAttributeValues=wire.item(
                    {
                        ":lane": number,
                        ":now": now,
                        ":connected": Status.CONNECTED,
                        ":degraded": Status.DEGRADED,
                    }
                ),
                Limit=MOST_LOOKED_AT,
            )
        rows = [wire.plain(attributes) for attributes in found["Items"]]
        return [(row["refresh_expires_at"], row["tenant"]) for row in rows]
