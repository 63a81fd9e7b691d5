"""The two fronts of docs/examples, held to what docs/deploying.md asks of any front.

AWS: "How do I configure CloudFront to forward headers to the origin", Knowledge Center (a Host that
is not the API's own is 403); "Amazon API Gateway quotas and important notes", Developer Guide
(10,240 bytes of request line and headers).
"""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from chalicelib.connect import visitor_tokens
from chalicelib.connect.visitor_tokens import Identity
from chalicelib.web.http import COOKIES, LINK_COOKIE
from infra.cloudformation import load
from sandbox.environment import ROOT
from sandbox.processes import free_port
from tests.support.nginx import Nginx, example

EXAMPLES = ROOT / "docs" / "examples"
OURS = "; ".join(f"{name}={number}" for number, name in enumerate(COOKIES))
MOST = 10_240
LOCATION = "location ~ "
NOBODY = 'proxy_set_header X-Visitor-Token "";'


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
def nginx_of(api: Api, tmp_path: Path) -> Iterator[Callable[..., Nginx]]:
    """Starts the example, with lines beside its location, and within it instead of the one that
    names nobody."""
    started: list[Nginx] = []

    def start(within: str = NOBODY, beside: str = "") -> Nginx:
        port = free_port()
        text = example(port, f"127.0.0.1:{api.server.server_port}/api")
        for old, new in ((NOBODY, within), (LOCATION, beside + LOCATION)):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        started.append(Nginx(tmp_path, port, text))
        return started[-1]

    yield start
    for front in started:
        front.stop()


@pytest.fixture
def nginx(nginx_of: Callable[..., Nginx]) -> Nginx:
    return nginx_of()


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


def test_s14_nginx_drops_a_token_that_the_visitor_sent(nginx: Nginx, api: Api) -> None:
    """S14: nobody but HA's front says who is logged in."""
    nginx.ask("GET", "/connect/l", X_Visitor_Token="forged")
    assert "x-visitor-token" not in api.asked[-1][2]


class Application:
    """HA's own: knows Ann by her cookie, and hands nginx the token that names her."""

    def __init__(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                known = self.headers.get("Cookie") == "session=ann"
                self.send_response(200)
                self.send_header("X-Visitor-Token", "signed" if known else "")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


def test_s14_nginx_asks_the_application_who_is_logged_in(
    nginx_of: Callable[..., Nginx], api: Api
) -> None:
    """S14: by the lines of docs/deploying.md."""
    application = Application()
    beside, within = nginx_lines()
    here = beside.replace("127.0.0.1:8080", f"127.0.0.1:{application.server.server_port}")
    front = nginx_of(within, here)
    assert front.ask("GET", "/connect/l", X_Visitor_Token="forged") == 200
    assert "x-visitor-token" not in api.asked[-1][2]
    assert front.ask("GET", "/connect/l", Cookie="session=ann", X_Visitor_Token="forged") == 200
    assert api.asked[-1][2]["x-visitor-token"] == "signed"
    assert "cookie" not in api.asked[-1][2]
    application.server.shutdown()
    application.server.server_close()


def nginx_lines() -> tuple[str, str]:
    """What docs/deploying.md adds beside the example's location, and within it."""
    page = (ROOT / "docs" / "deploying.md").read_text()
    [lines] = re.findall(r"```nginx\n(.*?)```", page, re.DOTALL)
    beside, _, within = str(lines).partition("# In it,")
    return beside, f"# {within}"


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
    headers["x-visitor-token"] = "forged"
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


@pytest.mark.parametrize("language", ["php", "python"])
@pytest.mark.parametrize("email", ["ann@acme.example", "o'neil+goto/1@acme.example"])
def test_s14_a_front_s_token_names_the_visitor(language: str, email: str) -> None:
    """S14: as the examples make it; for two minutes, with our key, at the tenant's host alone."""
    key, origin, person = "k" * 32, "https://acme.example.com", "7f3c-\u00fc"
    given = [key, origin, "acme", person, email]
    made = run_example(language, given)

    def named(key: str = key, host: str = "acme.example.com", later: int = 0) -> object:
        now = time.time() + later
        return visitor_tokens.read(made, [key], host=host, origin_of=lambda _: origin, now=now)

    assert named() == Identity("acme", person, email)
    assert named(key="o" * 32) is visitor_tokens.Refusal.NOT_SIGNED
    assert named(host="beta.example.com") is visitor_tokens.Refusal.OTHER_HOST
    assert named(later=121) is visitor_tokens.Refusal.EXPIRED


def run_example(language: str, given: list[str]) -> str:
    """What docs/examples/visitor_token gives in one of the languages."""
    if language == "python":
        code = (
            "import sys, visitor_token; print(visitor_token.visitor_token(*sys.argv[1:]), end='')"
        )
        command = [sys.executable, "-c", code, *given]
    else:
        program = shutil.which("php")
        if program is None:
            pytest.skip("PHP is missing: install it (Debian: `php-cli`)")
        code = "require 'visitor_token.php'; echo visitor_token(...array_slice($argv, 1));"
        command = [program, "-r", code, "--", *given]
    ran = subprocess.run(command, cwd=EXAMPLES, capture_output=True, text=True, check=True)
    return ran.stdout


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
