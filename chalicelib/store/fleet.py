"""The `Fleet` table: each tenant's state, and how many tenants are in each, kept as they change.

Counting a fleet would mean to read it. Here a tenant's row and the counters of its lane change in
one transaction, so that the two always agree.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

from chalicelib.model import LANES, FleetPlace, FleetRow, Status, lane
from chalicelib.store import wire

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

ATTENTION_INDEX = "attention"
"""Sparse: tenants in any state but `connected`, longest first."""


class Fleet:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self, tenant: str) -> FleetRow | None:
        """A tenant's row, read consistently. Raises `DependencyUnavailable`."""
        values = wire.get(self._tables.client, self._tables.fleet, {"tenant": tenant})
        return _row(values) if values else None

    def replace(self, before: FleetRow | None, after: FleetRow | None) -> None:
        """Put one row in the place of another, and count; None is no row.

        Raises `Conflict` when ``before`` is no longer what stands, `DependencyUnavailable`.
        """
        name = (before or after or FleetRow("", "", Status.DISCONNECTED, 0)).tenant
        when, asked = "attribute_not_exists(#tenant)", {}
        if before is not None:
            when, asked = "#edition = :asked_edition", {"asked_edition": before.edition}
        if after is None:
            change = {
                "Delete": wire.delete(self._tables.fleet, {"tenant": name}, when=when, **asked)
            }
        else:
            change = {"Put": wire.put(self._tables.fleet, _values(after), when=when, **asked)}
        actions = [wire.Action("fleet", change)]
        moved = Counter({after.status: 1} if after else {})
        moved.subtract({before.status: 1} if before else {})
        if any(moved.values()):
            actions.append(wire.Action("counts", {"Update": self._adding(lane(name), moved)}))
        wire.transact(self._tables.client, actions)

    def counts(self) -> dict[Status, int]:
        """How many tenants are in each state: 16 rows read, however large the fleet is.

        Raises `DependencyUnavailable`.
        """
        keys = [_lane_key(number) for number in range(LANES)]
        rows = wire.batch_get(self._tables.client, self._tables.fleet, "tenant", keys, ())
        return {status: sum(row.get(status, 0) for row in rows) for status in Status}

    def attention(
        self, status: Status, count: int, after: FleetPlace | None = None
    ) -> list[FleetRow]:
        """Tenants in a state other than `connected`, the longest first.

        Goes on after a place whether a row still stands there or not. Raises
        `DependencyUnavailable`.
        """
        start: Any = {"ExclusiveStartKey": _position(status, after)} if after else {}
        with wire.dynamodb_errors():
            found = self._tables.client.query(
                TableName=self._tables.fleet,
                IndexName=ATTENTION_INDEX,
                KeyConditionExpression="#attention = :status",
                ExpressionAttributeNames={"#attention": "attention"},
                ExpressionAttributeValues={":status": {"S": str(status)}},
                Limit=count,
                **start,
            )
        return [_row(wire.plain(attributes)) for attributes in found["Items"]]

    def _adding(self, number: int, moved: Counter[Status]) -> dict[str, object]:
        changed = {str(status): by for status, by in moved.items() if by}
        return {
            "TableName": self._tables.fleet,
            "Key": {"tenant": {"S": _lane_key(number)}},
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :by_{name}" for name in changed),
            "ExpressionAttributeNames": {f"#{name}": name for name in changed},
            "ExpressionAttributeValues": {
                f":by_{name}": wire.encode(by) for name, by in changed.items()
            },
        }


def _lane_key(number: int) -> str:
    """No tenant can have such a name."""
    return f"#lane#{number}"


def _values(row: FleetRow) -> dict[str, object]:
    attention = None if row.status is Status.CONNECTED else row.status
    return {
        "tenant": row.tenant,
        "display_name": row.display_name,
        "status": row.status,
        "since": row.since,
        "edition": row.edition,
        "attention": attention,
    }


def _position(status: Status, place: FleetPlace) -> dict[str, Any]:
    """DynamoDB refuses one of another state than the query's."""
    return wire.item({"tenant": place.tenant, "attention": status, "since": place.since})


def _row(values: dict[str, object]) -> FleetRow:
    return FleetRow(
        tenant=str(values["tenant"]),
        display_name=str(values["display_name"]),
        status=Status(str(values["status"])),
        since=int(str(values["since"])),
        edition=int(str(values["edition"])),
    )
