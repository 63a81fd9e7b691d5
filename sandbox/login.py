"""The edge's stand-in for HA's own login: signs the token that names the visitor to the service.

It has no password: it is a switch, to see the pages logged in and logged out. It signs as HA's
front would (docs/deploying.md#who-is-at-the-door).
"""

import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

import jwt

HEADER = "X-Visitor-Token"
ENTER, LEAVE = "/login", "/logout"
_COOKIE = "sandbox-login"
_SECONDS = 120
_PAGE = "/admin/settings/activities/"


class Login:
    """Logs in every visitor of `ENTER` as ann@<tenant>.example."""

    def __init__(self, key: str, origin: Callable[[str], str]) -> None:
        """``key``: shared by the service and the front; ``origin`` returns a tenant's origin."""
        self._key = key
        self._origin = origin

    def answer(self, path: str) -> dict[str, str] | None:
        """Headers of a redirect to the page, for the login's own paths; None for any other path."""
        if path not in (ENTER, LEAVE):
            return None
        life = "" if path == ENTER else "; Max-Age=0"
        cookie = f"{_COOKIE}=1; Path=/; HttpOnly; SameSite=Lax{life}"
        return {"Location": _PAGE, "Set-Cookie": cookie}

    def headers(self, host: str, cookies: str) -> dict[str, str]:
        """The header that names the visitor to the service; empty if not logged in."""
        try:
            logged_in = _COOKIE in SimpleCookie(cookies)
        except CookieError:
            logged_in = False
        return {HEADER: self._token(host)} if logged_in else {}

    def _token(self, host: str) -> str:
        tenant = host.partition(".")[0].lower()
        claims = {
            "sub": f"ann@{tenant}",
            "email": f"ann@{tenant}.example",
            "tenant": tenant,
            "aud": self._origin(tenant),
            "exp": int(time.time()) + _SECONDS,
        }
        return jwt.encode(claims, self._key, algorithm="HS256")
