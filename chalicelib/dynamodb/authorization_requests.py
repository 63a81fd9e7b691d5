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
from chalicelib.dynamodb import expressions, journal
from chalicelib.dynamodb.expressions import Tables
from chalicelib.dynamodb.rows import named
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
        values = self._row(key)
        return request_of(values) if values else None

    def browser(self, key: str) -> Browser | None:
        """What is known of a browser. Raises `DependencyUnavailable`."""
        values = self._row(key)
        if not values:
            return None
        return Browser(
            key=key,
            current=values["current"],
            completed_at=values.get("completed_at"),
            link_series=values.get("completed_series", 0),
            sequence=values.get("sequence"),
        )

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
        created = expressions.put(
            self.tables.requests, _values(request), when="attribute_not_exists(#request)"
        )
        current = expressions.update(
            self.tables.requests,
            {"request": request.browser},
            setting={
                "current": request.key,
                "delete_after": request.started_at + BROWSER_RETENTION,
            },
        )
        self._write(
            [
                expressions.Action("request", {"Put": created}),
                expressions.Action("browser", {"Update": current}),
            ],
            entry,
        )

    def void(self, key: str, now: int) -> None:
        """End a request that nobody came back from; one that did come back is left alone."""
        change = expressions.update(
            self.tables.requests,
            {"request": key},
            setting={
                "status": RequestStatus.EXPIRED,
                "reason": Reason.SUPERSEDED,
                "finished_at": now,
            },
            remove=("verifier",),
            when=_OPEN,
            started=RequestStatus.STARTED,
        )
        try:
            expressions.change(self.tables.client, "request", change)
        except Conflict:
            return

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
        gone = [expressions.delete(table, {"request": key}) for key in sorted(retired)]
        expressions.transact(
            self.tables.client,
            [
                expressions.Action("request", {"Update": self._consuming(request, now, setting)}),
                expressions.Action("browser", {"Put": expressions.put(table, row)}),
                *(expressions.Action("before", {"Delete": each}) for each in gone),
            ],
        )

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
        change = self._consuming(request, now, setting)
        self._write([expressions.Action("request", {"Update": change})], entry)

    def claim(self, key: str) -> AuthorizationRequest | None:
        """Take the code out, once: a second caller gets None (F21).

        The code leaves the row before GoTo is asked. Raises `DependencyUnavailable`.
        """
        change = expressions.update(
            self.tables.requests,
            {"request": key},
            setting={"status": RequestStatus.EXCHANGING},
            remove=("code", "verifier"),
            when="#status = :started AND attribute_exists(#code)",
            started=RequestStatus.STARTED,
        )
        try:
            before = expressions.change(self.tables.client, "request", change, "ALL_OLD")
        except Conflict:
            return None
        return request_of(before)

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
        change = expressions.update(
            self.tables.requests,
            {"request": key},
            setting={"status": status, "reason": reason, "finished_at": now},
            remove=("code", "verifier"),
            when="#status IN (:started, :exchanging, :choosing, :chosen)",
            started=RequestStatus.STARTED,
            exchanging=RequestStatus.EXCHANGING,
            choosing=RequestStatus.CHOOSING,
            chosen=RequestStatus.CHOSEN,
        )
        self._write([expressions.Action("request", {"Update": change})], entry)

    def _consuming(
        self, request: AuthorizationRequest, now: int, setting: dict[str, Any]
    ) -> dict[str, Any]:
        return expressions.update(
            self.tables.requests,
            {"request": request.key},
            setting=setting,
            when=f"{_OPEN} AND #browser = :browser AND #expires_at > :now",
            started=RequestStatus.STARTED,
            browser=request.browser,
            now=now,
        )

    def _write(self, changes: list[expressions.Action], entry: JournalEntry) -> None:
        """Changes of a request, with their line in the journal unless the day has enough of them:
        the browser is told by the request's own row, and no connection has changed."""
        line = journal.row(self.tables.journal, entry)
        for counted in [*self._told(entry), None]:
            try:
                told = [] if counted is None else [*counted, line]
                expressions.transact(self.tables.client, [*changes, *told])
            except Conflict as error:
                if "request" in error.failed:
                    raise
            else:
                return

    def tell(self, entry: JournalEntry) -> None:
        """Add a line to the journal that strangers can bring about, unless the day has enough."""
        line = journal.row(self.tables.journal, entry)
        for counted in self._told(entry):
            try:
                expressions.transact(self.tables.client, [*counted, line])
            except Conflict:
                continue
            return

    def _told(self, entry: JournalEntry) -> list[list[expressions.Action]]:
        """Ways to count the line, to be tried in turn."""
        day = int(entry.at) // DAY
        key = f"told#{entry.tenant}#{entry.kind}#{day}"
        if entry.tried is None:
            return [[self._count(key, day, MOST_TOLD)]]
        account = f"{key}#{min(entry.tried.keys, default='')}"
        again = self._count(account, day, MOST_TOLD, known=True)
        return [[again], [self._count(account, day, 1)]]

    def _count(self, key: str, day: int, most: int, *, known: bool = False) -> expressions.Action:
        """One more under a key, up to a number; ``known``: only where one was counted before."""
        counted = expressions.update(
            self.tables.requests,
            {"request": key},
            setting={"delete_after": (day + 1) * DAY + REQUEST_RETENTION},
            adding={"told": 1},
            when="#told < :most" if known else "attribute_not_exists(#told) OR #told < :most",
            most=most,
        )
        return expressions.Action("told", {"Update": counted})

    def _row(self, key: str) -> dict[str, Any]:
        return expressions.get(self.tables.client, self.tables.requests, {"request": key})


