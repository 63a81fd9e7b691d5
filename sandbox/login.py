"""HA's own login, as the edge plays it: who is logged in, and the token that tells the service.

No password: this is a switch, to see the pages as both. What signs is what HA's front would do
(docs/deploying.md#who-is-at-the-door).
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
    """Everybody who has been at `ENTER` is ann@<tenant>.example."""

    def __init__(self, key: str, origin: Callable[[str], str]) -> None:
        """``key``: what the service knows the front by; ``origin``: of a tenant."""
        self._key = key
        self._origin = origin

    def answer(self, path: str) -> dict[str, str] | None:
        """The headers of a redirect to the page, for the login's own paths; None for all others."""
        if path not in (ENTER, LEAVE):
            return None
        life = "" if path == ENTER else "; Max-Age=0"
        cookie = f"{_COOKIE}=1; Path=/; HttpOnly; SameSite=Lax{life}"
        return {"Location": _PAGE, "Set-Cookie": cookie}

    def headers(self, host: str, cookies: str) -> dict[str, str]:
        """What names the visitor to the service; nothing for one who is not logged in."""
        try:
            known = _COOKIE in SimpleCookie(cookies)
        except CookieError:
            known = False
        return {HEADER: self._token(host)} if known else {}

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
