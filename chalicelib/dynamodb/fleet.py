"""The `Fleet` table: each tenant's state, and how many tenants are in each, kept as they change.

Counting a fleet by reading it would cost as much as the fleet is large. Here a tenant's row and the
counters of its lane change in one transaction, so that the two always agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.rows import from_row, to_row
from chalicelib.dynamodb.table import Tables
from chalicelib.models import LANES, STREAM, Status, lane

ATTENTION_INDEX = "attention"
"""Sparse: tenants in any state but `connected`, and connected ones without a pin; longest first."""


@dataclass(eq=False)
class Fleet:
    tables: Tables

    def get(self, tenant: str) -> FleetRow | None:
        """A tenant's row, read consistently. Raises `DependencyUnavailable`."""
        values = self.tables.fleet.get(tenant)
        return _row(values) if values else None

    def replace(self, before: FleetRow | None, after: FleetRow | None) -> None:
        """Put one row in the place of another, and count; None is no row.

        Raises `Conflict` when ``before`` is no longer what stands, `DependencyUnavailable`.
        """
        name = (before or after or FleetRow("", "", Status.DISCONNECTED, 0)).tenant
        when, asked = "attribute_not_exists(#tenant)", dict[str, Any]()
        if before is not None:
            when, asked = "#edition = :asked_edition", {"asked_edition": before.edition}
        if after is None:
            change = self.tables.fleet.delete(name, when=when, **asked)
        else:
            change = self.tables.fleet.put(_values(after), when=when, **asked)
        moved = Counter(after.counted if after else ())
        moved.subtract(before.counted if before else ())
        adding = {state: by for state, by in moved.items() if by}
        key = _lane_key(lane(name))
        counted = [self.tables.fleet.update(key, adding=adding)] if adding else []
        self.tables.transact(change, *counted)

    def counts(self) -> dict[str, int]:
        """How many tenants are in each state, and how many connected ones are `ACCOUNT_NOT_KNOWN`:
        16 rows read, however large the fleet is. Raises `DependencyUnavailable`."""
        keys = [_lane_key(number) for number in range(LANES)]
        rows = self.tables.fleet.batch_get(keys, ())
        names = (*Status, ACCOUNT_NOT_KNOWN, NOT_USABLE)
        return {str(name): sum(row.get(name, 0) for row in rows) for name in names}

    def heard(self, beat: int) -> None:
        """Note the last heartbeat that came through the journal's stream, by its own time.

        Raises `DependencyUnavailable`.
        """
        self.tables.write(self.tables.fleet.put({"tenant": STREAM, "heard_at": beat}))

    def heard_at(self) -> int | None:
        """When the last one was sent; None before the first. Raises `DependencyUnavailable`."""
        found = self.tables.fleet.get(STREAM)
        return int(found["heard_at"]) if found else None

    def attention(
        self, attention: str, count: int, after: FleetPlace | None = None
    ) -> list[FleetRow]:
        """Tenants in a state other than `connected`, or `ACCOUNT_NOT_KNOWN`, the longest first.

        Goes on after a place whether a row still stands there or not. Raises
        `DependencyUnavailable`.
        """
        found, _ = self.tables.fleet.query(
            "#attention = :attention",
            index=ATTENTION_INDEX,
            limit=count,
            after=_position(attention, after) if after else None,
            attention=attention,
        )
        return [_row(values) for values in found]

    def ended_between(self, status: Status, first: int, last: int) -> list[FleetRow]:
        """Tenants that have been in a state since a moment from ``first`` to ``last``, the longest
        first; a thousand at most. Raises `DependencyUnavailable`."""
        found, _ = self.tables.fleet.query(
            "#attention = :attention AND #since BETWEEN :first AND :last",
            index=ATTENTION_INDEX,
            limit=1_000,
            attention=status,
            first=first,
            last=last,
        )
        return [_row(values) for values in found]


def _lane_key(number: int) -> str:
    """No tenant can have such a name."""
    return f"#lane#{number}"


def _values(row: FleetRow) -> dict[str, object]:
    return {**to_row(row), "attention": row.attention}


def _position(attention: str, place: FleetPlace) -> dict[str, Any]:
    """DynamoDB refuses one of another state than the query's."""
    return expressions.item({"tenant": place.tenant, "attention": attention, "since": place.since})


def _row(values: dict[str, Any]) -> FleetRow:
    status, edition = Status(values["status"]), values["edition"]
    return from_row(FleetRow, values, status=status, edition=edition)


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
