"""What browsers make of the pages at http: of the links of `make run`, and of saved logins.

A login that the browser has saved for the host is HA's own: the form for the client must not get
it. Chromium fills in no form at all behind a certificate that it does not trust, but at http.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from sandbox.cloud import LocalCloud
from sandbox.environment import chromium
from tests.e2e import story
from tests.support.webdriver import Firefox, firefox, program, webkit

LOGIN = ["ann@acme.example", "canary-of-a-saved-password"]

COPY = """const own = document.querySelector("form"), copy = own.cloneNode(true);
copy.elements.client_secret.type = "password";
own.after(copy)"""
"""The same form once more, with a password field: it is filled in."""

HELD = """[...document.forms].map(
    form => [form.elements.client_id.value, form.elements.client_secret.value])"""
"""What is in both."""

SAVE_IN_CHROMIUM = """([url, username, password]) => chrome.passwordsPrivate.addPassword(
    {url, username, password, note: "", useAccountStore: false})"""
"""For the browser's own page of passwords."""

SAVE_IN_FIREFOX = """const [origin, name, password] = arguments;
for (const each of ["autofillForms", "rememberSignons"])
  Services.prefs.setBoolPref(`signon.${each}`, true);
const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
login.init(origin, origin, null, name, password, "", "");
return Services.logins.addLoginAsync(login)"""
"""As a person has Firefox, which a driver tells to fill nothing in."""


@pytest.fixture(scope="module")
def fox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Once for all: cookies and logins are a tenant's."""
    with firefox(tmp_path_factory.mktemp("fox")) as started:
        yield started


def test_firefox_opens_a_link(cloud: LocalCloud, fox: Firefox) -> None:
    tenant = story.new_tenant(cloud)
    fox.open(tenant.link)
    assert fox.address == tenant.address
    fox.see("Not connected")


def test_webkit_keeps_no_secure_cookie(cloud: LocalCloud, tmp_path: Path) -> None:
    tenant = story.new_tenant(cloud)
    with webkit(tmp_path) as driven:
        driven.open(tenant.link)
        driven.see("Please open the link from your email")


def new_intake(cloud: LocalCloud) -> tuple[str, str]:
    """A tenant's origin, and the address of its form for the client."""
    tenant = story.new_tenant(cloud)
    return cloud.origin(tenant.name), cloud.rep("intake_create", tenant=tenant.name)["url"]


def test_chromium_fills_nothing_in(
    cloud: LocalCloud, playwright: Playwright, tmp_path: Path
) -> None:
    origin, intake = new_intake(cloud)
    with playwright.chromium.launch_persistent_context(
        tmp_path, executable_path=program(chromium), args=["--no-sandbox"]
    ) as context:
        [page] = context.pages
        page.goto("chrome://password-manager/passwords")
        page.evaluate(SAVE_IN_CHROMIUM, [origin, *LOGIN])
        page.goto(intake)
        page.evaluate(COPY)

        def held() -> list[list[str]]:
            page.locator("h1").click()  # no page may read it before the person does something
            found: list[list[str]] = page.evaluate(HELD)
            return found

        story.eventually(lambda: held()[1] == LOGIN, "the copy is not filled in", 20)
        assert held() == [["", ""], LOGIN]


def test_firefox_fills_nothing_in(cloud: LocalCloud, fox: Firefox) -> None:
    origin, intake = new_intake(cloud)
    fox.chrome(SAVE_IN_FIREFOX, origin, *LOGIN)
    fox.open(intake)
    fox.run(COPY)

    def held() -> list[list[str]]:
        found: list[list[str]] = fox.run(f"return {HELD}")
        return found

    story.eventually(lambda: held()[1] == LOGIN, "the copy is not filled in", 20)
    assert held() == [["", ""], LOGIN]
