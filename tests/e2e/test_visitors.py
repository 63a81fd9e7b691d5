"""S14: HA's login before the pages, as the edge plays it, in Chromium; in *required*.

On a cloud of its own: the mode is a parameter of the stack.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from chalicelib.config import VisitorIdentity
from sandbox.cloud import LocalCloud
from sandbox.login import ENTER, HEADER, LEAVE
from sandbox.settings import Ports, Settings
from tests.e2e import story
from tests.e2e.story import Tenant

LOGIN = "Please log in to hireanalytiX first"


@pytest.fixture(scope="module")
def behind_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    ports = Ports.free()
    settings = Settings(ports, visitor_identity=VisitorIdentity.REQUIRED)
    local = LocalCloud(settings, tmp_path_factory.mktemp("behind-login"))
    local.start()
    yield local
    local.stop()


@pytest.fixture
def tenant(behind_login: LocalCloud) -> Tenant:
    return story.new_tenant(behind_login)


def refused(page: Page, address: str) -> None:
    """Nothing of the tenant's is shown, and no cookie is set."""
    answer = page.goto(address)
    assert answer
    assert answer.status == 401
    expect(page.get_by_role("heading", name=LOGIN)).to_be_visible()
    assert [each for each in page.context.cookies() if "__Host" in str(each.get("name"))] == []


def entered(tenant: Tenant, path: str) -> str:
    return tenant.cloud.origin(tenant.name) + path


def pressed_by(tenant: Tenant) -> list[str]:
    """Who has pressed the button, as the journal names them."""
    dynamodb, table = tenant.cloud.aws.dynamodb, tenant.cloud.tables["journal"]
    told: list[Any] = dynamodb.query(
        TableName=table,
        KeyConditionExpression="tenant = :tenant",
        ExpressionAttributeValues={":tenant": {"S": tenant.name}},
    )["Items"]
    return [row["who"]["S"] for row in told if row["kind"]["S"] == "authorization_started"]


def test_s14_a_person_connects_without_a_link_and_a_link_without_a_person_opens_nothing(
    browser: Browser, tenant: Tenant
) -> None:
    """S14: in one browser, before the login, within it, and after it."""
    page = story.new_page(browser)
    intake = tenant.cloud.rep("intake_create", tenant=tenant.name)["url"]
    for address in (tenant.link, intake, tenant.address):
        refused(page, address)
    page.goto(entered(tenant, ENTER))
    assert page.url == tenant.address
    story.press(page)
    story.log_in(page)
    story.allow(page)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(page)
    assert pressed_by(tenant) == [f"ann@{tenant.name}.example"]
    page.goto(tenant.link)
    assert page.url == tenant.address
    page.goto(entered(tenant, LEAVE))
    expect(page.get_by_role("heading", name=LOGIN)).to_be_visible()
    page.goto(tenant.link)
    expect(page.get_by_role("heading", name=LOGIN)).to_be_visible()


def test_s14_a_header_of_the_visitors_own_opens_nothing(browser: Browser, tenant: Tenant) -> None:
    """S14: through the front, which drops it; and a login at one host is none at another (S28)."""
    page = story.new_page(browser, extra_http_headers={HEADER: "forged"})
    refused(page, tenant.link)
    page.goto(entered(tenant, ENTER))
    expect(page.get_by_role("button", name="Get Access Token")).to_be_visible()
    other = story.new_tenant(tenant.cloud)
    page.goto(other.link)
    expect(page.get_by_role("heading", name=LOGIN)).to_be_visible()


def test_s14_a_person_enters_the_client_at_the_link_for_it(
    browser: Browser, tenant: Tenant
) -> None:
    """S14: step 1 wants both."""
    page = story.new_page(browser)
    page.goto(entered(tenant, ENTER))
    page.goto(tenant.cloud.rep("intake_create", tenant=tenant.name)["url"])
    story.enter_client(page, *story.new_client(tenant.cloud, tenant.name))
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
