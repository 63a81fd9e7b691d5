"""S01-S10: an authorization response is used once, by its browser, for its tenant; nothing else."""

import itertools
from collections.abc import Callable
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest

from chalicelib import opaque
from chalicelib.durations import REQUEST_LIFETIME
from chalicelib.goto import oauth
from chalicelib.models import Reason, RequestStatus
from tests.support.site import PAGE, Answered, Site
from tests.support.world import World

pytestmark = pytest.mark.engines


def back(**parameters: str) -> str:
    return f"{PAGE}?{urlencode(parameters)}"


def refused(site: Site, address: str, status: int = 400) -> Answered:
    """The address is answered with a page with a reference, nothing is written, nothing asked."""
    before, asked = site.world.everything(), len(site.world.goto.asked)
    answer = site.get(address)
    assert answer.status == status
    assert answer.reference is not None
    assert "Traceback" not in answer.body
    assert site.world.everything() == before
    assert (len(site.world.goto.asked), site.world.completions) == (asked, [])
    return answer


def ignored(site: Site, address: str) -> None:
    """The browser that came back before is led to its page; nothing is written, nothing asked."""
    before, asked = site.world.everything(), len(site.world.goto.asked)
    answer = site.get(address)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert site.world.everything() == before
    assert (len(site.world.goto.asked), site.world.completions) == (asked, [])


def test_s01_a_used_state_asks_for_nothing(site: Site) -> None:
    """S01: burnt by one conditional write; a replay changes nothing and sends no code."""
    link = site.world.add_tenant()
    site.open(link)
    state = site.press()["state"]
    assert site.get(back(state=state, code="a-code")).status == 303
    assert site.world.complete() == [None]
    ignored(site, back(state=state, code="a-code"))
    ignored(site, back(state=state, code="another-code"))
    ignored(site, back(state=state, error="access_denied"))
    refused(site.another_browser(), back(state=state, code="a-code"))


def test_s01_a_state_older_than_ten_minutes_is_refused(site: Site) -> None:
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    site.world.clock.pass_(REQUEST_LIFETIME)
    refused(site, back(state=state, code="a-code"))


def test_s01_a_state_just_under_ten_minutes_is_accepted(site: Site) -> None:
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    site.world.clock.pass_(REQUEST_LIFETIME - 1)
    assert site.get(back(state=state, code="a-code")).status == 303


@pytest.mark.parametrize("change", [lambda s: s[:-1] + ("A" if s[-1] != "A" else "B"), str.lower])
def test_s01_an_altered_state_is_refused(site: Site, change: Callable[[str], str]) -> None:
    site.open(site.world.add_tenant())
    refused(site, back(state=change(site.press()["state"]), code="a-code"))


def test_s01_the_table_holds_no_state(site: Site) -> None:
    """S01: stored hashed, at least 128 random bits."""
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    assert len(state) == 43
    assert state not in repr(site.world.everything())


def test_s02_another_browser_cannot_finish(site: Site) -> None:
    """S02: two cookie jars, one link."""
    link = site.world.add_tenant()
    site.open(link)
    state = site.press()["state"]
    other = site.another_browser()
    other.open(link)
    refused(other, back(state=state, code="a-code"))
    assert site.get(back(state=state, code="a-code")).status == 303


def test_s02_a_browser_without_cookies_cannot_finish(site: Site) -> None:
    site.open(site.world.add_tenant())
    refused(site.another_browser(), back(state=site.press()["state"], code="a-code"))


def test_s02_a_second_tab_does_not_break_the_first(site: Site) -> None:
    link = site.world.add_tenant()
    site.open(link)
    state = site.press()["state"]
    site.open(link)
    assert site.get(back(state=state, code="a-code")).status == 303
    assert site.world.complete() == [None]


def test_s03_an_attackers_account_is_refused_and_revoked(site: Site) -> None:
    """S03: an attacker's account on a victim's link changes nothing, and its grant is revoked."""
    link = site.world.add_tenant()
    site.connect(link)
    before = site.world.connections.get("acme")
    site.world.goto.account_key = "4000000002"
    attacker = site.another_browser()
    attacker.open(link)
    attacker.get(back(state=attacker.press()["state"], code="b-code"))
    assert site.world.complete() == [Reason.OTHER_ACCOUNT]
    assert site.world.connections.get("acme") == before
    assert site.world.goto.revoked == ["refresh-2"]
    assert "different GoTo account" in attacker.get(PAGE).body
    assert site.world.history()[-1] == "authorization_mismatched"


def test_s04_every_tenants_answer_stays_with_its_tenant(site: Site) -> None:
    """S04: tenant, client, redirect URI and verifier come from the request's row alone."""
    names = ("acme", "beta", "gamma")
    browsers = {name: site.another_browser() for name in names}
    asked = {}
    for name, browser in browsers.items():
        browser.open(site.world.add_tenant(name))
        asked[name] = browser.press()
    for ours, theirs in itertools.permutations(names, 2):
        address = back(state=asked[theirs]["state"], code="a-code", tenant=ours)
        refused(browsers[ours], address)
    for name, browser in browsers.items():
        host = "beta.analytics.example"
        address = back(state=asked[name]["state"], code=f"code-{name}")
        assert browser.get(address, host=host, x_forwarded_host=host).status == 303
    assert site.world.complete() == [None] * 3
    for name, form, client in zip(
        names, site.world.goto.asked, site.world.goto.clients, strict=True
    ):
        assert form["code"] == f"code-{name}"
        assert form["redirect_uri"] == f"https://{name}.analytics.example{PAGE}"
        assert client.client_id == f"id-{name}"
        assert oauth.code_challenge(form["code_verifier"]) == asked[name]["code_challenge"]


