"""`make pictures`: draws docs/images from the running product, never by hand."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from sandbox.cloud import LocalCloud
from sandbox.environment import ROOT, chromium, step
from sandbox.processes import free_port
from sandbox.settings import Ports, Settings
from tests.e2e.stage import Stage
from tests.e2e.states import STATES, arrange

IMAGES = ROOT / "docs" / "images"

ON_A_PHONE = {
    "not-connected",
    "processing",
    "connected",
    "connected-elsewhere",
    "reconnect-soon",
    "reauthorization-required",
    "error-dead-link",
    "intake",
    "intake-wrong",
}
"""States that are pictured a second time: 320 px wide, dark."""


def main() -> int:
    """Arrange every state of every page, and picture it."""
    expect.set_options(timeout=20_000)  # milliseconds: a machine of two cores may be busy
    IMAGES.mkdir(parents=True, exist_ok=True)
    ports = Ports(edge=free_port(), goto=free_port(), aws=free_port())
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Settings(ports), Path(folder))
        cloud.start(step)
        try:
            with sync_playwright() as playwright:
                arguments = ["--no-sandbox"]
                browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
                _pictures(Stage(cloud, browser))
                browser.close()
        finally:
            cloud.stop()
    return 0


def _pictures(stage: Stage) -> None:
    with step("GoTo's page"):
        _goto_sandbox(stage)
    for name in STATES:
        with step(name):
            page = arrange(name, stage)
            _picture(page, name)
            if name in ON_A_PHONE:
                page.emulate_media(color_scheme="dark")
                page.set_viewport_size({"width": 320, "height": 640})
                _picture(page, f"{name}-phone-dark")
            page.context.close()


def _goto_sandbox(stage: Stage) -> None:
    """What the admin is asked at GoTo, as the sandbox shows it."""
    _, page = stage.at_goto()
    _picture(page, "goto-sandbox")
    page.context.close()


def _picture(page: Page, name: str) -> None:
    page.screenshot(path=IMAGES / f"{name}.png", full_page=True, scale="css")


if __name__ == "__main__":
    sys.exit(main())
