"""The `AuthorizationRequests` table: each press of the button, and which browsers pressed it.

Three kinds of rows: a request under the SHA-256 of its state, a browser under its own digest, and
how many endings of a kind the journal has taken of a tenant on a day.
A state is burnt by one conditional write (`consume`), a code taken out by another (`claim`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from chalicelib.durations import BROWSER_RETENTION, DAY, REQUEST_RETENTION
from chalicelib.dynamodb import journal
from chalicelib.dynamodb.rows import from_row, named, to_row
from chalicelib.dynamodb.table import Action, Table, Tables
from chalicelib.errors import Conflict
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import AuthorizationRequest, Browser, Reason, RequestStatus
from chalicelib.permissions import GoToAccount

MOST_TOLD = 10
"""Endings of one kind that the journal takes of a tenant on a day: whoever holds a link can press
Deny all day long (S29). Sign-ins count for each GoTo account, and the first of an account is always
taken, so that a stranger's hide no other's."""

_OPEN = "#status = :started AND attribute_not_exists(#returned_at)"


@dataclass(eq=False)
class AuthorizationRequests:
    tables: Tables

    def get(self, key: str) -> AuthorizationRequest | None:
        """The request stored under this digest of a state. Raises `DependencyUnavailable`."""
        values = self.tables.requests.get(key)
        return request_of(values) if values else None

    def browser(self, key: str) -> Browser | None:
        """What is known of a browser. Raises `DependencyUnavailable`."""
        values = self.tables.requests.get(key)
        if not values:
            return None
        return from_row(Browser, values, key=key, link_series=values.get("completed_series", 0))

    def newest(self, key: str) -> tuple[Browser | None, AuthorizationRequest | None]:
        """What is known of a browser, and its newest request. Raises `DependencyUnavailable`."""
        browser = self.browser(key)
        request = self.get(browser.current) if browser else None
        done = request if request and request.status is RequestStatus.DONE else None
        if browser and done and done.sequence != browser.sequence:  # done between the two reads
            browser = self.browser(key)
        return browser, request

    def start(self, request: AuthorizationRequest, entry: JournalEntry) -> None:
        """Store a new request and make it its browser's current one, with the journal's line.

        Raises `DependencyUnavailable`.
        """
        table = self.tables.requests
        created = table.put(_values(request), when="attribute_not_exists(#request)")
        kept_until = request.started_at + BROWSER_RETENTION
        current = table.update(
            request.browser, setting={"current": request.key, "delete_after": kept_until}
        )
        self._write([created, current], entry)

    def void(self, key: str, now: int) -> None:
        """End a request that nobody came back from; one that did come back is left alone."""
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
        """Use the state up, keep the code, and know the browser by another digest from now on.

        ``known``: its row so far. What it has completed moves to ``renewed``; that row and the one
        of the request's own browser are deleted. Raises `Conflict` when the state was used or is
        too old.
        """
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
        gone = [table.delete(key) for key in sorted(retired)]
        self.tables.transact(self._consuming(request, now, setting), table.put(row), *gone)

    def consume_failed(
        self,
        request: AuthorizationRequest,
        now: int,
        status: RequestStatus,
        reason: Reason,
        entry: JournalEntry,
    ) -> None:
        """Use the state up and end the request. Raises `Conflict` as `consume` does."""
        setting = {"status": status, "reason": reason, "returned_at": now, "finished_at": now}
        self._write([self._consuming(request, now, setting)], entry)

    def claim(self, key: str) -> AuthorizationRequest | None:
        """Take the code out, once: a second caller gets None (F21).

        The code leaves the row before GoTo is asked. Raises `DependencyUnavailable`.
        """
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
        """End a request that came back but did not lead to a connection.

        Raises `Conflict` when it has ended already, `DependencyUnavailable`.
        """
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
        """Changes of a request, with their line in the journal unless the day has enough of them:
        the browser is told by the request's own row, and no connection has changed."""
        line = journal.row(self.tables.journal, entry)
        for counted in [*self._told(entry), None]:
            try:
                told = [] if counted is None else [counted, line]
                self.tables.transact(*changes, *told)
            except Conflict as error:
                if "request" in error.failed:
                    raise
            else:
                return

    def tell(self, entry: JournalEntry) -> None:
        """Add a line to the journal that strangers can bring about, unless the day has enough."""
        line = journal.row(self.tables.journal, entry)
        for counted in self._told(entry):
            if self.tables.try_transact(counted, line):
                return

    def _told(self, entry: JournalEntry) -> list[Action]:
        """Ways to count the line, to be tried in turn."""
        day = int(entry.at) // DAY
        key = f"told#{entry.tenant}#{entry.kind}#{day}"
        if entry.tried is None:
            return [self._count(key, day, MOST_TOLD)]
        account = f"{key}#{min(entry.tried.keys, default='')}"
        again = self._count(account, day, MOST_TOLD, known=True)
        return [again, self._count(account, day, 1)]

    def _count(self, key: str, day: int, most: int, *, known: bool = False) -> Action:
        """One more under a key, up to a number; ``known``: only where one was counted before."""
        return self.tables.requests.update(
            key,
            setting={"delete_after": (day + 1) * DAY + REQUEST_RETENTION},
            adding={"told": 1},
            when="#told < :most" if known else "attribute_not_exists(#told) OR #told < :most",
            label="told",
            most=most,
        )


def completion(table: Table, request: AuthorizationRequest, now: int) -> list[Action]:
    """The part of a connection's commit that belongs here: request done, browser trusted."""
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
    """A row of a request."""
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