def test_s05_verifiers_and_states_never_repeat() -> None:
    """S05: 10,000 flows, all different, of 32 bytes."""
    verifiers = {oauth.new_verifier() for _ in range(10_000)}
    states = {opaque.new_value() for _ in range(10_000)}
    assert len(verifiers) == len(states) == 10_000
    assert {len(value) for value in verifiers | states} == {43}


def test_s05_the_challenge_is_s256_and_the_verifier_stays_here(site: Site) -> None:
    site.open(site.world.add_tenant())
    asked = site.press()
    assert asked["code_challenge_method"] == "S256"
    request = site.world.requests.get(opaque.digest(asked["state"]))
    assert request is not None
    assert asked["code_challenge"] == oauth.code_challenge(request.verifier)
    assert request.verifier not in asked.values()


@pytest.mark.parametrize("repeated", ["state", "code", "error", "iss"])
def test_s06_a_repeated_parameter_is_refused(site: Site, repeated: str) -> None:
    site.open(site.world.add_tenant())
    given = {"state": site.press()["state"], "code": "a-code"}
    value = given.get(repeated, "x")
    pairs = [*given.items(), (repeated, value), (repeated, value)]
    refused(site, f"{PAGE}?{urlencode(pairs)}")


def test_s06_unknown_parameters_are_ignored(site: Site) -> None:
    site.open(site.world.add_tenant())
    address = back(state=site.press()["state"], code="a-code", session_state="x", utm="y")
    assert site.get(address).status == 303
    assert site.world.complete() == [None]


@pytest.mark.parametrize("iss", ["https://evil.example", "https://issuer.example/", ""])
def test_s06_another_issuer_is_refused(site: Site, iss: str) -> None:
    """S06: compared exactly; the state is burnt, the code not sent."""
    object.__setattr__(site.world.settings, "issuer", "https://issuer.example")
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    assert site.get(back(state=state, code="a-code", iss=iss)).status == 303
    assert "did not come from GoTo" in site.get(PAGE).body
    assert site.world.complete() == []
    ignored(site, back(state=state, code="a-code", iss="https://issuer.example"))


@pytest.mark.parametrize("parameters", [{"iss": "https://issuer.example"}, {}])
def test_s06_the_right_issuer_or_none_is_accepted(site: Site, parameters: dict[str, str]) -> None:
    object.__setattr__(site.world.settings, "issuer", "https://issuer.example")
    site.open(site.world.add_tenant())
    assert site.get(back(state=site.press()["state"], code="a-code", **parameters)).status == 303
    assert site.world.complete() == [None]


def test_s07_a_forged_host_changes_no_redirect_uri(site: Site) -> None:
    """S07: byte for byte the same in both requests, from configuration."""
    site.open(site.world.add_tenant())
    forged = {"host": "evil.example", "x_forwarded_host": "evil.example"}
    answer = site.post(PAGE, {"csrf": site.csrf()}, sec_fetch_site="same-origin", **forged)
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    site.get(back(state=asked["state"][0], code="a-code"), **forged)
    site.world.complete()
    assert asked["redirect_uri"] == [site.world.goto.asked[0]["redirect_uri"]]
    assert asked["redirect_uri"] == [f"https://acme.analytics.example{PAGE}"]


def test_s08_an_error_callback_burns_the_state_and_reflects_nothing(site: Site) -> None:
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    markup = "<script>alert(1)</script>canary"
    address = back(state=state, error=markup, error_description=markup, error_uri=markup)
    answer = site.get(address)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert "canary" not in answer.body + repr(answer.headers) + site.get(PAGE).body
    assert "canary" not in repr(site.world.everything())
    request = site.world.requests.get(opaque.digest(state))
    assert request is not None
    assert request.status is RequestStatus.FAILED
    ignored(site, back(state=state, code="a-code"))


@pytest.mark.parametrize("name", ["next", "redirect_uri", "url", "return", "iss", "error_uri"])
@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example", "\\\\evil.example"])
def test_s09_no_parameter_leads_anywhere_else(site: Site, name: str, target: str) -> None:
    site.open(site.world.add_tenant())
    link = f"/connect/{site.jar['__Host-ha-link']}?{urlencode({name: target})}"
    assert site.get(link).headers["location"] == PAGE
    parameters = {"state": site.press()["state"], "code": "a-code", name: target}
    assert site.get(back(**parameters)).headers["location"] == PAGE


def test_s10_the_callback_leads_to_a_clean_address(site: Site) -> None:
    site.open(site.world.add_tenant())
    answer = site.get(back(state=site.press()["state"], code="a-code"))
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("code=a-code", id="no state"),
        pytest.param("state=", id="empty state"),
        pytest.param("state={state}", id="neither code nor error"),
        pytest.param("state={state}&code=", id="empty code"),
        pytest.param("state={state}&code=" + "x" * 10_240, id="10 kB code"),
        pytest.param("state=" + "x" * 10_240 + "&code=c", id="10 kB state"),
        pytest.param("state={state}&code=%FF%FE", id="code not UTF-8"),
        pytest.param("state=%FF%FE&code=c", id="state not UTF-8"),
        pytest.param("state={state}&code=a%00b", id="NUL in the code"),
        pytest.param("state=unknown&code=c", id="state too short"),
        pytest.param("state=" + quote("ü" * 43) + "&code=c", id="state of other letters"),
    ],
)
def test_malformed_callbacks_get_a_clean_page(site: Site, query: str) -> None:
    site.open(site.world.add_tenant())
    state = site.press()["state"]
    refused(site, f"{PAGE}?{query.replace('{state}', state)}")
    assert site.get(back(state=state, code="a-code")).status == 303


def test_an_attack_leaves_the_world_usable(world: World) -> None:
    """The fixtures above share nothing: a fresh world is empty."""
    assert all(rows == [] for rows in world.everything().values())
