"""Decides what to do after a refresh that brought no tokens (F08-F11, F25, F26). Pure.

A grant ends in two ways only: GoTo refuses it twice, some minutes apart, while the fleet is well;
or its refresh token's own end has passed and refreshing fails, whatever GoTo answers.
"""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.durations import CONFIRM_ALONE, CONFIRM_PAUSE, END_GRACE
from chalicelib.goto.oauth import Failure, FailureClass
from chalicelib.goto.token_response import seconds_to_wait
from chalicelib.models import EndCause


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Ask again at once: GoTo gave no answer (F09), or the client has a newer secret (F11)."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Nobody needs to act: try again after ``at_least`` seconds or more."""

    at_least: int = 0


@dataclass(frozen=True, slots=True)
class ConfirmThenEnd:
    """Refused: ask again every `CONFIRM_PAUSE` until the refusal is confirmed."""


@dataclass(frozen=True, slots=True)
class EndCredentials:
    """The grant is over; ``cause`` says who must act."""

    cause: EndCause


Decision = RetryNow | Backoff | ConfirmThenEnd | EndCredentials


@dataclass(frozen=True, slots=True)
class Attempt:
    """What we know when a request has failed; times in epoch seconds.

    ``ends_at``: the refresh token's own end. ``refused_since``: when GoTo first refused it.
    ``unknown``: GoTo may have acted on an earlier request unseen; ``answer_may_come``: the answer
    may be in the rescue queue. ``restored``: a backup was restored. ``fleet_well``: GoTo serves
    the fleet as a whole; ``tokens_given_at``: when it last gave any tenant tokens.
    ``may_repeat``: the one allowed retry is left; ``newer_secret``: the client has a new secret.
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
"""Failures that say nothing about the grant, because GoTo was not asked."""


def decide(failure: Failure, attempt: Attempt) -> Decision:
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
    """Whether GoTo first refused it long enough ago, and no earlier answer can come (F10). Never
    while GoTo refuses nearly everybody. If it has given nobody tokens since the first refusal, it
    may be refusing everybody, so we wait longer (F26). Past the grant's end, one is enough
    (F25)."""
    if not attempt.fleet_well or (attempt.unknown and attempt.answer_may_come):
        return False
    since = attempt.refused_since
    if since is None:
        return _is_over(attempt)
    pause = CONFIRM_PAUSE if attempt.tokens_given_at >= since else CONFIRM_ALONE
    return _is_over(attempt) or attempt.now - since >= pause


def _past_its_end(failure: Failure, attempt: Attempt) -> bool:
    """If GoTo could not be asked, wait `END_GRACE` longer: GoTo might have extended the grant."""
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
