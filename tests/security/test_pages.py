"""S11-S16, S18: who may see and press what, and how every answer is wrapped."""

import re

import pytest

from chalicelib.connect.authorize import MOST_STARTS, AdminVisit
from chalicelib.durations import LINK_LIFETIME, MAIL_PAUSE, REQUEST_LIFETIME, TOKEN_SHOWN_FOR
from tests.support.site import PAGE, Answered, Site
from tests.support.world import TESTER

UNKNOWN = "A" * 43


def without_reference(answer: Answered) -> str:
    """The page but for its reference number and the value of its form."""
    assert answer.reference is not None
    return re.sub(r'value="[0-9a-f]{64}"', "", answer.body.replace(answer.reference, ""))


ROUTES = [
    ("GET", "/connect/" + UNKNOWN),
    ("HEAD", "/connect/" + UNKNOWN),
    ("POST", "/connect/" + UNKNOWN),
    ("PUT", "/connect/" + UNKNOWN),
    ("GET", PAGE),
    ("HEAD", PAGE),
    ("POST", PAGE),
    ("DELETE", PAGE),
    ("GET", PAGE + "status"),
    ("GET", PAGE + "?state=x&code=y"),
    ("GET", "/healthz"),
    ("GET", "/nowhere"),
]


@pytest.mark.parametrize(("method", "address"), ROUTES)
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/xml"])
def test_s11_every_answer_carries_the_headers(
    site: Site, method: str, address: str, content_type: str
) -> None:
    """S11: pages, errors, and what Chalice answers by itself."""
    headers = site.send(method, address, headers={"content_type": content_type}).headers
    policy = headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "default-src 'none'" in policy
    assert "form-action 'self' https://goto.example" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["strict-transport-security"].startswith("max-age=")
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert "permissions-policy" in headers


def test_s12_cookies_are_host_only_and_come_back_from_goto(site: Site) -> None:
    answer = site.get(f"/connect/{site.world.add_tenant()}")
    assert len(answer.cookies) == 2
    for cookie in answer.cookies:
        assert cookie.startswith("__Host-")
        attributes = {part.strip() for part in cookie.split(";")[1:]}
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= attributes
        assert not any(part.startswith("Domain") for part in attributes)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec_fetch_site": "cross-site"}, id="another site"),
        pytest.param({"sec_fetch_site": "same-site"}, id="a sibling tenant's site"),
        pytest.param({"sec_fetch_site": "none"}, id="typed in"),
        pytest.param({"origin": "https://evil.example"}, id="another origin"),
        pytest.param({"origin": "https://beta.analytics.example"}, id="a sibling's origin"),
    ],
)
def test_s13_a_form_of_another_site_starts_nothing(site: Site, headers: dict[str, str]) -> None:
    """S13: even with the right value, and with the victim's cookies."""
    site.open(site.world.add_tenant())
    form = {"csrf": site.csrf()}
    before = site.world.everything()
    assert site.post(PAGE, form, **headers).status == 403
    assert site.world.everything() == before


@pytest.mark.parametrize("csrf", ["", "0" * 64, "ü"])
def test_s13_a_form_without_our_value_starts_nothing(site: Site, csrf: str) -> None:
    site.open(site.world.add_tenant())
    before = site.world.everything()
    answer = site.post(PAGE, {"csrf": csrf}, sec_fetch_site="same-origin")
    assert answer.status == 403
    assert site.world.everything() == before


def test_s13_another_browsers_value_is_refused(site: Site) -> None:
    link = site.world.add_tenant()
    site.open(link)
    other = site.another_browser()
    other.open(link)
    assert site.post(PAGE, {"csrf": other.csrf()}, sec_fetch_site="same-origin").status == 403


@pytest.mark.parametrize("origin", ["null", "https://acme.analytics.example"])
def test_s13_an_older_browser_that_sends_only_an_origin_is_served(site: Site, origin: str) -> None:
    site.open(site.world.add_tenant())
    assert site.post(PAGE, {"csrf": site.csrf()}, origin=origin).status == 303


