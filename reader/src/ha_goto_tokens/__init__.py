"""Live GoTo access tokens for hireanalytiX's services.

    reader = TokenReader("main")
    token = reader.get("acme")          # AccessToken; its repr hides the value
    token = reader.rejected(token)      # after a 401: a newer one
    token = reader.forbidden(token)     # after a 403: token.usable says why

`ha_goto_tokens.requests_auth` and `ha_goto_tokens.httpx_auth` do that for an HTTP client;
`ha_goto_tokens.testing` has a reader for your tests. The service's docs/contract.md describes the
table and what is promised about it.
"""

from ha_goto_tokens.aio import AsyncTokenReader
from ha_goto_tokens.errors import (
    NotConnected,
    ReauthorizationRequired,
    Refreshing,
    TokenError,
    Unavailable,
)
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.reader import TokenReader

__all__ = [
    "AccessToken",
    "AsyncTokenReader",
    "NotConnected",
    "ReauthorizationRequired",
    "Refreshing",
    "TokenError",
    "TokenReader",
    "Unavailable",
]
