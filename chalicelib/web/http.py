"""Between API Gateway and the use cases: cookies, forms, and answers with their headers."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from chalice.app import Request, Response

from chalicelib import opaque
from chalicelib.config import PAGE_PATH, Settings
from chalicelib.connect.authorize import FormPost
from chalicelib.connect.client_form import EnteredClient
from chalicelib.connect.visitors import BrowserCookies
from chalicelib.durations import BROWSER_RETENTION, REQUEST_LIFETIME, TOLD_KEPT
from chalicelib.errors import MalformedRequest
from chalicelib.models import Tenant
from chalicelib.web import pages

LINK_COOKIE = "__Host-ha-link"
BROWSER_COOKIE = "__Host-ha-browser"
BEFORE_COOKIE = "__Host-ha-before"
"""The browser's value before its last return from GoTo, for tabs that were open then."""

TOLD_COOKIE = "__Host-ha-told"
"""A form's result, for the page that it redirects to: once, within a minute."""

COOKIES = (LINK_COOKIE, BROWSER_COOKIE, BEFORE_COOKIE, TOLD_COOKIE)
"""All cookies that a front must pass on."""

VISITOR_TOKEN = "x-visitor-token"  # noqa: S105 - a header's name
"""Header in which HA's front names the logged-in person (`VisitorIdentity`)."""

_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"
"""Lax, not Strict: the browser must also send them when GoTo sends the admin back (S12)."""

LARGEST_FORM = 32_768
"""Bytes of a posted form; has room for two percent-encoded values of 4,096 characters."""

_OF_API_GATEWAY = re.compile(r"[a-z0-9-]+\.execute-api\.[a-z0-9-]+\.amazonaws\.com(\.cn)?")


def browser_cookies(request: Request) -> BrowserCookies:
    found = _cookies(request)
    return BrowserCookies(
        found.get(LINK_COOKIE), found.get(BROWSER_COOKIE), found.get(BEFORE_COOKIE)
    )


def _cookies(request: Request) -> dict[str, str]:
    """Cookies by their exact names; a repeated name is ignored (S24).

    Only space and tab are stripped (RFC 6265 5.2). Browsers let a sibling host set a name behind
    other white space, which Python's strip() would turn into `__Host-...`.
    """
    parts = [part for line in _lines(request, "cookie") for part in line.split(";")]
    pairs = [part.strip(" \t").partition("=") for part in parts]
    counts = Counter(name for name, _, _ in pairs)
    return {name: value for name, _, value in pairs if counts[name] == 1}


def visitor_tokens(request: Request) -> list[str]:
    """Every value of the header in which HA's front names a person."""
    return [line.strip(" \t") for line in _lines(request, VISITOR_TOKEN) if line.strip(" \t")]


def _lines(request: Request, wanted: str) -> list[str]:
    """Every line of a header: API Gateway's ``headers`` hold only the last one."""
    event = request.to_original_event()
    headers = event.get("multiValueHeaders") or {}
    lines = [line for name, values in headers.items() if name.lower() == wanted for line in values]
    return lines or [request.headers.get(wanted) or ""]


def is_elsewhere(request: Request, settings: Settings, tenant: Tenant) -> bool:
    """Whether the visitor's host is known and is not the tenant's own (S28).

    It is unknown if a front forwards to the API's own name without X-Forwarded-Host. Ports don't
    matter: cookies ignore them, and proxies drop them.
    """
    host = host_of(request)
    return host is not None and host != urlsplit(settings.origin(tenant.name)).hostname


def host_of(request: Request) -> str | None:
    """The visitor's host, in lower case without its port; None if unknown, empty if invalid."""
    header = _lines(request, "x-forwarded-host")[0] or _lines(request, "host")[0]
    host = _hostname(header.split(",")[0].strip(" \t"))
    return None if not header or _OF_API_GATEWAY.fullmatch(host) else host


def _hostname(host: str) -> str:
    """A host without its port, in lower case; empty if it is invalid."""
    try:
        return (urlsplit(f"//{host}").hostname or "") if host.isascii() else ""
    except ValueError:
        return ""


def parameters(request: Request) -> dict[str, Sequence[str]]:
    """The query, with every value of a repeated parameter (S06)."""
    query = request.query_params
    return {} if query is None else {name: query.getlist(name) for name in query}


def form_post(request: Request) -> FormPost:
    """What `check_form` needs from a posted form. Raises `MalformedRequest`."""
    return FormPost(
        csrf=_fields(request).get("csrf", ""),
        fetch_site=request.headers.get("sec-fetch-site"),
        origin=request.headers.get("origin"),
    )


def chosen_account(request: Request) -> str | None:
    """The chosen GoTo account's key; None if the form has none. Raises `MalformedRequest`."""
    return _fields(request).get("account")


