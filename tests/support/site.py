"""`app.py` as API Gateway calls it: events in, answers out, with a browser's cookies."""

import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import app as entry
from tests.support.world import World

PAGE = "/admin/settings/activities/"


class Answered:
    """One answer of the web function."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.status: int = answer["statusCode"]
        self.body: str = answer["body"]
        self.headers = {name.lower(): value for name, value in answer["headers"].items()}
        for name, values in answer["multiValueHeaders"].items():
            self.headers[name.lower()] = values[0]
        self.cookies: list[str] = answer["multiValueHeaders"].get("Set-Cookie", [])

    @property
    def reference(self) -> str | None:
        found = re.search(r"Reference number: <strong>([A-Z2-9]{5}-[A-Z2-9]{5})<", self.body)
        return found[1] if found else None


class Site:
    """One browser before the web function. ``world`` stands behind it."""

    def __init__(self, world: Any) -> None:
        """``world``: one, or what stands in for it; only `connect` looks behind it."""
        self.world: World = world
        self.jar: dict[str, str] = {}

    def another_browser(self) -> "Site":
        return Site(self.world)

    def get(self, address: str, **headers: str) -> Answered:
        return self.send("GET", address, headers=headers)

    def post(self, address: str, form: dict[str, str], **headers: str) -> Answered:
        given = {"content-type": "application/x-www-form-urlencoded", **headers}
        return self.send("POST", address, urlencode(form), given)

    def send(
        self, method: str, address: str, body: str = "", headers: dict[str, str] | None = None
    ) -> Answered:
        """Send a request; underscores in header names stand for hyphens."""
        path, pairs = urlsplit(address).path, parse_qsl(urlsplit(address).query, True)
        given = [(name.replace("_", "-"), value) for name, value in (headers or {}).items()]
        if self.jar:
            cookies = "; ".join(f"{name}={value}" for name, value in self.jar.items())
            given.append(("cookie", cookies))
        answer = Answered(entry.app(proxy_event(method, path, pairs, body, given), None))
        for cookie in answer.cookies:
            name, _, value = cookie.split(";")[0].partition("=")
            self.jar[name] = value
            if "Max-Age=0;" in cookie:
                del self.jar[name]
        return answer

    def open(self, link: str) -> Answered:
        """The emailed link, and the page it leads to."""
        answer = self.get(f"/connect/{link}")
        assert (answer.status, answer.headers["location"]) == (303, PAGE)
        return self.get(PAGE)

    def switch(self, link: str, **headers: str) -> Answered:
        """The button of the page that asks before a link replaces another tenant's."""
        return self._press_at(link, "Switch to this link", headers)

    def ask_for_fresh_link(self, link: str, **headers: str) -> Answered:
        """The button of a dead link's page."""
        return self._press_at(link, "Email a new link", headers)

    def _press_at(self, link: str, button: str, headers: dict[str, str]) -> Answered:
        address = link if link.startswith("/") else f"/connect/{link}"
        form = {"csrf": self.csrf(address, button)}
        return self.post(address, form, **{"sec_fetch_site": "same-origin", **headers})

    def csrf(self, address: str = PAGE, button: str = "") -> str:
        """The value in the form of a page."""
        page = self.get(address).body
        assert button in page
        found = re.search(r'name="csrf" value="([0-9a-f]{64})"', page)
        assert found
        return found[1]

    def press(self) -> dict[str, str]:
        """Get Access Token; returns the parameters that GoTo would see."""
        answer = self.post(PAGE, {"csrf": self.csrf()}, sec_fetch_site="same-origin")
        assert answer.status == 303, answer.body
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def connect(self, link: str) -> Answered:
        """The whole way; returns the page at its end."""
        self.open(link)
        self.get(f"{PAGE}?{urlencode({'state': self.press()['state'], 'code': 'a-code'})}")
        assert self.world.complete() == [None]
        return self.get(PAGE)


def proxy_event(
    method: str,
    path: str,
    pairs: list[tuple[str, str]],
    body: str,
    headers: list[tuple[str, str]],
) -> dict[str, Any]:
    """A REST API proxy event, format 1.0. Of a header given twice, `headers` has the last line."""
    resource, parameters = path.rstrip("/") or "/", None
    if path.startswith("/connect/"):
        resource, parameters = "/connect/{link}", {"link": path.removeprefix("/connect/")}
    elif path.startswith("/intake/"):
        resource, parameters = "/intake/{link}", {"link": path.removeprefix("/intake/")}
    query: dict[str, list[str]] = {}
    for name, value in pairs:
        query.setdefault(name, []).append(value)
    lines: dict[str, list[str]] = {}
    for name, value in headers:
        lines.setdefault(name, []).append(value)
    return {
        "resource": resource,
        "path": path,
        "httpMethod": method,
        "headers": dict(headers),
        "multiValueHeaders": lines,
        "multiValueQueryStringParameters": query or None,
        "queryStringParameters": {name: values[-1] for name, values in query.items()} or None,
        "pathParameters": parameters,
        "stageVariables": None,
        "requestContext": {
            "resourcePath": resource,
            "httpMethod": method,
            "requestId": "a-request",
            "identity": {"sourceIp": "127.0.0.1"},
        },
        "body": body,
        "isBase64Encoded": False,
    }
