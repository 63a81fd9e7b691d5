"""What a failed refresh leaves in the row, and whom it tells, each at its limit (F08, F10-F12,
F25)."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.durations import CONFIRM_PAUSE, DAY, KEPT_AFTER_REFUSAL, STUCK_AFTER, backoff
from chalicelib.goto.oauth import Failure, FailureClass
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import EndCause, Grant, Status
from chalicelib.refresh.setback import ENDED, Setback
from chalicelib.tokens.commit import warning_text

NOW = 1_800_000_000
GRANT = Grant(
    "acme",
    Status.CONNECTED,
    generation=3,
    version=7,
    client_id="id",
    secret_version="1",
    refresh_issued_at=NOW - 10 * DAY,
    refresh_expires_at=NOW + 20 * DAY,
    access_expires_at=NOW + 100,
    failures=2,
)
FAILURE = Failure(FailureClass.TRANSIENT, "HTTP 503")
WRITTEN = {
    "failures": 3,
    "detail": "HTTP 503",
    "outcome_known": True,
    "refused_since": None,
    "warned": None,
    "told_stuck": None,
    "entries": [],
}


class Rows:
    """Takes what is to be written."""

    def __init__(self) -> None:
        self.failures: list[tuple[Grant, Status, dict[str, Any]]] = []
        self.ends: list[tuple[Grant, Status, dict[str, Any]]] = []

    def commit_failure(self, grant: Grant, status: Status, **named: Any) -> None:
        self.failures.append((grant, status, named))

    def commit_end(self, grant: Grant, status: Status, **named: Any) -> None:
        self.ends.append((grant, status, named))


def setback(*, well: bool = True) -> tuple[Setback, Rows]:
    rows: Any = Rows()
    made = Setback(connections=rows, fleet_well=well, clock=lambda: NOW + 0.9, random=lambda: 0.25)
    return made, rows


def entry(kind: str, text: str, status: Status | None = None) -> JournalEntry:
    return JournalEntry("acme", NOW + 0.9, kind, "the scheduler", text, status=status)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("at_least", [0, 90])
@pytest.mark.parametrize("alive_for", [100, 100_000])
def test_f08_f28_it_is_put_off_by_its_own_pause_and_what_goto_asks_for(
    known: bool, at_least: int, alive_for: int
) -> None:
    made, rows = setback()
    grant = replace(GRANT, access_expires_at=NOW + alive_for)
    made.put_off(grant, FAILURE, known=known, at_least=at_least)
    due = NOW + backoff(3, alive_for, 0.25) + at_least
    written = WRITTEN | {"next_refresh_at": due, "outcome_known": known}
    assert rows.failures == [(grant, Status.CONNECTED, written)]


@pytest.mark.parametrize(("before", "since"), [(None, NOW), (NOW - 50, NOW - 50)])
@pytest.mark.parametrize("known", [True, False])
def test_f10_a_refusal_is_asked_again_in_some_minutes(
    before: int | None, since: int, known: bool
) -> None:
    made, rows = setback()
    grant = replace(GRANT, refused_since=before)
    made.confirm(grant, FAILURE, known=known)
    due = {"next_refresh_at": NOW + CONFIRM_PAUSE, "refused_since": since}
    written = WRITTEN | due | {"outcome_known": known}
    assert rows.failures == [(grant, Status.CONNECTED, written)]


@pytest.mark.parametrize("cause", EndCause)
def test_f10_f11_an_end_tells_who_must_act_and_keeps_the_token(cause: EndCause) -> None:
    """F11: of a refused client as long as it lives, for a new secret brings it back."""
    made, rows = setback()
    made.end(GRANT, FAILURE, cause)
    status, text = ENDED[cause]
    kept = NOW + KEPT_AFTER_REFUSAL
    written = {
        "cause": cause,
        "detail": "HTTP 503",
        "kept_until": GRANT.refresh_expires_at if cause is EndCause.CLIENT_REFUSED else kept,
        "entry": entry(status, text, status),
    }
    assert rows.ends == [(GRANT, status, written)]


def test_s22_a_revocation_is_tried_again_later() -> None:
    made, rows = setback()
    grant = replace(GRANT, status=Status.DISCONNECTED)
    made.revoke_later(grant)
    written = {
        "failures": 3,
        "detail": "not yet revoked",
        "next_refresh_at": NOW + backoff(3, 0, 0.25),
        "outcome_known": True,
    }
    assert rows.failures == [(grant, Status.DISCONNECTED, written)]


DEGRADED = entry(
    "degraded", "GoTo didn't renew access in time. We're still trying.", Status.DEGRADED
)


@pytest.mark.parametrize(
    ("status", "alive_for", "after", "entries"),
    [
        (Status.CONNECTED, 1, Status.CONNECTED, []),
        (Status.CONNECTED, 0, Status.DEGRADED, [DEGRADED]),
        (Status.DEGRADED, 0, Status.DEGRADED, []),
        (Status.DEGRADED, 1, Status.DEGRADED, []),
        (Status.CREDENTIALS_REJECTED, 0, Status.CREDENTIALS_REJECTED, []),
    ],
)
def test_f08_it_is_degraded_when_its_token_has_ended_and_says_so_once(
    status: Status, alive_for: int, after: Status, entries: list[JournalEntry]
) -> None:
    made, rows = setback()
    grant = replace(GRANT, status=status, access_expires_at=NOW + alive_for)
    made.put_off(grant, FAILURE, known=True)
    [(_, written, named)] = rows.failures
    assert (written, named["entries"]) == (after, entries)
    assert named["told_stuck"] is None


STUCK = entry("stuck", "No new token for 6 hours: HTTP 503.")


@pytest.mark.parametrize(
    ("dead_for", "told", "well", "status", "tells"),
    [
        pytest.param(STUCK_AFTER, False, True, Status.DEGRADED, True, id="six hours"),
        pytest.param(STUCK_AFTER - 1, False, True, Status.DEGRADED, False, id="a second too soon"),
        pytest.param(STUCK_AFTER, True, True, Status.DEGRADED, False, id="told before"),
        pytest.param(STUCK_AFTER, False, False, Status.DEGRADED, False, id="F12, all of them"),
        pytest.param(
            STUCK_AFTER, False, True, Status.CREDENTIALS_REJECTED, False, id="F11, it has ended"
        ),
    ],
)
def test_f25_one_that_alone_gets_no_token_for_hours_is_told(
    dead_for: int, told: bool, well: bool, status: Status, tells: bool
) -> None:
    made, rows = setback(well=well)
    ended = NOW - dead_for
    grant = replace(GRANT, status=status, access_expires_at=ended, told_stuck=told)
    made.put_off(grant, FAILURE, known=True)
    [(_, _, named)] = rows.failures
    assert named["entries"] == ([STUCK] if tells else [])
    assert named["told_stuck"] is (True if tells else None)


def test_f25_a_failing_tenant_hears_of_its_end_in_time() -> None:
    made, rows = setback()
    grant = replace(GRANT, refresh_expires_at=NOW + 2 * DAY)
    made.put_off(grant, FAILURE, known=True)
    [(_, _, named)] = rows.failures
    assert named["warned"] == 2
    assert named["entries"] == [entry("reconnect_soon", warning_text(NOW + 2 * DAY))]
