"""Takes over a tenant that another program kept alive until now: all of it in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import expressions, journal
from chalicelib.dynamodb.expressions import Tables
from chalicelib.dynamodb.rows import SCHEMA, SETTLED, UNCHANGED, unchanged_since
from chalicelib.dynamodb.tenants import account_claim, added
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status, Tenant, lane
from chalicelib.permissions import Claim


@dataclass(eq=False)
class TenantImports:
    tables: Tables

    def import_tenant(
        self,
        tenant: Tenant,
        before: GrantSummary | None,
        refresh_token: str,
        entry: JournalEntry,
        *,
        ends: int,
        claim: Claim,
    ) -> None:
        """Add the tenant with its client and its refresh token, due at once.

        ``before`` is the tombstone's grant, whose counters go on; ``ends`` is when the refresh
        token does. Raises `Conflict`: ``tenants`` when there is such a tenant, ``account`` when
        what it is to ``claim`` is another tenant's by now, else when the
        tombstone has changed; `DependencyUnavailable`.
        """
        now = int(entry.at)
        counters = {
            "status": Status.DEGRADED,
            "generation": (before.generation if before else 0) + 1,
            "version": (before.version if before else 0) + 1,
        }
        token = {
            "lane": lane(tenant.name),
            "refresh_token": refresh_token,
            "refresh_issued_at": now,
            "refresh_expires_at": ends,
            "access_expires_at": now,
            "failures": 0,
            "next_refresh_at": now,
            "account_key": None,  # the file's word is no reading
        }
        row: dict[str, Any] = {"tenant": tenant.name, "schema": SCHEMA, **counters}
        row |= {"connected_at": now, "reconnect_by": ends}
        tokens = expressions.put(self.tables.tokens, row, when="attribute_not_exists(#tenant)")
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("tenants", {"Update": added(self.tables.tenants, tenant)}),
                expressions.Action("tokens", {"Put": tokens}),
                expressions.Action(
                    "grants", {"Update": self._grant(tenant, before, counters | token)}
                ),
                *account_claim(self.tables.tenants, tenant.name, claim),
                journal.row(self.tables.journal, entry),
            ],
        )

    def _grant(
        self, tenant: Tenant, before: GrantSummary | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        when = "attribute_not_exists(#tenant)"
        asked: dict[str, Any] = {}
        first = {"fence": 0, "sequence": 0}
        if before:
            when, first = UNCHANGED, {}
            asked = unchanged_since(before)
        client = {"client_id": tenant.client_id, "secret_version": tenant.secret_version}
        key = {"tenant": tenant.name}
        return expressions.update(
            self.tables.grants,
            key,
            setting=values | client | first,
            remove=SETTLED,
            when=when,
            **asked,
        )
