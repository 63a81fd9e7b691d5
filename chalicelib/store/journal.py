"""The `Journal` table: who did what to a tenant, in plain words, newest last. Only appended to."""

import itertools
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.model import JournalEntry, Status
from chalicelib.store import wire

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

_count = itertools.count()

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def row(table: str, entry: JournalEntry) -> wire.Action:
    """The entry as part of the transaction that makes it true."""
    values = {
        "tenant": entry.tenant,
        "at": f"{int(entry.at * 1000):013d}#{_ulid(entry.at)}",
        "kind": entry.kind,
        "who": entry.who,
        "text": entry.text,
        "reference": entry.reference,
        "status": entry.status,
    }
    return wire.Action("journal", {"Put": wire.put(table, values)})


def read(attributes: Mapping[str, Any]) -> JournalEntry:
    """An entry from a row, be it queried or streamed."""
    values = wire.plain(attributes)
    return JournalEntry(
        tenant=values["tenant"],
        at=int(values["at"].split("#")[0]) / 1000,
        kind=values["kind"],
        who=values["who"],
        text=values["text"],
        reference=values.get("reference"),
        status=Status(values["status"]) if "status" in values else None,
    )


def key(attributes: Mapping[str, Any]) -> str:
    """An entry's own key, the same however often the stream brings it."""
    values = wire.plain(attributes)
    return f"{values['tenant']}#{values['at']}"


class Journal:
    """Reads a tenant's history, and appends what changes no other table."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def append(self, entry: JournalEntry) -> None:
        """Write one entry. Raises `DependencyUnavailable`."""
        with wire.dynamodb_errors():
            self._tables.client.put_item(**row(self._tables.journal, entry).request["Put"])

    def newest(self, tenant: str, count: int) -> tuple[JournalEntry, ...]:
        """The last ``count`` entries, newest first. Raises `DependencyUnavailable`."""
        with wire.dynamodb_errors():
            found = self._tables.client.query(
                TableName=self._tables.journal,
                KeyConditionExpression="tenant = :tenant",
                ExpressionAttributeValues={":tenant": {"S": tenant}},
                ScanIndexForward=False,
                Limit=count,
            )
        return tuple(read(attributes) for attributes in found["Items"])


def _ulid(at: float) -> str:
    """A ULID: 48 bits of time, then 80 of which the first 16 count, so that entries of one moment
    both stay, and those of one process in their order."""
    number = (int(at * 1000) << 80) | ((next(_count) & 0xFFFF) << 64) | secrets.randbits(64)
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
