"""What both ways to new tokens share: dates of a token response, and how long a commit is tried."""

from chalicelib.model import REFRESH_TOKEN_LIFETIME, Fresh, TokenSet, refresh_pause
from chalicelib.oauth import refresh_token_expiry

COMMIT_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 0.0)
"""Seconds after each refused attempt to commit tokens that GoTo has already issued (F03)."""


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