def test_s13_fifty_visits_of_a_mail_scanner_change_nothing(site: Site) -> None:
    link = site.world.add_tenant()
    before = site.world.everything()
    for number in range(50):
        scanner = site.another_browser()
        scanner.send("HEAD" if number % 2 else "GET", f"/connect/{link}")
        scanner.send("HEAD" if number % 2 else "GET", PAGE)
    assert site.world.everything() == before
    assert "GoTo Access Token" in site.connect(link).body


def test_s14_links_are_stored_hashed_and_are_long_enough(site: Site) -> None:
    link = site.world.add_tenant()
    assert len(link) == 43
    assert link not in repr(site.world.everything())


def test_s14_a_visit_spends_nothing_and_the_link_serves_again(site: Site) -> None:
    link = site.world.add_tenant()
    for _ in range(3):
        site.connect(link)
    assert site.world.grant().generation == 3


def test_s14_a_link_ends_after_its_life(site: Site) -> None:
    link = site.world.add_tenant()
    site.world.clock.pass_(LINK_LIFETIME - 1)
    site.open(link)
    csrf = site.csrf()
    site.world.clock.pass_(1)
    assert site.get(f"/connect/{link}").status == 404
    answer = site.post(PAGE, {"csrf": csrf}, sec_fetch_site="same-origin")
    assert (answer.status, answer.headers["location"]) == (303, f"/connect/{link}")


def test_s14_starts_are_rate_limited_and_the_limit_passes(site: Site) -> None:
    """S14, S16: the link's share of starts, whatever browsers press."""
    link = site.world.add_tenant()
    answers = []
    for _ in range(MOST_STARTS + 2):
        browser = site.another_browser()
        browser.open(link)
        form = {"csrf": browser.csrf()}
        answers.append(browser.post(PAGE, form, sec_fetch_site="same-origin").status)
    assert answers == [303] * MOST_STARTS + [429] * 2
    site.world.clock.pass_(REQUEST_LIFETIME)
    site.open(link)
    assert site.press()["state"]


def test_s15_dead_links_look_the_same(site: Site) -> None:
    """S15: unknown, malformed, expired and revoked, the reference number apart."""
    expired = site.world.add_tenant()
    site.world.clock.pass_(LINK_LIFETIME)
    revoked = site.world.add_tenant("beta")
    site.world.invitations.revoke_links("beta", TESTER)
    answers = [site.get(f"/connect/{link}") for link in (UNKNOWN, "short", expired, revoked)]
    assert {answer.status for answer in answers} == {404}
    assert len({without_reference(answer) for answer in answers}) == 1
    for answer in answers:
        [cookie] = answer.cookies
        assert cookie.startswith("__Host-ha-browser=")


def test_s15_a_fresh_link_is_asked_for_once_and_answers_look_the_same(site: Site) -> None:
    """S15: the mail goes to the registered admin only, at most once in a while."""
    expired = site.world.add_tenant()
    site.world.clock.pass_(LINK_LIFETIME)
    answers = []
    for link in (expired, expired, UNKNOWN, "short"):
        assert site.ask_for_fresh_link(link).status == 303
        answers.append(site.get(f"/connect/{link}"))
    assert {(answer.status, answer.body) for answer in answers} == {(200, answers[0].body)}
    assert "Thank you" in answers[0].body
    assert site.world.history().count("link_requested") == 1
    form = {"csrf": site.csrf(f"/connect/{expired}"), "email": "evil@evil.example"}
    assert site.post(f"/connect/{expired}", form).status == 303
    assert "evil" not in site.get(f"/connect/{expired}").body + repr(site.world.everything())
    site.world.clock.pass_(MAIL_PAUSE)
    site.ask_for_fresh_link(expired)
    assert site.world.history().count("link_requested") == 2


