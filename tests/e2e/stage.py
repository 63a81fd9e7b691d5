"""Where the pages that an admin can meet are arranged."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, Page, expect

from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.story import Tenant

RENEWAL = 2_400
"""Seconds after which a token of GoTo's is renewed; the sandbox's live for three minutes."""

VIEWPORT = {"width": 1100, "height": 700}


@dataclass
class Stage:
    """Where a state is arranged."""

    cloud: LocalCloud
    browser: Browser
    _pressed: tuple[Tenant, Page] | None = None

    def page(self) -> Page:
        """A browser without any cookies."""
        return story.new_page(self.browser, viewport=VIEWPORT)

    def tenant(self) -> Tenant:
        tenant = story.new_tenant(self.cloud, display_name="Acme Analytics")
        story.rewrite_history(tenant)
        return tenant

    def at_goto(self) -> tuple[Tenant, Page]:
        """A tenant, and the browser that has pressed the button and is asked whether to allow."""
        tenant, page = self.tenant(), self.page()
        page.goto(tenant.link)
        story.press(page)
        story.log_in(page)
        expect(page.get_by_role("button", name="Allow")).to_be_visible()
        return tenant, page

    def pressed(self) -> tuple[Tenant, Page]:
        """The same, once for all while its page is open: for ends that are written into the row."""
        if self._pressed is None or self._pressed[1].is_closed():
            self._pressed = self.at_goto()
        return self._pressed

    @property
    def kept(self) -> list[BrowserContext]:
        """What `pressed` goes on with."""
        return [self._pressed[1].context] if self._pressed else []

    def connected(self) -> tuple[Tenant, Page]:
        """A tenant, and the browser that has just connected it; to be renewed as GoTo's are."""
        tenant, page = self.tenant(), self.page()
        story.connect(page, tenant)
        for table in ("tokens", "grants"):
            story.change(tenant, table, next_refresh_at=int(time.time()) + RENEWAL)
        story.reopen(page, tenant)
        return tenant, page


State = Callable[[Stage], Page]
