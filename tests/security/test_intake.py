"""The credential intake: S13-S15, S18, S20 for the page at which a secret is typed."""

import logging
import re
from typing import Any

import pytest

import app as entry
from chalicelib import opaque
from chalicelib.connect.client_check import CredentialIntake, Outcome
from chalicelib.connect.client_form import MOST_CHECKS, EnteredClient, IntakeView
from chalicelib.durations import INTAKE_LIFETIME, REQUEST_LIFETIME
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.goto.token_response import judge_client
from chalicelib.models import TenantDetails
from tests.support.site import Answered, Site
from tests.support.stubs import refusal
from tests.support.world import TESTER, World

SECRET = "canary-secret-Xy1+/="
RIGHT = {"client_id": "customer-id", "client_secret": SECRET}
KNOWN = refusal(400, "invalid_grant")
UNKNOWN = refusal(401, "invalid_client")


def new_link(site: Site, tenant: str = "acme") -> str:
    """A tenant without a client, and its link of the intake."""
    if site.world.tenants.get(tenant) is None:
        site.world.onboarding.add_tenant(
            tenant, TenantDetails("Acme", "admin@acme.example"), TESTER
        )
    url = site.world.invitations.create_intake_link(tenant, TESTER)
    assert url.startswith(f"https://{tenant}.analytics.example/intake/")
    return "/intake/" + url.rsplit("/", 1)[1]


def csrf(site: Site, link: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]{64})"', site.get(link).body)
    assert found
    return found[1]


def enter(site: Site, link: str, *answers: Answer, **changed: str) -> Answered:
    """Fill the form in and send it; GoTo answers the check as given."""
    # A client that is refused is tried the other way round.
    twice = [judge_client(answer) for answer in answers] == [False]
    site.world.goto.script = [*answers, *answers] if twice else list(answers)
    form = {"csrf": csrf(site, link), **RIGHT, **changed}
    return followed(site, link, site.post(link, form, sec_fetch_site="same-origin"))


def followed(site: Site, link: str, answer: Answered) -> Answered:
    """What the browser shows in the end: a form that is to be corrected comes by a redirect."""
    told = any(cookie.startswith("__Host-ha-told=") for cookie in answer.cookies)
    return site.get(link) if answer.status == 303 and told else answer


def dead(site: Site, link: str) -> bool:
    return site.another_browser().get(link).status == 404


def test_a_client_that_goto_knows_is_stored_and_the_link_dies(site: Site) -> None:
    link = new_link(site)
    answer = enter(site, link, KNOWN)
    assert (answer.status, answer.headers["location"]) == (303, link)
    tenant = site.world.tenants.get("acme")
    assert tenant is not None
    assert tenant.client_id == "customer-id"
    stored = site.world.secret_store.credentials("acme", tenant.secret_version or "")
    assert stored.client_secret == SECRET
    assert dead(site, link)
    assert site.world.history()[-1] == "credentials_received"


def test_the_customer_can_then_connect(site: Site) -> None:
    enter(site, new_link(site), KNOWN)
    connect = site.world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    assert "access-1" in site.connect(connect).body


def test_the_check_is_a_refresh_with_a_token_that_nobody_issued(site: Site) -> None:
    enter(site, new_link(site), KNOWN)
    [form] = site.world.goto.asked
    assert form["grant_type"] == "refresh_token"
    assert len(form["refresh_token"]) == 43
    assert site.world.goto.clients[0].client_secret == SECRET


def test_spaces_around_the_values_are_a_slip_of_copying(site: Site) -> None:
    link = new_link(site)
    answer = enter(site, link, KNOWN, client_id=" customer-id\n", client_secret=f"\t{SECRET} ")
    assert answer.status == 303
    assert site.world.goto.clients[0].client_secret == SECRET


def test_the_browser_that_used_it_reads_that_it_worked_and_others_nothing(site: Site) -> None:
    """S15: a reload and the back button tell the customer the truth; a used link tells others
    what an unknown one does."""
    link = new_link(site)
    enter(site, link, KNOWN)
    assert "Thank you, that worked" in site.get(link).body
    other = site.another_browser().get(link)
    unknown = site.another_browser().get("/intake/" + "A" * 43)
    assert without_reference(other) == without_reference(unknown)
    assert (other.status, other.cookies) == (404, [])