def completion(table: str, request: AuthorizationRequest, now: int) -> list[expressions.Action]:
    """The part of a connection's commit that belongs here: request done, browser trusted."""
    done = expressions.update(
        table,
        {"request": request.key},
        setting={"status": RequestStatus.DONE, "finished_at": now},
        when="#status = :exchanging",
        exchanging=RequestStatus.EXCHANGING,
    )
    trusted = expressions.update(
        table,
        {"request": request.browser},
        setting={
            "completed_at": now,
            "completed_series": request.link_series,
            "sequence": request.sequence,
            "delete_after": now + BROWSER_RETENTION,
        },
    )
    return [
        expressions.Action("request", {"Update": done}),
        expressions.Action("browser", {"Update": trusted}),
    ]


def _values(request: AuthorizationRequest) -> dict[str, Any]:
    return {
        "request": request.key,
        "tenant": request.tenant,
        "sequence": request.sequence,
        "browser": request.browser,
        "client_id": request.client_id,
        "secret_version": request.secret_version,
        "redirect_uri": request.redirect_uri,
        "reference": request.reference,
        "started_at": request.started_at,
        "expires_at": request.expires_at,
        "verifier": request.verifier,
        "link_series": request.link_series,
        "pressed_by": request.pressed_by,
        "status": request.status,
        "delete_after": request.expires_at + REQUEST_RETENTION,
    }


def request_of(values: dict[str, Any]) -> AuthorizationRequest:
    """A row of a request."""
    return AuthorizationRequest(
        key=values["request"],
        tenant=values["tenant"],
        sequence=values["sequence"],
        browser=values["browser"],
        client_id=values["client_id"],
        secret_version=values["secret_version"],
        redirect_uri=values["redirect_uri"],
        reference=values["reference"],
        started_at=values["started_at"],
        expires_at=values["expires_at"],
        verifier=values.get("verifier", ""),
        link_series=values.get("link_series"),
        pressed_by=values.get("pressed_by"),
        status=named(RequestStatus, values["status"], RequestStatus.FAILED),
        returned_at=values.get("returned_at"),
        finished_at=values.get("finished_at"),
        reason=named(Reason, values["reason"], Reason.INTERNAL) if "reason" in values else None,
        code=values.get("code"),
        accounts=tuple(GoToAccount(*each) for each in json.loads(values.get("accounts", "[]"))),
        account=values.get("account"),
    )
