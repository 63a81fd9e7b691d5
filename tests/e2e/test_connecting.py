"""The admin's story in a real browser, against the packaged template on the local cloud."""

import re
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page, Request, StorageState, expect

from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.story import PROCESSING, Tenant


@dataclass(frozen=True)
class LeftAlone:
    """A tenant whose token is due, and the browser that has connected it."""

    tenant: Tenant
    token: str
    cookies: StorageState


@pytest.fixture(scope="module", autouse=True)
def left_alone(cloud: LocalCloud, chrome: Browser) -> LeftAlone:
    """From the first test of this file on: the last one looks at what the schedule has done."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(chrome)
    token = story.connect(page, tenant)
    story.change(tenant, "grants", next_refresh_at=int(time.time()))
    return LeftAlone(tenant, token, page.context.storage_state())


def callback_of(page: Page) -> list[str]:
    """Collects the addresses with which GoTo sends the browser back."""
    seen: list[str] = []

    def note(request: Request) -> None:
        if "code=" in request.url and story.PAGE in request.url:
            seen.append(request.url)

    page.on("request", note)
    return seen


def exchanges(cloud: LocalCloud) -> int:
    """Token requests with a code, so far."""
    kinds = [request["grant_type"] for request in story.token_requests(cloud)]
    return kinds.count("authorization_code")


def test_the_six_steps(cloud: LocalCloud, browser: Browser) -> None:
    """Link, page, button, login and Allow, being processed, the long read-only token."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    assert page.url == tenant.address
    expect(page.get_by_role("heading", name="Activities Settings")).to_be_visible()
    expect(page.get_by_role("link", name="GoTo API")).to_have_attribute("aria-current", "page")
    expect(page.get_by_text(f"GoTo connection of {tenant.name} Ltd")).to_be_visible()
    expect(page.get_by_text("Not connected", exact=True)).to_be_visible()
    story.press(page)
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    story.log_in(page)
    with story.next_exchange_held(cloud):
        story.allow(page)
        expect(page.get_by_text(PROCESSING, exact=True)).to_be_visible()
        assert page.url == tenant.address
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    shown = story.token(page)
    assert len(shown) > 500
    assert shown == tenant.row("tokens")["access_token"]["S"]
    expect(page.get_by_text("Connected by")).to_be_visible()
    expect(page.locator("dl").get_by_text(story.ADMIN, exact=True)).to_be_visible()


def test_s10_no_address_keeps_a_code(cloud: LocalCloud, browser: Browser) -> None:
    """S10: neither the address bar, nor the history, nor a Referer; nothing of another host."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    sent: list[Request] = []

    def note(request: Request) -> None:
        sent.append(request)

    page.on("request", note)
    story.connect(page, tenant)
    assert page.url == tenant.address
    referers = {request.headers.get("referer", "") for request in sent}
    assert not any("code=" in referer or "/connect/" in referer for referer in referers)
    sent = [request for request in sent if not request.url.startswith("data:")]
    hosts = {re.split(r"[/?]", request.url)[2] for request in sent}
    origins = (cloud.origin(tenant.name), cloud.goto_url)
    assert hosts == {origin.split("//")[1] for origin in origins}
    page.go_back()
    assert "code=" not in page.url


def test_deny_is_told_in_plain_words_and_may_be_repaired(
    cloud: LocalCloud, browser: Browser
) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page)
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("heading", name="Access was denied at GoTo")).to_be_visible()
    expect(page.get_by_text("Reference number")).to_be_visible()
    assert page.url == tenant.address
    story.press(page)
    story.allow(page)
    assert story.token(page)


def test_deny_leaves_a_live_connection_alone(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    story.connect(story.new_page(browser), tenant)
    before = tenant.row("tokens")["generation"]
    other = story.new_page(browser)
    other.goto(tenant.link)
    story.press(other)
    story.log_in(other, "owner@rival.example")
    other.get_by_role("button", name="Deny").click()
    expect(other.get_by_role("heading", name="Access was denied at GoTo")).to_be_visible()
    expect(other.get_by_text("Connected", exact=True)).to_be_visible()
    assert tenant.row("tokens")["generation"] == before


def test_s01_a_replayed_callback_sends_no_code(cloud: LocalCloud, browser: Browser) -> None:
    """S01, S10: its own browser is led back to the page, a stranger's is refused."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    callbacks = callback_of(page)
    story.connect(page, tenant)
    before = exchanges(cloud), tenant.row("tokens")["generation"]
    page.goto(callbacks[0])
    assert page.url == tenant.address
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    stranger = story.new_page(browser)
    answer = stranger.goto(callbacks[0])
    assert answer is not None
    assert answer.status == 400
    expect(stranger.get_by_role("heading", name="This sign-in can't be used")).to_be_visible()
    expect(stranger.get_by_text("Reference number")).to_be_visible()
    assert (exchanges(cloud), tenant.row("tokens")["generation"]) == before