def test_a_double_click_stores_once_and_both_are_told_so(site: Site) -> None:
    link = new_link(site)
    form = {"csrf": csrf(site, link), **RIGHT}
    site.world.goto.script = [KNOWN, KNOWN]
    answers = [site.post(link, form, sec_fetch_site="same-origin") for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303]
    assert site.world.history().count("credentials_received") == 1
    assert len(site.world.goto.asked) == 1


def test_of_two_at_the_same_moment_one_is_stored(site: Site) -> None:
    """The link dies by a conditional write, not by having been read before."""
    link = new_link(site)
    event = {"link": link.rsplit("/", 1)[1], "browser": "b" * 64}

    def overtaken() -> Answer:
        site.world.goto.script = [KNOWN]
        second = event | {"client_id": "second", "client_secret": "second"}
        assert site.world.credential_intake().take(second) is Outcome.STORED
        return KNOWN

    site.world.goto.script = [overtaken]
    first = event | {"client_id": "first", "client_secret": "first"}
    assert site.world.credential_intake().take(first) is Outcome.LINK_DEAD
    tenant = site.world.tenants.get("acme")
    assert tenant is not None
    assert tenant.client_id == "second"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        pytest.param(UNKNOWN, "GoTo does not accept", id="401"),
        pytest.param(refusal(400, "invalid_client"), "GoTo does not accept", id="400 client"),
        pytest.param(Answer(503, b"<h1>Down</h1>"), "could not check", id="GoTo down"),
        pytest.param(refusal(429, "slow_down"), "could not check", id="429"),
        pytest.param(Answer(400, b"<h1>Bad</h1>"), "could not check", id="400 of a proxy"),
        pytest.param(Answer(200, b"{}"), "could not check", id="200"),
    ],
)
def test_what_goto_does_not_confirm_is_not_stored(
    site: Site, answer: Answer, sentence: str
) -> None:
    link = new_link(site)
    told = enter(site, link, answer)
    assert sentence in told.body
    assert not dead(site, link)
    tenant = site.world.tenants.get("acme")
    assert tenant is not None
    assert tenant.client_id is None
    assert enter(site, link, KNOWN).status == 303


def test_goto_out_of_reach_is_could_not_check(site: Site) -> None:
    link = new_link(site)
    site.world.goto.script = [ProviderUnreachable("no connection", sent=False)]
    form = {"csrf": csrf(site, link), **RIGHT}
    page = followed(site, link, site.post(link, form, sec_fetch_site="same-origin"))
    assert "could not check" in page.body
    assert not dead(site, link)


@pytest.mark.parametrize(
    ("changed", "beside"),
    [
        pytest.param({"client_id": ""}, "client_id", id="no id"),
        pytest.param({"client_id": "  "}, "client_id", id="blanks for an id"),
        pytest.param({"client_id": "a:b"}, "client_id", id="a colon in the id"),
        pytest.param({"client_id": "x" * 4_097}, "client_id", id="a long id"),
        pytest.param({"client_secret": ""}, "client_secret", id="no secret"),
        pytest.param({"client_secret": SECRET + "\x07"}, "client_secret", id="a control character"),
        pytest.param({"client_secret": "x" * 4_097}, "client_secret", id="a long secret"),
    ],
)
def test_what_cannot_be_is_said_beside_its_field_and_never_sent(
    site: Site, changed: dict[str, str], beside: str
) -> None:
    link = new_link(site)
    before = site.world.everything()
    answer = enter(site, link, KNOWN, **changed)
    assert re.findall(r'class="wrong" id="(\w+)-wrong"', answer.body) == [beside]
    assert re.search(rf'id="{beside}"[^>]*aria-describedby="{beside}-wrong"', answer.body)
    assert site.world.goto.asked == []
    assert site.world.everything() == before


