"""Between API Gateway and the use cases: cookies, forms, and answers with their headers."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from chalice.app import Request, Response

from chalicelib import links, pages
from chalicelib.authorize import FormPost, Visitor
from chalicelib.config import PAGE_PATH, Settings
from chalicelib.errors import MalformedRequest
from chalicelib.intake import EnteredClient
from chalicelib.times import BROWSER_KEPT

LINK_COOKIE = "__Host-ha-link"
BROWSER_COOKIE = "__Host-ha-browser"

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
"""Lax, not Strict: the admin comes back from GoTo's site and must be known then (S12)."""

LARGEST_FORM = 32_768
"""Bytes of a posted form; two values of 4,096 characters, percent-encoded, are the largest."""

FORM_TYPE = "application/x-www-form-urlencoded"


def visitor(request: Request) -> Visitor:
    """What the browser brought in our two cookies."""
    found: dict[str, str] = {}
    for part in (request.headers.get("cookie") or "").split(";"):
        name, _, value = part.strip().partition("=")
        found.setdefault(name, value)
    return Visitor(link=found.get(LINK_COOKIE), browser=found.get(BROWSER_COOKIE))


def parameters(request: Request) -> dict[str, Sequence[str]]:
    """The query, repeated parameters kept apart (S06)."""
    query = request.query_params
    return {} if query is None else {name: query.getlist(name) for name in query}


def form_post(request: Request) -> FormPost:
    """A posted form of our own page. Raises `MalformedRequest`."""
    return FormPost(
        csrf=_fields(request).get("csrf", ""),
        fetch_site=request.headers.get("sec-fetch-site"),
        origin=request.headers.get("origin"),
    )


def entered_client(request: Request) -> EnteredClient:
    """The two values of the credential intake. Raises `MalformedRequest`."""
    fields = _fields(request)
    return EnteredClient(fields.get("client_id", ""), fields.get("client_secret", ""))


def _fields(request: Request) -> dict[str, str]:
    """What a form holds, each field once."""
    body: bytes = request.raw_body  # type: ignore[assignment]  # Chalice always decodes it
    if len(body) > LARGEST_FORM:
        raise MalformedRequest("form too large")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10, errors="strict")
    except ValueError:
        raise MalformedRequest("not a form") from None
    if any(len(values) > 1 for values in fields.values()):
        raise MalformedRequest("a field was given more than once")
    return {name: values[0] for name, values in fields.items()}


def page(
    settings: Settings | None, body: str, status: int = 200, cookies: Sequence[str] = ()
) -> Response:
    """An HTML answer."""
    headers: dict[str, Any] = {"Content-Type": "text/html; charset=utf-8"}
    if cookies:
        headers["Set-Cookie"] = list(cookies)
    return _answer(settings, body, status, headers)


def redirect(settings: Settings, location: str, cookies: Sequence[str] = ()) -> Response:
    """A 303 (RFC 9110 15.4.4): whatever was sent, the browser goes on with a GET."""
    headers: dict[str, Any] = {"Location": location, "Content-Type": "text/plain"}
    if cookies:
        headers["Set-Cookie"] = list(cookies)
    return _answer(settings, "", 303, headers)


def json_answer(
    settings: Settings | None, values: Mapping[str, Any], status: int = 200
) -> Response:
    return _answer(settings, dict(values), status, {"Content-Type": "application/json"})


def to_settings_page(settings: Settings, cookies: Sequence[str] = ()) -> Response:
    """The clean address: no code, no state, no link in it (S10)."""
    return redirect(settings, PAGE_PATH, cookies)


def link_cookies(request: Request, link: str) -> list[str]:
    """Cookies of one who opened a link: the link until the browser closes, and who the browser is.

    A browser that is known keeps its value, so that a second tab does not break the first (S02).
    """
    return [f"{LINK_COOKIE}={link}; {_ATTRIBUTES}", browser_cookie(known_browser(request))]


def known_browser(request: Request) -> str:
    """The browser's own value, or a new one for a browser that has none."""
    browser = visitor(request).browser
    return browser if browser and links.well_formed(browser) else links.new_value()


def browser_cookie(value: str) -> str:
    return f"{BROWSER_COOKIE}={value}; Max-Age={BROWSER_KEPT}; {_ATTRIBUTES}"


def _answer(
    settings: Settings | None, body: Any, status: int, headers: Mapping[str, Any]
) -> Response:
    return Response(body=body, status_code=status, headers={**pages.headers(settings), **headers})
