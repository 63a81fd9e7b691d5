"""Chromium, as tests look at pages with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright

from sandbox.environment import headless_chromium
from tests.support.webdriver import program


@contextmanager
def launched(playwright: Playwright, *switches: str) -> Iterator[Browser]:
    """Without windows. Skips the test where it is missing."""
    # Chromium has no sandbox for root, which is who runs in CI.
    browser = playwright.chromium.launch(
        executable_path=program(headless_chromium), args=["--no-sandbox", *switches]
    )
    yield browser
    browser.close()
