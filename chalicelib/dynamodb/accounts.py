"""GoTo accounts in the tables: which tenant has each, and tokens that wait for a choice (S26).

An account's row in `Tenants` names its one tenant, and those with which a rep lets it be shared. If
a person has several accounts, their new tokens wait in a row of `Grants` until the admin chooses;
only roles that may read refresh tokens can read them there.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from chalicelib.durations import TIME_TO_CHOOSE
from chalicelib.dynamodb import journal, rows
from chalicelib.dynamodb.authorization_requests import request_of
from chalicelib.dynamodb.rows import UNCHANGED
from chalicelib.dynamodb.table import Action, Store, Table
from chalicelib.dynamodb.tenants import ACCOUNT, CHOOSING, EXISTS, account_claim, in_series
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import (
    AuthorizationRequest,
    Connection,
    Grant,
    NewTokens,
    RequestStatus,
    Status,
    lane,
)
from chalicelib.permissions import Claim, Owner, Usable

WAITING = "#choice#"
"""Prefix of the `Grants` rows whose tokens wait for a choice. No tenant's name starts with it."""


def waiting_key(request: str) -> str:
    return f"{WAITING}{request}"


def chosen(table: Table, request: AuthorizationRequest) -> list[Action]:
    """Part of a connection's commit: deletes the row where its tokens waited, if they did."""
    return [] if request.account is None else [table.delete(waiting_key(request.key))]


class Holders(NamedTuple):
    """The tenant to which an account belongs, and those with which a rep lets it be shared;
    ``edition`` counts the row's changes."""

    holder: str
    edition: int = 0
    sharers: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.holder, *self.sharers)


class AccountClaims(Store):
    """The rows that give a GoTo account to one tenant. Also ends connections to a wrong account."""

    def get(self, account: str) -> Holders | None:
        """The tenants that hold an account, if any. Raises `DependencyUnavailable`."""
        found = self.tables.tenants.get(ACCOUNT + account)
        if not found:
            return None
        return Holders(found["holder"], found["edition"], tuple(sorted(found.get("sharers", ()))))

    def end_other_account(
        self,
        asked: Grant,
        new_tokens: NewTokens,
        *,
        pin: str | None,
        over: int | None = None,
        owner: Owner,
        entry: JournalEntry,
    ) -> None:
        """End a connection to ``owner``'s account: the tenant's ``pin`` is another account (S25),
        or another tenant has the account (S26). Readers get no token, and the grant stays due until
        GoTo confirms its revocation. Raises as `Connections.commit_refresh`."""
        versions: dict[str, Any] = rows.unchanged_since(asked)
        setting = {
            "status": Status(str(entry.status)),
            "version": max(asked.version, over or 0) + 1,
        }
        tokens = self.tables.tokens.update(
            asked.tenant,
            setting=setting,
            remove=(*rows.OF_A_TOKEN, "next_refresh_at"),
            when=UNCHANGED,
            **versions | ({} if over is None else {"asked_version": over}),
        )
        due = {"next_refresh_at": int(entry.at), "account_key": owner.account}
        grant = self.tables.grants.update(
            asked.tenant,
            setting=setting | rows.grant_values(new_tokens) | due,
            remove=rows.SETTLED,
            when=f"{UNCHANGED} AND #status = :asked_status",
            asked_status=asked.status,
            **versions,
        )
        held_to = pin_held(self.tables.tenants, asked.tenant, pin)
        self.tables.transact(tokens, grant, held_to, journal.row(self.tables.journal, entry))


