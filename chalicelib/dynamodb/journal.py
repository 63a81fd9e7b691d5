"""The `Journal` table: who did what to a tenant, in plain words. Append-only, newest last."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.rows import from_row, to_row
from chalicelib.dynamodb.table import Action, Store, Table
from chalicelib.journal_entries import BEGINNINGS, REPEATABLE, JournalEntry, Kind
from chalicelib.models import STREAM, Status
from chalicelib.permissions import GoToAccount, Owner

_count = itertools.count()

NEWEST = 50
"""The newest entries of a history, of every kind."""

PAGE = 2_000
"""Entries that each further request reads; DynamoDB filters out most of them."""

MOST_PAGES = 50
"""Further requests until a history counts as complete: 100,000 entries. In its 90 days, a link can
cause 9,000 (`authorize.MOST_STARTS_A_DAY`)."""

PASSED_OVER = tuple(kind for kind in REPEATABLE if kind != Kind.AUTHORIZATION_MISMATCHED)
"""Kinds omitted from older entries. Sign-ins with another account stay: the rep chooses among all
of those accounts (S25), and `lines` shows only a few."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

BEAT = f"{0:013d}#heartbeat"
"""Sort key of the heartbeat's row."""

SCHEDULE = "the schedule"


def row(table: Table, entry: JournalEntry) -> Action:
    """The entry's write, for the transaction that makes it true."""
    return table.put(_values(entry))


def rows(table: Table, *entries: JournalEntry | None) -> list[Action]:
    """The same for several; nothing for None."""
    return [row(table, entry) for entry in entries if entry]


def _values(entry: JournalEntry) -> dict[str, Any]:
    return {
        **to_row(entry),
        "at": f"{int(entry.at * 1000):013d}#{_ulid(entry.at)}",
        "tried": _tried(entry.tried) if entry.tried else None,
    }


def read(attributes: Mapping[str, Any]) -> JournalEntry:
    """An entry from a queried or streamed row."""
    return _entry(expressions.plain(attributes))


def _entry(values: Mapping[str, Any]) -> JournalEntry:
    status, tried = values.get("status"), values.get("tried")
    return from_row(
        JournalEntry,
        values,
        at=int(values["at"].split("#")[0]) / 1000,
        status=None if status is None else Status(status),
        tried=None if tried is None else _owner(tried),
    )


def _tried(owner: Owner) -> dict[str, Any]:
    several = owner.accounts if len(owner.accounts) > 1 else ()
    accounts = {each.key: each.name or "" for each in several}
    return {**owner._asdict(), "accounts": accounts or None}


def _owner(values: Mapping[str, Any]) -> Owner:
    pairs = sorted(values.get("accounts", {}).items())
    accounts = tuple(GoToAccount(key, name or None) for key, name in pairs)
    return Owner(values.get("account"), values.get("principal"), accounts)


def key(attributes: Mapping[str, Any]) -> str:
    """An entry's unique key, the same each time the stream delivers it."""
    values = expressions.plain(attributes)
    return f"{values['tenant']}#{values['at']}"


class Journal(Store):
    """Reads a tenant's history, and appends entries that change no other table."""

    def append(self, entry: JournalEntry) -> None:
        """Write one entry. Raises `DependencyUnavailable`."""
        self.tables.write(row(self.tables.journal, entry))

    def get(self, key: str) -> JournalEntry | None:
        """The entry with this `key`, if any. Raises `DependencyUnavailable`."""
        tenant, at, ulid = key.rsplit("#", 2)
        found = self.tables.journal.get({"tenant": tenant, "at": f"{at}#{ulid}"})
        return _entry(found) if found else None

    def beat(self, now: int) -> None:
        """Send a heartbeat through the table's stream by changing one fixed row. If no heartbeat
        comes through, nobody is reading the stream (F35). Raises `DependencyUnavailable`."""
        beating = JournalEntry(STREAM, 0, Kind.HEARTBEAT, SCHEDULE, str(now))
        self.tables.write(self.tables.journal.put(_values(beating) | {"at": BEAT}))

    def newest(self, tenant: str, count: int) -> tuple[JournalEntry, ...]:
        """The last ``count`` entries, newest first. Raises `DependencyUnavailable`."""
        return tuple(self._page(tenant, count)[0])

    def history(self, tenant: str) -> Iterator[JournalEntry]:
        """The tenant's entries back to its beginning, newest first, read lazily. After the first
        `NEWEST`, it skips the kinds in `PASSED_OVER`, so that nobody can push other entries out of
        sight (S29). Raises `DependencyUnavailable`."""
        page, after = self._page(tenant, NEWEST)
        yield from _since_beginning(page)
        for _ in range(MOST_PAGES):
            if after is None or any(entry.kind in BEGINNINGS for entry in page):
                return
            page, after = self._page(tenant, PAGE, PASSED_OVER, after)
            yield from _since_beginning(page)

    def _page(
        self, tenant: str, limit: int, passing_over: Sequence[str] = (), after: Any = None
    ) -> tuple[list[JournalEntry], Any]:
        """The newest ``limit`` entries after a place, without the kinds ``passing_over``, and where
        the next page starts (None: no more)."""
        kinds = {f"kind{number}": kind for number, kind in enumerate(passing_over)}
        found, after = self.tables.journal.query(
            "#tenant = :tenant",
            limit=limit,
            keeping=f"NOT #kind IN ({', '.join(f':{name}' for name in kinds)})" if kinds else "",
            newest_first=True,
            after=after,
            tenant=tenant,
            **kinds,
        )
        return [_entry(values) for values in found], after


def _since_beginning(page: Sequence[JournalEntry]) -> Iterator[JournalEntry]:
    for entry in page:
        yield entry
        if entry.kind in BEGINNINGS:
            return


def _ulid(at: float) -> str:
    """A ULID: 48 bits of time, a 16-bit counter and 64 random bits. Entries of the same moment stay
    distinct, and those of one process stay in order."""
    number = (int(at * 1000) << 80) | ((next(_count) & 0xFFFF) << 64) | secrets.randbits(64)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
