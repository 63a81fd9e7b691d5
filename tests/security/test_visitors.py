"""S14, S24, S28: whom HA's front names at the door, and what a link is worth beside that."""

import base64
import hmac
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jwt
import pytest

import app as entry
from chalicelib import opaque
from chalicelib.config import VisitorIdentity
from chalicelib.connect import visitor_tokens
from chalicelib.connect.authorize import MOST_STARTS
from chalicelib.durations import SHARED_KEYS_KEPT, VISITOR_TOKEN_LIFETIME
from chalicelib.errors import LoginRequired, Misconfigured, NotReadyToConnect
from chalicelib.models import NewTokens, TenantDetails
from chalicelib.notify.email_templates import Reader, told
from chalicelib.permissions import Owner
from chalicelib.tokens.rescue import connect_message, read_connect_message
from chalicelib.web import http, texts
from sandbox.environment import ROOT
from tests.support.site import PAGE, Answered, Site, proxy_event
from tests.support.visitors import EMAIL, HEADER, KEY, OLDER_KEY, Person, host_of, listen, token
from tests.support.world import TESTER

OFF, OPTIONAL, REQUIRED = VisitorIdentity
LOGIN = texts.ERRORS[LoginRequired][0]
API = "abc123.execute-api.us-east-1.amazonaws.com"
OTHER_KEY = "a key that HA's front does not share!"


def ask(site: Site, *tokens: str, host: str = host_of("acme"), address: str = PAGE) -> Answered:
    """A visitor with tokens in the header, at a host, without any link."""
    headers = [("x-forwarded-host", host), *((HEADER, each) for each in tokens)]
    return sent(site, "GET", address, headers)


def sent(site: Site, method: str, address: str, headers: list[tuple[str, str]]) -> Answered:
    """A request with headers that may be there twice."""
    return Answered(entry.app(proxy_event(method, address, [], "", headers), None))


def encoded(part: object) -> str:
    text = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(header: dict[str, Any], claims: object, key: str | None, digest: str = "sha256") -> str:
    """A token that no library would make."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    made = b"" if key is None else hmac.digest(key.encode(), signed.encode(), digest)
    return f"{signed}.{encoded(made)}"


def claims(now: float, **changed: Any) -> dict[str, Any]:
    """What a token says, as `token` signs it."""
    said: dict[str, Any] = jwt.decode(
        token(now, **changed), options={"verify_signature": False, "verify_sub": False}
    )
    return said


FORGED: dict[str, Callable[[float], str]] = {
    "another key": lambda now: token(now, key=OTHER_KEY),
    "no key": lambda now: by_hand({"alg": "HS256"}, claims(now), ""),
    "alg none": lambda now: by_hand({"alg": "none"}, claims(now), None),
    "alg None": lambda now: by_hand({"alg": "None"}, claims(now), None),
    "alg none, signed": lambda now: by_hand({"alg": "none"}, claims(now), KEY),
    "no alg": lambda now: by_hand({}, claims(now), KEY),
    "HS384": lambda now: by_hand({"alg": "HS384"}, claims(now), KEY, "sha384"),
    "HS512": lambda now: by_hand({"alg": "HS512"}, claims(now), KEY, "sha512"),
    "RS256, with our key": lambda now: by_hand({"alg": "RS256"}, claims(now), KEY),
    "no signature": lambda now: token(now).rpartition(".")[0] + ".",
    "two parts": lambda now: token(now).rpartition(".")[0],
    "another's claims": lambda now: ".".join(
        [token(now).split(".")[0], encoded(claims(now, email="x@y.example")), token(now)[-43:]]
    ),
    "an unknown critical header": lambda now: by_hand(
        {"alg": "HS256", "crit": ["exp2"], "exp2": 1}, claims(now), KEY
    ),
    "no object": lambda now: by_hand({"alg": "HS256"}, ["acme"], KEY),
    "no JSON": lambda now: by_hand({"alg": "HS256"}, b"\xff{", KEY),
    "nothing": lambda now: "x",
    "no ASCII": lambda now: "\u00e9" + token(now),
    "very long": lambda now: token(now, padding="x" * visitor_tokens.LONGEST_TOKEN),
}
"""Tokens that no front of HA's has signed."""

