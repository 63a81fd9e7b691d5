"""S28, S29: at which host a link opens, what it may replace, and who asks for a fresh one."""

from collections.abc import Callable

import pytest

import app as entry
from chalicelib.durations import LINK_LIFETIME
from chalicelib.models import TenantDetails
from chalicelib.web import http
from tests.support.site import PAGE, Site
from tests.support.world import TESTER

ONE_HOST = "https://goto.example.com"
OWN, SIBLING = "acme.analytics.example", "beta.analytics.example"
API = "abc123.execute-api.us-east-1.amazonaws.com"
UNKNOWN = "A" * 43

Kind = Callable[[Site, str], str]


def connect_link(site: Site, tenant: str = "acme") -> str:
    return f"/connect/{site.world.add_tenant(tenant)}"


def intake_link(site: Site, tenant: str = "acme") -> str:
    site.world.onboarding.add_tenant(
        tenant, TenantDetails(f"{tenant} Ltd", f"admin@{tenant}.example"), TESTER
    )
    return "/intake/" + site.world.invitations.create_intake_link(tenant, TESTER).rsplit("/", 1)[1]


both = pytest.mark.parametrize("kind", [connect_link, intake_link])


def share_one_host(site: Site) -> None:
    """Front=host: one origin for all tenants."""
    object.__setattr__(site.world.settings, "tenant_origin", ONE_HOST)


def hosts(name: str) -> list[dict[str, str]]:
    """The ways in which a visitor's host is told."""
    return [{"host": name}, {"host": API, "x_forwarded_host": name}]


@both
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize(
    "elsewhere",
    [
        *hosts(SIBLING),
        *hosts("evil.example"),
        {"host": OWN, "x_forwarded_host": f"{SIBLING}, {OWN}"},
        {"host": f"{OWN}.evil.example"},
        {"host": "abc.execute-api.evil.example"},
        {"host": f"evil.example:@{OWN}:x]"},
        {"host": "\u2000" + OWN},
    ],
)
def test_s28_a_link_leads_to_its_own_host(
    site: Site, kind: Kind, method: str, elsewhere: dict[str, str]
) -> None:
    """S28: from configuration alone (S07); nothing is set, nothing is written."""
    link = kind(site, "acme")
    before = site.world.everything()
    posted = {"content_type": entry.FORM} if method == "POST" else {}
    answer = site.send(method, link, headers=elsewhere | posted)
    assert (answer.status, answer.cookies) == (303, [])
    assert answer.headers["location"] == f"https://{OWN}{link}"
    assert site.world.everything() == before


@both
@pytest.mark.parametrize(
    "own",
    [
        *hosts(OWN),
        *hosts(f"{OWN.upper()}:443"),
        {"host": "inner", "x_forwarded_host": f"{OWN}, inner"},
        {"host": API},
        {},
    ],
)
def test_s28_a_link_opens_at_its_own_host_and_where_no_host_is_told(
    site: Site, kind: Kind, own: dict[str, str]
) -> None:
    answer = site.get(kind(site, "acme"), **own)
    assert answer.status in (200, 303)
    assert answer.headers.get("location", PAGE) == PAGE
    assert answer.cookies


def test_s28_forms_go_to_the_tenants_own_host(site: Site) -> None:
    """S28: whatever host the page is shown at, and the page's policy lets them."""
    pages = [site.open(site.world.add_tenant())]
    link = site.world.invitations.create_intake_link("acme", TESTER)
    pages.append(site.get("/intake/" + link.rsplit("/", 1)[1]))
    for page, address in zip(pages, (f"https://{OWN}{PAGE}", link), strict=True):
        assert f'<form method="post" action="{address}">' in page.body
        assert f" https://{OWN};" in page.headers["content-security-policy"]


@both
def test_s28_a_link_does_not_replace_anothers_living_one_unasked(site: Site, kind: Kind) -> None:
    """S28: the page names both by what nobody can choose, and sets the browser's cookie alone."""
    share_one_host(site)
    site.open(site.world.add_tenant("victim"))
    held = site.jar[http.LINK_COOKIE]
    evil = kind(site, "evil")
    before = site.world.everything()
    answer = site.get(evil, sec_fetch_site="cross-site")
    assert answer.status == 200
    for named in ("victim Ltd", "victim.example", "evil Ltd", "evil.example", "evil\u2069)"):
        assert named in answer.body
    assert [cookie.split("=")[0] for cookie in answer.cookies] == [http.BROWSER_COOKIE]
    assert site.jar[http.LINK_COOKIE] == held
    assert "victim Ltd" in site.get(PAGE).body
    assert site.world.everything() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"origin": "https://evil.example"},
        {},
    ],
)
@both
def test_s28_only_our_own_button_says_yes(site: Site, kind: Kind, headers: dict[str, str]) -> None:
    """S28, S13: another site's form, and one without our value."""
    share_one_host(site)
    site.open(site.world.add_tenant("victim"))
    held, evil = site.jar[http.LINK_COOKIE], kind(site, "evil")
    form = {"csrf": site.csrf(evil) if headers else "0" * 64}
    assert site.post(evil, form, **headers).status == 403
    assert site.jar[http.LINK_COOKIE] == held


def test_s28_yes_goes_on_with_the_other_link(site: Site) -> None:
    share_one_host(site)
    site.open(site.world.add_tenant("acme"))
    beta = site.world.add_tenant("beta")
    answer = site.switch(beta, origin=ONE_HOST)
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    assert "beta Ltd" in site.get(PAGE).body


