"""S01, S06-S09, S13: whatever is sent to the callback and to the start, made up by Hypothesis."""

from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.durations import REQUEST_LIFETIME
from tests.support.site import PAGE, Answered, Site
from tests.support.world import TESTER

ANYTHING = st.text(st.characters(codec="utf-8"), max_size=60)
HEADER = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
MARK = "canary"
"""Stands in every value that must not be reflected."""

thoroughly = settings(
    max_examples=300,
    deadline=None,  # the speed of this machine is not what is asked about
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples look at differences
)
memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)
"""What is sought here lies before the tables."""

PARAMETERS = st.sampled_from(
    ["state", "code", "error", "iss", "error_description", "error_uri", "scope", "link", "next"]
)
TRUE_STATE = object()
VALUES = st.one_of(
    st.just(TRUE_STATE),
    ANYTHING.map(lambda text: MARK + text),
    st.just(""),
    st.text("A-_z09", min_size=43, max_size=43),
    st.integers(4_000, 5_000).map(lambda length: MARK * (length // len(MARK))),
)


def open_afresh(site: Site) -> None:
    """A browser of its own for each example, with the link's whole share of starts."""
    world = site.world
    world.clock.pass_(REQUEST_LIFETIME + 1)
    site.jar.clear()
    if world.tenants.get("acme") is None:
        site.open(world.add_tenant())
    else:
        site.open(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])


def is_clean(answer: Answered) -> None:
    assert answer.status in (200, 303, 400, 401, 403, 404, 413, 415)
    assert MARK not in answer.body + repr(answer.headers)
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    if "location" in answer.headers:
        assert answer.status == 303


@memory_only
@thoroughly
@given(pairs=st.lists(st.tuples(PARAMETERS, VALUES), min_size=1, max_size=6), own=st.booleans())
def test_s01_s06_s08_s09_any_callback(
    site: Site, pairs: list[tuple[str, object]], own: bool
) -> None:
    """Only a state of this browser's own, given once beside one code, leads to an exchange."""
    open_afresh(site)
    state = site.press()["state"]
    sent = [(name, state if value is TRUE_STATE else str(value)) for name, value in pairs]
    browser = site if own else site.another_browser()
    before = site.world.everything()
    answer = browser.get(f"{PAGE}?{urlencode(sent)}")
    is_clean(answer)
    assert answer.headers.get("location", PAGE) == PAGE
    names = [name for name, _ in sent]
    values = dict(sent)
    ours = own and values.get("state") == state
    single = all(names.count(name) == 1 for name in set(names) - {"scope", "link", "next"})
    if not (ours and single):
        assert site.world.everything() == before
    started = [*site.world.completions]
    site.world.completions.clear()
    assert len(started) <= 1
    if started:
        assert ours
        assert single
        assert values["code"]
        assert not values.get("error")
    assert site.world.goto.asked == []


@memory_only
@thoroughly
@given(
    body=st.one_of(
        ANYTHING.map(lambda text: MARK + text),
        st.lists(st.tuples(st.sampled_from(["csrf", "link", "tenant"]), ANYTHING)).map(urlencode),
        st.just("right"),
    ),
    headers=st.fixed_dictionaries(
        {"content-type": st.just("application/x-www-form-urlencoded") | HEADER},
        optional={
            "sec-fetch-site": st.sampled_from(["same-origin", "same-site", "cross-site", "none"])
            | HEADER,
            "origin": st.sampled_from(["null", "https://acme.analytics.example"]) | HEADER,
            "host": HEADER,
            "x-forwarded-host": HEADER,
        },
    ),
)
def test_s07_s09_s13_any_start(site: Site, body: str, headers: dict[str, str]) -> None:
    """Only our own page's form opens a request, and the way leads to GoTo alone."""
    open_afresh(site)
    sent = urlencode({"csrf": site.csrf()}) if body == "right" else body
    before = site.world.everything()
    answer = site.send("POST", PAGE, sent, headers)
    is_clean(answer)
    if answer.status != 303:
        assert site.world.everything() == before
        return
    assert body == "right"
    assert headers.get("sec-fetch-site") in (None, "same-origin")
    assert headers.get("origin") in (None, "null", "https://acme.analytics.example")
    target = urlsplit(answer.headers["location"])
    assert (target.scheme, target.netloc) == ("https", "goto.example")
    asked = dict(parse_qsl(target.query))
    assert asked["redirect_uri"] == f"https://acme.analytics.example{PAGE}"


@memory_only
@settings(thoroughly, max_examples=100)
@given(link=ANYTHING, browser=ANYTHING)
def test_s14_any_cookie(site: Site, link: str, browser: str) -> None:
    """No cookie but ours opens anything; each is told the same."""
    site.jar = {"__Host-ha-link": MARK + link, "__Host-ha-browser": MARK + browser}
    before = site.world.everything()
    answer = site.get(PAGE)
    is_clean(answer)
    assert answer.status == 401
    assert site.world.everything() == before
