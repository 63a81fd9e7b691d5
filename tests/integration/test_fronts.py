"""The two fronts of docs/examples, held to what docs/deploying.md asks of any front.

AWS: "How do I configure CloudFront to forward headers to the origin", Knowledge Center (a Host that
is not the API's own is 403); "Amazon API Gateway quotas and important notes", Developer Guide
(10,240 bytes of request line and headers).
"""

import json
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chalicelib.web.http import COOKIES, LINK_COOKIE
from infra.cloudformation import load
from sandbox.environment import ROOT
from sandbox.processes import free_port
from tests.support.nginx import Nginx, example

EXAMPLES = ROOT / "docs" / "examples"
OURS = "; ".join(f"{name}={number}" for number, name in enumerate(COOKIES))
MOST = 10_240


@dataclass
class Api:
    """An API that remembers what reached it."""

    server: ThreadingHTTPServer
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def api() -> Iterator[Api]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            names = [name.lower() for name, _ in self.headers.items()]
            assert len(names) == len(set(names))
            given = {name.lower(): value for name, value in self.headers.items()}
            made.asked.append((self.command, self.path, given, body))
            self.send_response(200)
            self.send_header("Set-Cookie", f"{LINK_COOKIE}=x; Secure")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        do_POST = do_GET  # noqa: N815 - the base class looks it up by this name

        def log_message(self, *_: object) -> None: ...

    made = Api(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def nginx(api: Api, tmp_path: Path) -> Iterator[Nginx]:
    port = free_port()
    front = Nginx(tmp_path, port, example(port, f"127.0.0.1:{api.server.server_port}/api"))
    yield front
    front.stop()


def test_nginx_sends_the_api_s_host_and_the_browser_s_beside_it(nginx: Nginx, api: Api) -> None:
    assert (
        nginx.ask("GET", "/connect/l", X_Forwarded_Host="evil.example", Referer="http://x") == 200
    )
    _, path, given, _ = api.asked[-1]
    assert path == "/api/connect/l"
    assert given["host"] == f"127.0.0.1:{api.server.server_port}"
    assert given["x-forwarded-host"] == "acme.example.com"
    assert given["x-visitor"] == "127.0.0.1"
    assert "referer" not in given


@pytest.mark.parametrize(
    "path",
    [
        "/admin/settings/activities/?code=a%2Fb%20c+d&state=%7e~",
        "/admin/settings/activities",
        "/intake/a%2Fb",
        "/admin/settings/activities/?code=" + "x" * 4_096 + "&state=" + "y" * 4_096,
    ],
)
def test_s07_nginx_sends_path_and_query_byte_for_byte(nginx: Nginx, api: Api, path: str) -> None:
    """S07: and lines as long as GoTo's longest codes."""
    assert nginx.ask("GET", path) == 200
    assert api.asked[-1][1] == f"/api{path}"


@pytest.mark.parametrize("path", ["/", "/healthz", "/connect", "/admin/settings", "/connect/../x"])
def test_nginx_forwards_nothing_else(nginx: Nginx, api: Api, path: str) -> None:
    assert nginx.ask("GET", path) == 404
    assert api.asked == []


def test_s24_nginx_sends_our_cookies_alone_and_none_that_is_there_twice(
    nginx: Nginx, api: Api
) -> None:
    """S24: other applications' cookies of the host would use up the 10,240 bytes."""
    nginx.ask("GET", "/connect/l", Cookie=f"app={'x' * 6_000}; {OURS}; other=1")
    _, path, given, _ = api.asked[-1]
    assert given["cookie"].rstrip("; ") == OURS
    sent = len(path) + sum(len(name) + len(value) + 4 for name, value in given.items())
    assert sent < MOST
    nginx.ask("GET", "/connect/l", Cookie=f"{LINK_COOKIE}=tossed; x=1; {OURS}")
    assert LINK_COOKIE not in api.asked[-1][2]["cookie"]
    nginx.ask("GET", "/connect/l", Cookie="x__Host-ha-link=1; app=2")
    assert "cookie" not in api.asked[-1][2]


def test_s13_nginx_sends_the_form_and_what_tells_where_it_came_from(nginx: Nginx, api: Api) -> None:
    told = {"Origin": "https://acme.example.com", "Sec_Fetch_Site": "same-origin"}
    form = b"csrf=1&client_secret=a%2B"
    assert nginx.ask("POST", "/intake/l", form, Accept_Language="en", **told) == 200
    method, _, given, body = api.asked[-1]
    assert (method, body) == ("POST", form)
    assert given["origin"] == "https://acme.example.com"
    assert (given["sec-fetch-site"], given["accept-language"]) == ("same-origin", "en")


def test_s20_nginx_writes_down_nothing_of_these_paths(nginx: Nginx, api: Api) -> None:
    """S20: not when the API is out of reach either, which is an error of nginx's."""
    nginx.ask("GET", "/connect/canary?state=canary", Cookie="c=canary")
    api.server.shutdown()
    api.server.server_close()
    assert nginx.ask("GET", "/connect/canary?state=canary") == 502
    nginx.ask("GET", "/nothing")
    assert "/nothing" in nginx.logged()
    assert "canary" not in nginx.logged()


def cloudfront() -> dict[str, Any]:
    resources: dict[str, Any] = load((EXAMPLES / "front-cloudfront.yaml").read_text())["Resources"]
    return resources


def test_cloudfront_forwards_what_it_must_and_keeps_nothing() -> None:
    made = cloudfront()
    policy = made["Forwarded"]["Properties"]["OriginRequestPolicyConfig"]
    assert policy["HeadersConfig"] == {"HeaderBehavior": "allExcept", "Headers": ["host"]}
    assert set(policy["CookiesConfig"]["Cookies"]) == set(COOKIES)
    front = made["Front"]["Properties"]["DistributionConfig"]
    assert "Logging" not in front
    patterns = [one["PathPattern"] for one in front["CacheBehaviors"]]
    assert patterns == ["/connect/*", "/intake/*", "/admin/settings/activities*"]
    for one in front["CacheBehaviors"]:
        assert one["CachePolicyId"] == "4135ea2d-6df8-44a3-9df3-4b5a84be39ad"
        assert one["OriginRequestPolicyId"] == {"Ref": "Forwarded"}
        assert "POST" in one["AllowedMethods"]


def test_cloudfront_tells_the_host_that_the_browser_asked_for() -> None:
    code = cloudfront()["VisitorsHost"]["Properties"]["FunctionCode"]
    headers = {"host": "acme.example.com", "x-forwarded-host": "evil.example", "referer": "x"}
    event = {
        "viewer": {"ip": "192.0.2.1"},
        "request": {"headers": {name: {"value": value} for name, value in headers.items()}},
    }
    program = f"{code}\nconsole.log(JSON.stringify(handler({json.dumps(event)}).headers))"
    ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout) == {
        "host": {"value": "acme.example.com"},
        "x-forwarded-host": {"value": "acme.example.com"},
        "x-visitor": {"value": "192.0.2.1"},
    }


def test_cloudfront_s_template_is_linted() -> None:
    file = EXAMPLES / "front-cloudfront.yaml"
    program = ROOT / ".venv" / "bin" / "cfn-lint"
    ran = subprocess.run(
        [program, "--regions", "us-east-1", "--", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout == ""
    assert ran.returncode == 0