def entered_client(request: Request) -> EnteredClient:
    """The two values of the credential intake. Raises `MalformedRequest`."""
    fields = _fields(request)
    return EnteredClient(fields.get("client_id", ""), fields.get("client_secret", ""))


def _fields(request: Request) -> dict[str, str]:
    """A form's fields. Raises `MalformedRequest`, also if one is repeated."""
    body: bytes = request.raw_body  # type: ignore[assignment]  # Chalice always decodes it
    if len(body) > LARGEST_FORM:
        raise MalformedRequest("form too large")
    try:
        text = body.decode("ascii")
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=10, errors="strict")
    except ValueError:
        raise MalformedRequest("not a form") from None
    if any(len(values) > 1 for values in fields.values()):
        raise MalformedRequest("a field was given more than once")
    return {name: values[0] for name, values in fields.items()}


def page(
    settings: Settings | None,
    body: str,
    status: int = 200,
    cookies: Sequence[str] = (),
    tenant: Tenant | None = None,
) -> Response:
    """An HTML answer. ``tenant``: its forms may go to this tenant's origin."""
    headers: dict[str, Any] = {"Content-Type": "text/html; charset=utf-8"}
    if cookies:
        headers["Set-Cookie"] = list(cookies)
    own = pages.headers(settings, settings.origin(tenant.name)) if settings and tenant else {}
    return _answer(settings, body, status, headers | own)


def redirect(settings: Settings, location: str, cookies: Sequence[str] = ()) -> Response:
    """A 303 (RFC 9110 15.4.4): the browser goes on with a GET, even after a POST."""
    headers: dict[str, Any] = {"Location": location, "Content-Type": "text/plain"}
    if cookies:
        headers["Set-Cookie"] = list(cookies)
    return _answer(settings, "", 303, headers)


def json_answer(
    settings: Settings | None, values: Mapping[str, Any], status: int = 200
) -> Response:
    return _answer(settings, dict(values), status, {"Content-Type": "application/json"})


def to_settings_page(settings: Settings, cookies: Sequence[str] = ()) -> Response:
    """A redirect to an address without code, state or link (S10)."""
    return redirect(settings, PAGE_PATH, cookies)


def link_cookies(request: Request, link: str) -> list[str]:
    """Cookies for opening a link: the link, until the browser closes, and the browser's value.

    A browser that has a value keeps it, so that a second tab does not break the first (S02).
    """
    return [f"{LINK_COOKIE}={link}; {_ATTRIBUTES}", browser_cookie(known_browser(request))]


def switch_cookies(request: Request) -> list[str]:
    """Cookies for leaving another tenant's link for an intake link."""
    return [f"{LINK_COOKIE}=; Max-Age=0; {_ATTRIBUTES}", browser_cookie(known_browser(request))]


def returned_cookies(brought: BrowserCookies, browser: str | None) -> list[str]:
    """Cookies for a browser that came back from GoTo; ``browser``: its new value, if any."""
    if browser is None:
        return []
    before = f"{BEFORE_COOKIE}={brought.browser}; Max-Age={REQUEST_LIFETIME}; {_ATTRIBUTES}"
    return [browser_cookie(browser), *([] if browser == brought.browser else [before])]


def told_cookie(link: str, browser: str, told: Mapping[str, Any]) -> str:
    """Carries a form's result over the redirect, sealed for this browser and link."""
    text = base64.urlsafe_b64encode(json.dumps(dict(told)).encode()).decode()
    value = f"{text}.{opaque.told_seal(browser, link, text)}"
    return f"{TOLD_COOKIE}={value}; Max-Age={TOLD_KEPT}; {_ATTRIBUTES}"


def told(request: Request, link: str) -> dict[str, Any]:
    """The result of this link's form, from its cookie; empty if there is none."""
    cookies = _cookies(request)
    text, _, seal = cookies.get(TOLD_COOKIE, "").partition(".")
    browser = cookies.get(BROWSER_COOKIE) or ""
    if not browser or not opaque.told_sealed(seal, browser, link, text):
        return {}
    read: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text))
    return read


def untold_cookie(request: Request) -> list[str]:
    """Deletes that cookie, if the browser sent it."""
    present = TOLD_COOKIE in _cookies(request)
    return [f"{TOLD_COOKIE}=; Max-Age=0; {_ATTRIBUTES}"] if present else []


def known_browser(request: Request) -> str:
    """The browser's value, or a new one if it has none."""
    browser = browser_cookies(request).browser
    return browser if browser and opaque.well_formed(browser) else opaque.new_value()


def browser_cookie(value: str) -> str:
    return f"{BROWSER_COOKIE}={value}; Max-Age={BROWSER_RETENTION}; {_ATTRIBUTES}"


def _answer(
    settings: Settings | None, body: Any, status: int, headers: Mapping[str, Any]
) -> Response:
    return Response(body=body, status_code=status, headers={**pages.headers(settings), **headers})
