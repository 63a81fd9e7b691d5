"""The `Tokens` table, which readers see, and the `Grants` table, which keeps its tokens fresh.

A change to both is one transaction, with the `Journal` row if the state changes. Two conditions
protect a refresh token: a success commits on generation and version, a failure on the fence as well
(F05-F07).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import accounts, authorization_requests, journal, rows
from chalicelib.dynamodb.rows import SCHEMA, UNCHANGED
from chalicelib.dynamodb.setbacks import Setbacks
from chalicelib.dynamodb.tenants import account_claim
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import (
    AuthorizationRequest,
    Connection,
    Due,
    Grant,
    Inflight,
    NewTokens,
    Status,
    lane,
)
from chalicelib.permissions import NO_CLAIM, Claim, Owner, Usable

DUE_INDEX = "due"


class Connections(Setbacks):
    def get(self, tenant: str) -> Connection | None:
        """The `Tokens` row; None before the first connection. Raises `DependencyUnavailable`."""
        values = self.tables.tokens.get(tenant)
        return rows.connection(values) if values else None

    def summary(self, tenant: str) -> Connection | None:
        """Like `get`, without the access token. Raises `DependencyUnavailable`."""
        values = self.tables.tokens.get(tenant, rows.NON_SECRET)
        return rows.connection(values) if values else None

    def summaries(self, tenants: Sequence[str]) -> dict[str, Connection]:
        """The `summary` of up to 100 tenants, by name. Raises `DependencyUnavailable`."""
        found = self.tables.tokens.batch_get(tenants, rows.NON_SECRET)
        return {values["tenant"]: rows.connection(values) for values in found}

    def grant(self, tenant: str) -> Grant | None:
        """The grant, read consistently. Raises `DependencyUnavailable`."""
        values = self.tables.grants.get(tenant)
        return rows.grant(values) if values else None

    def grant_summary(self, tenant: str) -> GrantSummary | None:
        """The grant without its refresh token. Raises `DependencyUnavailable`."""
        values = self.tables.grants.get(tenant, rows.GRANT_NON_SECRET)
        return rows.grant(values) if values else None

    def due(self, in_lane: int, now: int, limit: int) -> tuple[Due, ...]:
        """Up to ``limit`` due tenants of a lane, oldest first. Reads only rows that are due."""
        found, _ = self.tables.grants.query(
            "#lane = :lane AND #next_refresh_at <= :now",
            index=DUE_INDEX,
            limit=limit,
            lane=in_lane,
            now=now,
        )
        return tuple(Due(key["tenant"], key["next_refresh_at"]) for key in found)

    def claim(self, due: Due, now: int, lease_until: int) -> Grant | None:
        """Claim a tenant for one refresh; None if another worker has it, or it is no longer due.
        Returns the grant with the new fence. If an earlier claim left its mark, its outcome is
        unknown: ``outcome_unknown_since`` keeps its date (F02). Raises `DependencyUnavailable`."""
        before = self.grant(due.tenant)
        if before is None or before.next_refresh_at != due.at or before.lease_until > now:
            return None
        unknown_since = before.outcome_unknown_since
        if unknown_since is None and before.inflight is not None:
            unknown_since = before.inflight.claimed_at
        inflight = Inflight(fence=before.fence + 1, version=before.version, claimed_at=now)
        claimed = self.tables.grants.update(
            due.tenant,
            setting={
                "fence": inflight.fence,
                "lease_until": lease_until,
                "next_refresh_at": lease_until,
                "inflight": rows.to_row(inflight),
                "outcome_unknown_since": unknown_since,
            },
            when=f"#fence = :asked_fence AND #next_refresh_at = :due AND {UNCHANGED}"
            " AND (attribute_not_exists(#lease_until) OR #lease_until <= :now)",
            asked_fence=before.fence,
            **rows.unchanged_since(before),
            due=due.at,
            now=now,
        )
        try:
            after = self.tables.write(claimed, "ALL_NEW")
        except Conflict:
            return None
        return rows.grant(after)

    def commit_connect(
        self,
        request: AuthorizationRequest,
        before: GrantSummary | None,
        new_tokens: NewTokens,
        *,
        now: int,
        owner: Owner,
        pinned_only: bool,
        claim: Claim = NO_CLAIM,
        usable: Usable = Usable.UNKNOWN,
        entry: JournalEntry,
    ) -> None:
        """Commit an authorization request's grant as the tenant's, with a new generation.

        ``pinned_only``: it replaces a connection, so the account must be the pin, or the rep has
        lifted the pin (S25). Raises `Conflict`: ``grants`` if the row is no longer as ``before`` or
        a later request has committed (F23), ``tenants`` if the tenant may not use the account
        (S03), the link was revoked (S14) or the tenant is gone, ``account`` if another tenant has
        the account to ``claim`` (S26), ``request`` if this one has ended; `DependencyUnavailable`.
        """
        generation = (before.generation if before else 0) + 1
        version = (before.version if before else 0) + 1
        token_row = {
            "tenant": request.tenant,
            "schema": SCHEMA,
            "status": Status.CONNECTED,
            "generation": generation,
            "version": version,
            **rows.token_values(new_tokens),
            "connected_at": now,
            "sequence": request.sequence,
            "principal": owner.principal,
            "account_key": owner.account,
            "reconnect_by": new_tokens.refresh_expires_at,
            "usable": usable,
        }
        when = "attribute_not_exists(#tenant)"
        asked: dict[str, Any] = {}
        if before:
            when = f"{UNCHANGED} AND #sequence < :set_sequence"
            asked = rows.unchanged_since(before)
        grant = self.tables.grants.update(
            request.tenant,
            setting={
                "status": Status.CONNECTED,
                "generation": generation,
                "version": version,
                **({} if before else {"fence": 0}),
                "sequence": request.sequence,
                "client_id": request.client_id,
                "secret_version": request.secret_version,
                "lane": lane(request.tenant),
                "account_key": owner.account,
                **rows.grant_values(new_tokens),
                "probe_at": 0,
            },
            remove=rows.SETTLED,
            when=when,
            **asked,
        )
        tokens = self.tables.tokens.put(
            token_row,
            when="attribute_not_exists(#version) OR #version < :new_version",
            new_version=version,
        )
        self.tables.transact(
            tokens,
            grant,
            accounts.pin_of_sign_in(
                self.tables.tenants, request, owner.account, pinned_only=pinned_only
            ),
            *account_claim(self.tables.tenants, request.tenant, claim),
            *authorization_requests.completion(self.tables.requests, request, now),
            *accounts.chosen(self.tables.grants, request),
            journal.row(self.tables.journal, entry),
        )

    def commit_refresh(
        self,
        asked: Grant,
        new_tokens: NewTokens,
        *,
        warned: int | None,
        entries: Sequence[JournalEntry],
        over: int | None = None,
        owner: Owner | None = None,
        claim: Claim = NO_CLAIM,
        status: Status = Status.CONNECTED,
    ) -> None:
        """Store a refresh's tokens, on the generation and version of ``asked``, not its fence: a
        late answer may carry the only valid refresh token (F06).

        The ``entries`` assume ``asked.status``. ``over``: the version in `Tokens` if a restored
        backup made the tables differ (F19). ``status``: the unchanged one if the journal cannot
        record a change (F30). ``owner``'s account becomes the tenant's pin (S25). Raises
        `Conflict`: ``grants`` if a newer version or another status was committed, ``tokens`` if
        that table has another version, ``tenants`` if the pin has changed or was lifted, or the
        tenant is gone, ``account`` if another tenant has the account to ``claim`` (S26);
        `DependencyUnavailable`.
        """
        versions: dict[str, Any] = rows.unchanged_since(asked)
        version = max(asked.version, over or 0) + 1
        setting = {"status": status, "version": version}
        tokens = self.tables.tokens.update(
            asked.tenant,
            setting=setting
            | rows.token_values(new_tokens)
            | rows.known(
                reconnect_by=new_tokens.refresh_expires_at, account_key=owner and owner.account
            ),
            first=rows.known(principal=owner and owner.principal),
            when=UNCHANGED,
            **versions | ({} if over is None else {"asked_version": over}),
        )
        grant = self.tables.grants.update(
            asked.tenant,
            setting=setting
            | rows.grant_values(new_tokens)
            | rows.known(warned=warned, account_key=owner and owner.account),
            remove=rows.SETTLED,
            when=f"{UNCHANGED} AND #status = :asked_status",
            asked_status=asked.status,
            **versions,
        )
        self.tables.transact(
            tokens,
            grant,
            *accounts.held(self.tables.tenants, asked.tenant, owner, claim),
            *journal.rows(self.tables.journal, *entries),
        )
