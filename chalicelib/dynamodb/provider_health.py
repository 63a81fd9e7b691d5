"""The `#provider` row of `Grants`: the circuit for GoTo as a whole, and the fleet at a glance.

Lanes add to its counters at any time; the tick alone takes a turn, in one conditional write.
Refreshes on demand take their slots here, by a date that the tick neither reads nor writes. The
glance reads two indexes lane by lane, a bounded number of rows each, and nothing secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb import expressions, journal
from chalicelib.dynamodb.connections import DUE_INDEX
from chalicelib.dynamodb.expressions import Tables
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import LANES, PROVIDER, Status

_ADDED = ("asked", "failed", "refused", "limited")
_SET = (
    "turn",
    "turned_at",
    "trend_asked",
    "trend_failed",
    "trend_refused",
    "open_since",
    "rate",
)
ATTRIBUTES = (*_ADDED, "tokens_given_at", *_SET, "ticked_at")


@dataclass(frozen=True, slots=True)
class Provider:
    """The `#provider` row: GoTo as a whole, as the fleet's requests find it.

    ``asked``, ``failed``, ``refused`` and ``limited`` (429) count since the last turn. The trends
    are in thousandths of a request and fade from turn to turn; ``rate`` is in thousandths of a
    request a second, None for the cap. ``tokens_given_at``: when a batch last ended in which GoTo
    gave somebody tokens. ``ticked_at``: when the last tick came to its end.
    """

    turn: int = 0
    turned_at: int = 0
    asked: int = 0
    failed: int = 0
    refused: int = 0
    limited: int = 0
    tokens_given_at: int = 0
    ticked_at: int = 0
    trend_asked: int = 0
    trend_failed: int = 0
    trend_refused: int = 0
    open_since: int | None = None
    rate: int | None = None


@dataclass(eq=False)
class ProviderRow:
    tables: Tables

    def get(self) -> Provider:
        """The row as it is now, read consistently. Raises `DependencyUnavailable`."""
        key = {"tenant": PROVIDER}
        return Provider(**expressions.get(self.tables.client, self.tables.grants, key, ATTRIBUTES))

    def add(
        self, asked: int, failed: int, refused: int, limited: int, given_at: int | None
    ) -> None:
        """Count requests on top of what is there; ``given_at``: when GoTo gave tokens for one of
        them, None where for none. Raises `DependencyUnavailable`."""
        change = self._adding(asked, failed, refused, limited)
        if given_at is not None:
            change["UpdateExpression"] += " SET #given = :given"
            change["ExpressionAttributeNames"]["#given"] = "tokens_given_at"
            change["ExpressionAttributeValues"][":given"] = expressions.encode(given_at)
        expressions.change(self.tables.client, "provider", change)

    def acquire_slot(self, now: int, gap: int, saved: int) -> bool:
        """Take a slot for a request on demand; False when they are used up.

        All in milliseconds. The row holds until when the slots taken so far reach, each of them
        ``gap`` long: up to ``saved`` ahead of ``now``, and never behind it. Raises
        `DependencyUnavailable`.
        """
        first = expressions.update(
            self.tables.grants,
            {"tenant": PROVIDER},
            setting={"demanded_until": now + gap},
            when="attribute_not_exists(#demanded_until) OR #demanded_until <= :now",
            now=now,
        )
        another: dict[str, Any] = {
            "TableName": self.tables.grants,
            "Key": {"tenant": {"S": PROVIDER}},
            "UpdateExpression": "ADD #demanded_until :gap",
            "ConditionExpression": "#demanded_until > :now AND #demanded_until <= :latest",
            "ExpressionAttributeNames": {"#demanded_until": "demanded_until"},
            "ExpressionAttributeValues": expressions.item(
                {":gap": gap, ":now": now, ":latest": now + saved - gap}
            ),
        }
        return self._holds(first) or self._holds(another)

    def _holds(self, change: dict[str, Any]) -> bool:
        try:
            expressions.change(self.tables.client, "provider", change)
        except Conflict:
            return False
        return True

    def forms(self) -> tuple[str, ...]:
        """Forms of GoTo's answers that were met and told. Raises `DependencyUnavailable`."""
        key = {"tenant": PROVIDER}
        found = expressions.get(self.tables.client, self.tables.grants, key, ("forms",))
        return tuple(str(found.get("forms", "")).splitlines())

    def learn_forms(
        self, known: Sequence[str], fresh: Sequence[str], entry: JournalEntry | None
    ) -> None:
        """Add to them, with the journal's line. Raises `Conflict`, `DependencyUnavailable`."""
        given: dict[str, Any] = {"before": "\n".join(known)} if known else {}
        learnt = expressions.update(
            self.tables.grants,
            {"tenant": PROVIDER},
            setting={"forms": "\n".join([*known, *fresh][-MOST_FORMS:])},
            when="#forms = :before" if known else "attribute_not_exists(#forms)",
            **given,
        )
        told = [journal.row(self.tables.journal, entry)] if entry else []
        expressions.transact(
            self.tables.client, [expressions.Action("provider", {"Update": learnt}), *told]
        )

    def ticked(self, now: int) -> None:
        """Note that a tick came to its end. Raises `DependencyUnavailable`."""
        change = expressions.update(
            self.tables.grants, {"tenant": PROVIDER}, setting={"ticked_at": now}
        )
        expressions.change(self.tables.client, "provider", change)

    def save(self, before: Provider, after: Provider, entry: JournalEntry | None) -> None:
        """Write a decision; its counters are what to add. Raises `Conflict` when another tick has
        decided since ``before`` was read, `DependencyUnavailable`."""
        change = self._adding(after.asked, after.failed, after.refused, after.limited)
        kept = {name: getattr(after, name) for name in _SET if getattr(after, name) is not None}
        gone = [name for name in _SET if getattr(after, name) is None]
        change["UpdateExpression"] += " SET " + ", ".join(f"#{name} = :{name}" for name in kept)
        if gone:
            change["UpdateExpression"] += " REMOVE " + ", ".join(f"#{name}" for name in gone)
        change["ExpressionAttributeNames"] |= {f"#{name}": name for name in _SET}
        change["ExpressionAttributeValues"] |= expressions.item(
            {f":{name}": value for name, value in kept.items()}
        )
        change["ConditionExpression"] = "attribute_not_exists(#turn)"
        if before.turn:
            change["ConditionExpression"] = "#turn = :before"
            change["ExpressionAttributeValues"][":before"] = expressions.encode(before.turn)
        written = [journal.row(self.tables.journal, entry)] if entry else []
        expressions.transact(
            self.tables.client, [expressions.Action("provider", {"Update": change}), *written]
        )

    def _adding(self, *numbers: int) -> dict[str, Any]:
        added = zip(_ADDED, numbers, strict=True)
        return {
            "TableName": self.tables.grants,
            "Key": {"tenant": {"S": PROVIDER}},
            "UpdateExpression": "ADD " + ", ".join(f"#{name} :add_{name}" for name in _ADDED),
            "ExpressionAttributeNames": {f"#{name}": name for name in _ADDED},
            "ExpressionAttributeValues": expressions.item(
                {f":add_{name}": number for name, number in added}
            ),
        }


