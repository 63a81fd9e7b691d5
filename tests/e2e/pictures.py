"""`make pictures`: draws docs/images from the running product, never by hand."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from sandbox.cloud import LocalCloud
from sandbox.environment import ROOT, chromium, step
from sandbox.processes import free_port
from sandbox.settings import Ports, Settings
from tests.e2e import story

IMAGES = ROOT / "docs" / "images"


def main() -> int:
    """Go through the story once and picture each state."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    ports = Ports(edge=free_port(), goto=free_port(), aws=free_port())
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Settings(ports), Path(folder))
        cloud.start(step)
        try:
            with step("Pictures"):
                _story(cloud)
        finally:
            cloud.stop()
    return 0


def _story(cloud: LocalCloud) -> None:
    link = story.new_tenant(cloud, "acme", "Acme Analytics").link
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = story.new_page(browser, viewport={"width": 1100, "height": 700})
        page.goto(link)
        _picture(page, "not-connected")
        story.press(page)
        story.log_in(page)
        page.get_by_role("button", name="Deny").click()
        expect(page.get_by_text("Access was denied")).to_be_visible()
        _picture(page, "denied")
        story.slow_down_next_exchange(cloud)
        story.press(page)
        _picture(page, "goto-sandbox")
        story.allow(page)
        expect(page.get_by_text(story.PROCESSING)).to_be_visible()
        _picture(page, "processing")
        story.token(page)
        _picture(page, "connected")
        phone = story.new_page(browser, viewport={"width": 360, "height": 700}, color_scheme="dark")
        phone.goto(link)
        _picture(phone, "later-visit-phone-dark")
        page.goto(link[:-4] + "AAAA")
        _picture(page, "dead-link")
        browser.close()


def _picture(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True)


if __name__ == "__main__":
    sys.exit(main())
