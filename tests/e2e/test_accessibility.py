"""axe-core on every page and state: no violation, light on a small phone and dark on a desk.

The theme changes only colors and the width only places, so the other two pairs add nothing. Nor
does any page move what it has shown.
"""

from collections.abc import Iterator
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page

from sandbox.cloud import LocalCloud
from sandbox.environment import Missing, axe
from tests.e2e import states, story
from tests.e2e.stage import Stage
from tests.e2e.states import STATES

Look = tuple[Literal["light", "dark"], int, tuple[str, ...]]

LOOKS: tuple[Look, ...] = (
    ("light", 320, ()),
    ("dark", 1280, ("color-contrast", "link-in-text-block", "target-size")),
)
"""Theme, width, and axe's rules: all of them, then those that look at colors and places."""


@pytest.fixture(scope="session")
def axe_source() -> str:
    try:
        return axe().read_text()
    except Missing as missing:
        pytest.skip(str(missing))


def violations(page: Page, rules: tuple[str, ...] = ()) -> list[Any]:
    """Rule and place of each violation, of these rules or of all; what axe can't decide on is
    counted as one."""
    options: dict[str, Any] = {"resultTypes": ["violations", "incomplete"]}
    if rules:
        options["runOnly"] = {"type": "rule", "values": list(rules)}
    found = page.evaluate("options => axe.run(options)", options)
    return [
        (rule["id"], [node["target"] for node in rule["nodes"]])
        for rule in found["violations"] + found["incomplete"]
    ]


def too_wide(page: Page) -> bool:
    """Whether one must scroll sideways (WCAG 1.4.10)."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return wide


SHIFTED = """() => new Promise(done => {
    let sum = 0;
    new PerformanceObserver(list => list.getEntries().forEach(each => { sum += each.value; }))
        .observe({type: "layout-shift", buffered: true});
    setTimeout(() => done(sum), 100);
})"""
"""By how much the page has moved what it had shown, since it was opened (web.dev's measure)."""

SEEN = 0.005
"""Of that measure: less is a word that moves by a few pixels; 0.1 is still called good."""


@pytest.fixture(scope="module")
def stage(cloud: LocalCloud, chrome: Browser) -> Stage:
    """Once for all: the pages of ends share a press of the button."""
    return Stage(cloud, chrome)


@pytest.fixture(autouse=True)
def others_closed(stage: Stage) -> Iterator[None]:
    """Left open, their pages would ask for ever."""
    yield
    for context in stage.browser.contexts:
        if context not in stage.kept:
            context.close()


@pytest.mark.parametrize("state", STATES)
def test_no_page_has_an_axe_violation(stage: Stage, axe_source: str, state: str) -> None:
    page = states.arrange(state, stage)
    assert page.evaluate(SHIFTED) < SEEN
    page.evaluate(axe_source)
    for scheme, width, rules in LOOKS:
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 700})
        assert violations(page, rules) == [], (scheme, width)
        assert not too_wide(page), (scheme, width)


def test_a_page_that_moves_is_noticed(stage: Stage) -> None:
    page = states.arrange("not-connected", stage)
    page.locator("main").evaluate(
        """main => requestAnimationFrame(() => {
            main.prepend(Object.assign(document.createElement("p"), {textContent: "late"}));
        })"""
    )
    story.eventually(lambda: page.evaluate(SHIFTED) > SEEN, "nothing has moved")


def test_axe_finds_what_is_wrong(stage: Stage, axe_source: str) -> None:
    """That nothing is found above says something only if something can be found."""
    page = states.arrange("not-connected", stage)
    page.evaluate(axe_source)
    page.locator("html").evaluate("html => html.removeAttribute('lang')")
    page.locator("h1").evaluate("title => { title.style.color = '#eee'; }")
    assert {rule for rule, _ in violations(page)} >= {"html-has-lang", "color-contrast"}


def test_the_wait_is_read_out(stage: Stage) -> None:
    """A live region speaks when something comes into it: here, after the page has loaded."""
    page = states.arrange("processing", stage)
    page.add_init_script(
        """addEventListener("DOMContentLoaded", () => {
          window.spoken = [];
          new MutationObserver(seen => seen.forEach(change => change.addedNodes.forEach(
            node => window.spoken.push(node.textContent)
          ))).observe(document.getElementById("live"), {childList: true});
        });"""
    )
    page.reload()
    # Not wait_for_function: it evaluates in the page, which the page's policy forbids.
    story.eventually(lambda: page.evaluate("window.spoken.length"), "nothing was said", 5)
    assert page.evaluate("window.spoken") == [f"hireanalytiX: {story.PROCESSING}"]
    assert page.get_by_role("status").get_attribute("aria-live") == "polite"


def test_motion_stops_for_those_who_asked_for_it(stage: Stage) -> None:
    page = states.arrange("processing", stage)
    spinner = page.locator(".spinner")
    moving = "spinner => getComputedStyle(spinner).animationName"
    assert spinner.evaluate(moving) == "turn"
    page.emulate_media(reduced_motion="reduce")
    assert spinner.evaluate(moving) == "none"


def test_paper_gets_the_words_and_not_the_buttons(stage: Stage) -> None:
    page = states.arrange("connected", stage)
    page.emulate_media(media="print", color_scheme="dark")
    assert page.get_by_text("What has happened").is_visible()
    assert not page.get_by_role("button").count()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("h1").evaluate("h => getComputedStyle(h).color") == "rgb(29, 36, 51)"


FOCUSED = """[document.activeElement.textContent.slice(0, 16),
  getComputedStyle(document.activeElement).outlineStyle]"""


def _first_tab(page: Page) -> None:
    """Press Tab until it is heard: Chromium drops every key before the page is on the screen."""

    def heard() -> bool:
        page.keyboard.press("Tab")
        return bool(page.evaluate("document.activeElement !== document.body"))

    story.eventually(heard, "no Tab was heard", 10)


def test_the_keyboard_alone_is_enough(stage: Stage) -> None:
    """Tab reaches everything in reading order, the focus is seen, Enter presses."""
    page = states.arrange("connected", stage)
    _first_tab(page)
    reached = [page.evaluate(FOCUSED)]
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(FOCUSED))
    words = ["GoTo API", "Get Access Token", "Hide", "Copy", "ey"]
    assert [
        (text[: len(word)], line) for word, (text, line) in zip(words, reached, strict=True)
    ] == [(word, "solid") for word in words]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert set(page.get_by_label("GoTo Access Token").input_value()) == {"•"}
    page.keyboard.press("Enter")
    assert len(page.get_by_label("GoTo Access Token").input_value()) > 500
