"""The `Tenants` table: the customers and their GoTo clients. Also the transactions that import a
tenant, end its connection, or remove it except for its counters and journal.

Here only an import writes a refresh token; the refresh functions revoke it at GoTo and delete it
(S22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.rows import SCHEMA, SETTLED, UNCHANGED, from_row, unchanged_since
from chalicelib.dynamodb.table import Action, Store, Table
from chalicelib.errors import Conflict, TenantExists, UnknownTenant
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Status, Tenant, lane
from chalicelib.permissions import NO_CLAIM, Claim

ACCOUNT = "#account#"
"""Prefix of the rows that say who has a GoTo account. No tenant's name starts with it."""

EXISTS = "attribute_exists(#tenant) AND attribute_not_exists(#removed)"

CHOOSING = "choosing"
"""Attribute: how many of the tenant's sign-ins wait for the choice of an account (S26)."""

NEW = "attribute_not_exists(#tenant) OR attribute_exists(#removed)"
"""The condition that a name is free."""

_COUNTED = ("name", "link_series")
"""Fields of `Tenant` that are the row's key, or a counter that outlives a removal."""

ANY_COUNT = 100
"""Rows per read while `Tenants.any` looks for a tenant."""


def in_series(series: int | None) -> tuple[str, dict[str, Any]]:
    """The condition, with its values, that the tenant exists and links of this ``series``, if
    given, still work."""
    if series is None:
        return EXISTS, {}
    if series == 0:
        return f"{EXISTS} AND attribute_not_exists(#link_series)", {}
    return f"{EXISTS} AND #link_series = :series", {"series": series}


class Tenants(Store):
    def get(self, name: str) -> Tenant | None:
        """The tenant; None if it does not exist or was removed. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return None if not values or values.get("removed") else _tenant(values)

    def known(self, name: str) -> Tenant:
        """Like `get`, never None. Raises `UnknownTenant`, `DependencyUnavailable`."""
        tenant = self.get(name)
        if tenant is None:
            raise UnknownTenant(name)
        return tenant

    def removed(self, name: str) -> bool:
        """Whether the tenant was removed, and not added since. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values.get("removed"))

    def choosing(self, name: str) -> bool:
        """Whether tokens wait for the choice of an account. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values.get(CHOOSING, 0) > 0)

    def without_client(self, name: str) -> bool:
        """Whether the tenant's row, perhaps a tombstone, has no client. False if there is no row:
        then nothing is known. Raises `DependencyUnavailable`."""
        values = self.tables.tenants.get(name)
        return bool(values) and "client_id" not in values

    def page(self, after: str | None, count: int) -> tuple[list[Tenant], str | None]:
        """Some tenants in the table's own order, and where the next page starts (None: no more).
        Reads at most ``count`` rows, tombstones included. Raises `DependencyUnavailable`."""
        start = {"tenant": {"S": after}} if after else None
        found, last = self.tables.tenants.scan(after=start, Limit=count)
        tenants = [_tenant(row) for row in found if _is_tenant(row)]
        return tenants, str(last["tenant"]["S"]) if last else None

    def any(self) -> Tenant | None:
        """Any one tenant; None if there is none. Raises `DependencyUnavailable`."""
        found, after = self.page(None, ANY_COUNT)
        while not found and after is not None:
            found, after = self.page(after, ANY_COUNT)
        return found[0] if found else None

    def names_taken(self, names: Sequence[str]) -> dict[str, str | None]:
        """Which of up to 100 names are tenants already, each with the digest of its import line.
        Raises `DependencyUnavailable`."""
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
        """Set attributes of a tenant; setting one to None removes it. ``ends_links`` also begins a
        new series of links. The series only grows, so no revoked link works again (S14). Raises
        `UnknownTenant`, `DependencyUnavailable`."""
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
        """Add a tenant; the counters of a removed one continue (F07). Raises `TenantExists`,
        `Conflict` if another tenant has its account, `DependencyUnavailable`."""
        claims = account_claim(self.tables.tenants, tenant.name, claim)
        line = journal.row(self.tables.journal, entry)
        try:
            self.tables.transact(added(self.tables.tenants, tenant), *claims, line)
        except Conflict as error:
            if error.failed == ("account",):
                raise
            raise TenantExists(tenant.name) from None

    def switch_client(
        self, name: str, client_id: str, secret_version: str, entry: JournalEntry
    ) -> None:
        """Set the tenant's GoTo client and secret in one write. Raises `UnknownTenant`,
        `DependencyUnavailable`."""
        self.change(name, {"client_id": client_id, "secret_version": secret_version}, entry)

    def next_sequence(self, name: str) -> int:
        """The number for a new authorization request; it only grows. Raises `UnknownTenant`,
        `DependencyUnavailable`."""
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
        """Pin the tenant to this GoTo account, replacing any earlier pin (S25). Raises `Conflict`
        with ``account`` if another tenant has it, `UnknownTenant`, `DependencyUnavailable`."""
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
        """Allow another GoTo account at the next sign-in, through a new link: existing links are
        revoked. Raises `UnknownTenant`, `DependencyUnavailable`."""
        lifted: dict[str, str | int | None] = {"pinned_account": None, "pin_lifted": True}
        self.change(name, lifted, entry, ends_links=True)


def _is_tenant(row: dict[str, Any]) -> bool:
    """Whether a row is a tenant, not a tombstone or an account."""
    return not row.get("removed") and not row["tenant"].startswith(ACCOUNT)


_ATTRIBUTES = tuple(each.name for each in fields(Tenant) if each.name not in _COUNTED)
"""Attributes stored when a tenant is added and deleted when it is removed. `sequence` and
`link_series` stay in the tombstone (F07)."""


def _tenant(values: dict[str, Any]) -> Tenant:
    return from_row(Tenant, values, name=values["tenant"])


def added(table: Table, tenant: Tenant) -> Action:
    """Part of a transaction: adds a tenant if its name is free. It clears every other attribute,
    because an earlier release may have left unknown ones in the name's tombstone."""
    setting = {name: value for name in _ATTRIBUTES if (value := getattr(tenant, name))}
    return table.update(
        tenant.name,
        setting=setting,
        remove=("removed", *(name for name in _ATTRIBUTES if name not in setting)),
        when=NEW,
    )


