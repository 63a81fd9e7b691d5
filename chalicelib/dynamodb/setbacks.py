"""Changes to a grant other than new tokens: failures, ends, returns, repairs after a backup.

A failure commits on the fence as well as on generation and version, so a late one changes nothing
(F06). Only `RestoredTables` scans tables: an operator runs it once, after a disaster (F19).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import journal, rows
from chalicelib.dynamodb.rows import UNCHANGED
from chalicelib.dynamodb.table import Action, Store, Table
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Connection, EndCause, Grant, Status, lane

AS_CLAIMED = f"#fence = :asked_fence AND #status = :asked_status AND {UNCHANGED}"
"""The condition that stops a late failure: this claim is still the newest."""


def as_claimed(claimed: GrantSummary) -> dict[str, Any]:
    """The values of `AS_CLAIMED`."""
    return {
        "asked_fence": claimed.fence,
        "asked_status": claimed.status,
        **rows.unchanged_since(claimed),
    }


class Setbacks(Store):
    def hurry(self, before: GrantSummary, now: int, entry: JournalEntry) -> None:
        """Make a tenant due now; ``entry`` says who asked. Raises `Conflict` if the grant was
        claimed or changed since ``before`` was read, `DependencyUnavailable`."""
        due = before.next_refresh_at or now
        hurried = self.tables.grants.update(
            before.tenant,
            setting={"next_refresh_at": min(due, now)},
            when=f"#fence = :asked_fence AND #next_refresh_at = :due AND {UNCHANGED}",
            asked_fence=before.fence,
            due=due,
            **rows.unchanged_since(before),
        )
        self.tables.transact(hurried, journal.row(self.tables.journal, entry))

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
        warned: int | None = None,
        told_stuck: bool | None = None,
        entries: Sequence[JournalEntry] = (),
    ) -> None:
        """Store a failure that will be retried.

        Unless ``outcome_known``, the claim's mark stays, because GoTo may have acted.
        ``refused_since`` is when GoTo first refused, not yet confirmed (F10). ``warned`` and
        ``told_stuck`` record what ``entries`` tell people, so that they hear it only once. Raises
        `Conflict`, `DependencyUnavailable`.
        """
        setting = {"failures": failures, "last_error": detail}
        noted = rows.known(refused_since=refused_since, warned=warned, told_stuck=told_stuck)
        cleared = ("lease_until", "inflight") if outcome_known else ("lease_until",)
        shown = {"status": status, "next_refresh_at": next_refresh_at}
        self._set_back(asked, shown, setting | noted | shown, cleared, entries)

    def commit_end(
        self,
        asked: Grant,
        status: Status,
        *,
        cause: EndCause,
        detail: str,
        kept_until: int,
        entry: JournalEntry,
    ) -> None:
        """End a grant. Its refresh token stays for `put_back` until ``kept_until`` (epoch seconds),
        when the grant is due again. Raises `Conflict`, `DependencyUnavailable`."""
        setting = {
            "status": status,
            "failures": asked.failures + 1,
            "last_error": detail,
            "ended_by": cause,
            "next_refresh_at": kept_until,
        }
        cleared = ("lease_until", "inflight", "refused_since", "told_stuck")
        shown = {"status": status, "next_refresh_at": None}
        self._set_back(asked, shown, setting, cleared, (entry,))

    def _set_back(
        self,
        asked: Grant,
        shown: dict[str, Any],
        setting: dict[str, Any],
        gone: Sequence[str],
        entries: Sequence[JournalEntry],
    ) -> None:
        grant = self.tables.grants.update(
            asked.tenant, setting=setting, remove=gone, when=AS_CLAIMED, **as_claimed(asked)
        )
        # A grant that awaits revocation keeps its `Tokens` row as it is; a removed tenant has none.
        tokens = [] if asked.revoking else [self._shown(asked, shown)]
        self.tables.transact(*tokens, grant, *journal.rows(self.tables.journal, *entries))

    def _shown(self, asked: GrantSummary, setting: dict[str, Any]) -> Action:
        """The change to `Tokens`, which readers and people see."""
        return self.tables.tokens.update(
            asked.tenant,
            setting=setting,
            when="#generation = :asked_generation",
            asked_generation=asked.generation,
        )

    def commit_revoked(self, claimed: Grant, entry: JournalEntry) -> None:
        """Delete the refresh token of a revoked grant; its counters stay. Raises `Conflict` if
        another worker has claimed it or the admin has reconnected, `DependencyUnavailable`."""
        given_up = self._without_token(claimed, {"failures": 0}, rows.SETTLED)
        self.tables.transact(given_up, journal.row(self.tables.journal, entry))

    def forget(self, claimed: Grant) -> None:
        """Delete the refresh token of a grant that ended long ago; the reason stays. Raises
        `Conflict`, `DependencyUnavailable`."""
        reasons = ("ended_by", "last_error")
        cleared = tuple(name for name in rows.SETTLED if name not in reasons)
        self.tables.transact(self._without_token(claimed, {}, cleared))

    def _without_token(
        self, claimed: Grant, setting: dict[str, Any], gone: Sequence[str]
    ) -> Action:
        return self.tables.grants.update(
            claimed.tenant,
            setting=setting,
            remove=("refresh_token", *rows.REFRESH_DATES, "next_refresh_at", *gone),
            when=AS_CLAIMED,
            **as_claimed(claimed),
        )

    def retry_rejected(self, tenant: str, client_id: str, now: int) -> None:
        """Reschedule a tenant whose client GoTo refused, because that client has a new secret. A
        grant of another client does not change."""
        due = self.tables.grants.update(
            tenant,
            setting={"next_refresh_at": now},
            when="#status = :rejected AND #client_id = :client_id",
            rejected=Status.CREDENTIALS_REJECTED,
            client_id=client_id,
        )
        self.tables.try_write(due)

    def put_back(self, ended: GrantSummary, now: int, entry: JournalEntry) -> None:
        """Reschedule an ended grant with the refresh token it still has. Raises `Conflict` if the
        grant has changed since ``ended`` was read or has no token; `DependencyUnavailable`."""
        shown = {"status": Status.DEGRADED, "next_refresh_at": now}
        grant = self.tables.grants.update(
            ended.tenant,
            setting={**shown, "failures": 0},
            remove=("ended_by", "refused_since", "told_stuck"),
            when=f"{AS_CLAIMED} AND attribute_exists(#ended_by)"
            " AND attribute_exists(#next_refresh_at)",
            **as_claimed(ended),
        )
        line = journal.row(self.tables.journal, entry)
        self.tables.transact(self._shown(ended, shown), grant, line)


FENCES_SKIPPED = 1_000_000
"""How far a restored fence jumps: more than the number of claims since any backup."""


class RestoredTables(Store):
    def tenants(self, in_lane: int) -> set[str]:
        """Every tenant of a lane that is in either table. Raises `DependencyUnavailable`."""
        names = {*self._names(self.tables.tokens), *self._names(self.tables.grants)}
        return {name for name in names if not name.startswith("#") and lane(name) == in_lane}

    def align(
        self,
        tenant: str,
        grant: Grant | None,
        connection: Connection | None,
        *,
        status: Status,
        next_refresh_at: int | None = None,
        entry: JournalEntry | None = None,
        removed: bool = False,
    ) -> None:
        """Align both rows; the counters continue from the higher ones.

        If GoTo then refuses the grant, the restore is given as the cause. The next refresh looks up
        the grant's account. If the tenant was ``removed``, its `Tokens` row is deleted. Raises
        `Conflict`, `DependencyUnavailable`.
        """
        pairs = [(row.generation, row.version) for row in (grant, connection) if row is not None]
        counters = {
            "generation": max(generation for generation, _ in pairs),
            "version": max(version for _, version in pairs),
        }
        setting: dict[str, Any] = {
            **counters,
            "status": status,
            "next_refresh_at": next_refresh_at,
        }
        grant_row = self._grant_row(grant, setting) if grant else self._no_grant(tenant, setting)
        if removed:
            token_row = self._no_token_row(tenant, connection)
        else:
            token_row = self._token_row(tenant, connection, setting)
        self.tables.transact(token_row, grant_row, *journal.rows(self.tables.journal, entry))

    def _token_row(
        self, tenant: str, connection: Connection | None, setting: dict[str, Any]
    ) -> Action:
        row = {"tenant": tenant, "schema": rows.SCHEMA, **setting}
        if connection is None:
            return self.tables.tokens.put(row, when="attribute_not_exists(#tenant)")
        unchanged = rows.unchanged_since(connection)
        if setting["status"] is Status.DISCONNECTED:
            # Readers must not find a token that the backup brought back (S22).
            row["next_refresh_at"] = None
            return self.tables.tokens.put(row, when=UNCHANGED, **unchanged)
        return self.tables.tokens.update(
            tenant,
            setting=setting,
            # The token is from an older authorization, perhaps for another account (S25).
            remove=rows.OF_A_TOKEN if connection.generation < setting["generation"] else (),
            when=UNCHANGED,
            **unchanged,
        )

    def _no_token_row(self, tenant: str, connection: Connection | None) -> Action:
        when, asked = "attribute_not_exists(#tenant)", {}
        if connection is not None:
            when, asked = UNCHANGED, rows.unchanged_since(connection)
        return self.tables.tokens.delete(tenant, when=when, **asked)

    def _grant_row(self, grant: Grant, setting: dict[str, Any]) -> Action:
        return self.tables.grants.update(
            grant.tenant,
            setting=setting
            | {
                "fence": grant.fence + FENCES_SKIPPED,
                "outcome_unknown_since": grant.refresh_issued_at,
                "last_error": "restored from a backup",
                "restored": True,
            },
            remove=(
                *("lease_until", "inflight", "refused_since", "account_key", "told_stuck"),
                *(() if setting["status"] is grant.status else ("ended_by",)),
            ),
            when=f"#fence = :asked_fence AND {UNCHANGED}",
            asked_fence=grant.fence,
            **rows.unchanged_since(grant),
        )

    def _no_grant(self, tenant: str, setting: dict[str, Any]) -> Action:
        """Create a row with counters only, from which the next connect continues."""
        row = {"tenant": tenant, "client_id": "", "secret_version": "", "sequence": 0, **setting}
        row["fence"] = FENCES_SKIPPED
        return self.tables.grants.put(row, when="attribute_not_exists(#tenant)")

    def _names(self, table: Table) -> Iterator[str]:
        after = None
        while True:
            found, after = table.scan(
                after=after, ProjectionExpression="tenant", ConsistentRead=True
            )
            yield from (row["tenant"] for row in found)
            if after is None:
                return
