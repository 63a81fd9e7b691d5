"""The `AuthorizationRequests` table: each click on the button, and the browsers that clicked.

It has three kinds of rows: a request under the SHA-256 of its state, a browser under its own
digest, and the number of journal entries of one kind for one tenant and day. One conditional write
burns a state (`consume`); another takes out the code (`claim`).
"""

from __future__ import annotations

import json
from typing import Any

from chalicelib.durations import BROWSER_RETENTION, DAY, REQUEST_RETENTION
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.rows import from_row, named, to_row
from chalicelib.dynamodb.table import Action, Store, Table
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import AuthorizationRequest, Browser, Reason, RequestStatus
from chalicelib.permissions import GoToAccount

MOST_TOLD = 10
"""Most journal entries of a kind per tenant and day: a link's holder can click Deny all day (S29).
Sign-ins are counted per GoTo account, so a stranger's cannot hide those with another account."""

_OPEN = "#status = :started AND attribute_not_exists(#returned_at)"


class AuthorizationRequests(Store):
    def get(self, key: str) -> AuthorizationRequest | None:
        """The request stored under this digest of a state. Raises `DependencyUnavailable`."""
        values = self.tables.requests.get(key)
        return request_of(values) if values else None

    def browser(self, key: str) -> Browser | None:
        """The browser stored under this digest. Raises `DependencyUnavailable`."""
        values = self.tables.requests.get(key)
        if not values:
            return None
        return from_row(Browser, values, key=key, link_series=values.get("completed_series", 0))

    def newest(self, key: str) -> tuple[Browser | None, AuthorizationRequest | None]:
        """A browser and its newest request. Raises `DependencyUnavailable`."""
        browser = self.browser(key)
        request = self.get(browser.current) if browser else None
        done = request if request and request.status is RequestStatus.DONE else None
        if browser and done and done.sequence != browser.sequence:  # it ended between the two reads
            browser = self.browser(key)
        return browser, request

    def start(self, request: AuthorizationRequest, entry: JournalEntry) -> None:
        """Store a new request as its browser's current one, with its journal entry. Raises
        `DependencyUnavailable`."""
        table = self.tables.requests
        created = table.put(_values(request), when="attribute_not_exists(#request)")
        kept_until = request.started_at + BROWSER_RETENTION
        current = table.update(
            request.browser, setting={"current": request.key, "delete_after": kept_until}
        )
        self._write([created, current], entry)

    def void(self, key: str, now: int) -> None:
        """End a request, unless its browser is already back from GoTo."""
        voided = self.tables.requests.update(
            key,
            setting={
                "status": RequestStatus.EXPIRED,
                "reason": Reason.SUPERSEDED,
                "finished_at": now,
            },
            remove=("verifier",),
            when=_OPEN,
            started=RequestStatus.STARTED,
        )
        self.tables.try_write(voided)

    def consume(
        self,
        request: AuthorizationRequest,
        now: int,
        code: str,
        renewed: str,
        known: Browser | None,
    ) -> None:
        """Burn the state, store the code, and rename the browser to the digest ``renewed``.
        ``known``: the browser's old row; its completed request moves to the new row. It and the row
        of the request's browser are deleted. Raises `Conflict` if the state was used or expired."""
        setting = {"code": code, "returned_at": now, "browser": renewed}
        row = {
            "request": renewed,
            "current": request.key,
            "completed_at": known and known.completed_at,
            "completed_series": known and known.link_series,
            "sequence": known and known.sequence,
            "delete_after": now + BROWSER_RETENTION,
        }
        table = self.tables.requests
        retired = {request.browser} | ({known.key} if known else set())
        deletions = [table.delete(key) for key in sorted(retired)]
        self.tables.transact(self._consuming(request, now, setting), table.put(row), *deletions)

    def consume_failed(
        self,
        request: AuthorizationRequest,
        now: int,
        status: RequestStatus,
        reason: Reason,
        entry: JournalEntry,
    ) -> None:
        """Burn the state and end the request. Raises `Conflict` as `consume` does."""
        setting = {"status": status, "reason": reason, "returned_at": now, "finished_at": now}
        self._write([self._consuming(request, now, setting)], entry)

    def claim(self, key: str) -> AuthorizationRequest | None:
        """Take the code out of the row, before we ask GoTo; a second caller gets None (F21).
        Raises `DependencyUnavailable`."""
        claimed = self.tables.requests.update(
            key,
            setting={"status": RequestStatus.EXCHANGING},
            remove=("code", "verifier"),
            when="#status = :started AND attribute_exists(#code)",
            started=RequestStatus.STARTED,
        )
        try:
            return request_of(self.tables.write(claimed, "ALL_OLD"))
        except Conflict:
            return None

    def fail(
        self,
        key: str,
        now: int,
        status: RequestStatus,
        reason: Reason,
        entry: JournalEntry,
    ) -> None:
        """End a request that came back from GoTo but did not connect. Raises `Conflict` if it has
        already ended, `DependencyUnavailable`."""
        failed = self.tables.requests.update(
            key,
            setting={"status": status, "reason": reason, "finished_at": now},
            remove=("code", "verifier"),
            when="#status IN (:started, :exchanging, :choosing, :chosen)",
            started=RequestStatus.STARTED,
            exchanging=RequestStatus.EXCHANGING,
            choosing=RequestStatus.CHOOSING,
            chosen=RequestStatus.CHOSEN,
        )
        self._write([failed], entry)

    def _consuming(
        self, request: AuthorizationRequest, now: int, setting: dict[str, Any]
    ) -> Action:
        return self.tables.requests.update(
            request.key,
            setting=setting,
            when=f"{_OPEN} AND #browser = :browser AND #expires_at > :now",
            started=RequestStatus.STARTED,
            browser=request.browser,
            now=now,
        )

    def _write(self, changes: list[Action], entry: JournalEntry) -> None:
        """Write a request's changes, with the journal entry unless the day has enough of them: the
        page reads the outcome from the request's row, and no connection changes."""
        line = journal.row(self.tables.journal, entry)
        try:
            self.tables.transact(*changes, self._counted(entry), line)
        except Conflict as error:
            if "request" in error.failed:
                raise
            self.tables.transact(*changes)

    def tell(self, entry: JournalEntry) -> None:
        """Write a journal entry that strangers can cause, unless the day has enough of them."""
        self.tables.try_transact(self._counted(entry), journal.row(self.tables.journal, entry))

    def _counted(self, entry: JournalEntry) -> Action:
        """Count the entry; fails if its tenant, kind and day, for a sign-in also its GoTo account,
        have enough."""
        day = int(entry.at) // DAY
        key = f"told#{entry.tenant}#{entry.kind}#{day}"
        if entry.tried is not None:
            key += f"#{min(entry.tried.keys, default='')}"
        return self.tables.requests.update(
            key,
            setting={"delete_after": (day + 1) * DAY + REQUEST_RETENTION},
            adding={"told": 1},
            when="attribute_not_exists(#told) OR #told < :most",
            label="told",
            most=MOST_TOLD,
        )


