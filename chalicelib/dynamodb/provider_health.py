"""The `#provider` row of `Grants`: the circuit for GoTo as a whole. Also an overview of the fleet.

Lanes add to the row's counters at any time; only the tick takes a turn, in one conditional write.
Refreshes on demand take slots through a date that the tick never touches. The overview reads two
indexes lane by lane: a limited number of rows each, and no secrets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb import journal
from chalicelib.dynamodb.connections import DUE_INDEX
from chalicelib.dynamodb.rows import known
from chalicelib.dynamodb.table import Store
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
    """The `#provider` row: how GoTo answers the fleet's requests. Times are epoch seconds.

    ``asked``, ``failed``, ``refused`` and ``limited`` (429) count requests since the last turn.
    Trends are in thousandths of a request and fade each turn. ``rate`` is in thousandths of a
    request per second; None means the cap. ``tokens_given_at``: end of the last batch in which GoTo
    gave any tenant tokens. ``ticked_at``: end of the last tick.
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


class ProviderRow(Store):
    def get(self) -> Provider:
        """The row, read consistently. Raises `DependencyUnavailable`."""
        return Provider(**self.tables.grants.get(PROVIDER, ATTRIBUTES))

    def add(
        self, asked: int, failed: int, refused: int, limited: int, given_at: int | None
    ) -> None:
        """Add to the counters. ``given_at``: when GoTo gave tokens for any of these requests (epoch
        seconds), else None. Raises `DependencyUnavailable`."""
        counted = dict(zip(_ADDED, (asked, failed, refused, limited), strict=True))
        added = self.tables.grants.update(
            PROVIDER, setting=known(tokens_given_at=given_at), adding=counted
        )
        self.tables.write(added)

    def acquire_slot(self, now: int, gap: int, saved: int) -> bool:
        """Take a slot for a request on demand; False if none is left. All in milliseconds.
        A slot is ``gap`` long. The row holds the end of the last slot taken, at most ``saved``
        after ``now``. Raises `DependencyUnavailable`."""
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
        """The known forms of GoTo's answers. Raises `DependencyUnavailable`."""
        found = self.tables.grants.get(PROVIDER, ("forms",))
        return tuple(str(found.get("forms", "")).splitlines())

    def learn_forms(
        self, known: Sequence[str], fresh: Sequence[str], entry: JournalEntry | None
    ) -> None:
        """Add forms, with the journal entry. Raises `Conflict`, `DependencyUnavailable`."""
        values: dict[str, Any] = {"before": "\n".join(known)} if known else {}
        learnt = self.tables.grants.update(
            PROVIDER,
            setting={"forms": "\n".join([*known, *fresh][-MOST_FORMS:])},
            when="#forms = :before" if known else "attribute_not_exists(#forms)",
            **values,
        )
        self.tables.transact(learnt, *journal.rows(self.tables.journal, entry))

    def ticked(self, now: int) -> None:
        """Note that a tick ended. Raises `DependencyUnavailable`."""
        self.tables.write(self.tables.grants.update(PROVIDER, setting={"ticked_at": now}))

    def save(self, before: Provider, after: Provider, entry: JournalEntry | None) -> None:
        """Store a tick's decision; the counters in ``after`` are amounts to add. Raises `Conflict`
        if another tick has decided since ``before`` was read, `DependencyUnavailable`."""
        turn: dict[str, Any] = {"before": before.turn} if before.turn else {}
        decided = self.tables.grants.update(
            PROVIDER,
            setting={name: getattr(after, name) for name in _SET},
            adding={name: getattr(after, name) for name in _ADDED},
            when="#turn = :before" if turn else "attribute_not_exists(#turn)",
            **turn,
        )
        self.tables.transact(decided, *journal.rows(self.tables.journal, entry))


MOST_FORMS = 100
"""Forms of GoTo's answers that we remember, to report each only once."""

ENDING_INDEX = "ending"

MOST_COUNTED = 1_000
"""Most overdue rows counted per lane; beyond this, reports say only that there are more."""

MOST_LOOKED_AT = 100
"""Index rows read per lane, including those of grants no longer in use."""


class FleetIndexes(Store):
    def overdue(self, since: int) -> tuple[int, bool]:
        """How many refreshes fell due by ``since`` (epoch seconds), and whether there are more."""
        counted = [self._overdue(number, since) for number in range(LANES)]
        return sum(counted), any(number >= MOST_COUNTED for number in counted)

    def ending(self, now: int, count: int) -> list[tuple[int, str]]:
        """The ``count`` grants in use that end soonest: their ends, and their tenants."""
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
