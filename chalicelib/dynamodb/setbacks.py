"""What happens to a grant besides tokens: failures, ends, its way back, repairs after a backup.

A failure is committed on the fence as well as on generation and version: a late one changes nothing
(F06). `RestoredTables` is the one place that scans: it runs once after a disaster, at an operator's
word (F19).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb import journal, rows
from chalicelib.dynamodb.rows import UNCHANGED
from chalicelib.dynamodb.table import Action, Table, Tables
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Connection, EndCause, Grant, Status, lane

AS_CLAIMED = f"#fence = :asked_fence AND #status = :asked_status AND {UNCHANGED}"
"""The condition that protects against a late failure: this claim is still the newest."""


def as_claimed(claimed: GrantSummary) -> dict[str, Any]:
    """The values of `AS_CLAIMED`."""
    return {
        "asked_fence": claimed.fence,
        "asked_status": claimed.status,
        **rows.unchanged_since(claimed),
    }


@dataclass(eq=False)
class Setbacks:
    tables: Tables

    def hurry(self, before: GrantSummary, now: int, entry: JournalEntry) -> None:
        """Make a tenant due now, and write down who wanted it.

        Raises `Conflict` when anything has claimed or changed it since ``before`` was read,
        `DependencyUnavailable`.
        """
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
        """Store a failure after which the refresh is tried again.

        Unless ``outcome_known``, the mark of the claim stays: GoTo may have acted.
        ``refused_since`` notes a refusal that is yet to be confirmed (F10); ``warned`` and
        ``told_stuck`` what the ``entries`` tell people once. Raises `Conflict`,
        `DependencyUnavailable`.
        """
        setting = {"failures": failures, "last_error": detail}
        noted = rows.known(refused_since=refused_since, warned=warned, told_stuck=told_stuck)
        gone = ("lease_until", "inflight") if outcome_known else ("lease_until",)
        shown = {"status": status, "next_refresh_at": next_refresh_at}
        self._set_back(asked, shown, setting | noted | shown, gone, entries)

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
        """End a grant. Its refresh token stays until ``kept_until``, when it is due once more, for
        `put_back`. Raises `Conflict`, `DependencyUnavailable`."""
        setting = {
            "status": status,
            "failures": asked.failures + 1,
            "last_error": detail,
            "ended_by": cause,
            "next_refresh_at": kept_until,
        }
        gone = ("lease_until", "inflight", "refused_since", "told_stuck")
        shown = {"status": status, "next_refresh_at": None}
        self._set_back(asked, shown, setting, gone, (entry,))

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
        # What the row of a grant that is given up tells stays; a removed tenant has none.
        seen = [] if asked.revoking else [self._shown(asked, shown)]
        told = [journal.row(self.tables.journal, entry) for entry in entries]
        self.tables.transact(*seen, grant, *told)

    def _shown(self, asked: GrantSummary, setting: dict[str, Any]) -> Action:
        """What readers and people see of it."""
        return self.tables.tokens.update(
            asked.tenant,
            setting=setting,
            when="#generation = :asked_generation",
            asked_generation=asked.generation,
        )

    def commit_revoked(self, claimed: Grant, entry: JournalEntry) -> None:
        """Delete the refresh token of a grant that is given up; its counters stay.

        Raises `Conflict` when another worker has it or the admin has connected again,
        `DependencyUnavailable`.
        """
        given_up = self._without_token(claimed, {"failures": 0}, rows.SETTLED)
        self.tables.transact(given_up, journal.row(self.tables.journal, entry))

    def forget(self, claimed: Grant) -> None:
        """Delete the refresh token of a grant that ended long ago; why it ended stays.

        Raises `Conflict`, `DependencyUnavailable`.
        """
        kept = ("ended_by", "last_error")
        gone = tuple(name for name in rows.SETTLED if name not in kept)
        self.tables.transact(self._without_token(claimed, {}, gone))

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
        """Put a tenant whose client was refused back into the schedule: that client has a new
        secret. A grant of another client is left alone."""
        due = self.tables.grants.update(
            tenant,
            setting={"next_refresh_at": now},
            when="#status = :rejected AND #client_id = :client_id",
            rejected=Status.CREDENTIALS_REJECTED,
            client_id=client_id,
        )
        self.tables.try_write(due)

    def put_back(self, ended: GrantSummary, now: int, entry: JournalEntry) -> None:
        """Put a grant that has ended back into the schedule, with the refresh token that was kept.

        Raises `Conflict` when it is no longer as ``ended`` was read, or nothing was kept;
        `DependencyUnavailable`.
        """
        shown = {"status": Status.DEGRADED, "next_refresh_at": now}
        grant = self.tables.grants.update(
            ended.tenant,
            setting={**shown, "failures": 0},
            remove=("ended_by", "refused_since", "told_stuck"),
            when=f"{AS_CLAIMED} AND attribute_exists(#ended_by)"
            " AND attribute_exists(#next_refresh_at)",
            **as_claimed(ended),
        )
        told = journal.row(self.tables.journal, entry)
        self.tables.transact(self._shown(ended, shown), grant, told)


FENCES_SKIPPED = 1_000_000
"""By how much a fence jumps: more than were drawn since any backup was made."""


@dataclass(eq=False)
class RestoredTables:
    tables: Tables

    def tenants(self, in_lane: int) -> set[str]:
        """Every tenant of a lane that either table knows. Raises `DependencyUnavailable`."""
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
        """Bring both rows in step; the counters go on from the higher ones.

        A refusal that follows is reported as due to the restore. The next refresh looks up whose
        the grant is. Of a tenant that was ``removed`` only the grant's counters stay. Raises
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
        told = [journal.row(self.tables.journal, entry)] if entry else []
        self.tables.transact(token_row, grant_row, *told)

    def _token_row(
        self, tenant: str, connection: Connection | None, setting: dict[str, Any]
    ) -> Action:
        row = {"tenant": tenant, "schema": rows.SCHEMA, **setting}
        if connection is None:
            return self.tables.tokens.put(row, when="attribute_not_exists(#tenant)")
        unchanged = rows.unchanged_since(connection)
        if setting["status"] is Status.DISCONNECTED:
            # What the backup brought back, readers no longer find (S22).
            row["next_refresh_at"] = None
            return self.tables.tokens.put(row, when=UNCHANGED, **unchanged)
        return self.tables.tokens.update(
            tenant,
            setting=setting,
            # Of an older authorization, and perhaps of another account (S25).
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
        """The counters alone: the next connect goes on from them."""
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