def completion(table: Table, request: AuthorizationRequest, now: int) -> list[Action]:
    """This table's part of a connection's commit: ends the request and trusts the browser."""
    done = table.update(
        request.key,
        setting={"status": RequestStatus.DONE, "finished_at": now},
        when="#status = :exchanging",
        exchanging=RequestStatus.EXCHANGING,
    )
    trusted = table.update(
        request.browser,
        setting={
            "completed_at": now,
            "completed_series": request.link_series,
            "sequence": request.sequence,
            "delete_after": now + BROWSER_RETENTION,
        },
    )
    return [done, trusted]


def _values(request: AuthorizationRequest) -> dict[str, Any]:
    return {
        "request": request.key,
        **to_row(request, "key", "accounts"),
        "delete_after": request.expires_at + REQUEST_RETENTION,
    }


def request_of(values: dict[str, Any]) -> AuthorizationRequest:
    reason = values.get("reason")
    return from_row(
        AuthorizationRequest,
        values,
        key=values["request"],
        verifier=values.get("verifier", ""),
        status=named(RequestStatus, values["status"], RequestStatus.FAILED),
        reason=None if reason is None else named(Reason, reason, Reason.INTERNAL),
        accounts=tuple(GoToAccount(*each) for each in json.loads(values.get("accounts", "[]"))),
    )
