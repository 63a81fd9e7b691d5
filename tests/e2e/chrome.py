"""Chromium, as tests look at pages with it."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Playwright

from sandbox.environment import chromium, headless_chromium
from tests.support.webdriver import program


@contextmanager
def launched(playwright: Playwright, *switches: str, whole: bool = False) -> Iterator[Browser]:
    """The headless shell, or the ``whole`` browser as a person has it. Skips the test where it is
    missing."""
    path = program(chromium if whole else headless_chromium)
    # Chromium has no sandbox for root, which is who runs in CI.
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *switches])
    yield browser
    browser.close()
