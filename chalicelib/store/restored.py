"""`Tokens` and `Grants` after one of them, or both, came back from a backup (F19).

The one place that scans: it runs once after a disaster, at an operator's word.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chalicelib.model import RESTORED, Connection, Grant, JournalEntry, Status, lane
from chalicelib.store import journal, wire
from chalicelib.store.rows import AS_ASKED, SCHEMA, as_asked

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

FENCES_SKIPPED = 1_000_000
"""By how much a fence jumps: more than were drawn since any backup was made."""


class RestoredTables:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def tenants(self, in_lane: int) -> set[str]:
        """Every tenant of a lane that either table knows. Raises `DependencyUnavailable`."""
        names = {*self._names(self._tables.tokens), *self._names(self._tables.grants)}
        return {name for name in names if not name.startswith("#") and lane(name) == in_lane}

    def align(
        self,
        tenant: str,
        grant: Grant | None,
        connection: Connection | None,
        *,
        status: Status,
        next_refresh_at: int | None = None,
        entry: JournalEntry | None = None,
        removed: bool = False,
    ) -> None:
        """Bring both rows in step; the counters go on from the higher ones.

        What GoTo refuses next is told as of a restored backup. Of a tenant that was ``removed``
        the grant's counters alone stay. Raises `Conflict`, `DependencyUnavailable`.
        """
        pairs = [(row.generation, row.version) for row in (grant, connection) if row is not None]
        counters = {
            "generation": max(generation for generation, _ in pairs),
            "version": max(version for _, version in pairs),
        }
        setting: dict[str, Any] = {
            **counters,
            "status": status,
            "next_refresh_at": next_refresh_at,
        }
        grant_row = self._grant_row(grant, setting) if grant else self._no_grant(tenant, setting)
        if removed:
            token_row = self._no_token_row(tenant, connection)
        else:
            token_row = self._token_row(tenant, connection, setting)
        actions = [wire.Action("tokens", token_row), wire.Action("grants", grant_row)]
        if entry is not None:
            actions.append(journal.row(self._tables.journal, entry))
        wire.transact(self._tables.client, actions)

    def _token_row(
        self, tenant: str, connection: Connection | None, setting: dict[str, Any]
    ) -> dict[str, Any]:
        row = {"tenant": tenant, "schema": SCHEMA, **setting}
        if connection is None:
            return {"Put": wire.put(self._tables.tokens, row, when="attribute_not_exists(#tenant)")}
        if setting["status"] is Status.DISCONNECTED:
            return {"Put": self._without_token(row, connection)}
        change = wire.update(
            self._tables.tokens,
            {"tenant": tenant},
            setting=setting,
            when=AS_ASKED,
            **as_asked(connection),
        )
        return {"Update": change}

    def _no_token_row(self, tenant: str, connection: Connection | None) -> dict[str, Any]:
        when, asked = "attribute_not_exists(#tenant)", {}
        if connection is not None:
            when, asked = AS_ASKED, as_asked(connection)
        gone = wire.delete(self._tables.tokens, {"tenant": tenant}, when=when, **asked)
        return {"Delete": gone}

    def _without_token(self, row: dict[str, Any], connection: Connection) -> dict[str, Any]:
        """What the backup brought back, readers no longer find (S22)."""
        return wire.put(
            self._tables.tokens,
            row | {"next_refresh_at": None},
            when=AS_ASKED,
            **as_asked(connection),
        )

    def _grant_row(self, grant: Grant, setting: dict[str, Any]) -> dict[str, Any]:
        change = wire.update(
            self._tables.grants,
            {"tenant": grant.tenant},
            setting=setting
            | {
                "fence": grant.fence + FENCES_SKIPPED,
                "outcome_unknown_since": grant.refresh_issued_at,
                "last_error": RESTORED,
            },
            remove=("lease_until", "inflight", "refused_since"),
            when=f"#fence = :asked_fence AND {AS_ASKED}",
            asked_fence=grant.fence,
            **as_asked(grant),
        )
        return {"Update": change}

    def _no_grant(self, tenant: str, setting: dict[str, Any]) -> dict[str, Any]:
        """The counters alone: the next connect goes on from them."""
        row = {"tenant": tenant, "client_id": "", "secret_version": "", "sequence": 0, **setting}
        row["fence"] = FENCES_SKIPPED
        return {"Put": wire.put(self._tables.grants, row, when="attribute_not_exists(#tenant)")}

    def _names(self, table: str) -> Iterator[str]:
        start: dict[str, Any] = {}
        while True:
            with wire.dynamodb_errors():
                found = self._tables.client.scan(
                    TableName=table,
                    ProjectionExpression="tenant",
                    ConsistentRead=True,
                    **start,
                )
            yield from (attributes["tenant"]["S"] for attributes in found["Items"])
            if "LastEvaluatedKey" not in found:
                return
            start = {"ExclusiveStartKey": found["LastEvaluatedKey"]}
