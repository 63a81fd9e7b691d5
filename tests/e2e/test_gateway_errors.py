"""S11: what a browser makes of the headers on the gateway's own errors."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from playwright.sync_api import Browser

from infra import cloudformation

PAGE = """<!doctype html><title>before</title><style>h1 { color: rgb(1, 2, 3) }</style>
<h1>here</h1><form id=f action=/sent></form><img src=/image>
<script>document.title = 'after'</script>"""


def gateway_headers() -> dict[str, str]:
    body = cloudformation.merged()["Resources"]["RestAPI"]["Properties"]["DefinitionBody"]
    sent = body["x-amazon-apigateway-gateway-responses"]["DEFAULT_4XX"]["responseParameters"]
    prefix = "gatewayresponse.header."
    return {name.removeprefix(prefix): value.strip("'") for name, value in sent.items()}


@pytest.fixture
def address() -> Iterator[tuple[str, list[str]]]:
    """A page full of what must not run, behind the gateway's headers; what was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/favicon.ico":
                asked.append(self.path)
            self.send_response(404)
            if self.path == "/page":
                for name, value in gateway_headers().items():
                    self.send_header(name, value)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            framing = b"<iframe src=/page></iframe>"
            self.wfile.write(framing if self.path == "/frame" else PAGE.encode())

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_s11_nothing_runs_loads_leaves_or_is_framed(
    browser: Browser, address: tuple[str, list[str]]
) -> None:
    """An empty list of sources is as good as 'none', whose quotes the gateway can't send."""
    origin, asked = address
    page = browser.new_context().new_page()
    page.goto(f"{origin}/page")
    assert page.title() == "before"
    colour = page.locator("h1").evaluate("title => getComputedStyle(title).color")
    assert colour != "rgb(1, 2, 3)"
    page.locator("#f").evaluate("form => form.submit()")
    page.wait_for_timeout(300)
    assert page.url == f"{origin}/page"
    page.goto(f"{origin}/frame")
    page.wait_for_timeout(300)
    assert page.frames[1].url.startswith("chrome-error:")
    assert asked == ["/page", "/frame", "/page"]