WRONG: dict[str, dict[str, Any]] = {
    "another tenant": {"tenant": "beta"},
    "another tenant's origin": {"aud": f"https://{host_of('beta')}"},
    "another tenant, whole": {"tenant": "beta", "aud": f"https://{host_of('beta')}"},
    "no tenant": {"tenant": None},
    "a list of tenants": {"tenant": ["acme"]},
    "a row of ours": {"tenant": "#provider", "aud": "https://#provider.analytics.example"},
    "a tenant with a dot": {"tenant": "a.acme", "aud": f"https://a.{host_of('acme')}"},
    "no aud": {"aud": None},
    "aud without scheme": {"aud": host_of("acme")},
    "aud of a list": {"aud": [f"https://{host_of('acme')}", f"https://{host_of('beta')}"]},
    "aud of all": {"aud": "https://{tenant}.analytics.example"},
    "no exp": {"exp": None},
    "exp in words": {"exp": "2030-01-01"},
    "exp true": {"exp": True},
    "exp of no number": {"exp": float("nan")},
    "exp never": {"exp": float("inf")},
    "no sub": {"sub": None},
    "empty sub": {"sub": ""},
    "sub of a number": {"sub": 7},
    "sub with a control": {"sub": "ann\x1b[2J"},
    "sub with bidi": {"sub": "ann\u202e"},
    "sub of half a character": {"sub": "\ud800"},
    "long sub": {"sub": "s" * (visitor_tokens.LONGEST_SUBJECT + 1)},
    "no email": {"email": None},
    "email of a list": {"email": [EMAIL]},
    "no address": {"email": "ann"},
    "email with a line break": {"email": "ann@acme.example\nBcc: x@y.example"},
    "long email": {"email": f"{'a' * 64}@{'b.' * 100}example"},
}
"""Claims that are signed with our key and name nobody for `acme`'s host."""


def bad_tokens() -> list[Any]:
    forged = [pytest.param(made, id=why) for why, made in FORGED.items()]
    wrong = [
        pytest.param(lambda now, changed=changed: token(now, **changed), id=why)
        for why, changed in WRONG.items()
    ]
    now = {
        "expired": lambda now: token(now, exp=int(now)),
        "long expired": lambda now: token(now, exp=1),
        "for too long": lambda now: token(now, exp=int(now) + VISITOR_TOKEN_LIFETIME + 1),
    }
    return [*forged, *wrong, *(pytest.param(made, id=why) for why, made in now.items())]


@pytest.mark.parametrize("made", bad_tokens())
def test_s14_a_token_that_is_not_right_opens_nothing(
    site: Site, made: Callable[[float], str]
) -> None:
    """S14, S30: in *required* it is refused, in *optional* it counts for nothing beside a link, and
    in *off* it is not looked at."""
    link = site.world.add_tenant()
    site.world.add_tenant("beta")
    before, bad = site.world.everything(), made(site.world.clock.now)
    for mode in (OPTIONAL, REQUIRED):
        listen(site.world, mode)
        refused = ask(site, bad)
        assert refused.status == 401
        assert (LOGIN in refused.body) == (mode is REQUIRED)
        assert refused.cookies == []
    listen(site.world, OPTIONAL)
    opened = Site(site.world)
    assert opened.get(f"/connect/{link}", **{HEADER: bad}).status == 303
    assert opened.get(PAGE, **{HEADER: bad}).status == 200
    listen(site.world, OFF)
    assert ask(site, bad).status == 401
    assert opened.get(PAGE, **{HEADER: bad}).status == 200
    assert site.world.everything() == before


@pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("life", [1, 60, VISITOR_TOKEN_LIFETIME])
def test_s14_a_person_needs_no_link(site: Site, mode: VisitorIdentity, life: int) -> None:
    """S14: the front names them, for some minutes at most, and that is enough."""
    site.world.add_tenant()
    listen(site.world, mode)
    now = site.world.clock.now
    answer = ask(site, token(now, exp=int(now) + life))
    assert answer.status == 200
    assert "acme Ltd" in answer.body
    assert [cookie.split("=")[0] for cookie in answer.cookies] == [http.BROWSER_COOKIE]


@pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
def test_s28_a_token_is_of_no_use_at_another_host(site: Site, mode: VisitorIdentity) -> None:
    """S28: be it a sibling's, a stranger's, the API's own, or one that nobody tells."""
    site.world.add_tenant()
    site.world.add_tenant("beta")
    listen(site.world, mode)
    named = token(site.world.clock.now)
    for host in (host_of("beta"), "evil.example", API, f"{host_of('acme')}.evil.example", "", "["):
        assert ask(site, named, host=host).status == 401, host
        assert sent(site, "GET", PAGE, [("host", host), (HEADER, named)]).status == 401, host
    assert sent(site, "GET", PAGE, [(HEADER, named)]).status == 401
    assert ask(site, named, host=f"{host_of('beta')}, {host_of('acme')}").status == 401
    for host in (host_of("acme"), f"{host_of('ACME').upper()}:443"):
        assert ask(site, named, host=host).status == 200
        assert sent(site, "GET", PAGE, [("host", host), (HEADER, named)]).status == 200


@pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
@pytest.mark.parametrize("second", ["the same", "rubbish", "a sibling's"])
def test_s24_a_header_that_is_there_twice_counts_for_nothing(
    site: Site, mode: VisitorIdentity, second: str
) -> None:
    """S24: a front that adds its own beside the visitor's lets the visitor say who they are."""
    site.world.add_tenant()
    listen(site.world, mode)
    now = site.world.clock.now
    other = {"the same": token(now), "rubbish": "x", "a sibling's": token(now, "beta")}[second]
    for both in ((token(now), other), (other, token(now)), (f"{token(now)}, {other}",)):
        assert ask(site, *both).status == 401


def test_s14_where_all_share_one_host_the_token_names_the_tenant(site: Site) -> None:
    site.world.add_tenant()
    site.world.add_tenant("beta")
    listen(site.world, REQUIRED)
    one = "https://goto.example.com"
    object.__setattr__(site.world.settings, "tenant_origin", one)
    for tenant in ("acme", "beta"):
        named = token(site.world.clock.now, tenant, aud=one)
        assert f"{tenant} Ltd" in ask(site, named, host="goto.example.com").body
        assert ask(site, named, host=host_of(tenant)).status == 401
    for tenant in ("", "#provider", "#account#4000000001", "Acme", "acme/", "a" * 64):
        named = token(site.world.clock.now, tenant, aud=one)
        assert ask(site, named, host="goto.example.com").status == 401, tenant


ROUTES = [
    ("GET", "/connect/{connect}"),
    ("HEAD", "/connect/{connect}"),
    ("POST", "/connect/{connect}"),
    ("GET", "/connect/unknown"),
    ("POST", "/connect/unknown"),
    ("GET", "/intake/{intake}"),
    ("HEAD", "/intake/{intake}"),
    ("POST", "/intake/{intake}"),
    ("GET", "/intake/unknown"),
    ("GET", PAGE),
    ("HEAD", PAGE),
    ("POST", PAGE),
    ("GET", f"{PAGE}status"),
    ("GET", f"{PAGE}?code=a-code&state={{state}}"),
    ("GET", f"{PAGE}?error=access_denied&state={{state}}"),
]