def test_s18_no_answer_holds_what_was_entered(site: Site) -> None:
    """S18: a secret may have been pasted into either field, so neither is ever shown again."""
    link = new_link(site)
    form = {"client_id": "canary-secret-id"}
    answers = [
        enter(site, link, UNKNOWN, **form),
        enter(site, link, Answer(500, b"")),
        enter(site, link, client_id="a:canary-secret"),
        enter(site, link, client_secret=SECRET + "ü"),
        site.post(link, {**RIGHT, "csrf": "x"}, sec_fetch_site="same-origin"),
        site.post(link, {**RIGHT, "csrf": csrf(site, link)}, sec_fetch_site="cross-site"),
        enter(site, link, KNOWN, **form),
        site.get(link),
    ]
    for answer in answers:
        assert "canary-secret" not in answer.body + repr(answer.headers)


def everything_logged(caplog: pytest.LogCaptureFixture) -> str:
    """Messages, their values, and tracebacks."""
    return caplog.text + repr([vars(record) for record in caplog.records])


def test_s20_nothing_that_is_written_holds_the_secret(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """S20: neither a table, nor a log line, nor a repr, whether it goes well or badly."""
    link = new_link(site)
    with caplog.at_level(logging.DEBUG, logger="goto-connection"):
        for answer in (UNKNOWN, Answer(500, SECRET.encode()), KNOWN):
            enter(site, link, answer)
    written = everything_logged(caplog) + repr(site.world.everything())
    assert "error page sent" not in written
    assert "canary-secret" not in written
    assert "canary-secret" not in repr(EnteredClient("canary-secret-id", SECRET))


def test_s20_an_unexpected_error_is_told_without_its_text(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """S20: a library's error may quote what it was given."""

    def broken(self: CredentialIntake, event: dict[str, str]) -> Outcome:
        raise ValueError(event["client_secret"])

    monkeypatch.setattr(CredentialIntake, "take", broken)
    answer: Any = entry.intake({"link": "x", "browser": "b", **RIGHT}, None)
    assert answer == {"outcome": "unchecked"}
    written = everything_logged(caplog)
    assert "ValueError" in written
    assert "canary-secret" not in written


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec_fetch_site": "cross-site"}, id="another site"),
        pytest.param({"sec_fetch_site": "same-site"}, id="a sibling tenant's site"),
        pytest.param({"origin": "https://evil.example"}, id="another origin"),
    ],
)
def test_s13_a_form_of_another_site_stores_nothing(site: Site, headers: dict[str, str]) -> None:
    """S13: or an attacker could plant a client of theirs."""
    link = new_link(site)
    form = {"csrf": csrf(site, link), **RIGHT}
    before = site.world.everything()
    assert site.post(link, form, **headers).status == 403
    assert (site.world.everything(), site.world.goto.asked) == (before, [])


def test_s13_a_form_without_our_value_stores_nothing(site: Site) -> None:
    link = new_link(site)
    stranger = site.another_browser()
    value = csrf(stranger, link)
    before = site.world.everything()
    site.get(link)
    for given in ("", "0" * 64, value):
        form = {"csrf": given, **RIGHT}
        assert site.post(link, form, sec_fetch_site="same-origin").status == 403
    without_cookie = site.another_browser()
    form = {"csrf": value, **RIGHT}
    assert without_cookie.post(link, form, sec_fetch_site="same-origin").status == 403
    assert site.world.everything() == before


def test_s13_fifty_visits_of_a_mail_scanner_change_nothing(site: Site) -> None:
    link = new_link(site)
    before = site.world.everything()
    for number in range(50):
        site.another_browser().send("HEAD" if number % 2 else "GET", link)
    assert site.world.everything() == before
    assert enter(site, link, KNOWN).status == 303


def test_s14_a_link_lives_for_two_weeks(site: Site) -> None:
    link = new_link(site)
    site.world.clock.pass_(INTAKE_LIFETIME - 1)
    value = csrf(site, link)
    site.world.clock.pass_(1)
    assert dead(site, link)
    form = {"csrf": value, **RIGHT}
    assert site.post(link, form, sec_fetch_site="same-origin").status == 404
    assert site.world.goto.asked == []