class Choices(Store):
    """Sign-ins for which the admin must choose an account."""

    def offer(self, request: AuthorizationRequest, tokens: str, now: int) -> None:
        """Let the admin choose among the request's accounts. Its encoded ``tokens`` wait in
        `Grants`, where they fall due if nobody chooses (S26). The tenant's row counts them, so that
        no rep removes the tenant while its client may be needed to revoke them (S22).

        Raises `Conflict`: ``request`` if it has ended or was already offered, ``tenants`` if its
        link was revoked or the tenant is gone; `DependencyUnavailable`.
        """
        serves, series = in_series(request.link_series)
        counted = self.tables.tenants.update(
            request.tenant, adding={CHOOSING: 1}, when=serves, **series
        )
        offered = self.tables.requests.update(
            request.key,
            setting={
                "status": RequestStatus.CHOOSING,
                "accounts": json.dumps(request.accounts),
            },
            when="#status = :exchanging",
            exchanging=RequestStatus.EXCHANGING,
        )
        waiting = {
            "tenant": waiting_key(request.key),
            "waiting": tokens,
            "lane": lane(waiting_key(request.key)),
            "next_refresh_at": now + TIME_TO_CHOOSE,
        }
        self.tables.transact(offered, self.tables.grants.put(waiting), counted)

    def choose(self, key: str, account: str, now: int) -> bool:
        """Store the admin's choice of an account; False if there is nothing to choose. The same
        choice may be repeated until `take_choice`."""
        made = self.tables.requests.update(
            key,
            setting={"status": RequestStatus.CHOSEN, "account": account, "returned_at": now},
            when="#status = :choosing OR (#status = :chosen AND #account = :set_account)",
            choosing=RequestStatus.CHOOSING,
            chosen=RequestStatus.CHOSEN,
        )
        return self.tables.try_write(made)

    def take_choice(self, key: str) -> tuple[AuthorizationRequest, str] | None:
        """Take a choice, once: the request, and the tokens that waited for it. Raises
        `DependencyUnavailable`."""
        row = self.waiting(waiting_key(key))
        if row is None:
            return None
        taken = self.tables.requests.update(
            key,
            setting={"status": RequestStatus.EXCHANGING},
            when="#status = :chosen",
            chosen=RequestStatus.CHOSEN,
        )
        try:
            return request_of(self.tables.write(taken, "ALL_OLD")), row[0]
        except Conflict:
            return None

    def waiting(self, key: str) -> tuple[str, int] | None:
        """Tokens waiting for a choice, and when they fall due. Raises `DependencyUnavailable`."""
        row = self.tables.grants.get(key)
        return (row["waiting"], row["next_refresh_at"]) if row else None

    def put_off(self, key: str, until: int) -> None:
        """Make waiting tokens due at ``until``. Raises `DependencyUnavailable`."""
        later = self.tables.grants.update(
            key, setting={"next_refresh_at": until}, when="attribute_exists(#tenant)"
        )
        self.tables.try_write(later)

    def forget(self, key: str, tenant: str) -> None:
        """Delete waiting tokens after their revocation. Raises `DependencyUnavailable`."""
        deletion = self.tables.grants.delete(key, when="attribute_exists(#tenant)")
        counted = self.tables.tenants.update(
            tenant, adding={CHOOSING: -1}, when=f"#{CHOOSING} > :none", none=0
        )
        if not self.tables.try_transact(deletion, counted):
            # Another worker deleted them, or an earlier release did not count them.
            self.tables.write(self.tables.grants.delete(key))


class Usability(Store):
    """Findings of probes of live connections (F33)."""

    def note(
        self,
        connection: Connection,
        usable: Usable,
        *,
        now: int,
        probe_at: int,
        doubt: Usable | None = None,
        entry: JournalEntry | None = None,
    ) -> None:
        """Store a probe's finding and when the next one is due; a ``doubt`` changes nothing yet.
        Raises `Conflict` if the tenant has reconnected or been disconnected, or its usability has
        changed, since ``connection`` was read; `DependencyUnavailable`."""
        checked = {} if usable is Usable.UNKNOWN else {"usable_checked_at": now}
        tokens = self.tables.tokens.update(
            connection.tenant,
            setting={"usable": usable, "usable_doubt": doubt, **checked},
            when="#generation = :asked_generation AND attribute_exists(#access_token)"
            " AND (attribute_not_exists(#usable) OR #usable = :before)",
            asked_generation=connection.generation,
            before=connection.usable,
        )
        grants = self.tables.grants.update(
            connection.tenant,
            setting={"probe_at": probe_at},
            when="#generation = :asked_generation",
            asked_generation=connection.generation,
        )
        self.tables.transact(tokens, grants, *journal.rows(self.tables.journal, entry))


def pin_of_sign_in(
    table: Table, request: AuthorizationRequest, account_key: str | None, *, pinned_only: bool
) -> Action:
    """Pin the tenant to its first readable GoTo account (S03), and check that the request's link
    still works (S14). A lifted pin is lifted for this sign-in only. If the admin chose the account,
    the tokens no longer count as waiting (`chosen`)."""
    serves, series = in_series(request.link_series)
    allowed = "attribute_not_exists(#pinned_account)"
    if pinned_only:
        allowed += " AND attribute_exists(#pin_lifted)"
    if account_key is not None:
        allowed = f"({allowed} OR #pinned_account = :set_pinned_account)"
    return table.update(
        request.tenant,
        setting={"pinned_account": account_key, "pin_lifted": None},
        adding={CHOOSING: -1} if request.account else {},
        when=f"{serves} AND {allowed}",
        **series,
    )


def pin_held(table: Table, tenant: str, pin: str | None) -> Action:
    """Check that the tenant's pin is ``pin``, or set it if there is none. A ``pin`` of None checks
    that there is none. Fails if the rep has lifted the pin."""
    free = "attribute_not_exists(#pinned_account)"
    held_to = f"{EXISTS} AND attribute_not_exists(#pin_lifted) AND"
    if pin is None:
        return table.check(tenant, when=f"{held_to} {free}")
    return table.update(
        tenant,
        setting={"pinned_account": pin},
        when=f"{held_to} ({free} OR #pinned_account = :set_pinned_account)",
    )


def held(table: Table, tenant: str, owner: Owner | None, claim: Claim) -> list[Action]:
    """Part of a refresh's commit: pins the tenant to ``owner``'s account and claims the account.
    Empty if the account is not known."""
    if owner is None or owner.account is None:
        return []
    return [pin_held(table, tenant, owner.account), *account_claim(table, tenant, claim)]
