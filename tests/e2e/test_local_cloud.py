"""S34: the local cloud as `make run` starts it, attacked by a page."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Playwright

from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.chrome import launched

ASK = """async ([address, headers]) => {
  const signed = {'Authorization': 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/'
    + 'aws4_request', 'X-Amz-Target': 'DynamoDB_20120810.ListTables',
    'Content-Type': 'application/x-amz-json-1.0'};
  const asked = [
    ['POST', '/', signed, '{}'], ['POST', '/', {}, 'Action=GetCallerIdentity&Version=2011-06-15'],
    ['GET', '/_ministack/ses/messages', {}], ['GET', '/_ministack/health', {}],
    ['GET', '/sandbox/log', headers], ['GET', '/sandbox/switches', {}],
  ];
  return Promise.all(asked.map(([method, path, headers, body]) =>
    fetch(address + path, {method, headers, body}).then(answer => answer.text(), () => null)));
}"""


@pytest.fixture
def unguarded(playwright: Playwright) -> Iterator[Browser]:
    """Chromium without its own check of who reaches into the local network."""
    off = "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests"
    with launched(playwright, off) as browser:
        yield browser


@pytest.mark.parametrize("origin", ["https://evil.example", "http://evil.example"])
def test_s34_a_page_of_another_origin_reads_nothing(
    cloud: LocalCloud, unguarded: Browser, origin: str
) -> None:
    """S34: neither the local cloud nor the controls of GoTo's sandbox."""
    page = unguarded.new_page()
    page.route(f"{origin}/", lambda route: route.fulfill(content_type="text/html", body="cats"))
    page.goto(f"{origin}/")
    for address in (cloud.aws.endpoint, cloud.goto_url):
        assert page.evaluate(ASK, [address, {"X-Sandbox-Key": "1"}]) == [None] * 6


def test_s34_the_pages_answer_through_the_edge_and_the_functions_reach_the_cloud(
    cloud: LocalCloud,
) -> None:
    """S34: the gateway itself asks for the key, as everything does."""
    outputs = cloud.aws.stack.outputs
    path = f"/_aws/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}/healthz"

    def status(port: int, path: str, headers: dict[str, str]) -> int:
        # By number: not every resolver knows the names under .localhost.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", path, headers=headers)
        return connection.getresponse().status

    ports = cloud.settings.ports
    assert status(ports.aws, path, {}) == 403
    assert status(ports.aws, path, cloud.key.header) == 200
    tenant = story.new_tenant(cloud)
    link = urlsplit(tenant.link)
    assert status(ports.edge, link.path, {"Host": link.netloc}) == 303
    assert tenant.row("tenants")
