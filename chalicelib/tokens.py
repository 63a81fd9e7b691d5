"""What both ways to new tokens share: their dates, and how long their commit is tried."""

import itertools
from collections.abc import Callable
from typing import TypeVar

from chalicelib.errors import DependencyUnavailable
from chalicelib.model import Fresh, TokenSet, refresh_pause
from chalicelib.oauth import refresh_token_expiry
from chalicelib.times import (
    KEEP_FIRST_PAUSE,
    KEEP_LONGEST_PAUSE,
    REFRESH_TOKEN_LIFETIME,
    TIME_TO_COMMIT,
    TIME_TO_END,
)

Result = TypeVar("Result")

ATTEMPTS_BEFORE_RESCUE = 4
"""Commits that DynamoDB may refuse before the rescue queue is tried as well: 0.7 seconds of pauses.
One that hangs leaves no time for four."""


def keep(
    commit: Callable[[], Result],
    rescue: Callable[[], None],
    *,
    pause: Callable[[float], None],
    time_left: Callable[[], float],
) -> tuple[bool, Result | None]:
    """Store what may be the only valid refresh token, wherever it is taken (F03, F24).

    ``commit`` is tried first, then it and ``rescue`` in turn, for as long as the function has
    time; ``rescue`` at once where another commit might take what is left. Returns True with what
    ``commit`` answered, or False when the rescue queue has it.
    Raises `DependencyUnavailable` when nobody took it.
    """
    wait = KEEP_FIRST_PAUSE
    for attempt in itertools.count(1):
        try:
            return True, commit()
        except DependencyUnavailable as refused:
            failed = refused
        if attempt >= ATTEMPTS_BEFORE_RESCUE or time_left() <= TIME_TO_END + TIME_TO_COMMIT:
            try:
                rescue()
            except DependencyUnavailable as refused:
                failed = refused
            else:
                return False, None
        if time_left() <= TIME_TO_END + wait:
            raise failed
        pause(wait)
        wait = min(2 * wait, KEEP_LONGEST_PAUSE)
    raise AssertionError("counting never ends")


def fresh_tokens(tenant: str, tokens: TokenSet, asked_at: int) -> Fresh:
    """A token response with its dates in epoch seconds.

    ``asked_at`` is the moment before GoTo was asked, so that no life is ever overestimated.
    """
    refresh_expires_at = None
    if tokens.refresh_token is not None:
        refresh_expires_at = refresh_token_expiry(
            tokens.refresh_token, asked_at, REFRESH_TOKEN_LIFETIME
        )
    return Fresh(
        access_token=tokens.access_token,
        token_type=tokens.token_type,
        issued_at=asked_at,
        expires_at=asked_at + tokens.expires_in,
        next_refresh_at=asked_at + refresh_pause(tenant, tokens.expires_in),
        scope=tokens.scope,
        refresh_token=tokens.refresh_token,
        refresh_expires_at=refresh_expires_at,
    )
