"""What both ways to new tokens share: dates of a token response, and how long a commit is tried."""

from collections.abc import Callable, Iterator

from chalicelib.model import REFRESH_TOKEN_LIFETIME, Fresh, TokenSet, refresh_pause
from chalicelib.oauth import refresh_token_expiry

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 5.0
"""Seconds between attempts to commit tokens that GoTo has already issued; doubled each time."""

TIME_TO_END = 5.0
"""Seconds of the function's time that no further attempt may use up."""


def commit_pauses(time_left: Callable[[], float]) -> Iterator[float]:
    """Pauses after refused commits, for as long as the function has time: what GoTo gave may be
    the only valid refresh token (F03)."""
    pause = FIRST_PAUSE
    while time_left() > TIME_TO_END + pause:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE)


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