def test_s28_yes_to_an_intake_link_drops_the_other_link_and_enters_nothing(site: Site) -> None:
    share_one_host(site)
    site.open(site.world.add_tenant("acme"))
    link = intake_link(site, "beta")
    form = {"csrf": site.csrf(link), "client_id": "an-id", "client_secret": "a-secret"}
    answer = site.post(link, form, sec_fetch_site="same-origin")
    assert (answer.status, answer.headers["location"]) == (303, link)
    assert http.LINK_COOKIE not in site.jar
    assert site.world.goto.asked == []
    assert 'name="client_secret"' in site.get(link).body


@pytest.mark.parametrize("ended", ["revoked", "expired", "same tenant"])
def test_s28_a_link_that_is_dead_or_the_tenants_own_is_replaced_unasked(
    site: Site, ended: str
) -> None:
    share_one_host(site)
    site.open(site.world.add_tenant("acme"))
    if ended == "revoked":
        site.world.invitations.revoke_links("acme", TESTER)
    elif ended == "expired":
        site.world.clock.pass_(LINK_LIFETIME)
    tenant = "acme" if ended == "same tenant" else "beta"
    if tenant == "beta":
        site.world.add_tenant(tenant)
    link = site.world.invitations.create_link(tenant, TESTER).rsplit("/", 1)[1]
    assert f"{tenant} Ltd" in site.open(link).body


def test_s28_one_host_for_all_names_whom_it_connects(site: Site) -> None:
    """S28: by the name and the domain that nobody chooses to deceive; elsewhere the host tells."""
    sentence = "This page connects"
    link, intake = site.world.add_tenant(), intake_link(site, "beta")
    assert sentence not in site.open(link).body + site.another_browser().get(intake).body
    share_one_host(site)
    for body, domain in (
        (site.get(PAGE).body, "acme.example"),
        (site.another_browser().get(intake).body, "beta.example"),
    ):
        [told] = [line for line in body.splitlines() if sentence in line]
        assert domain in told


def test_s28_names_cannot_break_out_of_the_sentence(site: Site) -> None:
    """S28, S11: markup and braces in a display name are text."""
    share_one_host(site)
    name = "<b>{domain}</b> {0}"
    site.world.onboarding.add_tenant("acme", TenantDetails(name, "admin@acme.example"), TESTER)
    link = site.world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    body = site.open(link).body
    assert "&lt;b&gt;{domain}&lt;/b&gt; {0}" in body
    assert "<b>{" not in body


def dead_links(site: Site) -> dict[str, str]:
    """Links that open nothing, by why."""
    expired = site.world.add_tenant()
    site.world.clock.pass_(LINK_LIFETIME)
    revoked = site.world.add_tenant("beta")
    site.world.invitations.revoke_links("beta", TESTER)
    return {"unknown": UNKNOWN, "expired": expired, "revoked": revoked, "short": "short"}


@pytest.mark.parametrize("why", ["unknown", "expired", "revoked", "short"])
@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"origin": "https://evil.example"},
        {"origin": "https://acme.analytics.example.evil.example"},
        {"origin": "https://acme.evil.example#.analytics.example"},
    ],
)
def test_s29_another_site_asks_for_no_fresh_link(
    site: Site, why: str, headers: dict[str, str]
) -> None:
    """S29: even with our value and the visitor's cookies; the answer is the same for all (S15)."""
    link = f"/connect/{dead_links(site)[why]}"
    form = {"csrf": site.csrf(link)}
    before = site.world.everything()
    assert site.post(link, form, **headers).status == 403
    assert site.world.everything() == before


@pytest.mark.parametrize("why", ["unknown", "expired", "revoked", "short"])
def test_s29_a_press_without_our_page_asks_for_no_fresh_link(site: Site, why: str) -> None:
    """S29: no cookie, another browser's value, another link's value, none."""
    link = f"/connect/{dead_links(site)[why]}"
    form, other = {"csrf": site.csrf(link)}, site.another_browser()
    before = site.world.everything()
    assert other.post(link, form, sec_fetch_site="same-origin").status == 403
    for csrf in (other.csrf(link), site.csrf("/connect/" + "B" * 43), ""):
        answer = site.post(link, {"csrf": csrf}, sec_fetch_site="same-origin")
        assert answer.status == 403
    assert site.post(link, {}, sec_fetch_site="same-origin").status == 403
    assert site.world.everything() == before


@pytest.mark.parametrize("origin", ["null", f"https://{OWN}"])
def test_s29_an_older_browser_that_sends_only_an_origin_is_served(site: Site, origin: str) -> None:
    """S15: from any host of ours, as the page tells nobody whose link it was."""
    for link in dead_links(site).values():
        form = {"csrf": site.csrf(f"/connect/{link}")}
        assert site.post(f"/connect/{link}", form, origin=origin).status == 303


def test_s29_the_value_of_a_dead_link_asks_for_itself_alone(site: Site) -> None:
    """S29, S28: by what the link is, not by a field: one that lives is opened, and mails nobody."""
    link = site.world.add_tenant()
    form = {"csrf": site.csrf("/connect/" + UNKNOWN)}
    assert site.post(f"/connect/{link}", form, sec_fetch_site="same-origin").status == 403
    assert "link_requested" not in site.world.history()
