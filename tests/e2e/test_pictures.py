"""`make pictures` in small, and that docs/images holds what it draws and nothing else."""

from pathlib import Path

from playwright.sync_api import Browser

from sandbox.cloud import LocalCloud
from tests.e2e import pictures
from tests.e2e.stage import Stage

PNG = b"\x89PNG"


def test_what_is_named_is_drawn(cloud: LocalCloud, browser: Browser, tmp_path: Path) -> None:
    pictures.draw(Stage(cloud, browser), (pictures.GOTO, "not-connected"), tmp_path)
    drawn = {file.stem: file.read_bytes()[:4] for file in tmp_path.iterdir()}
    names = (pictures.GOTO, "not-connected", "not-connected-phone-dark")
    assert drawn == dict.fromkeys(names, PNG)


def test_there_is_a_picture_of_each_state() -> None:
    phones = {f"{name}-phone-dark" for name in pictures.ON_A_PHONE}
    assert {file.stem for file in pictures.IMAGES.glob("*.png")} == {*pictures.NAMES, *phones}