def test_s18_the_token_is_shown_for_ten_minutes_in_one_browser(site: Site) -> None:
    link = site.world.add_tenant()
    page = site.connect(link)
    assert re.search(r"<textarea[^>]* readonly[^>]*>access-1</textarea>", page.body)
    other = site.another_browser().open(link)
    assert "access-1" not in other.body
    assert "•••" in other.body
    site.world.clock.pass_(TOKEN_SHOWN_FOR)
    assert "access-1" not in site.get(PAGE).body


def test_s18_a_browser_does_not_see_the_token_of_anothers_authorization(site: Site) -> None:
    link = site.world.add_tenant()
    site.connect(link)
    site.world.clock.pass_(60)
    other = site.another_browser()
    assert "access-2" in other.connect(link).body
    assert "access-2" not in site.get(PAGE).body


def test_s13_a_head_request_burns_no_state(site: Site) -> None:
    site.open(site.world.add_tenant())
    address = f"{PAGE}?state={site.press()['state']}&code=a-code"
    before = site.world.everything()
    site.send("HEAD", address)
    assert site.world.everything() == before
    assert site.get(address).status == 303


def test_s18_other_browsers_do_not_learn_who_and_when(site: Site) -> None:
    link = site.world.add_tenant()
    assert "admin@acme.example" in site.connect(link).body
    other = site.another_browser().open(link)
    for hidden in ("admin@acme.example", "What has happened", "Connected since"):
        assert hidden not in other.body


def test_s18_no_page_holds_a_refresh_token_or_a_secret(site: Site) -> None:
    link = site.world.add_tenant()
    site.open(link)
    location = site.post(PAGE, {"csrf": site.csrf()}, sec_fetch_site="same-origin")
    pages = [site.connect(link), site.get(PAGE + "status"), location]
    seen = " ".join(page.body + repr(page.headers) for page in pages)
    assert "refresh-" not in seen
    assert "secret-acme" not in seen


def test_a_page_without_a_link_says_where_to_go(site: Site) -> None:
    answer = site.get(PAGE)
    assert answer.status == 401
    assert answer.reference is not None
    assert "open the link from your email" in answer.body


def test_the_processing_message_is_word_for_word(site: Site) -> None:
    site.open(site.world.add_tenant())
    site.get(f"{PAGE}?state={site.press()['state']}&code=a-code")
    page = site.get(PAGE).body
    assert (
        "The API credentials for your Jive / GoTo account are being processed. "
        "Please be patient and the page will reload when completed."
    ) in page
    assert '<noscript><meta http-equiv="refresh"' in page
    assert site.get(PAGE + "status").body == '{"processing":true}'


def test_pages_stay_small_and_load_nothing(site: Site) -> None:
    page = site.connect(site.world.add_tenant()).body
    assert len(page.encode()) < 30_000
    assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)


@pytest.mark.parametrize("body", ["x" * 5000, "csrf=a&csrf=b", "&".join(["a=b"] * 50), "csrf=ü"])
def test_a_malformed_form_gets_a_clean_page(site: Site, body: str) -> None:
    site.open(site.world.add_tenant())
    before = site.world.everything()
    headers = {"content_type": "application/x-www-form-urlencoded"}
    answer = site.send("POST", PAGE, body, headers)
    assert 400 <= answer.status < 500
    assert answer.reference is not None
    assert site.world.everything() == before


def test_s20_an_unexpected_error_is_logged_without_its_text(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S20: an error's text may quote what it was given; its kind and its way are enough."""

    def broken(_: AdminVisit, link: str) -> None:
        raise ValueError(f"canary {link}")

    link = site.world.add_tenant()
    monkeypatch.setattr(AdminVisit, "open_link", broken)
    answer = site.get(f"/connect/{link}")
    assert answer.status == 500
    assert answer.reference is not None
    written = caplog.text + repr([vars(record) for record in caplog.records])
    assert "ValueError" in written
    assert "test_pages.py" in written
    assert "canary" not in written + answer.body
    assert link not in written + answer.body