@pytest.mark.parametrize(("method", "address"), ROUTES)
def test_s14_no_link_opens_anything_in_required(site: Site, method: str, address: str) -> None:
    """S14: with living links, their cookies, the form's value and a sign-in under way."""
    connect = site.world.add_tenant()
    intake = site.world.invitations.create_intake_link("acme", TESTER).rsplit("/", 1)[1]
    site.open(connect)
    state, csrf = site.press()["state"], site.csrf()
    intake_csrf = site.csrf(f"/intake/{intake}")
    listen(site.world, REQUIRED)
    before, asked = site.world.everything(), len(site.world.goto.asked)
    path = address.format(connect=connect, intake=intake, state=state)
    form = {"client_id": "a", "client_secret": "b"}
    form["csrf"] = intake_csrf if "intake" in path else csrf
    answer = (
        site.post(path, form, sec_fetch_site="same-origin")
        if method == "POST"
        else site.send(method, path)
    )
    assert answer.status == 401
    assert answer.cookies == []
    assert LOGIN in answer.body or method == "HEAD" or path.endswith("status")
    assert "acme Ltd" not in answer.body
    assert site.world.everything() == before
    assert (len(site.world.goto.asked), site.world.completions) == (asked, [])


def test_s14_living_and_dead_links_look_alike_in_required(site: Site) -> None:
    """S15: before anything is looked up, so that nobody learns which links there are."""
    living = site.world.add_tenant()
    listen(site.world, REQUIRED)
    for kind in ("connect", "intake"):
        answers = [site.get(f"/{kind}/{link}") for link in (living, "A" * 43, "short")]
        assert len({each.body.replace(str(each.reference), "") for each in answers}) == 1


@pytest.mark.parametrize("mode", [OPTIONAL, REQUIRED])
def test_a_person_goes_the_whole_way_and_is_named(site: Site, mode: VisitorIdentity) -> None:
    """The journal says who pressed, beside whom GoTo names."""
    site.world.add_tenant()
    listen(site.world, mode)
    person = Person(site.world)
    state = person.press()["state"]
    person.get(f"{PAGE}?state={state}&code=a-code")
    assert site.world.complete() == [None]
    assert "access-1" in person.get(PAGE).body
    pressed, connected = (
        next(each for each in site.world.journal.newest("acme", 100) if each.kind == kind)
        for kind in ("authorization_started", "connected")
    )
    assert pressed.who == EMAIL
    assert f"The button was clicked by {EMAIL}, logged in to hireanalytiX." in connected.text
    assert EMAIL in told(connected, Reader.REP)
    assert json.loads(person.get(f"{PAGE}status").body) == {"processing": False}


def test_what_waits_for_dynamodb_says_who_pressed(site: Site) -> None:
    """And nothing that the version before can't read, where nobody was named."""
    link = site.world.add_tenant()
    listen(site.world, OPTIONAL)
    tokens = NewTokens("a", "Bearer", 1, 2, 1)
    for browser, pressed_by in ((Person(site.world), EMAIL), (site, None)):
        browser.get(f"/connect/{link}")
        state = browser.press()["state"]
        request = site.world.requests.get(opaque.digest(state))
        assert request
        message = connect_message(request, tokens, Owner(None, None))
        assert read_connect_message(message)[0].pressed_by == pressed_by
        assert ("pressed_by" in message) == (pressed_by is not None)


def test_an_ending_names_who_pressed(site: Site) -> None:
    """Where GoTo names nobody."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    person = Person(site.world)
    person.get(f"{PAGE}?state={person.press()['state']}&error=access_denied")
    [denied] = [
        each
        for each in site.world.journal.newest("acme", 100)
        if each.kind == "authorization_denied"
    ]
    assert denied.who == EMAIL
    assert EMAIL in denied.text


def test_s14_the_mailed_link_leads_a_person_to_their_own_page(site: Site) -> None:
    """S14, S28: whose link it is does not matter, nor whether it lives: nothing is set."""
    links = [site.world.add_tenant(), site.world.add_tenant("beta"), "A" * 43, "short"]
    listen(site.world, REQUIRED)
    for link in links:
        person = Person(site.world)
        for answer in (person.get(f"/connect/{link}"), person.post(f"/connect/{link}", {})):
            assert (answer.status, answer.headers["location"]) == (303, PAGE)
            assert answer.cookies == []
        assert "acme Ltd" in person.get(PAGE).body


def test_s28_an_identity_goes_before_a_link_of_another_tenant(site: Site) -> None:
    """S28: where all share one host, a link that a stranger planted shows nobody else's page."""
    site.world.add_tenant()
    site.open(site.world.add_tenant("evil"))
    listen(site.world, OPTIONAL)
    person = Person(site.world)
    person.jar = site.jar
    body = person.get(PAGE).body
    assert "acme Ltd" in body
    assert "evil Ltd" not in body


