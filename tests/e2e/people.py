"""People at the sandbox's GoTo and the accounts that they administer."""

import itertools
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Browser, Page

from sandbox import tenants
from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.story import Tenant

_numbers = itertools.count(7_000_000_001)


@dataclass(frozen=True)
class Account:
    key: str
    name: str

    @classmethod
    def new(cls, name: str) -> "Account":
        """One that no other test has."""
        return cls(str(next(_numbers)), name)


def person(cloud: LocalCloud, email: str, *accounts: Account, **rights: bool) -> str:
    """Someone at the sandbox's GoTo who administers these accounts, and may do so much in them."""
    rows = [{"key": account.key, "name": account.name, **rights} for account in accounts]
    story.control(cloud, "people", {"email": email, "accounts": rows})
    return email


def tenant_of(cloud: LocalCloud, display_name: str = "") -> Tenant:
    """A tenant whose account nobody knows yet."""
    name = story.new_name()
    shown, admin = display_name or f"{name} Ltd", f"admin@{name}.example"
    return Tenant(cloud, name, tenants.onboard(cloud, name, shown, admin))


def allowed(
    browser: Browser, tenant: Tenant, email: str, *, before: bool = False, **options: Any
) -> Page:
    """A browser that has just pressed Allow as this person; GoTo asks nobody who did so before."""
    page = story.new_page(browser, **options)
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page, email)
    if not before:
        story.allow(page)
    return page