def test_s02_a_callback_in_another_browser_is_refused(cloud: LocalCloud, browser: Browser) -> None:
    """S02: a code and state are of no use in another browser, and stay good in their own."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page)
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    allowed = page.context.request.post(page.url, form={"decision": "allow"}, max_redirects=0)
    callback = allowed.headers["location"]
    before = exchanges(cloud)
    other = story.new_page(browser)
    other.goto(tenant.link)
    answer = other.goto(callback)
    assert answer is not None
    assert answer.status == 400
    expect(other.get_by_role("heading", name="This sign-in can't be used")).to_be_visible()
    assert exchanges(cloud) == before
    page.goto(callback)
    assert story.token(page)


def test_the_back_button_does_no_harm(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    story.connect(page, tenant)
    before = exchanges(cloud)
    for _ in range(4):
        page.go_back()
        page.wait_for_timeout(200)
    assert exchanges(cloud) == before
    page.goto(tenant.link)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    story.press(page)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert exchanges(cloud) == before + 1


def test_a_reload_of_the_processing_page_does_no_harm(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    before = exchanges(cloud)
    story.press(page)
    story.log_in(page)
    with story.next_exchange_held(cloud):
        story.allow(page)
        for _ in range(3):
            expect(page.get_by_text(PROCESSING, exact=True)).to_be_visible()
            page.reload()
    assert story.token(page)
    assert exchanges(cloud) == before + 1


def test_the_same_link_again_needs_no_allow(cloud: LocalCloud, browser: Browser) -> None:
    """Later the same link refreshes: GoTo remembers the login and the permission."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    first = story.connect(page, tenant)
    page.goto(tenant.link)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    with story.next_exchange_held(cloud):
        story.press(page)
        expect(page.get_by_text(PROCESSING, exact=True)).to_be_visible()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(page) != first
    assert tenant.row("tokens")["generation"] == {"N": "2"}


def test_s18_a_later_visit_shows_the_token_masked(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    shown = story.connect(page, tenant)
    other = story.new_page(browser)
    other.goto(tenant.link)
    expect(other.get_by_text("Connected", exact=True)).to_be_visible()
    masked = story.token(other)
    assert set(masked) == {"•"}
    for hidden in (shown, story.ADMIN, "What has happened"):
        assert hidden not in other.content()


def test_it_works_with_scripts_switched_off(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser, java_script_enabled=False)
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page)
    with story.next_exchange_held(cloud):
        story.allow(page)
        expect(page.get_by_text(PROCESSING, exact=True)).to_be_visible()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert len(story.token(page)) > 500


def test_s03_another_goto_account_is_refused(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    story.connect(story.new_page(browser), tenant)
    before = tenant.row("tokens")["generation"]
    other = story.new_page(browser)
    other.goto(tenant.link)
    story.press(other)
    story.log_in(other, "owner@rival.example")
    story.allow(other)
    expect(other.get_by_role("heading", name="That was a different GoTo account")).to_be_visible()
    assert tenant.row("tokens")["generation"] == before


def test_a_double_click_is_one_exchange(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    before = exchanges(cloud)
    page.get_by_role("button", name="Get Access Token").dblclick()
    story.log_in(page)
    story.allow(page)
    assert story.token(page)
    assert exchanges(cloud) == before + 1


@pytest.mark.parametrize("down", [503, 429])
def test_goto_down_is_told_in_plain_words(cloud: LocalCloud, browser: Browser, down: int) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    story.fail_next_exchange(cloud, status=down, body="<h1>Down</h1>")
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page)
    story.allow(page)
    expect(page.get_by_role("heading", name="GoTo could not complete the request")).to_be_visible()
    story.press(page)
    assert story.token(page)


def test_s15_a_dead_link_mails_a_fresh_one_to_the_admin(
    cloud: LocalCloud, browser: Browser
) -> None:
    """S15: the visitor learns nothing; the registered admin gets a link that works."""
    tenant = story.new_tenant(cloud)
    cloud.aws.dynamodb.update_item(
        TableName=cloud.tables["links"],
        Key={"link": {"S": story.stored_as(tenant.link)}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    page = story.new_page(browser)
    answer = page.goto(tenant.link)
    assert answer is not None
    assert answer.status == 404
    page.get_by_role("button", name="Email a new link").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    for _ in range(60):
        mails = [mail for mail in cloud.aws.mails() if f"admin@{tenant.name}.example" in mail["To"]]
        if mails:
            break
        page.wait_for_timeout(500)
    [mail] = mails
    found = re.search(r"http\S+/connect/\S+", mail["BodyText"])
    assert found
    page.goto(found[0])
    assert page.url == tenant.address


def test_bad_addresses_get_a_clean_page(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.goto(tenant.link)
    before = story.untouched(tenant)
    assert before["tenants"]
    queries = [
        "code=a",
        "state=a&state=b&code=c",
        urlencode({"state": "x" * 10_240, "code": "y"}),
        "state=%FF%FE&code=%C3%28",
        "state=" + "A" * 43 + "&code=c",
        "error=<script>alert(1)</script>",
    ]
    for query in queries:
        answer = page.goto(f"{tenant.address}?{query}")
        assert answer is not None
        assert answer.status == 400, query
        expect(page.get_by_text("Reference number")).to_be_visible()
        assert "Traceback" not in page.content()
    assert story.untouched(tenant) == before


def test_a_scheduled_refresh_changes_the_token_by_itself(
    left_alone: LeftAlone, browser: Browser
) -> None:
    """Nobody does anything: once it is due, the field holds another token within two minutes."""
    tenant = left_alone.tenant

    def version() -> int:
        return int(tenant.row("tokens")["version"]["N"])

    story.eventually(lambda: version() > 1, "nobody has refreshed it", 120)
    story.drop(tenant, "grants", "next_refresh_at")  # or it might be due again just now
    page = story.new_page(browser, storage_state=left_alone.cookies)
    page.goto(tenant.address)
    assert story.token(page) != left_alone.token
    assert story.token(page) == tenant.row("tokens")["access_token"]["S"]
    assert tenant.row("tokens")["generation"] == {"N": "1"}