class TenantImports(Store):
    """Imports tenants whose tokens another program has kept alive until now."""

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

        ``before``: a removed tenant's grant, whose counters continue. ``ends``: when the refresh
        token ends (epoch seconds). Raises `Conflict`: ``tenants`` if the tenant exists, ``account``
        if another tenant has the account to ``claim``, else if ``before`` has changed;
        `DependencyUnavailable`.
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
            "account_key": None,  # only the file named it, not GoTo
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


class Disconnections(Store):
    def disconnect(
        self, before: GrantSummary, sequence: int, now: int, entry: JournalEntry
    ) -> None:
        """Stop serving a connection: a new generation without a token, due for revocation.

        Requests up to ``sequence`` can no longer connect (F23). Existing links are revoked: without
        a pin, anyone who gets one could connect their own account (S25). Raises `Conflict` if
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
        """Leave a tombstone: the name's counters, which continue if it is added again (F07).

        Raises `Conflict`: ``grants`` or ``tokens`` if it is connected or not yet revoked,
        ``tenants`` if it was removed or its links revoked since, or tokens wait for a choice;
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
        revoked = self.tables.grants.check(
            tenant.name,
            when="attribute_not_exists(#tenant) OR"
            " (#status = :disconnected AND attribute_not_exists(#next_refresh_at))",
            disconnected=Status.DISCONNECTED,
        )
        line = journal.row(self.tables.journal, entry)
        self.tables.transact(tombstone, tokens, revoked, line)


def account_claim(table: Table, tenant: str, claim: Claim) -> list[Action]:
    """Part of a commit: gives an account to this tenant unless another has it by then (S26), or
    shares it unless its holders have changed by then."""
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