def test_s14_checks_are_rate_limited_and_the_limit_passes(site: Site) -> None:
    """S14: a link is no oracle for guessing secrets."""
    link = new_link(site)
    statuses = [enter(site, link, UNKNOWN).status for _ in range(MOST_CHECKS + 1)]
    assert statuses == [200] * MOST_CHECKS + [429]
    assert len(site.world.goto.asked) == 2 * MOST_CHECKS
    site.world.clock.pass_(REQUEST_LIFETIME)
    assert enter(site, link, KNOWN).status == 303


def test_s14_a_link_is_of_one_kind(site: Site) -> None:
    """S14: the admin's link stores no client, the customer's starts no authorization."""
    connect = site.world.add_tenant("beta")
    assert site.get(f"/intake/{connect}").status == 404
    link = new_link(site, "beta")
    assert site.get(link.replace("/intake/", "/connect/")).status == 404
    event = {"link": connect, "browser": "b", **RIGHT}
    assert site.world.credential_intake().take(event) is Outcome.LINK_DEAD
    assert site.world.goto.asked == []


def test_s14_only_the_links_text_opens_the_vault(site: Site) -> None:
    """The key under which the table has it does not: who reads the table has no links."""
    link = new_link(site).rsplit("/", 1)[1]
    event = {"link": opaque.digest(link), "browser": "b", **RIGHT}
    assert site.world.credential_intake().take(event) is Outcome.LINK_DEAD
    assert link not in repr(site.world.everything())


def without_reference(answer: Answered) -> str:
    assert answer.reference is not None
    return answer.body.replace(answer.reference, "")


@pytest.mark.parametrize("change", ["revoked", "expired", "removed"])
def test_s15_dead_links_look_the_same(site: Site, change: str) -> None:
    link = new_link(site)
    unknown = site.another_browser().get("/intake/" + "A" * 43)
    match change:
        case "expired":
            site.world.clock.pass_(INTAKE_LIFETIME)
        case "revoked":
            site.world.invitations.revoke_links("acme", TESTER)
        case "removed":
            assert site.world.rep("tenant_remove", tenant="acme")["ok"]
    answer = site.get(link)
    assert (answer.status, answer.cookies) == (404, [])
    assert without_reference(answer) == without_reference(unknown)


def test_a_revoked_link_stores_nothing_even_if_the_page_was_open(site: Site) -> None:
    link = new_link(site)
    found = site.world.links.get(opaque.digest(link.rsplit("/", 1)[1]))
    assert found is not None
    site.world.invitations.revoke_links("acme", TESTER)
    tables: Any = site.world.credential_intake().tables
    entry_ = site.world.journal.newest("acme", 1)[0]
    with pytest.raises(Conflict):
        tables.switch_client(found, "b", "id", "version", entry_)


