"""S02, S18, S24, S28 in Chromium over TLS, where cookies behave as they do in production.

Not on the local cloud: `__Host-` cookies and those of a sibling host need https and a domain.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

import app as entry
from chalicelib import opaque
from tests.e2e import story
from tests.e2e.chrome import launched
from tests.support.aws import create_tables
from tests.support.https import DOMAIN, ONE_HOST, ORIGIN, SecureSite, secure_site
from tests.support.memory import MemoryDynamoDB
from tests.support.site import PAGE
from tests.support.world import TESTER, World

ATTACKER = secrets.token_urlsafe(32)
"""The attacker's own browser value."""

BROWSER, LINK = "__Host-ha-browser", "__Host-ha-link"
SIBLING = f"status.{DOMAIN}"
"""A host beside the tenants' on which an attacker has a script."""

WHITE = sorted(
    {chr(code) for code in range(0x110000) if chr(code).isspace()}
    | {"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"}
)

Make = Callable[[str], World]


@pytest.fixture(scope="module")
def server() -> Iterator[SecureSite]:
    with secure_site() as running:
        yield running


@pytest.fixture(scope="module")
def secure_chrome(server: SecureSite, playwright: Playwright) -> Iterator[Browser]:
    """Chromium that finds every host at the server."""
    with launched(playwright, f"--host-resolver-rules={server.rules}") as browser:
        yield browser


@pytest.fixture
def page(secure_chrome: Browser) -> Iterator[Page]:
    """A browser without any cookies."""
    context = secure_chrome.new_context(ignore_https_errors=True)
    context.set_default_timeout(20_000)
    yield context.new_page()
    context.close()


