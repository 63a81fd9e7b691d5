"""The one table of what follows from a failed refresh (F08-F11, F25, F26)."""

from dataclasses import replace

import pytest

from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, END_GRACE
from chalicelib.goto.oauth import Failure, FailureClass
from chalicelib.models import EndCause
from chalicelib.refresh.failure_decisions import (
    REFUSALS,
    Attempt,
    Backoff,
    ConfirmThenEnd,
    Decision,
    EndCredentials,
    RetryNow,
    decide,
)

NOW = 1_800_000_000
FRESH = Attempt(now=NOW, ends_at=NOW + 86_400)
REFUSED_BEFORE = replace(FRESH, refused_since=NOW - CONFIRM_PAUSE, tokens_given_at=NOW - 60)
PAST_END = replace(FRESH, ends_at=NOW)
LONG_PAST = replace(FRESH, ends_at=NOW - END_GRACE)
GRANT, CLIENT = FailureClass.GRANT_REFUSED, FailureClass.CLIENT_REFUSED
ENDED = EndCredentials(EndCause.EXPIRED)


@pytest.mark.parametrize("kind", [kind for kind in FailureClass if kind not in REFUSALS])
def test_f08_what_is_no_refusal_backs_off(kind: FailureClass) -> None:
    assert decide(Failure(kind, ""), FRESH) == Backoff()
    assert decide(Failure(kind, ""), REFUSED_BEFORE) == Backoff()


def test_f28_a_date_that_goto_names_is_told_from_now() -> None:
    later = Failure(FailureClass.RATE_LIMITED, "", "Fri, 15 Jan 2027 08:01:00 GMT")
    assert decide(later, FRESH) == Backoff(61)


def test_f09_only_silence_is_asked_a_second_time_at_once() -> None:
    attempt = replace(FRESH, may_repeat=True)
    again = [kind for kind in FailureClass if decide(Failure(kind, ""), attempt) == RetryNow()]
    assert again == [FailureClass.NO_ANSWER]


def test_f11_a_secret_entered_meanwhile_is_tried_at_once() -> None:
    attempt = replace(FRESH, newer_secret=True)
    again = [kind for kind in FailureClass if decide(Failure(kind, ""), attempt) == RetryNow()]
    assert again == [CLIENT]


@pytest.mark.parametrize("kind", REFUSALS)
@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        pytest.param(FRESH, None, id="F10, the first refusal"),
        pytest.param(
            replace(REFUSED_BEFORE, refused_since=NOW - CONFIRM_PAUSE + 1),
            None,
            id="F10, a second too soon",
        ),
        pytest.param(
            replace(REFUSED_BEFORE, tokens_given_at=NOW - CONFIRM_PAUSE - 1),
            None,
            id="F26, nobody got tokens since",
        ),
        pytest.param(
            replace(FRESH, refused_since=NOW - CONFIRM_ALONE + 1),
            None,
            id="F26, nobody ever, a second too soon",
        ),
        pytest.param(
            replace(FRESH, refused_since=NOW - CONFIRM_ALONE), "own", id="F26, nobody for long"
        ),
        pytest.param(
            replace(REFUSED_BEFORE, tokens_given_at=NOW - CONFIRM_PAUSE),
            "own",
            id="F26, somebody in the same second",
        ),
        pytest.param(replace(REFUSED_BEFORE, fleet_well=False), None, id="F26, GoTo refuses many"),
        pytest.param(
            replace(REFUSED_BEFORE, unknown=True, answer_may_come=True),
            None,
            id="F02, an answer may come",
        ),
        pytest.param(
            replace(REFUSED_BEFORE, answer_may_come=True), "own", id="an answer, but not for it"
        ),
        pytest.param(REFUSED_BEFORE, "own", id="F10, confirmed"),
        pytest.param(
            replace(REFUSED_BEFORE, ends_at=NOW), EndCause.EXPIRED, id="F25, past its end"
        ),
    ],
)
def test_f10_f11_f26_a_refusal_ends_nothing_until_it_is_confirmed(
    kind: FailureClass, attempt: Attempt, expected: str | None
) -> None:
    own = EndCause.REFUSED if kind is GRANT else EndCause.CLIENT_REFUSED
    decision: Decision = ConfirmThenEnd()
    if expected is not None:
        decision = EndCredentials(own if expected == "own" else EndCause(expected))
    assert decide(Failure(kind, ""), attempt) == decision


def test_f02_f19_why_it_ended_is_told() -> None:
    lost = replace(REFUSED_BEFORE, unknown=True)
    assert decide(Failure(GRANT, ""), lost) == EndCredentials(EndCause.RESPONSE_LOST)
    restored = replace(lost, restored=True)
    assert decide(Failure(GRANT, ""), restored) == EndCredentials(EndCause.RESTORED)


@pytest.mark.parametrize(
    ("kind", "attempt", "expected"),
    [
        (FailureClass.TRANSIENT, PAST_END, ENDED),
        (FailureClass.AMBIGUOUS, PAST_END, ENDED),
        (FailureClass.RATE_LIMITED, PAST_END, ENDED),
        (FailureClass.NO_ANSWER, PAST_END, ENDED),
        (FailureClass.NOT_SENT, PAST_END, Backoff()),
        (FailureClass.INTERNAL, PAST_END, Backoff()),
        (FailureClass.NOT_SENT, LONG_PAST, ENDED),
        (FailureClass.INTERNAL, LONG_PAST, ENDED),
        (FailureClass.TRANSIENT, replace(PAST_END, fleet_well=False), Backoff()),
        (FailureClass.TRANSIENT, replace(LONG_PAST, fleet_well=False), ENDED),
        (FailureClass.TRANSIENT, replace(PAST_END, ends_at=NOW + 1), Backoff()),
    ],
)
def test_f25_past_its_own_end_it_is_over_in_whatever_words(
    kind: FailureClass, attempt: Attempt, expected: Decision
) -> None:
    assert decide(Failure(kind, ""), attempt) == expected


def test_f28_goto_says_when_to_come_back() -> None:
    busy = Failure(FailureClass.RATE_LIMITED, "HTTP 429", "90")
    assert decide(busy, FRESH) == Backoff(at_least=90)
