"""The `Tenants` table: who the customers are, and which GoTo client is theirs."""

from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict, TenantExists, UnknownTenant
from chalicelib.model import JournalEntry, Tenant
from chalicelib.store import journal, wire

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_EXISTS = "attribute_exists(#tenant) AND attribute_not_exists(#removed)"


class Tenants:
    def __init__(self, client: "DynamoDBClient", table: str, journal_table: str) -> None:
        self._client = client
        self._table = table
        self._journal_table = journal_table

    def get(self, name: str) -> Tenant | None:
        """The tenant, or None where there is none (any more). Raises `DependencyUnavailable`."""
        with wire.dynamodb_errors():
            found = self._client.get_item(
                TableName=self._table, Key={"tenant": {"S": name}}, ConsistentRead=True
            )
        values = wire.plain(found.get("Item", {}))
        return None if not values or values.get("removed") else _tenant(values)

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
            self._table,
            {"tenant": tenant.name},
            setting=setting,
            remove=("removed",),
            when="attribute_not_exists(#tenant) OR attribute_exists(#removed)",
        )
        try:
            self._write(change, entry)
        except Conflict:
            raise TenantExists(f"There is a tenant {tenant.name!r} already.") from None

    def switch_client(
        self, name: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Make another GoTo client, or another secret of the same one, the tenant's: in one write.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        change = wire.update(
            self._table,
            {"tenant": name},
            setting={"client_id": client_id, "secret_version": secret_version},
            when=_EXISTS,
        )
        try:
            self._write(change, entry)
        except Conflict:
            raise UnknownTenant(f"There is no tenant {name!r}.") from None

    def next_sequence(self, name: str) -> int:
        """Draw the number of a new authorization request; it only grows.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        try:
            changed = wire.change(
                self._client,
                "tenants",
                {
                    "TableName": self._table,
                    "Key": {"tenant": {"S": name}},
                    "UpdateExpression": "ADD #sequence :one",
                    "ConditionExpression": _EXISTS,
                    "ExpressionAttributeNames": {
                        "#sequence": "sequence",
                        "#tenant": "tenant",
                        "#removed": "removed",
                    },
                    "ExpressionAttributeValues": {":one": {"N": "1"}},
                },
                "UPDATED_NEW",
            )
        except Conflict:
            raise UnknownTenant(f"There is no tenant {name!r}.") from None
        return int(changed["sequence"])

    def _write(self, change: dict[str, Any], entry: JournalEntry) -> None:
        wire.transact(
            self._client,
            [wire.Action("tenants", {"Update": change}), journal.row(self._journal_table, entry)],
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
        sequence=values.get("sequence", 0),
    )