@pytest.fixture
def make(server: SecureSite, aws: None, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A world behind the server, whose tenants are at this origin."""

    def made(origin: str) -> World:
        client: Any = MemoryDynamoDB()
        world = World(client, create_tables(client, "t-"), TENANT_ORIGIN=origin)
        monkeypatch.setattr(entry, "deployment", lambda: world.deployment)
        server.world, server.decoding = world, "utf-8"
        server.pages.clear()
        return world

    return made


@pytest.fixture
def world(make: Make) -> World:
    """A host for each tenant."""
    return make(ORIGIN)


EVERY_VALUE = """[...document.querySelectorAll("*")].map(
    each => [each.value, each.defaultValue, {...each.dataset}])"""
SLEPT = """window.setTimeout = () => 0;
    const real = Date.now;
    Date.now = () => real() + 600_000;
    document.dispatchEvent(new Event("visibilitychange"))"""


def origin(tenant: str) -> str:
    return ORIGIN.replace("{tenant}", tenant)


def connect(page: Page, address: str) -> None:
    """The admin's whole way, from the mail's link."""
    page.goto(address)
    story.press(page)
    page.get_by_role("link", name="Allow").click()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()


def toss(server: SecureSite, page: Page, *cookies: str) -> list[str]:
    """Set cookies for the whole domain from the sibling host; names that the browser took."""
    lines = "".join(
        f"document.cookie = {cookie!r} + '; Domain={DOMAIN}; Secure; SameSite=Lax';"
        for cookie in cookies
    )
    server.pages[SIBLING] = f"<!doctype html><meta charset=utf-8><script>{lines}</script>news"
    page.goto(f"https://{SIBLING}/")
    return [cookie["name"] for cookie in page.context.cookies() if DOMAIN in cookie["domain"]]


def seen_by_attacker(server: SecureSite, tenant: str, link: str) -> str:
    """The settings page at the attacker's own machine, which holds the value that it planted."""
    return server.ask(origin(tenant) + PAGE, {LINK: link, BROWSER: ATTACKER})


@pytest.mark.parametrize("decoding", ["utf-8", "latin-1"])
def test_s24_a_tossed_browser_value_shows_the_attacker_nothing(
    server: SecureSite, page: Page, world: World, decoding: str
) -> None:
    """S24, S18: a sibling host plants a value, and its owner holds a copy of the victim's link."""
    server.decoding, link = decoding, world.add_tenant("victim")
    taken = toss(server, page, f"\u2000{BROWSER}={ATTACKER}; Path=/", f"\xa0{BROWSER}={ATTACKER}")
    assert f"\u2000{BROWSER}" in taken
    connect(page, f"{origin('victim')}/connect/{link}")
    assert story.token(page) == "access-1"
    seen = seen_by_attacker(server, "victim", link)
    assert "GoTo Access Token" in seen
    assert "access-1" not in seen
    assert "admin@" not in seen


def test_s24_a_tossed_link_does_not_lead_to_the_attackers_tenant(
    server: SecureSite, page: Page, world: World
) -> None:
    """S24, S02, S12: with both cookies planted, the admin connects its own tenant."""
    link, evil = world.add_tenant("victim"), world.add_tenant("evil")
    path = "; Path=/admin/settings/activities"
    toss(server, page, f"\u2000{BROWSER}={ATTACKER}{path}", f"\u2000{LINK}={evil}{path}")
    connect(page, f"{origin('victim')}/connect/{link}")
    assert world.connections.get("evil") is None
    assert world.connections.get("victim") is not None
    assert "access-1" not in seen_by_attacker(server, "evil", evil)
    assert "access-1" not in seen_by_attacker(server, "victim", link)


@pytest.mark.parametrize("decoding", ["utf-8", "latin-1"])
def test_s24_no_name_that_chromium_takes_counts_as_ours(
    server: SecureSite, page: Page, world: World, decoding: str
) -> None:
    """S24: white space of every kind, before and after the name; the genuine link still opens."""
    server.decoding = decoding
    link, evil = world.add_tenant("victim"), world.add_tenant("evil")
    page.goto(f"{origin('victim')}/connect/{link}")
    names = [f"{white}{LINK}" for white in WHITE] + [f"{LINK}{white}" for white in WHITE]
    taken = toss(server, page, *(f"{name}={evil}; Path=/admin" for name in names))
    assert {f"{white}{LINK}" for white in WHITE if not white.isascii()} <= set(taken)
    page.goto(origin("victim") + PAGE)
    expect(page.get_by_text("GoTo connection of victim Ltd")).to_be_visible()
    page.context.clear_cookies(name=LINK)
    page.goto(origin("victim") + PAGE)
    expect(page.get_by_role("heading", name="Please open the link")).to_be_visible()


def test_s02_the_browsers_value_is_another_after_a_completion(
    server: SecureSite, page: Page, world: World
) -> None:
    """S02, S18: whoever knew the old one, also from an earlier completion, sees nothing with it."""
    link = world.add_tenant("victim")
    values = []
    for _ in range(2):
        connect(page, f"{origin('victim')}/connect/{link}")
        [value] = [each["value"] for each in page.context.cookies() if each["name"] == BROWSER]
        values.append(value)
    assert opaque.well_formed(values[1])
    assert values[0] != values[1]
    old = server.ask(origin("victim") + PAGE, {LINK: link, BROWSER: values[0]})
    assert "access-2" not in old
    assert "What has happened" not in old
    assert story.token(page) == "access-2"
    expect(page.get_by_text("What has happened")).to_be_visible()


def test_s02_the_back_button_leads_a_connected_admin_back_to_the_page(
    page: Page, world: World
) -> None:
    connect(page, f"{origin('victim')}/connect/{world.add_tenant('victim')}")
    page.go_back()
    page.get_by_role("link", name="Allow").click()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(page) == "access-1"


def test_s02_a_second_tab_that_was_open_meanwhile_can_start_again(page: Page, world: World) -> None:
    """Its form was made for the browser's value of before."""
    address = f"{origin('victim')}/connect/{world.add_tenant('victim')}"
    second = page.context.new_page()
    second.goto(address)
    connect(page, address)
    story.press(second)
    second.get_by_role("link", name="Allow").click()
    expect(second.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(second) == "access-2"


def test_s28_another_sites_visit_to_another_link_changes_nothing_unasked(
    server: SecureSite, page: Page, make: Make
) -> None:
    """S28: one host for all; the admin's open tab goes on to connect its own tenant."""
    world = make(ONE_HOST)
    link, evil = world.add_tenant("victim"), world.add_tenant("evil")
    page.goto(f"{ONE_HOST}/connect/{link}")
    expect(page.get_by_text("This page connects")).to_contain_text("victim.example")
    server.pages["attacker.example"] = f'<a target="_blank" href="{ONE_HOST}/connect/{evil}">x</a>'
    lure = page.context.new_page()
    lure.goto("https://attacker.example/")
    with page.context.expect_page() as opened:
        lure.get_by_role("link").click()
    asked = opened.value
    expect(asked.get_by_role("heading", name="This link is for another company")).to_be_visible()
    for named in ("victim Ltd", "victim.example", "evil Ltd", "evil.example"):
        expect(asked.locator("main")).to_contain_text(named)
    story.press(page)
    page.get_by_role("link", name="Allow").click()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert world.connections.get("evil") is None
    assert world.connections.get("victim") is not None


def test_s28_who_says_yes_goes_on_with_the_other_link(page: Page, make: Make) -> None:
    """S28: a person who administers two companies."""
    world = make(ONE_HOST)
    first, second = world.add_tenant("acme"), world.add_tenant("beta")
    page.goto(f"{ONE_HOST}/connect/{first}")
    page.goto(f"{ONE_HOST}/connect/{second}")
    page.get_by_role("link", name="No, stay where I was").click()
    expect(page.get_by_text("GoTo connection of acme Ltd")).to_be_visible()
    page.goto(f"{ONE_HOST}/connect/{second}")
    page.get_by_role("button", name="Switch to this link").click()
    expect(page.get_by_text("GoTo connection of beta Ltd")).to_be_visible()
    connect(page, f"{ONE_HOST}/connect/{second}")
    assert world.connections.get("acme") is None


def test_s28_an_intake_link_asks_as_well(page: Page, make: Make) -> None:
    """S28: and the other company's link is dropped with the yes."""
    world = make(ONE_HOST)
    page.goto(f"{ONE_HOST}/connect/{world.add_tenant('acme')}")
    world.add_tenant("beta")
    page.goto(world.invitations.create_intake_link("beta", TESTER))
    page.get_by_role("button", name="Switch to this link").click()
    expect(page.get_by_text("This page connects")).to_contain_text("beta.example")
    expect(page.get_by_label("Client secret")).to_be_visible()
    assert LINK not in {cookie["name"] for cookie in page.context.cookies()}


def test_s28_a_link_opens_at_its_own_tenants_host(page: Page, world: World) -> None:
    """S28: connect and intake, led to a sibling's host."""
    link, evil = world.add_tenant("victim"), world.add_tenant("evil")
    page.goto(f"{origin('victim')}/connect/{link}")
    page.goto(f"{origin('victim')}/connect/{evil}")
    assert page.url == origin("evil") + PAGE
    intake = world.invitations.create_intake_link("evil", TESTER)
    page.goto(intake.replace("evil", "victim", 1))
    assert page.url == intake
    page.goto(origin("victim") + PAGE)
    expect(page.get_by_text("GoTo connection of victim Ltd")).to_be_visible()


def test_s29_the_button_of_a_dead_link_works_in_a_browser(page: Page, world: World) -> None:
    link = world.add_tenant("acme")
    world.dynamodb.update_item(
        TableName=world.settings.links_table,
        Key={"link": {"S": opaque.digest(link)}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"N": "1"}},
    )
    page.goto(f"{origin('acme')}/connect/{link}")
    page.get_by_role("button", name="Email a new link").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    assert world.history()[-1] == "link_requested"


def test_s18_an_open_tab_hides_the_token_by_itself(page: Page, world: World) -> None:
    """S18: after ten minutes, also where the tab slept through them."""
    page.clock.install()
    connect(page, f"{origin('victim')}/connect/{world.add_tenant('victim')}")
    field = page.get_by_label("GoTo Access Token")
    page.clock.run_for(590_000)
    expect(field).to_have_value("access-1")
    page.clock.run_for(11_000)
    assert "•" in field.input_value()
    assert "access-1" not in page.content() + str(page.evaluate(EVERY_VALUE))
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    expect(page.get_by_text("The token is hidden")).to_be_visible()


def test_s18_a_computer_that_slept_hides_the_token_without_being_told(
    page: Page, world: World
) -> None:
    """S18: no event and no timer of ten minutes tells that it woke up; its clock has moved on."""
    connect(page, f"{origin('victim')}/connect/{world.add_tenant('victim')}")
    page.evaluate("const real = Date.now; Date.now = () => real() + 600_000")
    expect(page.get_by_label("GoTo Access Token")).to_have_value(re.compile("^•+$"), timeout=3_000)


def test_s18_a_tab_that_slept_hides_the_token_when_it_wakes(page: Page, world: World) -> None:
    """S18: its timer never ran; the clock tells."""
    connect(page, f"{origin('victim')}/connect/{world.add_tenant('victim')}")
    page.evaluate(SLEPT)
    assert re.fullmatch("•+", page.get_by_label("GoTo Access Token").input_value())
