"""The `Tenants` table: who the customers are and which GoTo client is theirs; and the transactions
that import a tenant, and that end a connection or a whole tenant, of which only counters and the
journal are left.

A refresh token is written here by an import alone: the refresh functions revoke it at GoTo and
delete it (S22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.rows import SCHEMA, SETTLED, UNCHANGED, from_row, unchanged_since
from chalicelib.dynamodb.table import Action, Table, Tables
from chalicelib.errors import Conflict, TenantExists, UnknownTenant
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status, Tenant, lane
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
        values = self.tables.tenants.get(name)
        return None if not values or values.get("removed") else _tenant(values)

    def known(self, name: str) -> Tenant:
        """The tenant. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self.get(name)
        if tenant is None:
            raise UnknownTenant(name)
        return tenant

    def removed(self, name: str) -> bool:
        """Whether there was such a tenant, and is none any more. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values.get("removed"))

    def choosing(self, name: str) -> bool:
        """Whether tokens wait until the tenant's admin has chosen an account. Raises
        `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values.get(CHOOSING, 0) > 0)

    def without_client(self, name: str) -> bool:
        """Whether the tenant was removed, perhaps added again since, and has no client; where there
        is no row at all, it is not told. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values) and "client_id" not in values

    def page(self, after: str | None, count: int) -> tuple[list[Tenant], str | None]:
        """Some tenants in the table's own order, and where the next page begins (None: nowhere).

        ``count`` limits the rows read; removed ones are among them. Raises
        `DependencyUnavailable`.
        """
        start = {"tenant": {"S": after}} if after else None
        found, last = self.tables.tenants.scan(after=start, Limit=count)
        tenants = [_tenant(row) for row in found if _is_tenant(row)]
        return tenants, str(last["tenant"]["S"]) if last else None

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
        found = self.tables.tenants.batch_get(names, ("tenant", "imported", "removed"))
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
        change = self.tables.tenants.update(
            name,
            setting=setting,
            adding={"link_series": 1} if ends_links else {},
            when=EXISTS,
        )
        try:
            self.tables.transact(change, journal.row(self.tables.journal, entry))
        except Conflict:
            raise UnknownTenant(name) from None

    def add(self, tenant: Tenant, entry: JournalEntry, claim: Claim = NO_CLAIM) -> None:
        """Add a tenant; one that was removed before keeps counting where it stopped (F07).

        Raises `TenantExists`, `Conflict` where its account is another tenant's,
        `DependencyUnavailable`.
        """
        claims = account_claim(self.tables.tenants, tenant.name, claim)
        told = journal.row(self.tables.journal, entry)
        try:
            self.tables.transact(added(self.tables.tenants, tenant), *claims, told)
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
        counted = self.tables.tenants.update(name, adding={"sequence": 1}, when=EXISTS)
        try:
            changed = self.tables.write(counted, "UPDATED_NEW")
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
        pinned = self.tables.tenants.update(
            name, setting={"pinned_account": account, "pin_lifted": None}, when=EXISTS
        )
        claims = account_claim(self.tables.tenants, name, claim)
        try:
            self.tables.transact(pinned, *claims, journal.row(self.tables.journal, entry))
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


def _is_tenant(row: dict[str, Any]) -> bool:
    """Whether a row is a customer's: not a tombstone, nor an account's."""
    return not row.get("removed") and not row["tenant"].startswith(ACCOUNT)


_ATTRIBUTES = tuple(each.name for each in fields(Tenant) if each.name not in _COUNTED)
"""Of a tenant's row: stored when it is added, deleted when it is removed. `sequence` and
`link_series` stay in the tombstone (F07)."""


def _tenant(values: dict[str, Any]) -> Tenant:
    return from_row(Tenant, values, name=values["tenant"])


def added(table: Table, tenant: Tenant) -> Action:
    """The part of a transaction that adds a tenant, if its name is free.

    Of who had the name before, nothing is taken over: a version that did not know an attribute has
    left it in the tombstone.
    """
    setting = {name: value for name in _ATTRIBUTES if (value := getattr(tenant, name))}
    return table.update(
        tenant.name,
        setting=setting,
        remove=("removed", *(name for name in _ATTRIBUTES if name not in setting)),
        when=NEW,
    )


@dataclass(eq=False)
class TenantImports:
    """Takes over tenants that another program kept alive until now."""

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
        self.tables.transact(
            added(self.tables.tenants, tenant),
            self.tables.tokens.put(row, when="attribute_not_exists(#tenant)"),
            self._grant(tenant, before, counters | token),
            *account_claim(self.tables.tenants, tenant.name, claim),
            journal.row(self.tables.journal, entry),
        )

    def _grant(self, tenant: Tenant, before: GrantSummary | None, values: dict[str, Any]) -> Action:
        when = "attribute_not_exists(#tenant)"
        asked: dict[str, Any] = {}
        first = {"fence": 0, "sequence": 0}
        if before:
            when, first = UNCHANGED, {}
            asked = unchanged_since(before)
        client = {"client_id": tenant.client_id, "secret_version": tenant.secret_version}
        return self.tables.grants.update(
            tenant.name, setting=values | client | first, remove=SETTLED, when=when, **asked
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
        tokens = self.tables.tokens.put(
            row | counters,
            when="attribute_not_exists(#version) OR #version < :new_version",
            new_version=before.version + 1,
        )
        grant = self.tables.grants.update(
            before.tenant,
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
        links = self.tables.tenants.update(before.tenant, adding={"link_series": 1}, when=EXISTS)
        self.tables.transact(links, tokens, grant, journal.row(self.tables.journal, entry))

    def remove(self, tenant: Tenant, entry: JournalEntry) -> None:
        """Leave a tombstone: the name's counters, so that they go on if it comes back (F07).

        Raises `Conflict`: ``grants`` or ``tokens`` when it is connected or not yet withdrawn,
        ``tenants`` when it has changed since it was read, or tokens wait for a choice;
        `DependencyUnavailable`.
        """
        unchanged, series = in_series(tenant.link_series)
        tombstone = self.tables.tenants.update(
            tenant.name,
            setting={"removed": True, "link_series": tenant.link_series + 1},
            remove=(*_ATTRIBUTES, CHOOSING),
            when=f"{unchanged} AND (attribute_not_exists(#{CHOOSING}) OR #{CHOOSING} <= :none)",
            none=0,
            **series,
        )
        ended = "attribute_not_exists(#tenant) OR #status = :disconnected"
        tokens = self.tables.tokens.delete(
            tenant.name, when=ended, disconnected=Status.DISCONNECTED
        )
        withdrawn = self.tables.grants.check(
            tenant.name,
            when="attribute_not_exists(#tenant) OR"
            " (#status = :disconnected AND attribute_not_exists(#next_refresh_at))",
            disconnected=Status.DISCONNECTED,
        )
        told = journal.row(self.tables.journal, entry)
        self.tables.transact(tombstone, tokens, withdrawn, told)


def account_claim(table: Table, tenant: str, claim: Claim) -> list[Action]:
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
    claimed = table.update(
        ACCOUNT + claim.account,
        setting=setting,
        adding={"edition": 1},
        when=when,
        label="account",
        **values,
    )
    return [claimed]
