"""The local cloud and a real browser, once for all end-to-end tests."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from sandbox.cloud import LocalCloud
from sandbox.settings import Ports, Settings
from tests.e2e.chrome import launched

expect.set_options(timeout=20_000)  # milliseconds: a machine of two cores may be busy


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """The packaged template on a local cloud of the tests' own, with a GoTo to practise on."""
    ports = Ports.free()
    local = LocalCloud(Settings(ports), tmp_path_factory.mktemp("cloud"))
    local.start()
    yield local
    local.stop()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Once for all: a second one in the same process refuses to start."""
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chrome(playwright: Playwright) -> Iterator[Browser]:
    """Chromium, as a person's."""
    with launched(playwright) as browser:
        yield browser


@pytest.fixture
def browser(chrome: Browser) -> Iterator[Browser]:
    """Where a test makes contexts of its own; left open, their pages would ask for ever."""
    yield chrome
    for context in chrome.contexts:
        context.close()
