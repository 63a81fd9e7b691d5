"""Use case: remind people whose connection has ended to reconnect.

Runs with the refresh tick. It writes journal entries, from which the mails are sent. It checks that
the connection is still down; the announcer checks again before sending.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from chalicelib.durations import DAY, REMINDED_AFTER, REMINDER_TURN, REMINDER_WINDOW
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.fleet import Fleet, FleetRow
from chalicelib.dynamodb.links import RemindersSent
from chalicelib.errors import DependencyUnavailable
from chalicelib.journal_entries import REMINDERS, JournalEntry, Kind
from chalicelib.models import Status

_ENDED = Status.REAUTHORIZATION_REQUIRED


@dataclass(frozen=True, kw_only=True)
class Reminders:
    fleet: Fleet
    connections: Connections
    sent: RemindersSent
    clock: Callable[[], float]
    report: Callable[[Exception], None]

    def send(self) -> int:
        """Write the due reminders, every `REMINDER_TURN`; returns how many. Never raises:
        refreshing is more urgent, and the next check finds them again."""
        now = int(self.clock())
        if now % REMINDER_TURN >= 60:
            return 0
        try:
            return sum(self._due(kind, days, now) for kind, days in _SCHEDULE)
        except DependencyUnavailable as error:
            self.report(error)
            return 0

    def _due(self, kind: Kind, days: int, now: int) -> int:
        last = now - days * DAY
        rows = self.fleet.ended_between(_ENDED, last - REMINDER_WINDOW, last)
        return sum(self._remind(row, kind, now) for row in rows)

    def _remind(self, row: FleetRow, kind: Kind, now: int) -> bool:
        connection = self.connections.get(row.tenant)
        if connection is None or connection.status is not _ENDED:
            return False
        ended = datetime.fromtimestamp(row.since, UTC)
        text = f"Your reports have had no new calls since {ended:%B %-d}."
        entry = JournalEntry(row.tenant, self.clock(), kind, "the scheduler", text)
        return self.sent.remind(entry, row.since, now)


_SCHEDULE = tuple(zip(REMINDERS, REMINDED_AFTER, strict=True))