def test_s02_a_state_of_another_tenant_is_not_a_persons(site: Site) -> None:
    """S02: the browser is the same, and the person is not of the tenant that the sign-in is for."""
    beta = site.world.add_tenant("beta")
    site.world.add_tenant()
    site.open(beta)
    state = site.press()["state"]
    listen(site.world, OPTIONAL)
    person = Person(site.world)
    person.jar = site.jar
    before = site.world.everything()
    assert person.get(f"{PAGE}?state={state}&code=a-code").status == 400
    assert site.world.everything() == before


def test_s13_a_persons_form_is_our_own_pages(site: Site) -> None:
    """S13: an identity comes with every request of the browser, whichever site makes it."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    person = Person(site.world)
    csrf = person.csrf()
    for form, headers in (
        ({}, {"sec_fetch_site": "same-origin"}),
        ({"csrf": "0" * 64}, {"sec_fetch_site": "same-origin"}),
        ({"csrf": Person(site.world).csrf()}, {"sec_fetch_site": "same-origin"}),
        ({"csrf": csrf}, {"sec_fetch_site": "cross-site"}),
        ({"csrf": csrf}, {"sec_fetch_site": "same-site"}),
        ({"csrf": csrf}, {"origin": f"https://{host_of('beta')}"}),
    ):
        assert person.post(PAGE, form, **headers).status == 403
    assert "authorization_started" not in site.world.history()
    assert person.post(PAGE, {"csrf": csrf}, sec_fetch_site="same-origin").status == 303


def test_s16_a_persons_starts_are_counted_as_a_links_are(site: Site) -> None:
    """S16: by person, in whatever browser; another person's go on."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    for _ in range(MOST_STARTS):
        Person(site.world).press()
    person = Person(site.world)
    form = {"csrf": person.csrf()}
    assert person.post(PAGE, form, sec_fetch_site="same-origin").status == 429
    other = token(site.world.clock.now, sub="another")
    csrf = {"csrf": person.csrf()}
    assert person.post(PAGE, csrf, sec_fetch_site="same-origin", **{HEADER: other}).status == 303


def intake(site: Site, tenant: str) -> str:
    """A tenant without a client, and its link of the intake."""
    details = TenantDetails(f"{tenant} Ltd", f"admin@{tenant}.example")
    site.world.onboarding.add_tenant(tenant, details, TESTER)
    made = site.world.invitations.create_intake_link(tenant, TESTER)
    return "/intake/" + made.rsplit("/", 1)[1]


def test_s14_the_intake_wants_both_in_required(site: Site) -> None:
    """S14: the link says what is to be entered, the identity who may: the journal names them."""
    own, others = intake(site, "acme"), intake(site, "beta")
    listen(site.world, REQUIRED)
    person = Person(site.world)
    assert person.get(others).status == 404
    assert person.post(others, {}, sec_fetch_site="same-origin").status == 404
    form = {"csrf": person.csrf(own), "client_id": "id-2", "client_secret": "s-2"}
    assert person.post(own, form, sec_fetch_site="same-origin").status == 303
    [entry] = [
        each for each in site.world.journal.newest("acme", 9) if each.kind == "credentials_received"
    ]
    assert (entry.who, entry.text.startswith(EMAIL)) == (EMAIL, True)


def test_a_person_whose_tenant_is_not_there_reads_so(site: Site) -> None:
    listen(site.world, REQUIRED)
    answer = Person(site.world).get(PAGE)
    assert answer.status == 409
    assert texts.ERRORS[NotReadyToConnect][0] in answer.body


