"""`make pictures`: draws docs/images from the running product, never by hand."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from sandbox.cloud import LocalCloud
from sandbox.environment import ROOT, chromium, step
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


GOTO = "goto-sandbox"
"""What the admin is asked at GoTo, as the sandbox shows it."""

NAMES = (GOTO, *STATES)


def main() -> int:
    """Arrange states of pages, all where none is named, and picture them."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.pictures")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    names = parser.parse_args().names or NAMES
    if unknown := set(names) - set(NAMES):
        parser.error(f"there is no picture of {', '.join(sorted(unknown))}")
    expect.set_options(timeout=20_000)  # milliseconds: a machine of two cores may be busy
    IMAGES.mkdir(parents=True, exist_ok=True)
    ports = Ports.free()
    with tempfile.TemporaryDirectory() as folder:
        cloud = LocalCloud(Settings(ports), Path(folder))
        cloud.start(step)
        try:
            with sync_playwright() as playwright:
                arguments = ["--no-sandbox"]
                browser = playwright.chromium.launch(executable_path=chromium(), args=arguments)
                draw(Stage(cloud, browser), names, IMAGES)
                browser.close()
        finally:
            cloud.stop()
    return 0


def draw(stage: Stage, names: Sequence[str], folder: Path) -> None:
    """Picture these states, some of them on a phone too."""
    for name in names:
        with step(name):
            page = stage.at_goto()[1] if name == GOTO else arrange(name, stage)
            _picture(page, folder / f"{name}.png")
            if name in ON_A_PHONE:
                page.emulate_media(color_scheme="dark")
                page.set_viewport_size({"width": 320, "height": 640})
                _picture(page, folder / f"{name}-phone-dark.png")
            page.context.close()


def _picture(page: Page, file: Path) -> None:
    page.screenshot(path=file, full_page=True, scale="css")


if __name__ == "__main__":
    sys.exit(main())
