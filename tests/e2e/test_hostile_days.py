"""What happens to links and tabs in real life: the admin still ends connected, by one exchange."""

from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect

from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.chrome import launched
from tests.e2e.story import PROCESSING, Tenant

HTML = "text/html"

HURRIED = "--enable-features=ShortLaxAllowUnsafeThreshold"
"""Chromium's allowance, that cookies without SameSite are sent with a POST of another site while
they are new, then ends after 10 seconds; as people have it, after two minutes."""

SLOW_LOGIN = 12_000
"""Milliseconds, longer than that."""


@pytest.fixture
def hurried(playwright: Playwright) -> Iterator[Browser]:
    with launched(playwright, HURRIED, whole=True) as browser:
        yield browser


def exchanges(cloud: LocalCloud) -> int:
    """Token requests with a code, so far."""
    kinds = [request["grant_type"] for request in story.token_requests(cloud)]
    return kinds.count("authorization_code")


def scan(browser: Browser, tenant: Tenant) -> None:
    """A mail scanner: HEAD, GET, and a visit that runs scripts and follows what is linked."""
    before = story.untouched(tenant)
    robot = story.new_page(browser)
    for method in ("HEAD", "GET"):
        _ask(method, tenant.link)
    robot.goto(tenant.link)
    robot.wait_for_timeout(1_500)
    for address in robot.locator("a").evaluate_all("links => links.map(link => link.href)"):
        if address.startswith("http"):  # mailto: opens a mail program
            robot.goto(address)
    robot.context.close()
    assert story.untouched(tenant) == before


def _ask(method: str, link: str) -> None:
    """A request without a browser; by number, for not every resolver knows names of .localhost."""
    address = urlsplit(link)
    connection = HTTPConnection("127.0.0.1", address.port or 80, timeout=20)
    connection.request(method, address.path, headers={"Host": address.netloc})
    assert connection.getresponse().status == 303
    connection.close()


def cookies_of_a_foreign_post(context: BrowserContext, origin: str) -> str:
    """What the browser sends along when a page of another site posts a form to this one."""
    page = context.new_page()
    form = f"<form method=post action={origin}/nowhere></form>"
    page.route("http://other.example/", lambda route: route.fulfill(body=form, content_type=HTML))
    page.goto("http://other.example/")
    with page.expect_request(f"{origin}/nowhere") as posted:
        page.evaluate("document.forms[0].submit()")
    sent = posted.value.all_headers().get("cookie", "")
    page.close()
    return sent


def connected(page: Page) -> None:
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert len(story.token(page)) > 500


def test_a_scan_a_double_click_a_slow_login_and_reloads_everywhere(
    cloud: LocalCloud, hurried: Browser
) -> None:
    """S12, S13, S14: slow at GoTo's login, a reload at each step, one code exchange."""
    tenant = story.new_tenant(cloud)
    scan(hurried, tenant)
    page = story.new_page(hurried)
    page.goto(tenant.link)
    cookies = page.context.cookies()
    assert {(each["sameSite"], each["secure"], each["httpOnly"]) for each in cookies} == {
        ("Lax", True, True)
    }
    page.reload()
    before = exchanges(cloud)
    page.get_by_role("button", name="Get Access Token").dblclick()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.reload()
    scan(hurried, tenant)
    origin = cloud.origin(tenant.name)
    page.context.add_cookies([{"name": "control", "value": "new", "url": origin}])
    assert cookies_of_a_foreign_post(page.context, origin) == "control=new"
    page.wait_for_timeout(SLOW_LOGIN)
    assert cookies_of_a_foreign_post(page.context, origin) == ""
    story.log_in(page)
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    page.reload()
    with story.next_exchange_held(cloud):
        story.allow(page)
        expect(page.get_by_text(PROCESSING, exact=True)).to_be_visible()
        page.reload()
    connected(page)
    page.reload()
    connected(page)
    assert exchanges(cloud) == before + 1


def test_of_two_tabs_the_later_press_connects(cloud: LocalCloud, browser: Browser) -> None:
    """S16: the earlier press is void, and says so; nothing of it is exchanged."""
    tenant = story.new_tenant(cloud)
    first = story.new_page(browser)
    first.goto(tenant.link)
    second = first.context.new_page()
    second.goto(tenant.link)
    before = exchanges(cloud)
    story.press(first)
    expect(first.get_by_role("button", name="Log in")).to_be_visible()
    story.press(second)
    story.log_in(second)
    story.log_in(first)
    story.allow(first)
    expect(first.get_by_role("heading", name="This sign-in can't be used")).to_be_visible()
    assert exchanges(cloud) == before
    story.allow(second)
    connected(second)
    first.goto(tenant.link)
    connected(first)
    assert exchanges(cloud) == before + 1


def test_a_second_tab_that_only_looks_does_not_disturb(cloud: LocalCloud, browser: Browser) -> None:
    """S02: one browser cookie for all its tabs."""
    tenant = story.new_tenant(cloud)
    first = story.new_page(browser)
    first.goto(tenant.link)
    before = exchanges(cloud)
    story.press(first)
    second = first.context.new_page()
    second.goto(tenant.link)
    story.log_in(first)
    story.allow(first)
    connected(first)
    second.reload()
    connected(second)
    assert exchanges(cloud) == before + 1
