"""What ends a connection at HA's word, or a whole tenant: only counters and the journal are left.

The refresh token itself is not touched here and never read: the refresh functions withdraw it at
GoTo and delete it (S22).
"""

from typing import TYPE_CHECKING

from chalicelib.model import Grant, JournalEntry, Status, Tenant
from chalicelib.store import journal, wire
from chalicelib.store.rows import AS_ASKED, SCHEMA, SETTLED, as_asked
from chalicelib.store.tenants import in_series

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

_OF_A_TENANT = (
    "display_name",
    "admin_email",
    "redirect_uri",
    "client_id",
    "secret_version",
    "pinned_account",
    "imported",
)
"""What a removed tenant's row no longer holds; `sequence` and `link_series` stay (F07)."""


class Disconnections:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def disconnect(self, before: Grant, sequence: int, now: int, entry: JournalEntry) -> None:
        """Stop the use of a connection: a new generation without a token, due to be withdrawn.

        Requests up to ``sequence`` can no longer connect it (F23). Raises `Conflict` when tokens
        were committed since ``before`` was read, `DependencyUnavailable`.
        """
        counters = {"generation": before.generation + 1, "version": before.version + 1}
        row = {"tenant": before.tenant, "schema": SCHEMA, "status": Status.DISCONNECTED}
        tokens = wire.put(
            self._tables.tokens,
            row | counters,
            when="attribute_not_exists(#version) OR #version < :new_version",
            new_version=before.version + 1,
        )
        grant = wire.update(
            self._tables.grants,
            {"tenant": before.tenant},
            setting={
                "status": Status.DISCONNECTED,
                **counters,
                "sequence": sequence,
                "failures": 0,
                "next_refresh_at": now,
            },
            remove=SETTLED,
            when=AS_ASKED,
            **as_asked(before),
        )
        wire.transact(
            self._tables.client,
            [
                wire.Action("tokens", {"Put": tokens}),
                wire.Action("grants", {"Update": grant}),
                journal.row(self._tables.journal, entry),
            ],
        )

    def remove(self, tenant: Tenant, entry: JournalEntry) -> None:
        """Leave a tombstone: the name's counters, so that they go on if it comes back (F07).

        Raises `Conflict`: ``grants`` or ``tokens`` when it is connected or not yet withdrawn,
        ``tenants`` when it has changed since it was read; `DependencyUnavailable`.
        """
        key = {"tenant": tenant.name}
        unchanged, series = in_series(tenant.link_series)
        tombstone = wire.update(
            self._tables.tenants,
            key,
            setting={"removed": True, "link_series": tenant.link_series + 1},
            remove=_OF_A_TENANT,
            when=unchanged,
            **series,
        )
        ended = "attribute_not_exists(#tenant) OR #status = :disconnected"
        tokens = wire.delete(self._tables.tokens, key, when=ended, disconnected=Status.DISCONNECTED)
        withdrawn = wire.check(
            self._tables.grants,
            key,
            when="attribute_not_exists(#tenant) OR"
            " (#status = :disconnected AND attribute_not_exists(#next_refresh_at))",
            disconnected=Status.DISCONNECTED,
        )
        wire.transact(
            self._tables.client,
            [
                wire.Action("tenants", {"Update": tombstone}),
                wire.Action("tokens", {"Delete": tokens}),
                wire.Action("grants", {"ConditionCheck": withdrawn}),
                journal.row(self._tables.journal, entry),
            ],
        )
