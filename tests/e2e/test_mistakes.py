"""What customers do wrong first, each repaired by what page and mails say alone: no telephone.

Each mistake is made by one customer, from the link of the first mail to *Connected*.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sandbox.cloud import LocalCloud
from sandbox.goto.state import DEFAULT_SCOPE
from tests.e2e import story
from tests.e2e.people import Account, person


@dataclass(frozen=True)
class Customer:
    """At step 1, with a client that is made at GoTo and not entered yet."""

    cloud: LocalCloud
    browser: Browser
    page: Page
    tenant: story.Tenant
    client_id: str
    secret: str

    def enter(self, client_id: str = "", secret: str = "") -> None:
        story.enter_client(self.page, client_id or self.client_id, secret or self.secret)

    def says(self, words: str) -> None:
        expect(self.page.get_by_text(words).first).to_be_visible()

    def shown(self) -> dict[str, Any]:
        return self.cloud.rep("tenant_show", tenant=self.tenant.name)

    def done(self) -> None:
        expect(self.page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()

    def mailed(self, subject: str = "Connect hireanalytiX") -> str:
        """The rep sends step 2 once step 1 is told as done."""
        assert self.cloud.rep("link_send", tenant=self.tenant.name)["ok"]
        return story.link_in(story.mail(self.cloud, self.admin, subject))

    @property
    def admin(self) -> str:
        return f"admin@{self.tenant.name}.example"

    def connect(self, link: str) -> None:
        story.share_account(self.cloud, self.tenant.name)
        story.connect(self.page, replace(self.tenant, link=link))

    def allow_as(self, *accounts: Account, **rights: bool) -> None:
        """Press the button and Allow as somebody with these accounts."""
        keys = "-".join(account.key for account in accounts)
        email = person(self.cloud, f"{keys}@{self.tenant.name}.example", *accounts, **rights)
        story.press(self.page)
        story.log_in(self.page, email)
        story.allow(self.page)

    def log_out_of_goto(self) -> None:
        here = self.page.url
        self.page.goto(f"{self.cloud.goto_url}/logout")
        self.page.goto(here)


def blanks_around_the_secret(customer: Customer) -> None:
    customer.enter(f" {customer.client_id}\u200b", f"\ufeff{customer.secret} ")
    customer.done()
    customer.connect(customer.mailed())


def a_wrong_secret(customer: Customer) -> None:
    customer.enter(secret="wrong")
    customer.says("GoTo does not accept this client ID")
    assert customer.page.get_by_label("Client ID").input_value() == customer.client_id
    customer.page.get_by_label("Client secret").fill(customer.secret)
    customer.page.get_by_role("button", name="Check and store").click()
    customer.done()
    customer.connect(customer.mailed())


def id_and_secret_swapped(customer: Customer) -> None:
    customer.enter(customer.secret, customer.client_id)
    customer.says("The two values are swapped")
    customer.enter()
    customer.done()
    customer.connect(customer.mailed())


def the_slash_is_missing(customer: Customer) -> None:
    """The customer corrects it in GoTo's portal, as the page says."""
    made = {"client_id": customer.client_id, "client_secret": customer.secret}
    short = {"name": "hireanalytiX", "redirect_uris": [customer.tenant.address.rstrip("/")]}
    story.control(customer.cloud, "clients", made | short)
    customer.enter()
    customer.says("a different redirect URI")
    right = {"name": "hireanalytiX", "redirect_uris": [customer.tenant.address]}
    story.control(customer.cloud, "clients", made | right)
    customer.enter()
    customer.done()
    customer.connect(customer.mailed())


def one_box_only(customer: Customer) -> None:
    """The other box is checked in GoTo's portal, as the page says."""
    boxes = {"client_id": customer.client_id}
    one = " ".join(scope for scope in DEFAULT_SCOPE.split() if scope.startswith("identity:"))
    story.control(customer.cloud, "boxes", boxes | {"scope": one})
    customer.enter()
    customer.done()
    customer.page.goto(customer.mailed())
    story.press(customer.page)
    customer.says("A box is not checked in GoTo's developer portal")
    story.control(customer.cloud, "boxes", boxes | {"scope": DEFAULT_SCOPE})
    customer.allow_as(Account.new("Acme"))


