"""The `Journal` table: who did what to a tenant, in plain words, newest last. Only appended to."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.expressions import Tables
from chalicelib.journal_entries import BEGINNINGS, REPEATABLE, JournalEntry, Kind
from chalicelib.models import STREAM, Status
from chalicelib.permissions import GoToAccount, Owner

_count = itertools.count()

NEWEST = 50
"""Entries that a history begins with, of whatever kind."""

PAGE = 2_000
"""Entries looked at in each further request; most are passed over at DynamoDB."""

MOST_PAGES = 50
"""Requests after which a history counts as read, whatever is older: 100,000 entries. The holder of
a link makes 9,000 in the 90 days for which it serves (`authorize.MOST_STARTS_A_DAY`)."""

PASSED_OVER = tuple(kind for kind in REPEATABLE if kind != Kind.AUTHORIZATION_MISMATCHED)
"""What is left out of older entries. Who tried to sign in is not: the rep decides among them all
(S25), and `lines` shows few of them."""

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


BEAT = f"{0:013d}#heartbeat"
"""Sort key of the heartbeat's row."""

SCHEDULE = "the schedule"


def row(table: str, entry: JournalEntry) -> expressions.Action:
    """The entry as part of the transaction that makes it true."""
    return expressions.Action("journal", {"Put": expressions.put(table, _values(entry))})


def _values(entry: JournalEntry) -> dict[str, Any]:
    return {
        "tenant": entry.tenant,
        "at": f"{int(entry.at * 1000):013d}#{_ulid(entry.at)}",
        "kind": entry.kind,
        "who": entry.who,
        "text": entry.text,
        "reference": entry.reference,
        "status": entry.status,
        "tried": _tried(entry.tried) if entry.tried else None,
    }


def read(attributes: Mapping[str, Any]) -> JournalEntry:
    """An entry from a row, be it queried or streamed."""
    return _entry(expressions.plain(attributes))


def _entry(values: Mapping[str, Any]) -> JournalEntry:
    return JournalEntry(
        tenant=values["tenant"],
        at=int(values["at"].split("#")[0]) / 1000,
        kind=values["kind"],
        who=values["who"],
        text=values["text"],
        reference=values.get("reference"),
        status=Status(values["status"]) if "status" in values else None,
        tried=_owner(values["tried"]) if "tried" in values else None,
    )


def _tried(owner: Owner) -> dict[str, Any]:
    several = owner.accounts if len(owner.accounts) > 1 else ()
    accounts = {each.key: each.name or "" for each in several}
    return {**owner._asdict(), "accounts": accounts or None}


def _owner(values: Mapping[str, Any]) -> Owner:
    accounts = sorted(values.get("accounts", {}).items())
    known = tuple(GoToAccount(key, name or None) for key, name in accounts)
    return Owner(values.get("account"), values.get("principal"), known)


def key(attributes: Mapping[str, Any]) -> str:
    """An entry's own key, the same however often the stream brings it."""
    values = expressions.plain(attributes)
    return f"{values['tenant']}#{values['at']}"


@dataclass(eq=False)
class Journal:
    """Reads a tenant's history, and appends what changes no other table."""

    tables: Tables

    def append(self, entry: JournalEntry) -> None:
        """Write one entry. Raises `DependencyUnavailable`."""
        with expressions.dynamodb_errors():
            self.tables.client.put_item(**row(self.tables.journal, entry).request["Put"])

    def get(self, key: str) -> JournalEntry | None:
        """The entry of a `key`. Raises `DependencyUnavailable`."""
        tenant, at, ulid = key.rsplit("#", 2)
        place = {"tenant": tenant, "at": f"{at}#{ulid}"}
        found = expressions.get(self.tables.client, self.tables.journal, place)
        return _entry(found) if found else None

    def beat(self, now: int) -> None:
        """Send a heartbeat through the table's stream: one row, always the same, which changes.

        Whoever reads the stream hears it, so that silence means that nobody does (F35). Raises
        `DependencyUnavailable`.
        """
        beating = JournalEntry(STREAM, 0, Kind.HEARTBEAT, SCHEDULE, str(now))
        values = {**_values(beating), "at": BEAT}
        with expressions.dynamodb_errors():
            self.tables.client.put_item(**expressions.put(self.tables.journal, values))

    def newest(self, tenant: str, count: int) -> tuple[JournalEntry, ...]:
        """The last ``count`` entries, newest first. Raises `DependencyUnavailable`."""
        return tuple(self._page(_newest_first(self.tables.journal, tenant, count))[0])

    def history(self, tenant: str) -> Iterator[JournalEntry]:
        """The tenant's entries back to its beginning, newest first, read as they are asked for.

        The first `NEWEST` of whatever kind; of what is older, none of `PASSED_OVER`, so that nobody
        can push anything out of sight (S29). Raises `DependencyUnavailable`.
        """
        page, after = self._page(_newest_first(self.tables.journal, tenant, NEWEST))
        yield from _since_beginning(page)
        for _ in range(MOST_PAGES):
            if after is None or any(entry.kind in BEGINNINGS for entry in page):
                return
            older = _newest_first(self.tables.journal, tenant, PAGE, passing_over=PASSED_OVER)
            page, after = self._page({**older, "ExclusiveStartKey": after})
            yield from _since_beginning(page)

    def _page(self, query: dict[str, Any]) -> tuple[list[JournalEntry], Any]:
        """Entries, and where to go on; None: nowhere."""
        with expressions.dynamodb_errors():
            found = self.tables.client.query(**query)
        return [read(attributes) for attributes in found["Items"]], found.get("LastEvaluatedKey")


def _newest_first(
    table: str, tenant: str, limit: int, passing_over: Sequence[str] = ()
) -> dict[str, Any]:
    """Arguments of a Query that looks at ``limit`` entries and answers with those of other kinds
    than ``passing_over``."""
    names = [f":kind{number}" for number in range(len(passing_over))]
    values = {":tenant": tenant, **dict(zip(names, passing_over, strict=True))}
    filtered: dict[str, Any] = {
        "FilterExpression": f"NOT #kind IN ({', '.join(names)})",
        "ExpressionAttributeNames": {"#kind": "kind"},
    }
    return {
        "TableName": table,
        "KeyConditionExpression": "tenant = :tenant",
        "ExpressionAttributeValues": expressions.item(values),
        "ConsistentRead": True,
        "ScanIndexForward": False,
        "Limit": limit,
        **(filtered if passing_over else {}),
    }


def _since_beginning(page: Sequence[JournalEntry]) -> Iterator[JournalEntry]:
    for entry in page:
        yield entry
        if entry.kind in BEGINNINGS:
            return


def _ulid(at: float) -> str:
    """A ULID: 48 bits of time, then 80 of which the first 16 count, so that entries of one moment
    both stay, and those of one process in their order."""
    number = (int(at * 1000) << 80) | ((next(_count) & 0xFFFF) << 64) | secrets.randbits(64)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
