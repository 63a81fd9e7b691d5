"""The `Fleet` table: each tenant's state, and how many tenants are in each, kept as they change.

Counting a fleet by reading it would cost as much as the fleet is large. Here a tenant's row and the
counters of its lane change in one transaction, so that the two always agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.expressions import Tables
from chalicelib.models import LANES, STREAM, Status, lane

ATTENTION_INDEX = "attention"
"""Sparse: tenants in any state but `connected`, and connected ones without a pin; longest first."""


@dataclass(eq=False)
class Fleet:
    tables: Tables

    def get(self, tenant: str) -> FleetRow | None:
        """A tenant's row, read consistently. Raises `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.fleet, {"tenant": tenant})
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
                "Delete": expressions.delete(
                    self.tables.fleet, {"tenant": name}, when=when, **asked
                )
            }
        else:
            change = {"Put": expressions.put(self.tables.fleet, _values(after), when=when, **asked)}
        actions = [expressions.Action("fleet", change)]
        moved = Counter(after.counted if after else ())
        moved.subtract(before.counted if before else ())
        if any(moved.values()):
            actions.append(
                expressions.Action("counts", {"Update": self._adding(lane(name), moved)})
            )
        expressions.transact(self.tables.client, actions)

    def counts(self) -> dict[str, int]:
        """How many tenants are in each state, and how many connected ones are `ACCOUNT_NOT_KNOWN`:
        16 rows read, however large the fleet is. Raises `DependencyUnavailable`."""
        keys = [_lane_key(number) for number in range(LANES)]
        rows = expressions.batch_get(self.tables.client, self.tables.fleet, "tenant", keys, ())
        names = (*Status, ACCOUNT_NOT_KNOWN, NOT_USABLE)
        return {str(name): sum(row.get(name, 0) for row in rows) for name in names}

    def heard(self, beat: int) -> None:
        """Note the last heartbeat that came through the journal's stream, by its own time.

        Raises `DependencyUnavailable`.
        """
        values = {"tenant": STREAM, "heard_at": beat}
        with expressions.dynamodb_errors():
            self.tables.client.put_item(**expressions.put(self.tables.fleet, values))

    def heard_at(self) -> int | None:
        """When the last one was sent; None before the first. Raises `DependencyUnavailable`."""
        found = expressions.get(self.tables.client, self.tables.fleet, {"tenant": STREAM})
        return int(found["heard_at"]) if found else None

    def attention(
        self, attention: str, count: int, after: FleetPlace | None = None
    ) -> list[FleetRow]:
        """Tenants in a state other than `connected`, or `ACCOUNT_NOT_KNOWN`, the longest first.

        Goes on after a place whether a row still stands there or not. Raises
        `DependencyUnavailable`.
        """
        start: Any = {"ExclusiveStartKey": _position(attention, after)} if after else {}
        with expressions.dynamodb_errors():
            found = self.tables.client.query(
                TableName=self.tables.fleet,
                IndexName=ATTENTION_INDEX,
                KeyConditionExpression="#attention = :attention",
                ExpressionAttributeNames={"#attention": "attention"},
                ExpressionAttributeValues={":attention": {"S": str(attention)}},
                Limit=count,
                **start,
            )
        return [_row(expressions.plain(attributes)) for attributes in found["Items"]]

    def ended_between(self, status: Status, first: int, last: int) -> list[FleetRow]:
        """Tenants that have been in a state since a moment from ``first`` to ``last``, the longest
        first; a thousand at most. Raises `DependencyUnavailable`."""
        with expressions.dynamodb_errors():
            found = self.tables.client.query(
                TableName=self.tables.fleet,
                IndexName=ATTENTION_INDEX,
                KeyConditionExpression="#attention = :attention AND #since BETWEEN :first AND"
                " :last",
                ExpressionAttributeNames={"#attention": "attention", "#since": "since"},
                ExpressionAttributeValues=expressions.item(
                    {":attention": str(status), ":first": first, ":last": last}
                ),
                Limit=1_000,
            )
        return [_row(expressions.plain(attributes)) for attributes in found["Items"]]

    def _adding(self, number: int, moved: Counter[str]) -> dict[str, object]:
        changed = {name: by for name, by in moved.items() if by}
        return {
            "TableName": self.tables.fleet,
            "Key": {"tenant": {"S": _lane_key(number)}},
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :by_{name}" for name in changed),
            "ExpressionAttributeNames": {f"#{name}": name for name in changed},
            "ExpressionAttributeValues": {
                f":by_{name}": expressions.encode(by) for name, by in changed.items()
            },
        }


def _lane_key(number: int) -> str:
    """No tenant can have such a name."""
    return f"#lane#{number}"


def _values(row: FleetRow) -> dict[str, object]:
    return {
        "tenant": row.tenant,
        "display_name": row.display_name,
        "status": row.status,
        "since": row.since,
        "edition": row.edition,
        "account_known": row.account_known,
        "usable": row.usable,
        "attention": row.attention,
    }


def _position(attention: str, place: FleetPlace) -> dict[str, Any]:
    """DynamoDB refuses one of another state than the query's."""
    return expressions.item({"tenant": place.tenant, "attention": attention, "since": place.since})


def _row(values: dict[str, object]) -> FleetRow:
    return FleetRow(
        tenant=str(values["tenant"]),
        display_name=str(values["display_name"]),
        status=Status(str(values["status"])),
        since=int(str(values["since"])),
        edition=int(str(values["edition"])),
        account_known=bool(values.get("account_known", True)),
        usable=bool(values.get("usable", True)),
    )


ACCOUNT_NOT_KNOWN = "account_not_known"
"""How the fleet's counts call a connected tenant whose account GoTo has not told, or which
is not pinned (S25)."""


NOT_USABLE = "not_usable"
"""How they call one that lives and reads nothing (F33)."""


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A tenant as the fleet's counts know it; ``edition`` grows with each change of the row.

    ``account_known``: GoTo has told that it is the pinned account, or it is not connected.
    """

    tenant: str
    display_name: str
    status: Status
    since: int
    edition: int = 1
    account_known: bool = True
    usable: bool = True

    @property
    def counted(self) -> tuple[str, ...]:
        """What it counts towards."""
        known = () if self.account_known else (ACCOUNT_NOT_KNOWN,)
        return (str(self.status), *known, *(() if self.usable else (NOT_USABLE,)))

    @property
    def attention(self) -> str | None:
        """What of it a person may want to see; None: nothing."""
        if self.status is not Status.CONNECTED:
            return self.status
        if not self.usable:
            return NOT_USABLE
        return None if self.account_known else ACCOUNT_NOT_KNOWN


class FleetPlace(NamedTuple):
    """Where a list of the tenants in one state goes on: after this tenant, in it since then."""

    since: int
    tenant: str
