"""The `Tokens` and `Grants` tables: what readers see, and what keeps it alive.

Every change of the two is one transaction, with the `Journal` row where the state changes. The
conditions that protect a refresh token are these: a success is committed on generation and version,
a failure on the fence as well (F05-F07).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict
from chalicelib.model import (
    AuthorizationRequest,
    Connection,
    Due,
    Fresh,
    Grant,
    Inflight,
    JournalEntry,
    Status,
    lane,
)
from chalicelib.store import journal, requests, rows, wire
from chalicelib.store.rows import AS_ASKED, SCHEMA
from chalicelib.store.tenants import in_series

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

DUE_INDEX = "due"


class Connections:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self, tenant: str) -> Connection | None:
        """What readers see; None before the first connection. Raises `DependencyUnavailable`."""
        values = self._row(self._tables.tokens, tenant)
        return rows.connection(values) if values else None

    def facts(self, tenant: str) -> Connection | None:
        """The same without its token, for those who may not see it."""
        values = self._row(self._tables.tokens, tenant, rows.FACTS)
        return rows.connection(values) if values else None

    def facts_of(self, tenants: Sequence[str]) -> dict[str, Connection]:
        """The facts of up to 100 tenants by name. Raises `DependencyUnavailable`."""
        found = wire.batch_get(
            self._tables.client, self._tables.tokens, "tenant", tenants, rows.FACTS
        )
        return {values["tenant"]: rows.connection(values) for values in found}

    def grant(self, tenant: str) -> Grant | None:
        """The grant as it is now, read consistently. Raises `DependencyUnavailable`."""
        values = self._row(self._tables.grants, tenant)
        return rows.grant(values) if values else None

    def grant_facts(self, tenant: str) -> Grant | None:
        """The grant without its refresh token. Raises `DependencyUnavailable`."""
        values = self._row(self._tables.grants, tenant, rows.GRANT_FACTS)
        return rows.grant(values) if values else None

    def due(self, in_lane: int, now: int, limit: int) -> tuple[Due, ...]:
        """Tenants of a lane whose refresh is due, oldest first. Reads only rows that are due."""
        with wire.dynamodb_errors():
            found = self._tables.client.query(
                TableName=self._tables.grants,
                IndexName=DUE_INDEX,
                KeyConditionExpression="#lane = :lane AND #at <= :now",
                ExpressionAttributeNames={"#lane": "lane", "#at": "next_refresh_at"},
                ExpressionAttributeValues={":lane": {"N": str(in_lane)}, ":now": {"N": str(now)}},
                Limit=limit,
            )
        keys = (wire.plain(attributes) for attributes in found["Items"])
        return tuple(Due(key["tenant"], key["next_refresh_at"]) for key in keys)

    def claim(self, due: Due, now: int, lease_until: int) -> Grant | None:
        """Take a tenant for one refresh; None when another has it, or it is no longer due.

        The returned grant is the row as it was asked, with the new fence. A mark left by an
        earlier claim whose outcome never came is kept as ``outcome_unknown_since`` (F02).
        Raises `DependencyUnavailable`.
        """
        before = self.grant(due.tenant)
        if before is None or before.next_refresh_at != due.at or before.lease_until > now:
            return None
        unknown_since = before.outcome_unknown_since
        if unknown_since is None and before.inflight is not None:
            unknown_since = before.inflight.claimed_at
        inflight = Inflight(fence=before.fence + 1, version=before.version, claimed_at=now)
        change = wire.update(
            self._tables.grants,
            {"tenant": due.tenant},
            setting={
                "fence": inflight.fence,
                "lease_until": lease_until,
                "next_refresh_at": lease_until,
                "inflight": {
                    "fence": inflight.fence,
                    "version": inflight.version,
                    "claimed_at": inflight.claimed_at,
                },
                "outcome_unknown_since": unknown_since,
            },
            when=f"#fence = :asked_fence AND #next_refresh_at = :due AND {AS_ASKED}"
            " AND (attribute_not_exists(#lease_until) OR #lease_until <= :now)",
            asked_fence=before.fence,
            **rows.as_asked(before),
            due=due.at,
            now=now,
        )
        try:
            after = wire.change(self._tables.client, "grants", change, "ALL_NEW")
        except Conflict:
            return None
        return rows.grant(after)

    def commit_connect(
        self,
        request: AuthorizationRequest,
        before: Grant | None,
        fresh: Fresh,
        *,
        now: int,
        account_key: str | None,
        principal: str | None,
        entry: JournalEntry,
    ) -> None:
        """Make the grant of an authorization request the tenant's: a new generation.

        Raises `Conflict`: ``grants`` when the row is no longer as ``before`` or a later request
        has committed (F23), ``tenants`` when the account is not the pinned one (S03), the link was
        revoked (S14) or the tenant is gone, ``request`` when this request has ended. Raises
        `DependencyUnavailable`.
        """
        generation = (before.generation if before else 0) + 1
        version = (before.version if before else 0) + 1
        token_row = {
            "tenant": request.tenant,
            "schema": SCHEMA,
            "status": Status.CONNECTED,
            "generation": generation,
            "version": version,
            **rows.token_values(fresh),
            "connected_at": now,
            "principal": principal,
            "account_key": account_key,
            "reconnect_by": fresh.refresh_expires_at,
        }
        when = "attribute_not_exists(#tenant)"
        asked: dict[str, Any] = {}
        if before:
            when = f"{AS_ASKED} AND #sequence < :set_sequence"
            asked = rows.as_asked(before)
        grant = wire.update(
            self._tables.grants,
            {"tenant": request.tenant},
            setting={
                "status": Status.CONNECTED,
                "generation": generation,
                "version": version,
                **({} if before else {"fence": 0}),
                "sequence": request.sequence,
                "client_id": request.client_id,
                "secret_version": request.secret_version,
                "lane": lane(request.tenant),
                **rows.grant_values(fresh),
            },
            remove=rows.SETTLED,
            when=when,
            **asked,
        )
        tokens = wire.put(
            self._tables.tokens,
            token_row,
            when="attribute_not_exists(#version) OR #version < :new_version",
            new_version=version,
        )
        self._transact(
            wire.Action("tokens", {"Put": tokens}),
            wire.Action("grants", {"Update": grant}),
            self._pin(request, account_key),
            *requests.completion(self._tables.requests, request, now),
            journal.row(self._tables.journal, entry),
        )

    def commit_refresh(
        self,
        asked: Grant,
        fresh: Fresh,
        *,
        warned: int | None,
        entries: Sequence[JournalEntry],
        over: int | None = None,
    ) -> None:
        """Store a refresh's tokens, on generation and version as they were asked, never the fence.

        A late answer may carry the only valid refresh token (F06). ``asked.status`` is what the
        entries were written for. ``over`` is the version in `Tokens` where a restored backup has
        left the two tables apart (F19). Raises `Conflict`: ``grants`` when something newer was
        committed or the status is another, ``tokens`` when that table is at another version;
        `DependencyUnavailable`.
        """
        versions: dict[str, Any] = rows.as_asked(asked)
        version = max(asked.version, over or 0) + 1
        setting = {"status": Status.CONNECTED, "version": version}
        tokens = wire.update(
            self._tables.tokens,
            {"tenant": asked.tenant},
            setting=setting
            | rows.token_values(fresh)
            | rows.known(reconnect_by=fresh.refresh_expires_at),
            when=AS_ASKED,
            **versions | ({} if over is None else {"asked_version": over}),
        )
        grant = wire.update(
            self._tables.grants,
            {"tenant": asked.tenant},
            setting=setting | rows.grant_values(fresh) | rows.known(warned=warned),
            remove=rows.SETTLED,
            when=f"{AS_ASKED} AND #status = :asked_status",
            asked_status=asked.status,
            **versions,
        )
        self._transact(
            wire.Action("tokens", {"Update": tokens}),
            wire.Action("grants", {"Update": grant}),
            *(journal.row(self._tables.journal, entry) for entry in entries),
        )

    def commit_failure(
        self,
        asked: Grant,
        status: Status,
        *,
        failures: int,
        detail: str,
        next_refresh_at: int | None,
        outcome_known: bool,
        refused_since: int | None = None,
        entry: JournalEntry | None,
    ) -> None:
        """Store a refresh's failure, on the fence too: a late failure changes nothing (F06).

        ``next_refresh_at`` None takes the tenant out of the schedule. Unless ``outcome_known``,
        the mark of the claim stays: GoTo may have acted. ``refused_since`` notes a refusal that
        is yet to be confirmed (F10). Raises `Conflict`, `DependencyUnavailable`.
        """
        versions: dict[str, Any] = rows.as_asked(asked)
        setting: dict[str, Any] = {
            "status": status,
            "failures": failures,
            "last_error": detail,
            "next_refresh_at": next_refresh_at,
        }
        grant = wire.update(
            self._tables.grants,
            {"tenant": asked.tenant},
            setting=setting | rows.known(refused_since=refused_since),
            remove=("lease_until", "inflight") if outcome_known else ("lease_until",),
            when=f"#fence = :asked_fence AND #status = :asked_status AND {AS_ASKED}",
            asked_fence=asked.fence,
            asked_status=asked.status,
            **versions,
        )
        tokens = wire.update(
            self._tables.tokens,
            {"tenant": asked.tenant},
            setting={"status": status, "next_refresh_at": next_refresh_at},
            when="#generation = :asked_generation",
            asked_generation=asked.generation,
        )
        # What a disconnected tenant's row tells, nothing of this changes; a removed one has none.
        shown = [] if status is Status.DISCONNECTED else [wire.Action("tokens", {"Update": tokens})]
        self._transact(
            *shown,
            wire.Action("grants", {"Update": grant}),
            *([journal.row(self._tables.journal, entry)] if entry else []),
        )

    def commit_withdrawn(self, claimed: Grant, entry: JournalEntry) -> None:
        """Delete the refresh token of a disconnected grant; its counters stay.

        Raises `Conflict` when another worker has it or the admin has connected again,
        `DependencyUnavailable`.
        """
        grant = wire.update(
            self._tables.grants,
            {"tenant": claimed.tenant},
            setting={"failures": 0},
            remove=("refresh_token", *rows.REFRESH_DATES, "next_refresh_at", *rows.SETTLED),
            when=f"#fence = :asked_fence AND #status = :asked_status AND {AS_ASKED}",
            asked_fence=claimed.fence,
            asked_status=Status.DISCONNECTED,
            **rows.as_asked(claimed),
        )
        self._transact(
            wire.Action("grants", {"Update": grant}), journal.row(self._tables.journal, entry)
        )

    def retry_rejected(self, tenant: str, client_id: str, now: int) -> None:
        """Put a tenant whose client was refused back into the schedule: that client has a new
        secret. A grant of another client is left alone."""
        change = wire.update(
            self._tables.grants,
            {"tenant": tenant},
            setting={"next_refresh_at": now},
            when="#status = :rejected AND #client_id = :client_id",
            rejected=Status.CREDENTIALS_REJECTED,
            client_id=client_id,
        )
        try:
            wire.change(self._tables.client, "grants", change)
        except Conflict:
            return

    def _pin(self, request: AuthorizationRequest, account_key: str | None) -> wire.Action:
        """Hold the tenant to its first readable GoTo account (S03), and the request to a link that
        still serves (S14)."""
        key = {"tenant": request.tenant}
        serves, series = in_series(request.link_series)
        if account_key is None:
            when = f"{serves} AND attribute_not_exists(#pinned_account)"
            check = wire.check(self._tables.tenants, key, when=when, **series)
            return wire.Action("tenants", {"ConditionCheck": check})
        change = wire.update(
            self._tables.tenants,
            key,
            setting={"pinned_account": account_key},
            when=f"{serves} AND (attribute_not_exists(#pinned_account)"
            " OR #pinned_account = :set_pinned_account)",
            **series,
        )
        return wire.Action("tenants", {"Update": change})

    def _transact(self, *actions: wire.Action) -> None:
        wire.transact(self._tables.client, actions)

    def _row(self, table: str, tenant: str, attributes: Sequence[str] = ()) -> dict[str, Any]:
        return wire.get(self._tables.client, table, {"tenant": tenant}, attributes)
