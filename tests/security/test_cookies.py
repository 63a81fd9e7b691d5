"""S24, S02, S18: which cookie is ours, and what a browser's value is worth once it has changed."""

import re

import pytest
from chalice.app import Request

from chalicelib import opaque
from chalicelib.connect.visitors import BrowserCookies
from chalicelib.durations import REQUEST_LIFETIME
from chalicelib.web import http
from tests.support.site import PAGE, Site, proxy_event
from tests.support.world import World

GENUINE, PLANTED = "G" * 43, "P" * 43
WHITE = sorted(
    {chr(code) for code in range(0x110000) if chr(code).isspace()}
    | {"\u200b", "\u200c", "\u200d", "\u2060", "\ufeff"}
)
OURS = (http.LINK_COOKIE, http.BROWSER_COOKIE, http.BEFORE_COOKIE)

memory_only = pytest.mark.parametrize("world", ["memory"], indirect=True)
"""What is sought here lies before the tables."""


def brought(*lines: str) -> BrowserCookies:
    """What the pages take from these lines of the Cookie header."""
    event = proxy_event("GET", PAGE, [], "", [("Cookie", line) for line in lines])
    return http.browser_cookies(Request(event))


def value(visitor: BrowserCookies, name: str) -> str | None:
    return dict(zip(OURS, (visitor.link, visitor.browser, visitor.before), strict=True))[name]


def decodings(text: str) -> set[str]:
    """A header with these letters, by whatever is between the browser and us."""
    raw = text.encode()
    return {text, raw.decode("latin-1"), raw.decode("ascii", "replace")}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("genuine_first", [True, False])
@pytest.mark.parametrize("place", ["{white}{name}", "{name}{white}"], ids=["before", "after"])
def test_s24_a_name_with_white_space_is_another_cookie(
    place: str, genuine_first: bool, name: str
) -> None:
    """S24: all of Unicode's, what looks like none, and the raw bytes A0 and 85."""
    for white in WHITE:
        planted = place.format(white=white, name=name) + f"={PLANTED}"
        pair = [f"{name}={GENUINE}", planted] if genuine_first else [planted, f"{name}={GENUINE}"]
        seen = {value(brought(text), name) for text in decodings("; ".join(pair))}
        seen |= {value(brought(text), name) for text in decodings(planted)}
        if white in " \t":  # which belong to no name before it: given twice, or alone
            assert seen <= {None, PLANTED if place.startswith("{white}") else GENUINE}
        else:
            assert seen <= {None, GENUINE}, f"U+{ord(white):04X}"
            assert value(brought("; ".join(pair)), name) == GENUINE
    for byte in (b"\xa0", b"\x85"):
        for decoded in (byte.decode("latin-1"), byte.decode("utf-8", "replace")):
            planted = place.format(white=decoded, name=name) + f"={PLANTED}"
            assert value(brought(planted), name) is None


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("second", [PLANTED, GENUINE, ""])
def test_s24_a_name_given_twice_counts_as_not_given(name: str, second: str) -> None:
    """S24: in one line or in two, whatever the values, whichever comes first."""
    pair = [f"{name}={GENUINE}", f"{name}={second}"]
    for lines in (["; ".join(pair)], ["; ".join(reversed(pair))], pair, [f"{pair[0]};\t{pair[1]}"]):
        assert value(brought(*lines), name) is None


@pytest.mark.parametrize("name", OURS)
def test_s24_names_are_exact(name: str) -> None:
    for other in (name.lower(), name.upper(), f'"{name}"', f"x{name}", name.replace("a", "\u0430")):
        if other != name:
            assert value(brought(f"{other}={PLANTED}; {name}={GENUINE}"), name) == GENUINE


def test_s24_cookies_in_several_lines_are_all_read() -> None:
    """API Gateway's `headers` hold the last line only."""
    lines = (f"{http.LINK_COOKIE}={GENUINE}", "theme=dark", f"{http.BROWSER_COOKIE}={PLANTED}")
    assert brought(*lines) == BrowserCookies(GENUINE, PLANTED)
    event = proxy_event("GET", PAGE, [], "", [("cookie", "; ".join(lines))])
    del event["multiValueHeaders"]
    assert http.browser_cookies(Request(event)) == BrowserCookies(GENUINE, PLANTED)


@memory_only
def test_s24_a_tossed_link_opens_nothing(site: Site) -> None:
    """S24: through the whole of it, and the genuine one goes on."""
    link, evil = site.world.add_tenant(), site.world.add_tenant("evil")
    site.open(link)
    site.jar = {f"\u2000{http.LINK_COOKIE}": evil, **site.jar}
    assert "acme Ltd" in site.get(PAGE).body
    del site.jar[http.LINK_COOKIE]
    assert site.get(PAGE).status == 401


def come_back(site: Site) -> str:
    """Press, and come back from GoTo; the callback's address."""
    address = f"{PAGE}?state={site.press()['state']}&code=a-code"
    assert site.get(address).status == 303
    return address


