"""The `Tenants` table: who the customers are, and which GoTo client is theirs."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict, TenantExists, UnknownTenant
from chalicelib.model import JournalEntry, Tenant
from chalicelib.store import journal, wire

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

EXISTS = "attribute_exists(#tenant) AND attribute_not_exists(#removed)"


NEW = "attribute_not_exists(#tenant) OR attribute_exists(#removed)"
"""The condition that a name is free."""

ANY_COUNT = 100
"""Rows read at a time until one of them is a tenant."""


def in_series(series: int | None) -> tuple[str, dict[str, Any]]:
    """The condition that there is the tenant and links of this series still serve, where it is
    known; with its values."""
    if series is None:
        return EXISTS, {}
    if series == 0:
        return f"{EXISTS} AND attribute_not_exists(#link_series)", {}
    return f"{EXISTS} AND #link_series = :series", {"series": series}


class Tenants:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self, name: str) -> Tenant | None:
        """The tenant, or None where there is none (any more). Raises `DependencyUnavailable`."""
        values = wire.get(self._tables.client, self._tables.tenants, {"tenant": name})
        return None if not values or values.get("removed") else _tenant(values)

    def known(self, name: str) -> Tenant:
        """The tenant. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self.get(name)
        if tenant is None:
            raise UnknownTenant(name)
        return tenant

    def removed(self, name: str) -> bool:
        """Whether there was such a tenant, and is none any more. Raises `DependencyUnavailable`."""
        values = wire.get(self._tables.client, self._tables.tenants, {"tenant": name})
        return bool(values.get("removed"))

    def without_client(self, name: str) -> bool:
        """Whether the tenant was removed, perhaps added again since, and has no client; where there
        is no row at all, it is not told. Raises `DependencyUnavailable`."""
        values = wire.get(self._tables.client, self._tables.tenants, {"tenant": name})
        return bool(values) and "client_id" not in values

    def page(self, after: str | None, count: int) -> tuple[list[Tenant], str | None]:
        """Some tenants in the table's own order, and where the next page begins (None: nowhere).

        ``count`` limits the rows read; removed ones are among them. Raises
        `DependencyUnavailable`.
        """
        start: Any = {"ExclusiveStartKey": {"tenant": {"S": after}}} if after else {}
        with wire.dynamodb_errors():
            found = self._tables.client.scan(TableName=self._tables.tenants, Limit=count, **start)
        values = map(wire.plain, found["Items"])
        last = found.get("LastEvaluatedKey")
        return [_tenant(row) for row in values if not row.get("removed")], (
            str(last["tenant"]["S"]) if last else None
        )

    def any(self) -> Tenant | None:
        """Some tenant, whichever; None where there is none. Raises `DependencyUnavailable`."""
        found, after = self.page(None, ANY_COUNT)
        while not found and after is not None:
            found, after = self.page(after, ANY_COUNT)
        return found[0] if found else None

    def names_taken(self, names: Sequence[str]) -> dict[str, str | None]:
        """Which of up to 100 names are tenants already, with the line each was imported from.

        Raises `DependencyUnavailable`.
        """
        found = wire.batch_get(
            self._tables.client,
            self._tables.tenants,
            "tenant",
            names,
            ("tenant", "imported", "removed"),
        )
        return {row["tenant"]: row.get("imported") for row in found if not row.get("removed")}

    def change(self, name: str, setting: dict[str, str | int | None], entry: JournalEntry) -> None:
        """Set attributes of a tenant; one set to None is removed.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        try:
            self._write(
                wire.update(self._tables.tenants, {"tenant": name}, setting=setting, when=EXISTS),
                entry,
            )
        except Conflict:
            raise UnknownTenant(name) from None

    def add(self, tenant: Tenant, entry: JournalEntry) -> None:
        """Add a tenant; one that was removed before keeps counting where it stopped (F07).

        Raises `TenantExists`, `DependencyUnavailable`.
        """
        setting = {
            "display_name": tenant.display_name,
            "admin_email": tenant.admin_email,
            "redirect_uri": tenant.redirect_uri,
        }
        change = wire.update(
            self._tables.tenants,
            {"tenant": tenant.name},
            setting=setting,
            remove=("removed",),
            when=NEW,
        )
        try:
            self._write(change, entry)
        except Conflict:
            raise TenantExists(tenant.name) from None

    def switch_client(
        self, name: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Make another GoTo client, or another secret of the same one, the tenant's: in one write.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        self.change(name, {"client_id": client_id, "secret_version": secret_version}, entry)

    def next_sequence(self, name: str) -> int:
        """Draw the number of a new authorization request; it only grows.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        try:
            counted = self._counted(name, "sequence")
            changed = wire.change(self._tables.client, "tenants", counted, "UPDATED_NEW")
        except Conflict:
            raise UnknownTenant(name) from None
        return int(changed["sequence"])

    def revoke_links(self, name: str, entry: JournalEntry) -> None:
        """Begin a new series of links; it only grows, so no link comes to life again (S14).

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        try:
            self._write(self._counted(name, "link_series"), entry)
        except Conflict:
            raise UnknownTenant(name) from None

    def _counted(self, name: str, counter: str) -> dict[str, Any]:
        return {
            "TableName": self._tables.tenants,
            "Key": {"tenant": {"S": name}},
            "UpdateExpression": "ADD #counter :one",
            "ConditionExpression": EXISTS,
            "ExpressionAttributeNames": {
                "#counter": counter,
                "#tenant": "tenant",
                "#removed": "removed",
            },
            "ExpressionAttributeValues": {":one": {"N": "1"}},
        }

    def _write(self, change: dict[str, Any], entry: JournalEntry) -> None:
        wire.transact(
            self._tables.client,
            [wire.Action("tenants", {"Update": change}), journal.row(self._tables.journal, entry)],
        )


def _tenant(values: dict[str, Any]) -> Tenant:
    return Tenant(
        name=values["tenant"],
        display_name=values["display_name"],
        admin_email=values["admin_email"],
        redirect_uri=values["redirect_uri"],
        client_id=values.get("client_id"),
        secret_version=values.get("secret_version"),
        pinned_account=values.get("pinned_account"),
        link_series=values.get("link_series", 0),
        imported=values.get("imported"),
    )