MOST_FORMS = 100
"""Of GoTo's answers that are remembered, so that each is told once."""

ENDING_INDEX = "ending"

MOST_COUNTED = 1_000
"""Overdue rows counted in one lane at most: more is `more than`, whatever the number."""

MOST_LOOKED_AT = 100
"""Ends looked at in one lane, those of grants that are not in use any more among them."""


@dataclass(eq=False)
class FleetIndexes:
    tables: Tables

    def overdue(self, since: int) -> tuple[int, bool]:
        """How many refreshes fell due before ``since``, and whether there are more than that."""
        counted = [self._overdue(number, since) for number in range(LANES)]
        return sum(counted), any(number >= MOST_COUNTED for number in counted)

    def ending(self, now: int, count: int) -> list[tuple[int, str]]:
        """The soonest ends of grants that are in use, with their tenants."""
        found = [row for number in range(LANES) for row in self._ending(number, now)]
        return sorted(found)[:count]

    def _overdue(self, number: int, since: int) -> int:
        with expressions.dynamodb_errors():
            found = self.tables.client.query(
                TableName=self.tables.grants,
                IndexName=DUE_INDEX,
                Select="COUNT",
                KeyConditionExpression="#lane = :lane AND #at <= :at",
                ExpressionAttributeNames={"#lane": "lane", "#at": "next_refresh_at"},
                ExpressionAttributeValues=expressions.item({":lane": number, ":at": since}),
                Limit=MOST_COUNTED,
            )
        return found["Count"]

    def _ending(self, number: int, now: int) -> list[tuple[int, str]]:
        with expressions.dynamodb_errors():
            found = self.tables.client.query(
                TableName=self.tables.grants,
                IndexName=ENDING_INDEX,
                KeyConditionExpression="#lane = :lane AND #ends >= :now",
                FilterExpression="#status IN (:connected, :degraded)",
                ExpressionAttributeNames={
                    "#lane": "lane",
                    "#ends": "refresh_expires_at",
                    "#status": "status",
                },
                ExpressionAttributeValues=expressions.item(
                    {
                        ":lane": number,
                        ":now": now,
                        ":connected": Status.CONNECTED,
                        ":degraded": Status.DEGRADED,
                    }
                ),
                Limit=MOST_LOOKED_AT,
            )
        rows = [expressions.plain(attributes) for attributes in found["Items"]]
        return [(row["refresh_expires_at"], row["tenant"]) for row in rows]