def the_wrong_account(customer: Customer) -> None:
    """The browser was logged in to GoTo for another company than the one that the rep knows of."""
    own = Account.new("Acme")
    assert customer.cloud.rep("pin_set", tenant=customer.tenant.name, account=own.key)["ok"]
    customer.enter()
    customer.done()
    customer.page.goto(customer.mailed())
    customer.allow_as(Account.new("Rival"))
    customer.says("That was a different GoTo account")
    customer.log_out_of_goto()
    customer.allow_as(own)


def several_accounts(customer: Customer) -> None:
    customer.enter()
    customer.done()
    customer.page.goto(customer.mailed())
    customer.allow_as(Account.new("Partner IT"), Account.new("Acme"))
    customer.says("Which GoTo account is yours?")
    customer.page.get_by_role("radio", name="Acme").check()
    customer.page.get_by_role("button", name="Connect this account").click()


def not_an_administrator(customer: Customer) -> None:
    """A colleague who is one does it instead."""
    own = Account.new("Acme")
    customer.enter()
    customer.done()
    link = customer.mailed()
    customer.page.goto(link)
    customer.allow_as(own, admin=False)
    story.eventually(lambda: customer.shown()["usable"] == "forbidden", "never probed")
    customer.page.reload()
    customer.says("GoTo refuses to show call reports")
    colleague = replace(customer, page=story.new_page(customer.browser))
    colleague.page.goto(link)
    colleague.allow_as(own, Account.new("Another"))


def deny(customer: Customer) -> None:
    story.share_account(customer.cloud, customer.tenant.name)
    customer.enter()
    customer.page.goto(customer.mailed())
    story.press(customer.page)
    story.log_in(customer.page)
    customer.page.get_by_role("button", name="Deny").click()
    customer.says("Access was denied at GoTo")
    story.press(customer.page)
    story.allow(customer.page)


def another_browser(customer: Customer) -> None:
    """GoTo's answer is opened in another browser than the one it was begun in."""
    customer.enter()
    customer.done()
    link = customer.mailed()
    customer.page.goto(link)
    elsewhere = replace(customer, page=story.new_page(customer.browser))
    elsewhere.page.goto(f"{customer.tenant.address}?code=x&state={'x' * 43}")
    elsewhere.says("This sign-in can't be used")
    elsewhere.connect(link)


def an_expired_link(customer: Customer) -> None:
    customer.enter()
    customer.done()
    link = customer.mailed()
    story.change_link(replace(customer.tenant, link=link), expires_at=1)
    customer.page.goto(link)
    customer.page.get_by_role("button", name="Email a new link").click()
    customer.says("Thank you")
    customer.connect(story.link_in(story.mail(customer.cloud, customer.admin, "Your new")))


def a_pasted_full_stop(customer: Customer) -> None:
    customer.enter()
    customer.done()
    customer.connect(customer.mailed() + ".")


MISTAKES: list[Callable[[Customer], None]] = [
    blanks_around_the_secret,
    a_wrong_secret,
    id_and_secret_swapped,
    the_slash_is_missing,
    one_box_only,
    the_wrong_account,
    several_accounts,
    not_an_administrator,
    deny,
    another_browser,
    an_expired_link,
    a_pasted_full_stop,
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.__name__)
def test_a_mistake_is_repaired_without_a_telephone(
    cloud: LocalCloud,
    browser: Browser,
    mistake: Callable[[Customer], None],
    record_property: Callable[[str, object], None],
) -> None:
    name = story.new_name()
    email = f"admin@{name}.example"
    assert cloud.rep("tenant_add", tenant=name, display_name="Acme", admin_email=email)["ok"]
    client_id, secret = story.new_client(cloud, name)
    assert cloud.rep("intake_send", tenant=name)["ok"]
    page = story.new_page(browser)
    page.goto(story.link_in(story.mail(cloud, email, "step 1 of 2")))
    begun = time.monotonic()
    customer = Customer(cloud, browser, page, story.Tenant(cloud, name, ""), client_id, secret)
    mistake(customer)
    story.eventually(lambda: customer.shown()["state"] == "connected", "never connected")
    story.eventually(lambda: customer.shown()["usable"] == "yes", "nothing can be read")
    record_property("seconds", round(time.monotonic() - begun, 1))
