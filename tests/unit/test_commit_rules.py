"""What is committed, how long that is tried, and when people are warned: the rules, each at its
limit (F03, F04, F06, F07, F25, F27)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.durations import (
    DAY,
    KEEP_FIRST_PAUSE,
    REFRESH_TOKEN_LIFETIME,
    TIME_TO_COMMIT,
    TIME_TO_END,
    refresh_pause,
)
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto.token_response import TokenSet
from chalicelib.models import Connection, Grant, NewTokens, Status
from chalicelib.tokens import commit
from chalicelib.tokens.commit import (
    ATTEMPTS_BEFORE_RESCUE,
    Commits,
    Queued,
    Stored,
    keep,
    warning_due,
)

NOW = 1_800_000_000
GRANT = Grant(
    "acme",
    Status.CONNECTED,
    generation=3,
    version=7,
    client_id="id",
    secret_version="1",
    refresh_token="held",
    refresh_issued_at=NOW - 1_000,
    refresh_expires_at=NOW + 9_000,
)
TOKENS = NewTokens("access", "Bearer", NOW, NOW + 3_600, NOW + 3_000)
ROW = Connection("acme", Status.CONNECTED, generation=3, version=7, access_token="access")
FIRST_PAUSES = [KEEP_FIRST_PAUSE * 2**number for number in range(ATTEMPTS_BEFORE_RESCUE - 1)]


@dataclass
class Keeping:
    """A commit and a rescue that are refused so many times, and a function's time."""

    refused: int = 0
    unrescued: int = 0
    left: float = 300.0
    error: Exception = field(default_factory=lambda: DependencyUnavailable("dynamodb", "Busy"))
    calls: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    reported: list[Exception] = field(default_factory=list)

    def commit(self) -> str:
        self.calls.append("commit")
        if self.calls.count("commit") <= self.refused:
            raise self.error
        return "a value"

    def rescue(self) -> None:
        self.calls.append("rescue")
        if self.calls.count("rescue") <= self.unrescued:
            raise DependencyUnavailable("sqs", "Down")

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.left -= seconds

    def keep(self) -> Stored[str] | Queued:
        return keep(
            self.commit,
            self.rescue,
            pause=self.pause,
            time_left=lambda: self.left,
            report=self.reported.append,
        )


def test_f03_a_commit_that_succeeds_is_made_once() -> None:
    keeping = Keeping()
    assert keeping.keep() == Stored("a value")
    assert (keeping.calls, keeping.pauses) == (["commit"], [])


def test_f03_a_refused_commit_is_repeated_before_the_queue_is_asked() -> None:
    keeping = Keeping(refused=ATTEMPTS_BEFORE_RESCUE)
    assert keeping.keep() == Queued()
    assert keeping.calls == ["commit"] * ATTEMPTS_BEFORE_RESCUE + ["rescue"]
    assert keeping.pauses == FIRST_PAUSES


def test_f03_both_are_tried_in_turn_with_longer_pauses_until_the_time_is_up() -> None:
    keeping = Keeping(refused=10_000, unrescued=10_000, left=60.0)
    with pytest.raises(DependencyUnavailable, match="sqs: Down"):
        keeping.keep()
    assert keeping.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, *[5.0] * 9])
    assert keeping.left == pytest.approx(TIME_TO_END + 3.7)
    assert keeping.calls[-2:] == ["commit", "rescue"]
    assert keeping.calls.count("commit") == len(keeping.pauses) + 1


def test_f03_a_commit_that_succeeds_after_the_queue_failed_counts() -> None:
    keeping = Keeping(refused=ATTEMPTS_BEFORE_RESCUE, unrescued=1)
    assert keeping.keep() == Stored("a value")


@pytest.mark.parametrize(
    ("more", "commits"),
    [
        pytest.param(0.0, 1, id="no other commit fits"),
        pytest.param(10.0, ATTEMPTS_BEFORE_RESCUE, id="all of them fit"),
        pytest.param(KEEP_FIRST_PAUSE / 2, 2, id="one more fits"),
    ],
)
def test_f03_the_queue_is_asked_at_once_where_a_commit_might_take_what_is_left(
    more: float, commits: int
) -> None:
    keeping = Keeping(refused=100, left=TIME_TO_END + TIME_TO_COMMIT + more)
    assert keeping.keep() == Queued()
    assert keeping.calls == ["commit"] * commits + ["rescue"]


@pytest.mark.parametrize(
    ("left", "pauses"),
    [
        pytest.param(TIME_TO_END + KEEP_FIRST_PAUSE, [], id="nothing else fits"),
        pytest.param(TIME_TO_END + KEEP_FIRST_PAUSE + 0.01, [KEEP_FIRST_PAUSE], id="one more"),
    ],
)
def test_f03_no_pause_takes_the_time_that_the_end_needs(left: float, pauses: list[float]) -> None:
    keeping = Keeping(refused=100, unrescued=100, left=left)
    with pytest.raises(DependencyUnavailable):
        keeping.keep()
    assert keeping.pauses == pauses


def test_f29_an_error_that_nobody_foresaw_is_reported_and_rescued_at_once() -> None:
    keeping = Keeping(refused=100, unrescued=1, error=KeyError("a fault of ours"))
    assert keeping.keep() == Queued()
    assert keeping.calls == ["commit", "rescue"] * 2
    assert keeping.reported == [keeping.error] * 2


END = NOW + 30 * DAY