def test_aws_down_is_told_as_could_not_check(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the function could not do, or could not answer, may be tried again."""
    link = new_link(site)

    def down(self: CredentialIntake, event: object) -> Outcome:
        raise DependencyUnavailable("lambda", "FunctionError")

    monkeypatch.setattr(CredentialIntake, "take", down)
    assert "could not check" in enter(site, link).body
    assert not dead(site, link)


def test_the_page_shows_what_to_enter_at_goto_exactly(site: Site) -> None:
    body = site.get(new_link(site)).body
    assert ">https://acme.analytics.example/admin/settings/activities/<" in body
    assert ">hireanalytiX<" in body
    for word in ("Admin Center", "GoToConnect", "I have stored the client secret", "Done"):
        assert word in body
    assert len(body.encode()) < 30_000


def test_judging_a_client_needs_goto_s_own_word() -> None:
    """401 wrong, 400 right, anything else can't tell; nor can a proxy's page (F36)."""
    page = Answer(401, b"<html>Unauthorized</html>")
    judged = [judge_client(answer) for answer in (UNKNOWN, KNOWN, Answer(401, b""), page)]
    assert judged == [False, True, None, None]
    assert {judge_client(Answer(status, b"{}")) for status in (200, 302, 400, 429, 500)} == {None}


def test_the_view_repeats_nothing(world: World) -> None:
    """S18: what a page is made from has no room for the secret."""
    names = set(IntakeView.__dataclass_fields__)
    assert names == {"tenant", "csrf", "done", "problems", "client_id"}


@pytest.mark.parametrize(
    "around",
    [
        "{}\r\n", "\t{} ", "{}\u00a0", "{}\u200b", "\ufeff{}", "\u2060{}", '"{}"', "\u201c{}\u201d",
        "Client ID: {}",
    ],
)  # fmt: skip
def test_what_is_copied_along_is_taken_off(site: Site, around: str) -> None:
    entered = {"client_id": around.format("customer-id")}
    entered["client_secret"] = around.format(SECRET).replace("ID", "secret")
    assert enter(site, new_link(site), KNOWN, **entered).status == 303
    tenant = site.world.tenants.known("acme")
    stored = site.world.secret_store.credentials("acme", tenant.secret_version or "")
    assert (stored.client_id, stored.client_secret) == ("customer-id", SECRET)


def test_a_soft_hyphen_inside_is_no_part_of_a_secret(site: Site) -> None:
    hyphenated = SECRET[:5] + "\u00ad" + SECRET[5:]
    assert enter(site, new_link(site), KNOWN, client_secret=hyphenated).status == 303


def test_swapped_values_are_said_to_be(site: Site) -> None:
    link = new_link(site)
    answer = enter(site, link, UNKNOWN, KNOWN, client_id=SECRET, client_secret="customer-id")
    assert "The two values are swapped" in answer.body
    assert SECRET not in answer.body
    assert not dead(site, link)


def test_the_same_value_twice_is_said_and_asks_goto_nothing(site: Site) -> None:
    answer = enter(site, new_link(site), client_secret="customer-id")
    assert "This is the client ID again" in answer.body
    assert site.world.goto.asked == []


UUID = "0f7c2a64-8f1e-4d0a-9c8e-1f2e3d4c5b6a"


def test_a_client_id_stays_and_the_secret_is_asked_for_again(site: Site) -> None:
    """Not one that may be the secret (S18): GoTo's IDs are UUIDs."""
    body = enter(site, new_link(site), UNKNOWN, UNKNOWN, client_id=UUID).body
    assert f'value="{UUID}"' in body
    [focused] = re.findall(r'<input id="(\w+)"[^>]* autofocus', body)
    assert focused == "client_secret"


def test_an_empty_client_id_has_the_focus(site: Site) -> None:
    body = enter(site, new_link(site), client_id="").body
    assert re.findall(r'<input id="(\w+)"[^>]* autofocus', body) == ["client_id"]


def test_no_password_manager_takes_the_fields_for_a_login(site: Site) -> None:
    """Browsers fill a password field with the login of that host, which would go to GoTo, and offer
    to save the secret; a text field, masked by style, they leave alone."""
    body = site.get(new_link(site)).body
    assert 'type="password"' not in body
    for name in ("client_id", "client_secret"):
        [field] = re.findall(rf'<input id="{name}"[^>]*>', body)
        assert 'type="text"' in field
        assert 'autocomplete="off"' in field
    assert 'class="masked"' in body
    assert ".masked{-webkit-text-security:disc}" in body


def test_a_form_is_always_answered_by_a_redirect_and_told_once(site: Site) -> None:
    """Reload sends nothing again, and a second look shows the plain form."""
    link = new_link(site)
    form = {"csrf": csrf(site, link), **RIGHT, "client_secret": ""}
    answer = site.post(link, form, sec_fetch_site="same-origin")
    assert (answer.status, answer.headers["location"]) == (303, link)
    assert "Please enter the client secret" in site.get(link).body
    assert "Please enter the client secret" not in site.get(link).body


def test_what_a_form_was_told_counts_in_its_browser_at_its_link_alone(site: Site) -> None:
    link, other = new_link(site), new_link(site, "beta")
    form = {"csrf": csrf(site, link), **RIGHT, "client_secret": ""}
    site.post(link, form, sec_fetch_site="same-origin")
    told = site.jar["__Host-ha-told"]
    assert "Please enter" not in site.get(other).body
    stranger = site.another_browser()
    stranger.get(link)
    for value in (told, told[:-1] + "0", "x", ".", "x." + "0" * 64):
        stranger.jar["__Host-ha-told"] = value
        assert "Please enter" not in stranger.get(link).body
