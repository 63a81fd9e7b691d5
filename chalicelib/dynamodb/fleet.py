"""The `Fleet` table: each tenant's state, and a running count of tenants per state.

Counting by reading every tenant would cost more as the fleet grows. Here one transaction changes a
tenant's row and its lane's counters, so they always agree.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.rows import from_row, to_row
from chalicelib.dynamodb.table import Store
from chalicelib.models import LANES, STREAM, Status, lane

ATTENTION_INDEX = "attention"
"""Sparse index of tenants with a `FleetRow.attention`, the longest in that state first."""


class Fleet(Store):
    def get(self, tenant: str) -> FleetRow | None:
        """A tenant's row, read consistently. Raises `DependencyUnavailable`."""
        values = self.tables.fleet.get(tenant)
        return _row(values) if values else None

    def replace(self, before: FleetRow | None, after: FleetRow | None) -> None:
        """Replace one row with another and adjust the counts; None means no row. Raises `Conflict`
        if ``before`` is no longer the stored row, `DependencyUnavailable`."""
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
        """How many tenants are in each state, and how many are `ACCOUNT_NOT_KNOWN` or `NOT_USABLE`.
        Always reads 16 rows, for any fleet size. Raises `DependencyUnavailable`."""
        keys = [_lane_key(number) for number in range(LANES)]
        rows = self.tables.fleet.batch_get(keys, ())
        names = (*Status, ACCOUNT_NOT_KNOWN, NOT_USABLE)
        return {str(name): sum(row.get(name, 0) for row in rows) for name in names}

    def heard(self, beat: int) -> None:
        """Note when the heartbeat that came through the journal's stream was sent (``beat``, epoch
        seconds). Raises `DependencyUnavailable`."""
        self.tables.write(self.tables.fleet.put({"tenant": STREAM, "heard_at": beat}))

    def heard_at(self) -> int | None:
        """The last ``beat`` heard; None before the first. Raises `DependencyUnavailable`."""
        found = self.tables.fleet.get(STREAM)
        return int(found["heard_at"]) if found else None

    def attention(
        self, attention: str, count: int, after: FleetPlace | None = None
    ) -> list[FleetRow]:
        """Tenants with this `FleetRow.attention`, the longest first. Continues ``after`` a place,
        even if its row no longer exists. Raises `DependencyUnavailable`."""
        found, _ = self.tables.fleet.query(
            "#attention = :attention",
            index=ATTENTION_INDEX,
            limit=count,
            after=_position(attention, after) if after else None,
            attention=attention,
        )
        return [_row(values) for values in found]

    def ended_between(self, status: Status, first: int, last: int) -> list[FleetRow]:
        """Up to 1,000 tenants that entered a state between ``first`` and ``last`` (epoch seconds)
        and are still in it, the longest first. Raises `DependencyUnavailable`."""
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
    """No tenant can have this name."""
    return f"#lane#{number}"


def _values(row: FleetRow) -> dict[str, object]:
    return {**to_row(row), "attention": row.attention}


def _position(attention: str, place: FleetPlace) -> dict[str, Any]:
    """DynamoDB rejects a position whose state is not the query's."""
    return expressions.item({"tenant": place.tenant, "attention": attention, "since": place.since})


def _row(values: dict[str, Any]) -> FleetRow:
    status, edition = Status(values["status"]), values["edition"]
    return from_row(FleetRow, values, status=status, edition=edition)


ACCOUNT_NOT_KNOWN = "account_not_known"
"""The counts' name for a connected tenant without a pin, or whose GoTo account is not confirmed as
the pin (S25)."""

NOT_USABLE = "not_usable"
"""The counts' name for a connected tenant whose token can read nothing (F33)."""


@dataclass(frozen=True, slots=True)
class FleetRow:
    """A tenant's row. ``since``: epoch seconds when the state began. ``edition`` grows with each
    change. ``account_known``: false only for a connected, usable tenant whose pinned account GoTo
    has not confirmed."""

    tenant: str
    display_name: str
    status: Status
    since: int
    edition: int = 1
    account_known: bool = True
    usable: bool = True

    @property
    def counted(self) -> tuple[str, ...]:
        """The counters that include this tenant."""
        account_counter = () if self.account_known else (ACCOUNT_NOT_KNOWN,)
        return (str(self.status), *account_counter, *(() if self.usable else (NOT_USABLE,)))

    @property
    def attention(self) -> str | None:
        """Why a person may want to look at this tenant; None if there is no reason."""
        if self.status is not Status.CONNECTED:
            return self.status
        if not self.usable:
            return NOT_USABLE
        return None if self.account_known else ACCOUNT_NOT_KNOWN


class FleetPlace(NamedTuple):
    """Where the next page of tenants in one state starts: after this tenant, in it since then."""

    since: int
    tenant: str
