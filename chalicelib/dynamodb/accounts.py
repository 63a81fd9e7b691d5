"""What the tables know of GoTo accounts: whose each is, and what waits for a choice (S26).

An account's row in `Tenants` names the one tenant that it belongs to, and those with which a rep
has it shared. New tokens of a person who has several accounts wait in a row of `Grants`, beside the
refresh tokens, until the admin has chosen; nobody else's role reads them there.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

from chalicelib.durations import TIME_TO_CHOOSE
from chalicelib.dynamodb import journal, rows
from chalicelib.dynamodb.authorization_requests import request_of
from chalicelib.dynamodb.rows import UNCHANGED
from chalicelib.dynamodb.table import Action, Table, Tables
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
"""Begins the keys of rows of `Grants` in which tokens wait for a choice: no tenant's can."""


def waiting_key(request: str) -> str:
    return f"{WAITING}{request}"


def chosen(table: Table, request: AuthorizationRequest) -> list[Action]:
    """The part of a connection's commit that ends the waiting of its tokens, if they did."""
    return [] if request.account is None else [table.delete(waiting_key(request.key))]


class Holders(NamedTuple):
    """The tenant whose own an account is, and those that share it by a rep's word; ``edition``
    counts the row's changes."""

    holder: str
    edition: int = 0
    sharers: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        return (self.holder, *self.sharers)


@dataclass(eq=False)
class AccountClaims:
    """The rows by which a GoTo account is one tenant's, and the end of a connection that is not to
    its tenant's account."""

    tables: Tables

    def get(self, account: str) -> Holders | None:
        """Who has claimed an account, or shares it. Raises `DependencyUnavailable`."""
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
        """End a connection that is ``owner``'s: the tenant's ``pin`` is another account (S25), or
        the account is another tenant's (S26). No token is served, and the grant is due until GoTo
        has heard. Raises as `Connections.commit_refresh`.
        """
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


@dataclass(eq=False)
class Choices:
    """Sign-ins whose admin must say which account is meant."""

    tables: Tables

    def offer(self, request: AuthorizationRequest, tokens: str, now: int) -> None:
        """Let the admin choose among the request's accounts; the tokens wait as ``tokens``, where
        refresh tokens are, and fall due there when nobody has (S26). The tenant counts them: it is
        not removed while GoTo may have to hear of them, as its client (S22).

        Raises `Conflict`: ``request`` when that has ended or is offered already, ``tenants`` when
        its link was revoked or the tenant is gone; `DependencyUnavailable`.
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
        """Note which account the admin has chosen; False where there is nothing to choose from.

        The same choice may be made again while nobody has taken it up.
        """
        made = self.tables.requests.update(
            key,
            setting={"status": RequestStatus.CHOSEN, "account": account, "returned_at": now},
            when="#status = :choosing OR (#status = :chosen AND #account = :set_account)",
            choosing=RequestStatus.CHOOSING,
            chosen=RequestStatus.CHOSEN,
        )
        return self.tables.try_write(made)

    def take_choice(self, key: str) -> tuple[AuthorizationRequest, str] | None:
        """Take up a choice, once: the request, and the tokens that wait for it.

        Raises `DependencyUnavailable`.
        """
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
        """Tokens that wait for a choice, and when they fall due. Raises `DependencyUnavailable`."""
        row = self.tables.grants.get(key)
        return (row["waiting"], row["next_refresh_at"]) if row else None

    def put_off(self, key: str, until: int) -> None:
        """Have tokens that wait looked at later. Raises `DependencyUnavailable`."""
        later = self.tables.grants.update(
            key, setting={"next_refresh_at": until}, when="attribute_exists(#tenant)"
        )
        self.tables.try_write(later)

    def forget(self, key: str, tenant: str) -> None:
        """Delete tokens that waited, of which GoTo has heard. Raises `DependencyUnavailable`."""
        gone = self.tables.grants.delete(key, when="attribute_exists(#tenant)")
        counted = self.tables.tenants.update(
            tenant, adding={CHOOSING: -1}, when=f"#{CHOOSING} > :none", none=0
        )
        if not self.tables.try_transact(gone, counted):
            # Another has forgotten them; or a version before that counted none.
            self.tables.write(self.tables.grants.delete(key))


@dataclass(eq=False)
class Usability:
    """What probes found of living connections (F33)."""

    tables: Tables

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
        """Note what a probe found, and when the next one is due; a ``doubt`` changes nothing yet.

        Raises `Conflict` when the tenant has connected again or is disconnected, or its usability
        has changed since ``connection`` was read; `DependencyUnavailable`.
        """
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
        told = [journal.row(self.tables.journal, entry)] if entry else []
        self.tables.transact(tokens, grants, *told)


def pin_of_sign_in(
    table: Table, request: AuthorizationRequest, account_key: str | None, *, pinned_only: bool
) -> Action:
    """Hold the tenant to its first readable GoTo account (S03), and the request to a link that
    still serves (S14). A pin that was lifted is lifted for this sign-in alone. One whose account
    was chosen waits no longer (`chosen`)."""
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
    """That this is the tenant's pin, from now on where it has none; the rep has not lifted it.
    None: that it has none."""
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
    """The part of a refresh's commit that keeps ``owner``'s account the tenant's pin, and its own;
    none where the account was not read."""
    if owner is None or owner.account is None:
        return []
    return [pin_held(table, tenant, owner.account), *account_claim(table, tenant, claim)]
