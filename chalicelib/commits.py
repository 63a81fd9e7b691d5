"""Put what GoTo gave into the tables: one attempt, by the one rule, whoever holds the tokens.

Shared by the refresh, the completion, and the rescue of what either could not write. A success is
committed on generation and version as they were asked. One that brings the successor of the stored
refresh token is committed whatever the version: GoTo takes no other any more. Whether a commit that
went before is this very one, its answer lost, is read back (F04).
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.model import AuthorizationRequest, Fresh, Grant, JournalEntry, Reason, Status
from chalicelib.times import DAY, WARN_DAYS

if TYPE_CHECKING:
    from chalicelib.store.connections import Connections
    from chalicelib.store.tenants import Tenants

SCHEDULER = "the scheduler"

ATTEMPTS = 5
"""Conflicts in a row after which a commit is given up for now: each one reads the row anew."""


class Commits:
    def __init__(
        self, connections: "Connections", tenants: "Tenants", clock: Callable[[], float]
    ) -> None:
        self._connections = connections
        self._tenants = tenants
        self._clock = clock

    def refresh(self, asked: Grant, fresh: Fresh, note: JournalEntry | None = None) -> bool:
        """Commit a refresh; False when something newer stands, which then stays.

        ``note`` is written to the journal with it. Raises `DependencyUnavailable`: nothing is
        known to be written, or a restored backup has no place for it until `Restore` ran.
        """
        standing, over = asked, None
        for _ in range(ATTEMPTS):
            warned, entries = self._told(standing, fresh, note)
            try:
                self._connections.commit_refresh(
                    standing, fresh, warned=warned, entries=entries, over=over
                )
            except Conflict:
                current = self._connections.grant(asked.tenant)
                row = self._connections.get(asked.tenant)
                if row is not None and row.access_token == fresh.access_token:
                    return True
                if current is None or not _follows(fresh, asked, current):
                    return False
                if row is None or row.generation != asked.generation:
                    raise DependencyUnavailable("dynamodb", "Tokens is not as Grants") from None
                # The status has changed, an answer without a new refresh token went before, or a
                # backup has left the two tables apart (F19).
                standing = replace(asked, version=current.version, status=current.status)
                over = row.version
            else:
                return True
        raise DependencyUnavailable("dynamodb", "conflicts")

    def connect(
        self,
        request: AuthorizationRequest,
        fresh: Fresh,
        account: str | None,
        principal: str | None,
    ) -> Reason | None:
        """Commit as the tenant's new generation, whatever refreshes happen meanwhile (F07, F23).

        Returns why it may not be; None when it stands. Raises `DependencyUnavailable`: nothing
        is known to be written.
        """
        for _ in range(ATTEMPTS):
            before = self._connections.grant_facts(request.tenant)
            if before is not None and before.sequence >= request.sequence:
                return _overtaken(before, request)
            try:
                self._connections.commit_connect(
                    request,
                    before,
                    fresh,
                    now=int(self._clock()),
                    account_key=account,
                    principal=principal,
                    entry=self._connected(request, before, principal),
                )
            except Conflict as error:
                if "tenants" in error.failed:
                    return self._refused(request, account)
                if "request" in error.failed:  # it has ended, perhaps by this very commit
                    return _overtaken(self._connections.grant_facts(request.tenant), request)
            else:
                return None
        raise DependencyUnavailable("dynamodb", "conflicts")

    def _refused(self, request: AuthorizationRequest, account: str | None) -> Reason:
        """Why the tenant does not take a connection by this request."""
        tenant = self._tenants.get(request.tenant)
        if tenant is None or request.link_series not in (None, tenant.link_series):
            return Reason.ENDED
        return Reason.OTHER_ACCOUNT if account else Reason.ACCOUNT_UNREADABLE

    def given_up(self, tenant: str) -> bool:
        """Whether the rep has disconnected the tenant: nothing of its may live on at GoTo (S22)."""
        current = self._connections.grant_facts(tenant)
        return current is None or current.status is Status.DISCONNECTED

    def _told(
        self, grant: Grant, fresh: Fresh, note: JournalEntry | None
    ) -> tuple[int | None, list[JournalEntry]]:
        """What a refresh has to tell: it works again, the grant's end is near. With the warning's
        days, which are told once."""
        entries = [note] if note else []
        if grant.status is not Status.CONNECTED:
            text = "The connection to GoTo works again."
            entries.append(self._entry(grant.tenant, "recovered", text, Status.CONNECTED))
        warned = _warning(grant, fresh)
        if warned is not None:
            end = datetime.fromtimestamp(grant.refresh_expires_at, UTC)
            text = f"An admin must connect again before {end:%-d %B %Y, %H:%M} UTC."
            entries.append(self._entry(grant.tenant, "reconnect_soon", text, None))
        return warned, entries

    def _entry(self, tenant: str, kind: str, text: str, status: Status | None) -> JournalEntry:
        return JournalEntry(tenant, self._clock(), kind, SCHEDULER, text, status=status)

    def _connected(
        self, request: AuthorizationRequest, before: Grant | None, principal: str | None
    ) -> JournalEntry:
        again = before is not None and before.generation > 0
        text = f"{'Reconnected' if again else 'Connected'} to GoTo."
        return JournalEntry(
            request.tenant,
            self._clock(),
            "reconnected" if again else "connected",
            principal or "the admin",
            text,
            request.reference,
            Status.CONNECTED,
        )


def _overtaken(grant: Grant | None, request: AuthorizationRequest) -> Reason | None:
    """What stands instead of a request's commit; None where it is that commit, perhaps refreshed
    since (F04): its number is that commit's alone, or a disconnection's."""
    if grant is None or grant.sequence < request.sequence:
        return Reason.SUPERSEDED  # the request has ended by itself, and has told so
    if grant.status is Status.DISCONNECTED:
        return Reason.ENDED
    return None if grant.sequence == request.sequence else Reason.SUPERSEDED


def _follows(fresh: Fresh, asked: Grant, current: Grant) -> bool:
    """Whether what GoTo answered is newer than what stands."""
    if current.generation != asked.generation:
        return False
    renewed = fresh.refresh_token not in (None, asked.refresh_token)
    succeeds = renewed and asked.refresh_token == current.refresh_token
    return succeeds or current.version == asked.version


def _warning(grant: Grant, fresh: Fresh) -> int | None:
    """Days of the warning that is due: not where a new refresh token came, nor twice, nor for a
    provider whose refresh tokens live no longer than two such warnings anyway."""
    if fresh.refresh_token is not None:
        return None
    left = grant.refresh_expires_at - fresh.issued_at
    life = grant.refresh_expires_at - grant.refresh_issued_at
    for days in WARN_DAYS:
        if left <= days * DAY and life > 2 * days * DAY:
            return days if grant.warned is None or grant.warned > days else None
    return None
