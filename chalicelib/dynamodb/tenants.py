"""The `Tenants` table: who the customers are and which GoTo client is theirs; and the transactions
that end a connection or a whole tenant, of which only counters and the journal are left.

The refresh token is neither read nor changed here: the refresh functions revoke it at GoTo and
delete it (S22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import expressions, journal
from chalicelib.dynamodb.expressions import Tables
from chalicelib.dynamodb.rows import SCHEMA, SETTLED, UNCHANGED, unchanged_since
from chalicelib.errors import Conflict, TenantExists, UnknownTenant
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status, Tenant
from chalicelib.permissions import NO_CLAIM, Claim

ACCOUNT = "#account#"
"""Begins the key of the row that says whose a GoTo account is: no tenant's name can."""

EXISTS = "attribute_exists(#tenant) AND attribute_not_exists(#removed)"

CHOOSING = "choosing"
"""Attribute: how many sign-ins of the tenant wait until an account is chosen (S26)."""

NEW = "attribute_not_exists(#tenant) OR attribute_exists(#removed)"
"""The condition that a name is free."""

_COUNTED = ("name", "link_series")
"""Fields of `Tenant` that are the row's key, or go on counting after a removal."""

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


@dataclass(eq=False)
class Tenants:
    tables: Tables

    def get(self, name: str) -> Tenant | None:
        """The tenant, or None where there is none (any more). Raises `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.tenants, {"tenant": name})
        return None if not values or values.get("removed") else _tenant(values)

    def known(self, name: str) -> Tenant:
        """The tenant. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self.get(name)
        if tenant is None:
            raise UnknownTenant(name)
        return tenant

    def removed(self, name: str) -> bool:
        """Whether there was such a tenant, and is none any more. Raises `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.tenants, {"tenant": name})
        return bool(values.get("removed"))

    def choosing(self, name: str) -> bool:
        """Whether tokens wait until the tenant's admin has chosen an account. Raises
        `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.tenants, {"tenant": name})
        return bool(values.get(CHOOSING, 0) > 0)

    def without_client(self, name: str) -> bool:
        """Whether the tenant was removed, perhaps added again since, and has no client; where there
        is no row at all, it is not told. Raises `DependencyUnavailable`."""
        values = expressions.get(self.tables.client, self.tables.tenants, {"tenant": name})
        return bool(values) and "client_id" not in values

    def page(self, after: str | None, count: int) -> tuple[list[Tenant], str | None]:
        """Some tenants in the table's own order, and where the next page begins (None: nowhere).

        ``count`` limits the rows read; removed ones are among them. Raises
        `DependencyUnavailable`.
        """
        start: Any = {"ExclusiveStartKey": {"tenant": {"S": after}}} if after else {}
        with expressions.dynamodb_errors():
            found = self.tables.client.scan(TableName=self.tables.tenants, Limit=count, **start)
        values = map(expressions.plain, found["Items"])
        last = found.get("LastEvaluatedKey")
        return [_tenant(row) for row in values if _is_tenant(row)], (
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
        found = expressions.batch_get(
            self.tables.client,
            self.tables.tenants,
            "tenant",
            names,
            ("tenant", "imported", "removed"),
        )
        return {row["tenant"]: row.get("imported") for row in found if not row.get("removed")}

    def change(
        self,
        name: str,
        setting: Mapping[str, str | int | None],
        entry: JournalEntry,
        *,
        ends_links: bool = False,
    ) -> None:
        """Set attributes of a tenant; one set to None is removed. ``ends_links`` begins a new
        series of links with it; it only grows, so no link comes to life again (S14).

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        change = expressions.update(
            self.tables.tenants,
            {"tenant": name},
            setting=setting,
            adding={"link_series": 1} if ends_links else {},
            when=EXISTS,
        )
        try:
            self._write(change, entry)
        except Conflict:
            raise UnknownTenant(name) from None

    def add(self, tenant: Tenant, entry: JournalEntry, claim: Claim = NO_CLAIM) -> None:
        """Add a tenant; one that was removed before keeps counting where it stopped (F07).

        Raises `TenantExists`, `Conflict` where its account is another tenant's,
        `DependencyUnavailable`.
        """
        claims = account_claim(self.tables.tenants, tenant.name, claim)
        try:
            self._write(added(self.tables.tenants, tenant), entry, *claims)
        except Conflict as error:
            if error.failed == ("account",):
                raise
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
            counted = expressions.update(
                self.tables.tenants, {"tenant": name}, adding={"sequence": 1}, when=EXISTS
            )
            changed = expressions.change(self.tables.client, "tenants", counted, "UPDATED_NEW")
        except Conflict:
            raise UnknownTenant(name) from None
        return int(changed["sequence"])

    def revoke_links(self, name: str, entry: JournalEntry) -> None:
        """Begin a new series of links. Raises `UnknownTenant`, `DependencyUnavailable`."""
        self.change(name, {}, entry, ends_links=True)

    def pin(self, name: str, account: str, claim: Claim, entry: JournalEntry) -> None:
        """Hold the tenant to this GoTo account, whichever it had before (S25).

        Raises `Conflict` with ``account`` when that belongs to another tenant, `UnknownTenant`,
        `DependencyUnavailable`.
        """
        change = expressions.update(
            self.tables.tenants,
            {"tenant": name},
            setting={"pinned_account": account, "pin_lifted": None},
            when=EXISTS,
        )
        claims = account_claim(self.tables.tenants, name, claim)
        try:
            self._write(change, entry, *claims)
        except Conflict as error:
            if error.failed == ("account",):
                raise
            raise UnknownTenant(name) from None

    def lift_pin(self, name: str, entry: JournalEntry) -> None:
        """Let the next sign-in bring another GoTo account, at a link that is made from now on.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        lifted: dict[str, str | int | None] = {"pinned_account": None, "pin_lifted": True}
        self.change(name, lifted, entry, ends_links=True)

    def _write(
        self, change: dict[str, Any], entry: JournalEntry, *also: expressions.Action
    ) -> None:
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("tenants", {"Update": change}),
                *also,
                journal.row(self.tables.journal, entry),
            ],
        )


def _is_tenant(row: dict[str, Any]) -> bool:
    """Whether a row is a customer's: not a tombstone, nor an account's."""
    return not row.get("removed") and not row["tenant"].startswith(ACCOUNT)


_ATTRIBUTES = tuple(each.name for each in fields(Tenant) if each.name not in _COUNTED)
"""Of a tenant's row: stored when it is added, deleted when it is removed. `sequence` and
`link_series` stay in the tombstone (F07)."""


def _tenant(values: dict[str, Any]) -> Tenant:
    """A field that the row does not have keeps its default."""
    known = {name: values[name] for name in (*_ATTRIBUTES, "link_series") if name in values}
    return Tenant(name=values["tenant"], **known)


def added(table: str, tenant: Tenant) -> dict[str, Any]:
    """Arguments of the update that adds a tenant, if its name is free.

    Of who had the name before, nothing is taken over: a version that did not know an attribute has
    left it in the tombstone.
    """
    setting = {name: value for name in _ATTRIBUTES if (value := getattr(tenant, name))}
    return expressions.update(
        table,
        {"tenant": tenant.name},
        setting=setting,
        remove=("removed", *(name for name in _ATTRIBUTES if name not in setting)),
        when=NEW,
    )


@dataclass(eq=False)
class Disconnections:
    tables: Tables

    def disconnect(
        self, before: GrantSummary, sequence: int, now: int, entry: JournalEntry
    ) -> None:
        """Stop the use of a connection: a new generation without a token, due to be withdrawn.

        Requests up to ``sequence`` can no longer connect it (F23), nor does any link that is out: a
        tenant without a pin would be whose hands one has come into (S25). Raises `Conflict` when
        tokens were committed since ``before`` was read, or the tenant is gone;
        `DependencyUnavailable`.
        """
        counters = {"generation": before.generation + 1, "version": before.version + 1}
        row = {"tenant": before.tenant, "schema": SCHEMA, "status": Status.DISCONNECTED}
        tokens = expressions.put(
            self.tables.tokens,
            row | counters,
            when="attribute_not_exists(#version) OR #version < :new_version",
            new_version=before.version + 1,
        )
        grant = expressions.update(
            self.tables.grants,
            {"tenant": before.tenant},
            setting={
                "status": Status.DISCONNECTED,
                **counters,
                "sequence": sequence,
                "failures": 0,
                "next_refresh_at": now,
            },
            remove=SETTLED,
            when=UNCHANGED,
            **unchanged_since(before),
        )
        links = expressions.update(
            self.tables.tenants,
            {"tenant": before.tenant},
            adding={"link_series": 1},
            when=EXISTS,
        )
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("tenants", {"Update": links}),
                expressions.Action("tokens", {"Put": tokens}),
                expressions.Action("grants", {"Update": grant}),
                journal.row(self.tables.journal, entry),
            ],
        )

    def remove(self, tenant: Tenant, entry: JournalEntry) -> None:
        """Leave a tombstone: the name's counters, so that they go on if it comes back (F07).

        Raises `Conflict`: ``grants`` or ``tokens`` when it is connected or not yet withdrawn,
        ``tenants`` when it has changed since it was read, or tokens wait for a choice;
        `DependencyUnavailable`.
        """
        key = {"tenant": tenant.name}
        unchanged, series = in_series(tenant.link_series)
        tombstone = expressions.update(
            self.tables.tenants,
            key,
            setting={"removed": True, "link_series": tenant.link_series + 1},
            remove=(*_ATTRIBUTES, CHOOSING),
            when=f"{unchanged} AND (attribute_not_exists(#{CHOOSING}) OR #{CHOOSING} <= :none)",
            none=0,
            **series,
        )
        ended = "attribute_not_exists(#tenant) OR #status = :disconnected"
        tokens = expressions.delete(
            self.tables.tokens, key, when=ended, disconnected=Status.DISCONNECTED
        )
        withdrawn = expressions.check(
            self.tables.grants,
            key,
            when="attribute_not_exists(#tenant) OR"
            " (#status = :disconnected AND attribute_not_exists(#next_refresh_at))",
            disconnected=Status.DISCONNECTED,
        )
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("tenants", {"Update": tombstone}),
                expressions.Action("tokens", {"Delete": tokens}),
                expressions.Action("grants", {"ConditionCheck": withdrawn}),
                journal.row(self.tables.journal, entry),
            ],
        )


def account_claim(table: str, tenant: str, claim: Claim) -> list[expressions.Action]:
    """The part of a commit by which an account is this tenant's from now on, unless it is another's
    by then (S26); or by which it is shared, unless whose it is has changed."""
    if claim.account is None:
        return []
    values: dict[str, Any] = {}
    setting: dict[str, Any] = {"holder": tenant}
    when = "attribute_not_exists(#holder) OR #holder = :set_holder"
    if claim.sharers:
        setting = {"sharers": dict.fromkeys(claim.sharers, True)}
        when = "#edition = :edition"
        values = {"edition": claim.edition}
    elif claim.over is not None:
        when += " OR (#holder = :over AND #edition = :edition)"
        values = {"over": claim.over, "edition": claim.edition}
    change = expressions.update(
        table,
        {"tenant": ACCOUNT + claim.account},
        setting=setting,
        adding={"edition": 1},
        when=when,
        **values,
    )
    return [expressions.Action("account", {"Update": change})]
