"""The `AuthorizationRequests` table: each press of the button, and which browsers pressed it.

Two kinds of rows: a request under the SHA-256 of its state, a browser under its own digest.
A state is burnt by one conditional write (`burn`), a code taken out by another (`claim`).
"""

from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict
from chalicelib.model import (
    AuthorizationRequest,
    Browser,
    JournalEntry,
    Reason,
    RequestStatus,
)
from chalicelib.store import journal, wire
from chalicelib.times import BROWSER_KEPT, REQUEST_KEPT

if TYPE_CHECKING:
    from chalicelib.store.tables import Tables

_OPEN = "#status = :started AND attribute_not_exists(#returned_at)"


class AuthorizationRequests:
    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    def get(self, key: str) -> AuthorizationRequest | None:
        """The request stored under this digest of a state. Raises `DependencyUnavailable`."""
        values = self._row(key)
        return _request(values) if values else None

    def browser(self, key: str) -> Browser | None:
        """What is known of a browser. Raises `DependencyUnavailable`."""
        values = self._row(key)
        if not values:
            return None
        return Browser(key=key, current=values["current"], completed_at=values.get("completed_at"))

    def start(self, request: AuthorizationRequest) -> None:
        """Store a new request and make it its browser's current one.

        Raises `DependencyUnavailable`.
        """
        created = wire.put(
            self._tables.requests, _values(request), when="attribute_not_exists(#request)"
        )
        current = wire.update(
            self._tables.requests,
            {"request": request.browser},
            setting={
                "current": request.key,
                "delete_after": request.started_at + BROWSER_KEPT,
            },
        )
        wire.transact(
            self._tables.client,
            [
                wire.Action("request", {"Put": created}),
                wire.Action("browser", {"Update": current}),
            ],
        )

    def void(self, key: str, now: int) -> None:
        """End a request that nobody came back from; one that did come back is left alone."""
        change = wire.update(
            self._tables.requests,
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
            wire.change(self._tables.client, "request", change)
        except Conflict:
            return

    def burn(self, request: AuthorizationRequest, now: int, code: str) -> None:
        """Use the state up and keep the code. Raises `Conflict` when it was used or is too old."""
        change = self._burning(request, now, {"code": code, "returned_at": now})
        wire.change(self._tables.client, "request", change)

    def burn_failed(
        self,
        request: AuthorizationRequest,
        now: int,
        status: RequestStatus,
        reason: Reason,
        entry: JournalEntry,
    ) -> None:
        """Use the state up and end the request. Raises `Conflict` as `burn` does."""
        setting = {"status": status, "reason": reason, "returned_at": now, "finished_at": now}
        change = self._burning(request, now, setting)
        self._write(change, entry)

    def claim(self, key: str) -> AuthorizationRequest | None:
        """Take the code out, once: a second caller gets None (F21).

        The code leaves the row before GoTo is asked. Raises `DependencyUnavailable`.
        """
        change = wire.update(
            self._tables.requests,
            {"request": key},
            setting={"status": RequestStatus.EXCHANGING},
            remove=("code", "verifier"),
            when="#status = :started AND attribute_exists(#code)",
            started=RequestStatus.STARTED,
        )
        try:
            before = wire.change(self._tables.client, "request", change, "ALL_OLD")
        except Conflict:
            return None
        return _request(before)

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
        change = wire.update(
            self._tables.requests,
            {"request": key},
            setting={"status": status, "reason": reason, "finished_at": now},
            remove=("code", "verifier"),
            when="#status IN (:started, :exchanging)",
            started=RequestStatus.STARTED,
            exchanging=RequestStatus.EXCHANGING,
        )
        self._write(change, entry)

    def _burning(
        self, request: AuthorizationRequest, now: int, setting: dict[str, Any]
    ) -> dict[str, Any]:
        return wire.update(
            self._tables.requests,
            {"request": request.key},
            setting=setting,
            when=f"{_OPEN} AND #browser = :browser AND #expires_at > :now",
            started=RequestStatus.STARTED,
            browser=request.browser,
            now=now,
        )

    def _write(self, change: dict[str, Any], entry: JournalEntry) -> None:
        wire.transact(
            self._tables.client,
            [wire.Action("request", {"Update": change}), journal.row(self._tables.journal, entry)],
        )

    def _row(self, key: str) -> dict[str, Any]:
        return wire.get(self._tables.client, self._tables.requests, {"request": key})


def completion(table: str, request: AuthorizationRequest, now: int) -> list[wire.Action]:
    """The part of a connection's commit that belongs here: request done, browser trusted."""
    done = wire.update(
        table,
        {"request": request.key},
        setting={"status": RequestStatus.DONE, "finished_at": now},
        when="#status = :exchanging",
        exchanging=RequestStatus.EXCHANGING,
    )
    trusted = wire.update(
        table,
        {"request": request.browser},
        setting={"completed_at": now, "delete_after": now + BROWSER_KEPT},
    )
    return [wire.Action("request", {"Update": done}), wire.Action("browser", {"Update": trusted})]


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
        "status": request.status,
        "delete_after": request.expires_at + REQUEST_KEPT,
    }


def _request(values: dict[str, Any]) -> AuthorizationRequest:
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
        status=RequestStatus(values["status"]),
        returned_at=values.get("returned_at"),
        finished_at=values.get("finished_at"),
        reason=Reason(values["reason"]) if "reason" in values else None,
        code=values.get("code"),
    )