def test_s14_revoked_links_end_a_persons_sign_in_too(site: Site) -> None:
    """S14: what was under way when the rep revoked everything connects nothing."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    person = Person(site.world)
    state = person.press()["state"]
    site.world.invitations.revoke_links("acme", TESTER)
    person.get(f"{PAGE}?state={state}&code=a-code")
    assert site.world.complete() == ["ended"]
    assert person.get(PAGE).status == 200


def test_s18_the_token_is_shown_in_the_persons_browser_alone(site: Site) -> None:
    """S18: another browser of the same person's sees that it is connected."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    person = Person(site.world)
    person.get(f"{PAGE}?state={person.press()['state']}&code=a-code")
    site.world.complete()
    assert "access-1" in person.get(PAGE).body
    assert "access-1" not in Person(site.world).get(PAGE).body


def test_s14_two_keys_are_valid_while_one_replaces_the_other(site: Site) -> None:
    """S14: each line is one; what is taken out counts no more after a minute."""
    site.world.add_tenant()
    listen(site.world, REQUIRED, KEY, OLDER_KEY)
    for key, status in ((KEY, 200), (OLDER_KEY, 200), (OTHER_KEY, 401)):
        assert ask(site, token(site.world.clock.now, key=key)).status == status
    store = site.world.deployment.client("secretsmanager")
    store.put_secret_value(SecretId=site.world.settings.visitor_key, SecretString=f"{KEY}\n")
    site.world.clock.pass_(SHARED_KEYS_KEPT)
    for key, status in ((KEY, 200), (OLDER_KEY, 401)):
        assert ask(site, token(site.world.clock.now, key=key)).status == status


@pytest.mark.parametrize("text", ["", "\n \n", "short", f"{KEY}\nshort", f"{KEY}\n{KEY}\n{KEY}"])
def test_s14_keys_that_could_be_guessed_are_refused(site: Site, text: str) -> None:
    """S14: nobody is let in, and the error names no key (S20)."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    store = site.world.deployment.client("secretsmanager")
    store.put_secret_value(SecretId=site.world.settings.visitor_key, SecretString=text or " ")
    assert ask(site, token(site.world.clock.now)).status == 500
    with pytest.raises(Misconfigured) as refused:
        site.world.deployment.visitor_keys()
    assert KEY not in str(refused.value)


def test_s14_without_the_key_nobody_is_let_in(site: Site) -> None:
    """S14: AWS does not answer, or has no such secret: a page that says to try again."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    store = site.world.deployment.client("secretsmanager")
    store.delete_secret(SecretId=site.world.settings.visitor_key)
    assert ask(site, token(site.world.clock.now)).status == 503


def test_s20_a_refused_token_is_logged_by_its_reason_alone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """S20: neither it nor a part of it, nor whom it would have named."""
    site.world.add_tenant()
    listen(site.world, REQUIRED)
    refused = token(site.world.clock.now, exp=1, email="canary@acme.example")
    ask(site, refused)
    said = caplog.text + repr([vars(record) for record in caplog.records])
    assert visitor_tokens.Refusal.EXPIRED in said
    for secret in (*refused.split("."), "canary", KEY):
        assert secret not in said


def test_s14_in_off_a_right_token_opens_nothing_and_no_key_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S14: the header is not even looked at."""
    site.world.add_tenant()
    monkeypatch.setattr(visitor_tokens, "read", None)
    answer = ask(site, token(site.world.clock.now))
    assert answer.status == 401
    assert LOGIN not in answer.body
    assert "visitor_keys" not in vars(site.world.deployment)


def test_in_off_a_cold_start_loads_nothing_for_it() -> None:
    """PyJWT is loaded when the first token is read."""
    program = (
        "import sys; import app; from chalicelib.bootstrap import web;"
        " print([name for name in sys.modules if name.split('.')[0] == 'jwt'])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_by_hand_signs_as_the_library_does() -> None:
    """Or the forged tokens above would be refused for the wrong reason."""
    said = claims(0)
    made = by_hand({"alg": "HS256", "typ": "JWT"}, said, KEY)
    assert jwt.decode(made, KEY, ["HS256"], options={"verify_exp": False, "verify_aud": False})
