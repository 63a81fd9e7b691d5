"""The `#provider` row of `Grants`: the circuit for GoTo as a whole, and the fleet at a glance.

Lanes add to its counters at any time; the tick alone takes a turn, in one conditional write.
Refreshes on demand take their slots here, by a date that the tick neither reads nor writes. The
glance reads two indexes lane by lane, a bounded number of rows each, and nothing secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb import journal
from chalicelib.dynamodb.connections import DUE_INDEX
from chalicelib.dynamodb.rows import known
from chalicelib.dynamodb.table import Tables
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
        return Provider(**self.tables.grants.get(PROVIDER, ATTRIBUTES))

    def add(
        self, asked: int, failed: int, refused: int, limited: int, given_at: int | None
    ) -> None:
        """Count requests on top of what is there; ``given_at``: when GoTo gave tokens for one of
        them, None where for none. Raises `DependencyUnavailable`."""
        counted = dict(zip(_ADDED, (asked, failed, refused, limited), strict=True))
        added = self.tables.grants.update(
            PROVIDER, setting=known(tokens_given_at=given_at), adding=counted
        )
        self.tables.write(added)

    def acquire_slot(self, now: int, gap: int, saved: int) -> bool:
        """Take a slot for a request on demand; False when they are used up.

        All in milliseconds. The row holds until when the slots taken so far reach, each of them
        ``gap`` long: up to ``saved`` ahead of ``now``, and never behind it. Raises
        `DependencyUnavailable`.
        """
        first = self.tables.grants.update(
            PROVIDER,
            setting={"demanded_until": now + gap},
            when="attribute_not_exists(#demanded_until) OR #demanded_until <= :now",
            now=now,
        )
        another = self.tables.grants.update(
            PROVIDER,
            adding={"demanded_until": gap},
            when="#demanded_until > :now AND #demanded_until <= :latest",
            now=now,
            latest=now + saved - gap,
        )
        return self.tables.try_write(first) or self.tables.try_write(another)

    def forms(self) -> tuple[str, ...]:
        """Forms of GoTo's answers that were met and told. Raises `DependencyUnavailable`."""
        found = self.tables.grants.get(PROVIDER, ("forms",))
        return tuple(str(found.get("forms", "")).splitlines())

    def learn_forms(
        self, known: Sequence[str], fresh: Sequence[str], entry: JournalEntry | None
    ) -> None:
        """Add to them, with the journal's line. Raises `Conflict`, `DependencyUnavailable`."""
        given: dict[str, Any] = {"before": "\n".join(known)} if known else {}
        learnt = self.tables.grants.update(
            PROVIDER,
            setting={"forms": "\n".join([*known, *fresh][-MOST_FORMS:])},
            when="#forms = :before" if known else "attribute_not_exists(#forms)",
            **given,
        )
        told = [journal.row(self.tables.journal, entry)] if entry else []
        self.tables.transact(learnt, *told)

    def ticked(self, now: int) -> None:
        """Note that a tick came to its end. Raises `DependencyUnavailable`."""
        self.tables.write(self.tables.grants.update(PROVIDER, setting={"ticked_at": now}))

    def save(self, before: Provider, after: Provider, entry: JournalEntry | None) -> None:
        """Write a decision; its counters are what to add. Raises `Conflict` when another tick has
        decided since ``before`` was read, `DependencyUnavailable`."""
        turn: dict[str, Any] = {"before": before.turn} if before.turn else {}
        decided = self.tables.grants.update(
            PROVIDER,
            setting={name: getattr(after, name) for name in _SET},
            adding={name: getattr(after, name) for name in _ADDED},
            when="#turn = :before" if turn else "attribute_not_exists(#turn)",
            **turn,
        )
        told = [journal.row(self.tables.journal, entry)] if entry else []
        self.tables.transact(decided, *told)


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
        return self.tables.grants.count(
            "#lane = :lane AND #next_refresh_at <= :at",
            index=DUE_INDEX,
            limit=MOST_COUNTED,
            lane=number,
            at=since,
        )

    def _ending(self, number: int, now: int) -> list[tuple[int, str]]:
        found, _ = self.tables.grants.query(
            "#lane = :lane AND #refresh_expires_at >= :now",
            index=ENDING_INDEX,
            limit=MOST_LOOKED_AT,
            keeping="#status IN (:connected, :degraded)",
            lane=number,
            now=now,
            connected=Status.CONNECTED,
            degraded=Status.DEGRADED,
        )
        return [(row["refresh_expires_at"], row["tenant"]) for row in found]
