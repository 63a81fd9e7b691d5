"""What follows from a refresh that brought no tokens: one table, pure (F08-F11, F25, F26).

A grant ends in two ways only: GoTo refuses it twice, some minutes apart, while GoTo as a whole is
well; or its refresh token's own end has passed and nothing works, in whatever words GoTo says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, END_GRACE
from chalicelib.goto.oauth import Failure, FailureClass
from chalicelib.goto.token_response import seconds_to_wait
from chalicelib.models import EndCause


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Once more at once: without an answer (F09), or with a secret entered since (F11)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Nobody needs to act: later, after ``at_least`` so many seconds."""

    at_least: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmThenEnd:
    """Refused: asked again each `CONFIRM_PAUSE` until it can be believed."""


@dataclass(frozen=True, slots=True)
class EndCredentials:
    """It is over; ``cause`` says who must act."""

    cause: EndCause


Decision = RetryNow | Backoff | ConfirmThenEnd | EndCredentials


@dataclass(frozen=True, slots=True)
class Attempt:
    """What is known when a request has failed; times in epoch seconds.

    ``ends_at``: the refresh token's own end. ``refused_since``: when GoTo first refused it, if it
    has. ``unknown``: GoTo may have acted on an earlier request without our knowing;
    ``answer_may_come``: its answer may still wait in the rescue queue. ``restored``: a backup came
    back. ``fleet_well``: GoTo does not fail or refuse the fleet as a whole; ``tokens_given_at``:
    when it last gave somebody tokens. ``may_repeat``: the one declared retry is left;
    ``newer_secret``: the client's secret was entered anew meanwhile.
    """

    now: int
    ends_at: int
    refused_since: int | None = None
    unknown: bool = False
    answer_may_come: bool = False
    restored: bool = False
    fleet_well: bool = True
    tokens_given_at: int = 0
    may_repeat: bool = False
    newer_secret: bool = False


REFUSALS = (FailureClass.GRANT_REFUSED, FailureClass.CLIENT_REFUSED)

_NOT_GOTOS_WORD = (FailureClass.INTERNAL, FailureClass.NOT_SENT)
"""Failures that say nothing about the grant: GoTo was not asked."""


def decide(failure: Failure, attempt: Attempt) -> Decision:
    """What to do after ``failure``."""
    if failure.kind is FailureClass.NO_ANSWER and attempt.may_repeat:
        return RetryNow()
    if failure.kind is FailureClass.CLIENT_REFUSED and attempt.newer_secret:
        return RetryNow()
    if failure.kind in REFUSALS:
        return EndCredentials(_cause(failure, attempt)) if _confirmed(attempt) else ConfirmThenEnd()
    if _past_its_end(failure, attempt):
        return EndCredentials(EndCause.EXPIRED)
    return Backoff(seconds_to_wait(failure.retry_after, attempt.now))


def _confirmed(attempt: Attempt) -> bool:
    """Whether GoTo has refused it before, long enough ago, and no earlier answer can come (F10).

    Not while GoTo refuses nearly everybody: that is GoTo's own affair. Where it has given tokens to
    nobody since the first refusal, perhaps it refuses everybody: that takes longer to tell (F26).
    Past the grant's own end a refusal is what was expected, and confirms itself (F25).
    """
    if not attempt.fleet_well or (attempt.unknown and attempt.answer_may_come):
        return False
    since = attempt.refused_since
    if since is None:
        return _is_over(attempt)
    pause = CONFIRM_PAUSE if attempt.tokens_given_at >= since else CONFIRM_ALONE
    return _is_over(attempt) or attempt.now - since >= pause


def _past_its_end(failure: Failure, attempt: Attempt) -> bool:
    """A day longer where GoTo could not be asked: perhaps it would have extended the grant."""
    asked = failure.kind not in _NOT_GOTOS_WORD and attempt.fleet_well
    return attempt.now >= attempt.ends_at + (0 if asked else END_GRACE)


def _is_over(attempt: Attempt) -> bool:
    return attempt.now >= attempt.ends_at


def _cause(failure: Failure, attempt: Attempt) -> EndCause:
    if _is_over(attempt):
        return EndCause.EXPIRED
    if failure.kind is FailureClass.CLIENT_REFUSED:
        return EndCause.CLIENT_REFUSED
    if attempt.restored:
        return EndCause.RESTORED
    return EndCause.RESPONSE_LOST if attempt.unknown else EndCause.REFUSED