def test_s02_the_old_value_of_a_browser_shows_nothing(site: Site) -> None:
    """S02, S18: neither token nor details, also where it had completed one before."""
    link = site.world.add_tenant()
    old = []
    for _ in range(2):
        site.open(link)
        old.append(site.jar[http.BROWSER_COOKIE])
        site.connect(link)
    for known in old:
        other = site.another_browser()
        other.jar = {http.LINK_COOKIE: link, http.BROWSER_COOKIE: known}
        body = other.get(PAGE).body
        assert "access-" not in body.replace("access-token", "")
        assert "What has happened" not in body
    assert "access-2" in site.get(PAGE).body


def test_s02_the_new_value_follows_from_what_only_this_browser_has(site: Site) -> None:
    site.open(site.world.add_tenant())
    before = site.jar[http.BROWSER_COOKIE]
    address = come_back(site)
    state = re.findall("state=([^&]+)", address)[0]
    renewed = site.jar[http.BROWSER_COOKIE]
    assert renewed == opaque.next_browser(before, state)
    assert opaque.well_formed(renewed)
    assert opaque.next_browser(before, GENUINE) != renewed != opaque.next_browser(GENUINE, state)


def test_s02_a_repeated_callback_leads_to_the_same_new_value(site: Site) -> None:
    """The browser asks again for what was lost, with its old cookies; or the back button does,
    with its new ones."""
    site.open(site.world.add_tenant())
    before = dict(site.jar)
    address = come_back(site)
    renewed = site.jar[http.BROWSER_COOKIE]
    for completed in (False, True):
        for jar in (before, dict(site.jar)):
            again = site.another_browser()
            again.jar = dict(jar)
            answer = again.get(address)
            assert (answer.status, answer.headers["location"]) == (303, PAGE)
            assert again.jar[http.BROWSER_COOKIE] == renewed
        if not completed:
            assert None in site.world.complete()
    assert "access-1" in again.get(PAGE).body
    assert len(site.world.goto.asked) == 1


def test_s02_a_refusal_leaves_the_browsers_value_alone(site: Site) -> None:
    site.open(site.world.add_tenant())
    before = dict(site.jar)
    assert site.get(f"{PAGE}?state={site.press()['state']}&error=access_denied").status == 303
    assert site.jar == before


def test_s02_what_a_second_tab_had_open_serves_for_as_long_as_a_request(site: Site) -> None:
    """Its form and its sign-in were begun with the value of before; S18: it shows nothing."""
    site.open(site.world.add_tenant())
    form = {"csrf": site.csrf()}
    come_back(site)
    [cookie] = [cookie for cookie in site.get(PAGE).cookies if "before" in cookie] or [""]
    assert cookie == "", "only the callback sets it"
    answer = site.post(PAGE, form, sec_fetch_site="same-origin")
    assert answer.status == 303
    only = site.another_browser()
    only.jar = {name: kept for name, kept in site.jar.items() if name != http.BROWSER_COOKIE}
    assert only.post(PAGE, form, sec_fetch_site="same-origin").status == 403


def test_s02_the_value_of_before_ends_with_the_requests_it_serves(site: Site) -> None:
    site.open(site.world.add_tenant())
    answer = site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    [cookie] = [cookie for cookie in answer.cookies if cookie.startswith(http.BEFORE_COOKIE)]
    assert f"Max-Age={REQUEST_LIFETIME};" in cookie
    assert "Path=/; Secure; HttpOnly; SameSite=Lax" in cookie


def test_s18_two_that_complete_in_one_second_see_each_only_its_own(world: World) -> None:
    """S18: both connect with the tenant's account; the later token is the later browser's."""
    link = world.add_tenant()
    first, second = world.browser(link), world.browser(link)
    states = [world.start(visitor)["state"] for visitor in (first, second)]
    for visitor, state in zip((first, second), states, strict=True):
        world.come_back(visitor, state=state, code="a-code")
        assert world.complete() == [None]
    assert world.visit.settings_page(second).token == "access-2"
    assert world.visit.settings_page(first).token is None
    assert world.visit.settings_page(first).details is not None


@pytest.mark.parametrize("table", ["tokens_table", "requests_table"])
def test_s18_rows_of_the_version_before_mask_the_token(world: World, table: str) -> None:
    """S18: without a sequence nobody can tell whose it is; all else goes on."""
    visitor = world.connect(world.add_tenant())
    key = {"tenant": {"S": "acme"}}
    if table == "requests_table":
        digest = opaque.browser_digest(visitor.browser or "", "acme")
        key = {"request": {"S": digest}}
    world.dynamodb.update_item(
        TableName=getattr(world.settings, table),
        Key=key,
        UpdateExpression="REMOVE #sequence",
        ExpressionAttributeNames={"#sequence": "sequence"},
    )
    view = world.visit.settings_page(visitor)
    assert (view.token, view.connected) == (None, True)
    assert view.details is not None


def test_s18_who_had_connected_before_keeps_the_details_while_another_try_fails(
    world: World,
) -> None:
    visitor = world.connect(world.add_tenant())
    world.goto.account_key = "4000000002"
    world.come_back(visitor, state=world.start(visitor)["state"], code="another")
    assert world.visit.settings_page(visitor).details is not None
    world.complete()
    assert world.visit.settings_page(visitor).details is not None
