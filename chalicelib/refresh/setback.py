"""Stores the consequences of a failed refresh, and notifies people once.

Warnings come after failures, too: a tenant that fails needs them most (F25).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.durations import CONFIRM_PAUSE, KEPT_AFTER_REFUSAL, STUCK_AFTER, backoff
from chalicelib.dynamodb.connections import Connections
from chalicelib.goto.oauth import Failure
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import EndCause, Grant, Status
from chalicelib.tokens.commit import SCHEDULER, warning_due, warning_text

ENDED: dict[EndCause, tuple[Status, str]] = {
    EndCause.REFUSED: (
        Status.REAUTHORIZATION_REQUIRED,
        "GoTo no longer accepts this connection. An admin must connect again.",
    ),
    EndCause.RESPONSE_LOST: (
        Status.REAUTHORIZATION_REQUIRED,
        "GoTo's answer to an earlier refresh was lost, and the old token no longer works. An admin"
        " must connect again.",
    ),
    EndCause.RESTORED: (
        Status.REAUTHORIZATION_REQUIRED,
        "A backup was restored, and the token in it is out of date. An admin must connect again.",
    ),
    EndCause.EXPIRED: (
        Status.REAUTHORIZATION_REQUIRED,
        "The authorization has expired, and GoTo did not extend it. An admin must connect again.",
    ),
    EndCause.CLIENT_REFUSED: (
        Status.CREDENTIALS_REJECTED,
        "GoTo refused the client id or secret. Your hireanalytiX representative must enter them"
        " again.",
    ),
}
"""Each cause's status and journal text."""


@dataclass(frozen=True, kw_only=True)
class Setback:
    connections: Connections
    fleet_well: bool
    clock: Callable[[], float]
    random: Callable[[], float]

    def put_off(self, grant: Grant, failure: Failure, *, known: bool, at_least: int = 0) -> None:
        """Try again later. The status stays while the access token lives (F08). ``at_least``:
        seconds that GoTo asked for; the backoff on top keeps tenants apart. Raises `Conflict`,
        `DependencyUnavailable`."""
        alive_for = grant.access_expires_at - int(self.clock())
        pause = backoff(grant.failures + 1, alive_for, self.random())
        if at_least:
            pause += at_least
        self._try_again(grant, failure, pause, known=known)

    def confirm(self, grant: Grant, failure: Failure, *, known: bool) -> None:
        """After a refusal, ask again in `CONFIRM_PAUSE`. Raises as `put_off`."""
        since = grant.refused_since or int(self.clock())
        self._try_again(grant, failure, CONFIRM_PAUSE, known=known, refused_since=since)

    def end(self, grant: Grant, failure: Failure, cause: EndCause) -> None:
        """End the grant, notify people, and keep the refresh token for `KEPT_AFTER_REFUSAL`. If the
        client was refused, keep it until its own end, for a new secret (F11). Raises as `put_off`.
        """
        status, text = ENDED[cause]
        kept_until = int(self.clock()) + KEPT_AFTER_REFUSAL
        if cause is EndCause.CLIENT_REFUSED:
            kept_until = grant.refresh_expires_at
        self.connections.commit_end(
            grant,
            status,
            cause=cause,
            detail=failure.detail,
            kept_until=kept_until,
            entry=self._entry(grant, Kind(status), text, status),
        )

    def revoke_later(self, grant: Grant) -> None:
        """GoTo has not confirmed a revocation: try again later. Raises as `put_off`."""
        failures = grant.failures + 1
        self.connections.commit_failure(
            grant,
            grant.status,
            failures=failures,
            detail="not yet revoked",
            next_refresh_at=int(self.clock()) + backoff(failures, 0, self.random()),
            outcome_known=True,
        )

    def _try_again(
        self,
        grant: Grant,
        failure: Failure,
        pause: int,
        *,
        known: bool,
        refused_since: int | None = None,
    ) -> None:
        now = int(self.clock())
        status = self._status(grant, now)
        entries = self._degraded(grant, status)
        warned = warning_due(grant, now)
        if warned is not None:
            text = warning_text(grant.refresh_expires_at)
            entries.append(self._entry(grant, Kind.RECONNECT_SOON, text))
        stuck = self._is_stuck(grant, status, now)
        if stuck:
            text = f"No new token for {STUCK_AFTER // 3_600} hours: {failure.detail}."
            entries.append(self._entry(grant, Kind.STUCK, text))
        self.connections.commit_failure(
            grant,
            status,
            failures=grant.failures + 1,
            detail=failure.detail,
            next_refresh_at=now + pause,
            outcome_known=known,
            refused_since=refused_since,
            warned=warned,
            told_stuck=stuck or None,
            entries=entries,
        )

    def _status(self, grant: Grant, now: int) -> Status:
        alive = grant.access_expires_at > now
        ended = grant.status is Status.CREDENTIALS_REJECTED
        return grant.status if alive or ended else Status.DEGRADED

    def _degraded(self, grant: Grant, status: Status) -> list[JournalEntry]:
        if status is grant.status:
            return []
        text = "GoTo didn't renew access in time. We're still trying."
        return [self._entry(grant, Kind.DEGRADED, text, status)]

    def _is_stuck(self, grant: Grant, status: Status, now: int) -> bool:
        """Whether only this tenant has had no token for hours; an outage is reported once (F12)."""
        if grant.told_stuck or status is not Status.DEGRADED or not self.fleet_well:
            return False
        return now - grant.access_expires_at >= STUCK_AFTER

    def _entry(
        self, grant: Grant, kind: Kind, text: str, status: Status | None = None
    ) -> JournalEntry:
        return JournalEntry(grant.tenant, self.clock(), kind, SCHEDULER, text, status=status)