@pytest.mark.parametrize(
    ("left", "warned", "due"),
    [
        pytest.param(7 * DAY + 1, None, None, id="a second too soon"),
        pytest.param(7 * DAY, None, 7, id="a week"),
        pytest.param(7 * DAY, 7, None, id="a week, told"),
        pytest.param(2 * DAY + 1, 7, None, id="between"),
        pytest.param(2 * DAY, 7, 2, id="two days"),
        pytest.param(2 * DAY, None, 2, id="two days, nothing told"),
        pytest.param(2 * DAY, 2, None, id="two days, told"),
        pytest.param(1, None, 2, id="its last second"),
        pytest.param(0, None, None, id="its end"),
        pytest.param(-DAY, None, None, id="past its end"),
    ],
)
def test_f25_each_warning_is_due_once(left: int, warned: int | None, due: int | None) -> None:
    grant = replace(GRANT, refresh_issued_at=NOW, refresh_expires_at=END, warned=warned)
    assert warning_due(grant, END - left) == due
    assert warning_due(replace(grant, refresh_expires_at=NOW), END - left, END) == due


@pytest.mark.parametrize(
    ("life", "due"), [(14 * DAY, None), (14 * DAY + 1, 7), (4 * DAY, None), (4 * DAY + 1, 2)]
)
def test_f25_short_lives_are_not_warned_of(life: int, due: int | None) -> None:
    """Of a life of less than two warnings people would hear all the time."""
    left = 7 * DAY if life > 7 * DAY else 2 * DAY
    grant = replace(GRANT, refresh_issued_at=END - life, refresh_expires_at=END)
    assert warning_due(grant, END - left) == due


def test_f25_the_warning_names_the_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """In UTC, wherever it is written."""
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        text = commit.warning_text(NOW)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert text == "An admin must connect again before 15 January 2027, 08:00 UTC."


ISSUED = replace(TOKENS, next_refresh_at=NOW + 5, scope="a scope")


@pytest.mark.parametrize(
    ("given", "held", "token", "ends"),
    [
        pytest.param({"refresh_token": "new"}, None, "new", NOW + REFRESH_TOKEN_LIFETIME),
        pytest.param({"refresh_token": "new", "refresh_expires_in": 50}, None, "new", NOW + 50),
        pytest.param({"refresh_token": "new", "refresh_expires_in": 50}, GRANT, "new", NOW + 50),
        pytest.param({"refresh_token": "held"}, GRANT, None, None),
        pytest.param({"refresh_token": "held", "refresh_expires_in": 50}, GRANT, None, NOW + 50),
        pytest.param({"refresh_token": "held", "refresh_expires_in": 9_000}, GRANT, None, None),
        pytest.param({"refresh_expires_in": 8_999}, GRANT, None, NOW + 8_999),
        pytest.param({"refresh_expires_in": 50}, None, None, None),
        pytest.param({}, GRANT, None, None),
    ],
)
def test_f27_the_end_of_a_refresh_token_is_as_goto_says_and_only_comes_nearer(
    given: dict[str, object], held: Grant | None, token: str | None, ends: int | None
) -> None:
    answered: Callable[..., TokenSet] = TokenSet
    tokens = answered("access", scope="a scope", expires_in=3_600, **given)
    dated = commit._dated(tokens, NOW, NOW + 5, held)
    assert dated == replace(ISSUED, refresh_token=token, refresh_expires_at=ends)


def test_f27_tokens_are_due_after_their_share_of_life() -> None:
    """F27: a refresh token that came back unchanged is no new one."""
    unused: Any = None
    commits = Commits(
        connections=unused,
        tenants=unused,
        rule=unused,
        clock=unused,
        accounts=True,
        refresh_share=0.3,
    )
    given = TokenSet("access", "held", expires_in=3_600)
    dated = commits.dated("acme", given, NOW, GRANT)
    assert dated.next_refresh_at == NOW + refresh_pause("acme", 3_600, 0.3)
    assert dated.refresh_token is None
    assert commits.dated("acme", given, NOW).refresh_token == "held"


@pytest.mark.parametrize(
    ("new_tokens", "row", "current", "ours"),
    [
        (TOKENS, ROW, None, True),
        (TOKENS, ROW, GRANT, True),
        (TOKENS, replace(ROW, access_token="another"), GRANT, False),
        (replace(TOKENS, access_token=""), replace(ROW, access_token=""), GRANT, False),
        (replace(TOKENS, refresh_token="held"), ROW, GRANT, True),
        (replace(TOKENS, refresh_token="new"), ROW, GRANT, False),
        (replace(TOKENS, refresh_token="new"), ROW, None, False),
    ],
)
def test_f04_our_own_commit_is_recognized_by_both_tokens(
    new_tokens: NewTokens, row: Connection, current: Grant | None, ours: bool
) -> None:
    assert commit._is_ours(new_tokens, row, current) is ours


LATER = replace(GRANT, version=8)
GIVEN_UP = replace(GRANT, status=Status.DISCONNECTED)
SUCCESSOR = replace(TOKENS, refresh_token="new")


@pytest.mark.parametrize(
    ("new_tokens", "current", "follows"),
    [
        pytest.param(TOKENS, GRANT, True, id="nothing has changed"),
        pytest.param(TOKENS, LATER, False, id="a later refresh stands"),
        pytest.param(SUCCESSOR, LATER, True, id="F06, of the same refresh token"),
        pytest.param(replace(TOKENS, refresh_token="held"), LATER, False, id="no successor"),
        pytest.param(SUCCESSOR, replace(LATER, refresh_token="x"), False, id="of another one"),
        pytest.param(SUCCESSOR, replace(GRANT, refresh_token="x"), True, id="as it was asked"),
        pytest.param(SUCCESSOR, replace(GRANT, generation=4), False, id="F07, connected anew"),
        pytest.param(SUCCESSOR, GIVEN_UP, False, id="S22, given up"),
    ],
)
def test_f06_f07_what_is_committed_follows_what_stands(
    new_tokens: NewTokens, current: Grant, follows: bool
) -> None:
    assert commit._follows(new_tokens, GRANT, current) is follows
