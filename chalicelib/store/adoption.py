"""Takes over a tenant that another program kept alive until now: all of it in one transaction."""

from typing import TYPE_CHECKING, Any

from chalicelib.model import Grant, JournalEntry, Status, Tenant, lane
from chalicelib.store import journal, wire
from chalicelib.store.rows import AS_ASKED, SCHEMA, SETTLED, as_asked
from chalicelib.store.tenants import NEW

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables


class Adoption:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def adopt(
        self,
        tenant: Tenant,
        before: Grant | None,
        refresh_token: str,
        entry: JournalEntry,
        *,
        ends: int,
    ) -> None:
        """Add the tenant with its client and its refresh token, due at once.

        ``before`` is the tombstone's grant, whose counters go on; ``ends`` is when the refresh
        token does. Raises `Conflict`: ``tenants`` when there is such a tenant, else when the
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
        }
        row = {"tenant": tenant.name, "schema": SCHEMA, **counters}
        dates = {"connected_at": now, "reconnect_by": ends}
        tokens = wire.put(self._tables.tokens, row | dates, when="attribute_not_exists(#tenant)")
        wire.transact(
            self._tables.client,
            [
                wire.Action("tenants", {"Update": self._tenant(tenant)}),
                wire.Action("tokens", {"Put": tokens}),
                wire.Action("grants", {"Update": self._grant(tenant, before, counters | token)}),
                journal.row(self._tables.journal, entry),
            ],
        )

    def _tenant(self, tenant: Tenant) -> dict[str, Any]:
        setting = {
            "display_name": tenant.display_name,
            "admin_email": tenant.admin_email,
            "redirect_uri": tenant.redirect_uri,
            "client_id": tenant.client_id,
            "secret_version": tenant.secret_version,
            "imported": tenant.imported,
        }
        key = {"tenant": tenant.name}
        return wire.update(
            self._tables.tenants, key, setting=setting, remove=("removed",), when=NEW
        )

    def _grant(
        self, tenant: Tenant, before: Grant | None, values: dict[str, Any]
    ) -> dict[str, Any]:
        when = "attribute_not_exists(#tenant)"
        asked: dict[str, Any] = {}
        first = {"fence": 0, "sequence": 0}
        if before:
            when, first = AS_ASKED, {}
            asked = as_asked(before)
        client = {"client_id": tenant.client_id, "secret_version": tenant.secret_version}
        key = {"tenant": tenant.name}
        return wire.update(
            self._tables.grants,
            key,
            setting=values | client | first,
            remove=SETTLED,
            when=when,
            **asked,
        )
