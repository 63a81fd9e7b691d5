"""The sandbox GoTo behaves as GoTo is described, switch by switch, as a client sees it."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

import pytest
import requests
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from werkzeug.test import TestResponse

from sandbox.goto import rules
from sandbox.goto.__main__ import main
from sandbox.goto.console import Console
from sandbox.goto.rules import Grant
from sandbox.goto.server import console, create_app, running
from sandbox.goto.state import Client, State, StateError, User
from sandbox.goto.switches import Failure, SwitchError, Switches

DAY = 86_400
START = 1_800_000_000
REDIRECT = "http://acme.localhost:8000/admin/settings/activities/"
SECRET = "raw+secret/with=odd%2Bsigns:inside"
SCOPE = "identity: users.v1.read"
VERIFIER = "a-verifier-of-enough-characters-0123456789-abcdef"
CONTROL = {"X-Sandbox-Control": "1"}
NOT_FOUND = b'{"error":"invalid_client","error_description":"client not found"}'
EXPIRED_REQUEST = (
    b'{"error":"invalid_request","error_description":"Required parameter(s) missing or wrong."}'
)
REVOKED = b'{"error":"invalid_grant","error_description":"refresh.token.revoked"}'


class Clock:
    """A clock that the test winds by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class GoTo:
    """One sandbox with one client and one browser."""

    def __init__(self, key: RSAKey, **switches: Any) -> None:
        self.clock = Clock()
        self.slept: list[float] = []
        self.state = State(
            clients=[
                Client.new("client-1", SECRET, [REDIRECT], SCOPE),
                Client.new("client-2", "other", [REDIRECT], SCOPE),
            ],
            key=key,
        )
        self.app = create_app(self.state, Switches(**switches), self.clock, self.slept.append)
        self.browser = self.app.test_client()

    def turn(self, **switches: Any) -> None:
        console(self.app).turn(**switches)

    def authorize_url(self, **changes: str | None) -> str:
        parameters: dict[str, str | None] = {
            "response_type": "code",
            "client_id": "client-1",
            "redirect_uri": REDIRECT,
            "scope": SCOPE,
            "state": "state-1",
            "code_challenge": s256(VERIFIER),
            "code_challenge_method": "S256",
        }
        sent = {name: value for name, value in {**parameters, **changes}.items() if value}
        return "/oauth/authorize?" + "&".join(f"{k}={quote_plus(v)}" for k, v in sent.items())

    def log_in(self, email: str = "admin@acme.example", url: str | None = None) -> TestResponse:
        form = {"email": email, "password": "practice"}
        return self.browser.post(url or self.authorize_url(), data=form)

    def decide(self, decision: str, url: str | None = None) -> TestResponse:
        return self.browser.post(url or self.authorize_url(), data={"decision": decision})

    def code(self, **changes: str | None) -> str:
        url = self.authorize_url(**changes)
        self.log_in(url=url)
        return answer_of(self.decide("allow", url))["code"]

    def token(self, credentials: str | None = f"client-1:{SECRET}", **form: str) -> TestResponse:
        return self.app.test_client().post("/oauth/token", data=form, headers=basic(credentials))

    def exchange(self, code: str, **changes: str) -> TestResponse:
        form = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
        return self.token(grant_type="authorization_code", **form)

    def connect(self) -> dict[str, Any]:
        return parsed(self.exchange(self.code()))

    def refresh(self, refresh_token: str, **form: str) -> TestResponse:
        return self.token(grant_type="refresh_token", refresh_token=refresh_token, **form)

    def call(self, access_token: str, path: str = "/users/v1/me") -> TestResponse:
        headers = {"Authorization": f"Bearer {access_token}"}
        return self.app.test_client().get(path, headers=headers)

    def post(self, path: str, **form: str) -> TestResponse:
        return self.app.test_client().post(path, data=form, headers=basic(f"client-1:{SECRET}"))

    def log(self) -> dict[str, Any]:
        return parsed(self.browser.get("/sandbox/log", headers=CONTROL))


def s256(verifier: str) -> str:
    return (
        base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    )


def basic(credentials: str | None) -> dict[str, str]:
    if credentials is None:
        return {}
    return {"Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()}


def parsed(response: TestResponse) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(response.data)
    return body


def answer_of(response: TestResponse) -> dict[str, str]:
    """The parameters that the browser brings back to the redirect URI."""
    assert response.status_code == 302, response.data
    assert response.location.startswith(REDIRECT + "?")
    found = parse_qs(urlsplit(response.location).query, keep_blank_values=True)
    return {name: one for name, (one,) in found.items()}


@pytest.fixture(scope="session")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, auto_kid=True)


@pytest.fixture
def make(key: RSAKey) -> Callable[..., GoTo]:
    def build(**switches: Any) -> GoTo:
        return GoTo(key, **switches)

    return build


@pytest.fixture
def goto(make: Callable[..., GoTo]) -> GoTo:
    return make()


class TestAuthorize:
    def test_login_and_consent_lead_back_with_code_and_state(self, goto: GoTo) -> None:
        login = goto.browser.get(goto.authorize_url())
        assert login.status_code == 200
        assert "Log in" in login.text
        assert "admin@acme.example" in login.text
        after = goto.log_in()
        assert after.status_code == 303
        consent = goto.browser.get(after.location)
        assert "Allow hireanalytiX to use your account?" in consent.text
        assert "Sandbox GoTo - not the real one" in consent.text
        answer = answer_of(goto.decide("allow"))
        assert set(answer) == {"code", "state"}
        assert answer["state"] == "state-1"

    def test_one_who_consented_before_comes_straight_back(self, goto: GoTo) -> None:
        first = goto.code()
        second = answer_of(goto.browser.get(goto.authorize_url(state="state-2")))
        assert second["state"] == "state-2"
        assert second["code"] != first

    def test_other_scopes_need_a_new_consent(self, goto: GoTo) -> None:
        goto.code(scope="identity:")
        assert "Allow hireanalytiX" in goto.browser.get(goto.authorize_url()).text

    def test_another_client_needs_a_consent_of_its_own(self, goto: GoTo) -> None:
        goto.code()
        page = goto.browser.get(goto.authorize_url(client_id="client-2"))
        assert "Allow hireanalytiX" in page.text

    def test_a_wrong_password_stays_on_the_login_page(self, goto: GoTo) -> None:
        form = {"email": "admin@acme.example", "password": "guess"}
        page = goto.browser.post(goto.authorize_url(), data=form)
        assert page.status_code == 401
        assert "do not go together" in page.text
        assert "guess" not in page.text

    def test_allow_without_login_gives_nothing(self, goto: GoTo) -> None:
        assert goto.decide("allow").status_code == 303
        assert "Log in" in goto.browser.get(goto.authorize_url()).text

    def test_a_form_of_another_site_is_refused(self, goto: GoTo) -> None:
        goto.log_in()
        sent = goto.browser.post(
            goto.authorize_url(),
            data={"decision": "allow"},
            headers={"Sec-Fetch-Site": "cross-site"},
        )
        assert sent.status_code == 403

    def test_logout_asks_for_the_login_again(self, goto: GoTo) -> None:
        goto.code()
        assert goto.browser.get("/logout").status_code == 303
        assert "Log in" in goto.browser.get(goto.authorize_url()).text

    def test_deny_brings_the_error_and_the_state_alone(self, goto: GoTo) -> None:
        goto.log_in()
        answer = answer_of(goto.decide("deny"))
        assert answer == {"error": "access_denied", "state": "state-1"}

    def test_deny_error_is_a_switch(self, make: Callable[..., GoTo]) -> None:
        goto = make(deny_error="consent_required")
        goto.log_in()
        assert answer_of(goto.decide("deny"))["error"] == "consent_required"

    def test_iss_comes_with_success_and_error_where_it_is_sent(
        self, make: Callable[..., GoTo]
    ) -> None:
        goto = make(send_iss="https://identity.goto.com")
        goto.log_in()
        assert answer_of(goto.decide("deny"))["iss"] == "https://identity.goto.com"
        assert answer_of(goto.decide("allow"))["iss"] == "https://identity.goto.com"
        refused = goto.browser.get(goto.authorize_url(scope="unknown"))
        assert answer_of(refused)["iss"] == "https://identity.goto.com"

    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"client_id": "nobody"}, id="unknown client"),
            pytest.param({"client_id": None}, id="no client"),
            pytest.param({"redirect_uri": REDIRECT.rstrip("/")}, id="no trailing slash"),
            pytest.param({"redirect_uri": REDIRECT + "x"}, id="longer path"),
            pytest.param({"redirect_uri": REDIRECT + "?a=b"}, id="query added"),
            pytest.param({"redirect_uri": REDIRECT.replace("acme", "ACME")}, id="other case"),
            pytest.param({"redirect_uri": 'https://evil.example/"\\é'}, id="odd characters"),
            pytest.param({"redirect_uri": None}, id="left out"),
        ],
    )
    def test_an_error_page_and_no_redirect(
        self, goto: GoTo, changes: dict[str, str | None]
    ) -> None:
        response = goto.browser.get(goto.authorize_url(**changes))
        assert response.status_code == 400
        assert "location" not in response.headers
        assert "evil.example" not in response.text

    def test_a_repeated_parameter_is_refused_on_a_page(self, goto: GoTo) -> None:
        response = goto.browser.get(goto.authorize_url() + "&state=state-2")
        assert response.status_code == 400

    @pytest.mark.parametrize(
        ("changes", "error"),
        [
            pytest.param({"response_type": "token"}, "unsupported_response_type", id="implicit"),
            pytest.param({"response_type": '"\\é'}, "unsupported_response_type", id="odd"),
            pytest.param({"response_type": None}, "unsupported_response_type", id="no type"),
            pytest.param({"scope": "identity: root"}, "invalid_scope", id="scope too wide"),
            pytest.param({"code_challenge": None}, "invalid_request", id="no challenge"),
            pytest.param({"code_challenge_method": "plain"}, "invalid_request", id="plain"),
            pytest.param({"code_challenge_method": None}, "invalid_request", id="no method"),
            pytest.param({"code_challenge": "short"}, "invalid_request", id="short challenge"),
        ],
    )
    def test_other_mistakes_are_told_to_the_client(
        self, goto: GoTo, changes: dict[str, str | None], error: str
    ) -> None:
        answer = answer_of(goto.browser.get(goto.authorize_url(**changes)))
        assert answer["error"] == error
        assert answer["state"] == "state-1"

    def test_without_scope_all_scopes_of_the_client_are_granted(self, goto: GoTo) -> None:
        assert parsed(goto.exchange(goto.code(scope=None)))["scope"] == SCOPE

    def test_the_session_cookie_has_its_own_name_and_is_lax(self, goto: GoTo) -> None:
        cookie = goto.log_in().headers["Set-Cookie"]
        assert cookie.startswith("sandbox_goto=")
        assert "SameSite=Lax" in cookie
        assert "HttpOnly" in cookie

    def test_the_start_page_lists_users_and_a_logout_link(self, goto: GoTo) -> None:
        page = goto.browser.get("/").text
        assert "owner@rival.example" in page
        assert "practice" in page
        assert 'href="/logout"' in page
        assert SECRET not in page

    def test_users_can_be_added(self, key: RSAKey) -> None:
        state = State(users=[User("third@beta.example", "4000000003", "other")], key=key)
        assert set(state.users) == {
            "admin@acme.example",
            "owner@rival.example",
            "third@beta.example",
        }


class TestExchange:
    def test_the_answer_has_gotos_fields_in_gotos_order(self, goto: GoTo) -> None:
        response = goto.exchange(goto.code())
        answer = parsed(response)
        assert list(answer) == [
            "access_token",
            "refresh_token",
            "token_type",
            "expires_in",
            "scope",
            "principal",
            "loa",
        ]
        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 3600
        assert answer["scope"] == SCOPE
        assert answer["principal"] == "admin@acme.example"
        assert answer["loa"] == 3
        assert response.headers["Cache-Control"] == "no-store"
        assert response.content_type == "application/json"
        assert response.data == json.dumps(answer, separators=(",", ":")).encode()

    def test_tokens_are_rs512_jwts_that_the_published_keys_verify(self, goto: GoTo) -> None:
        answer = goto.connect()
        published = parsed(goto.browser.get("/oauth/jwks.json"))
        assert "d" not in published["keys"][0]
        keys = KeySet.import_key_set({"keys": published["keys"]})
        for name, kind, life in [
            ("access_token", "a", 3600),
            ("refresh_token", "r", 2_592_000),
        ]:
            token = jwt.decode(answer[name], keys, algorithms=["RS512"])
            assert set(token.claims) == {"sc", "sub", "aud", "ogn", "typ", "exp", "iat", "jti"}
            assert token.claims["typ"] == kind
            assert token.claims["aud"] == "client-1"
            assert token.claims["exp"] == START + life
            assert 600 < len(answer[name]) <= 4096

    def test_a_code_is_spent_by_use_and_its_replay_revokes_the_grant(self, goto: GoTo) -> None:
        code = goto.code()
        answer = parsed(goto.exchange(code))
        assert goto.call(answer["access_token"]).status_code == 200
        replay = goto.exchange(code)
        assert (replay.status_code, parsed(replay)["error"]) == (400, "invalid_grant")
        assert goto.refresh(answer["refresh_token"]).data == REVOKED
        assert goto.call(answer["access_token"]).status_code == 401

    @pytest.mark.parametrize(
        "mistake",
        [
            pytest.param({"code_verifier": "b" * 43}, id="wrong verifier"),
            pytest.param({"code_verifier": ""}, id="no verifier"),
            pytest.param({"code_verifier": "short"}, id="malformed verifier"),
            pytest.param({"redirect_uri": REDIRECT.rstrip("/")}, id="other redirect URI"),
        ],
    )
    def test_a_failed_exchange_uses_the_code_up(self, goto: GoTo, mistake: dict[str, str]) -> None:
        code = goto.code()
        assert goto.exchange(code, **mistake).status_code == 400
        assert parsed(goto.exchange(code))["error"] == "invalid_grant"

    def test_a_code_lives_ten_minutes(self, goto: GoTo) -> None:
        early, late = goto.code(), goto.code()
        goto.clock.now += 599
        assert goto.exchange(early).status_code == 200
        goto.clock.now += 1
        assert parsed(goto.exchange(late))["error"] == "invalid_grant"

    def test_another_clients_code_is_refused_and_not_spent(self, goto: GoTo) -> None:
        code = goto.code()
        form = {"code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
        stolen = goto.token("client-2:other", grant_type="authorization_code", **form)
        assert parsed(stolen)["error"] == "invalid_grant"
        assert goto.exchange(code).status_code == 200

    def test_pkce_can_be_left_out_where_it_is_not_required(self, make: Callable[..., GoTo]) -> None:
        goto = make(require_pkce=False)
        plain = {"code_challenge": None, "code_challenge_method": None}
        form = {"redirect_uri": REDIRECT, "grant_type": "authorization_code"}
        assert goto.token(code=goto.code(**plain), **form).status_code == 200

    def test_a_challenge_that_was_given_is_checked_though_not_required(
        self, make: Callable[..., GoTo]
    ) -> None:
        goto = make(require_pkce=False)
        form = {"redirect_uri": REDIRECT, "grant_type": "authorization_code"}
        assert goto.token(code=goto.code(), **form).status_code == 400

    @pytest.mark.parametrize("field", ["token_type", "refresh_token", "scope", "principal", "loa"])
    def test_each_optional_field_can_be_left_out(
        self, make: Callable[..., GoTo], field: str
    ) -> None:
        assert field not in make(omit=[field]).connect()

    def test_expires_in_can_be_a_string(self, make: Callable[..., GoTo]) -> None:
        goto = make(expires_in_as_string=True, access_token_lifetime=60)
        assert goto.connect()["expires_in"] == "60"


class TestClientAuthentication:
    @pytest.mark.parametrize(
        "credentials",
        [
            pytest.param("nobody:secret", id="unknown client"),
            pytest.param("client-1:wrong", id="bad secret"),
            pytest.param("client-1", id="no colon"),
            pytest.param(f"client-1:{quote_plus(SECRET)}", id="form-encoded secret"),
            pytest.param(None, id="nothing"),
        ],
    )
    @pytest.mark.parametrize("path", ["token", "revoke", "introspect"])
    def test_every_unaccepted_client_gets_the_same_bytes(
        self, goto: GoTo, credentials: str | None, path: str
    ) -> None:
        response = goto.app.test_client().post(
            f"/oauth/{path}",
            data={"grant_type": "refresh_token", "refresh_token": "made-up", "token": "made-up"},
            headers=basic(credentials),
        )
        assert (response.status_code, response.data) == (401, NOT_FOUND)

    def test_a_made_up_refresh_token_tells_a_good_client_apart(self, goto: GoTo) -> None:
        response = goto.refresh("made-up")
        assert (response.status_code, response.data) == (400, REVOKED)

    @pytest.mark.parametrize("header", ["Basic ???", "Basic /w==", "Bearer abc", "Basic"])
    def test_a_header_that_cannot_be_read_is_no_client(self, goto: GoTo, header: str) -> None:
        response = goto.app.test_client().post(
            "/oauth/token",
            data={"grant_type": "refresh_token", "refresh_token": "made-up"},
            headers={"Authorization": header},
        )
        assert (response.status_code, response.data) == (401, NOT_FOUND)

    def test_rfc6749_form_decodes_id_and_secret(self, make: Callable[..., GoTo]) -> None:
        goto = make(client_auth="rfc6749")
        form = {"grant_type": "refresh_token", "refresh_token": "made-up"}
        assert goto.token(f"client-1:{quote_plus(SECRET)}", **form).status_code == 400
        assert goto.token(f"client-1:{SECRET}", **form).data == NOT_FOUND

    def test_client_secret_post_is_accepted(self, goto: GoTo) -> None:
        form = {"client_id": "client-1", "client_secret": SECRET}
        response = goto.token(None, grant_type="refresh_token", refresh_token="made-up", **form)
        assert response.data == REVOKED


class TestRefresh:
    def test_a_refresh_token_of_another_client_is_refused(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        stolen = goto.token("client-2:other", grant_type="refresh_token", refresh_token=held)
        assert parsed(stolen)["error"] == "invalid_grant"
        assert goto.refresh(held).status_code == 200

    def test_an_access_token_is_no_refresh_token(self, goto: GoTo) -> None:
        assert goto.refresh(goto.connect()["access_token"]).data == REVOKED

    def test_scope_can_be_narrowed_but_not_widened(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        assert parsed(goto.refresh(held, scope="identity:"))["scope"] == "identity:"
        assert parsed(goto.refresh(held, scope="identity: root"))["error"] == "invalid_scope"
        assert parsed(goto.refresh(held))["scope"] == SCOPE

    def test_late_brings_no_new_refresh_token_before_60_percent(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 18 * DAY - 1
        assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 18 * DAY
        renewed = parsed(goto.refresh(held))["refresh_token"]
        assert renewed != held
        assert goto.refresh(held).data == REVOKED
        assert goto.refresh(renewed).status_code == 200

    def test_late_gives_the_new_token_thirty_days_more(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 20 * DAY
        renewed = parsed(goto.refresh(held))["refresh_token"]
        goto.clock.now = START + 50 * DAY - 1
        assert goto.refresh(renewed).status_code == 200

    def test_day_17_then_day_31_is_lost(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.clock.now = START + 17 * DAY
        assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 31 * DAY
        assert goto.refresh(held).status_code == 400

    def test_never_ends_after_thirty_days_whatever_the_use(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="never")
        held = goto.connect()["refresh_token"]
        for day in range(30):
            goto.clock.now = START + day * DAY
            assert "refresh_token" not in parsed(goto.refresh(held))
        goto.clock.now = START + 30 * DAY
        assert goto.refresh(held).status_code == 400

    def test_always_rotates_and_a_reuse_revokes_the_family(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always")
        first = goto.connect()["refresh_token"]
        second = parsed(goto.refresh(first))["refresh_token"]
        third = parsed(goto.refresh(second))
        assert goto.refresh(first).data == REVOKED
        assert goto.refresh(third["refresh_token"]).data == REVOKED
        assert goto.call(third["access_token"]).status_code == 401

    @pytest.mark.parametrize("rotation", ["late", "always"])
    def test_within_the_grace_the_old_one_still_works(
        self, make: Callable[..., GoTo], rotation: str
    ) -> None:
        goto = make(rotation=rotation, rotation_grace=30)
        old = goto.connect()["refresh_token"]
        goto.clock.now += 18 * DAY
        first = parsed(goto.refresh(old))["refresh_token"]
        goto.clock.now += 29
        second = parsed(goto.refresh(old))["refresh_token"]
        assert len({old, first, second}) == 3
        assert goto.refresh(first).status_code == 200
        assert goto.refresh(second).status_code == 200
        goto.clock.now += 1
        assert goto.refresh(old).data == REVOKED

    @pytest.mark.parametrize(
        ("form", "body"),
        [
            ("invalid_grant", b'{"error":"invalid_grant"}'),
            (
                "invalid_request",
                EXPIRED_REQUEST,
            ),
        ],
    )
    def test_expired_has_two_forms(self, make: Callable[..., GoTo], form: str, body: bytes) -> None:
        goto = make(expired_form=form, refresh_token_lifetime=100)
        held = goto.connect()["refresh_token"]
        goto.clock.now += 100
        response = goto.refresh(held)
        assert (response.status_code, response.data) == (400, body)

    def test_of_eight_at_once_with_a_single_use_token_one_wins(
        self, make: Callable[..., GoTo]
    ) -> None:
        goto = make(rotation="always")
        held = goto.connect()["refresh_token"]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: goto.refresh(held).status_code, range(8)))
        assert sorted(answers) == [200] + [400] * 7

    def test_an_unknown_grant_type_is_refused(self, goto: GoTo) -> None:
        response = goto.token(grant_type="password")
        assert response.data == b'{"error":"unsupported_grant_type"}'


class TestRevokeAndIntrospect:
    def test_revoking_the_refresh_token_ends_the_grant(self, goto: GoTo) -> None:
        answer = goto.connect()
        revoked = goto.post("/oauth/revoke", token=answer["refresh_token"])
        assert (revoked.status_code, revoked.data) == (200, b"{}")
        assert goto.refresh(answer["refresh_token"]).data == REVOKED
        assert goto.call(answer["access_token"]).status_code == 401
        again = goto.post("/oauth/revoke", token=answer["refresh_token"])
        assert again.status_code == 200

    def test_revoking_an_access_token_leaves_the_refresh_token(self, goto: GoTo) -> None:
        answer = goto.connect()
        goto.post("/oauth/revoke", token=answer["access_token"], token_type_hint="access_token")
        assert goto.call(answer["access_token"]).status_code == 401
        assert goto.refresh(answer["refresh_token"]).status_code == 200

    def test_revoking_an_unknown_token_is_done_too(self, goto: GoTo) -> None:
        assert goto.post("/oauth/revoke", token="made-up").status_code == 200

    def test_introspection_tells_a_living_token_from_a_dead_one(self, goto: GoTo) -> None:
        answer = goto.connect()
        alive = parsed(goto.post("/oauth/introspect", token=answer["access_token"]))
        assert alive["active"] is True
        assert alive["client_id"] == "client-1"
        assert alive["username"] == "admin@acme.example"
        assert alive["scope"] == SCOPE
        assert alive["exp"] == START + 3600
        goto.clock.now += 3600
        dead = goto.post("/oauth/introspect", token=answer["access_token"])
        assert dead.data == b'{"active":false}'
        refresh = parsed(goto.post("/oauth/introspect", token=answer["refresh_token"]))
        assert refresh["active"] is True
        made_up = goto.post("/oauth/introspect", token="made-up")
        assert made_up.data == b'{"active":false}'

    def test_revoke_user_kills_that_users_grants_alone(self, goto: GoTo) -> None:
        mine = goto.connect()["refresh_token"]
        goto.browser.get("/logout")
        goto.log_in("owner@rival.example")
        theirs = parsed(goto.exchange(answer_of(goto.decide("allow"))["code"]))["refresh_token"]
        killed = goto.browser.post(
            "/sandbox/revoke-user", json={"email": "admin@acme.example"}, headers=CONTROL
        )
        assert killed.data == b'{"revoked":1}'
        assert goto.refresh(mine).data == REVOKED
        assert goto.refresh(theirs).status_code == 200


class TestWhoAmI:
    def test_both_answers_name_the_account(self, goto: GoTo) -> None:
        token = goto.connect()["access_token"]
        assert goto.call(token).data == b'{"items":[{"accountKey":"4000000001"}]}'
        identity = parsed(goto.call(token, "/identity/v1/Users/me"))
        accounts = identity["urn:scim:schemas:extension:getgo:1.0"]["accounts"]
        assert accounts[0]["value"] == "4000000001"
        assert identity["userName"] == "admin@acme.example"

    @pytest.mark.parametrize("path", ["/users/v1/me", "/identity/v1/Users/me"])
    def test_dead_tokens_get_their_codes(self, goto: GoTo, path: str) -> None:
        answer = goto.connect()
        cut = answer["access_token"][:-8] + "AAAAAAAA"

        def code(token: str) -> tuple[int, str]:
            response = goto.call(token, path)
            body = parsed(response)
            assert list(body) == ["reference", "errorCode", "message", "constraintViolations"]
            assert body["constraintViolations"] == []
            return response.status_code, body["errorCode"]

        assert code("not-a-jwt") == (401, "AUTHN_MALFORMED_TOKEN")
        assert code("é.é.é") == (401, "AUTHN_MALFORMED_TOKEN")
        assert code(cut) == (401, "AUTHN_INVALID_TOKEN")
        assert code(answer["refresh_token"]) == (401, "AUTHN_INVALID_TOKEN")
        goto.clock.now += 3600
        assert code(answer["access_token"]) == (401, "AUTHN_EXPIRED_TOKEN")
        goto.connect()  # sweeps what expired out of the state
        assert code(answer["access_token"]) == (401, "AUTHN_EXPIRED_TOKEN")

    def test_without_a_token_it_is_401(self, goto: GoTo) -> None:
        assert goto.browser.get("/users/v1/me").status_code == 401

    def test_an_unreadable_account_is_403_in_both(self, make: Callable[..., GoTo]) -> None:
        goto = make(account_readable=False)
        token = goto.connect()["access_token"]
        for path in ["/users/v1/me", "/identity/v1/Users/me"]:
            response = goto.call(token, path)
            assert response.status_code == 403
            assert parsed(response)["errorCode"] == "AUTHZ_INSUFFICIENT_SCOPE"


class TestFailures:
    def test_failures_are_met_in_order_and_once_each(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(
            fail_next=[
                {"status": 503, "body": "<h1>Down</h1>"},
                {"status": 200, "body": "{", "content_type": "application/json", "delay": 2},
            ]
        )
        first, second, third = (goto.refresh(held) for _ in range(3))
        assert (first.status_code, first.data) == (503, b"<h1>Down</h1>")
        assert first.content_type.startswith("text/html")
        assert (second.status_code, second.data) == (200, b"{")
        assert goto.slept == [2]
        assert third.status_code == 200
        assert "access_token" in parsed(third)

    def test_before_leaves_the_token_alone(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always", rotation_grace=0)
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[Failure(500)])
        assert goto.refresh(held).status_code == 500
        assert goto.refresh(held).status_code == 200

    def test_after_rotates_and_loses_the_answer(self, make: Callable[..., GoTo]) -> None:
        goto = make(rotation="always")
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[Failure(500, after=True)])
        assert goto.refresh(held).status_code == 500
        assert goto.log()["requests"][-1]["issued"] is not None
        assert goto.refresh(held).data == REVOKED

    def test_status_null_is_the_true_answer_late(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[{"status": None, "delay": 20, "after": True}])
        assert "access_token" in parsed(goto.refresh(held))
        assert goto.slept == [20]

    def test_status_0_closes_the_connection(self, goto: GoTo) -> None:
        held = goto.connect()["refresh_token"]
        goto.turn(fail_next=[{"status": 0, "after": True}])
        form = {"grant_type": "refresh_token", "refresh_token": held}
        with running(goto.app) as url:
            with pytest.raises(requests.ConnectionError):
                requests.post(f"{url}/oauth/token", data=form, auth=("client-1", SECRET), timeout=5)
            again = requests.post(
                f"{url}/oauth/token", data=form, auth=("client-1", SECRET), timeout=5
            )
        assert again.status_code == 200
        assert goto.log()["by_status"] == {"0": 1, "200": 2}

    def test_beyond_the_rate_it_is_429_without_retry_after(self, make: Callable[..., GoTo]) -> None:
        goto = make(rate_per_second=2)
        answers = [goto.refresh("made-up") for _ in range(3)]
        assert [one.status_code for one in answers] == [400, 400, 429]
        assert "Retry-After" not in answers[-1].headers
        goto.clock.now += 1
        assert goto.refresh("made-up").status_code == 400


class TestControl:
    ROUTES = (
        ("POST", "/sandbox/clients"),
        ("POST", "/sandbox/switches"),
        ("GET", "/sandbox/switches"),
        ("GET", "/sandbox/log"),
        ("POST", "/sandbox/revoke-user"),
    )

    @pytest.mark.parametrize(("method", "path"), ROUTES)
    @pytest.mark.parametrize(
        "broken",
        [
            pytest.param({"headers": {}}, id="no header"),
            pytest.param({"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}, id="another machine"),
            pytest.param({"base_url": "http://evil.example/"}, id="another name"),
        ],
    )
    def test_control_is_for_this_machine_with_the_header(
        self, goto: GoTo, method: str, path: str, broken: dict[str, Any]
    ) -> None:
        arguments: dict[str, Any] = {"headers": CONTROL, **broken}
        response = goto.browser.open(path, method=method, json={}, **arguments)
        assert response.status_code == 403

    def test_a_client_registered_while_running_works(self, goto: GoTo) -> None:
        body = {
            "client_id": "late",
            "client_secret": "late:secret",
            "redirect_uris": ["https://acme.hireanalytix.net/admin/settings/activities/"],
            "scope": "identity:",
            "name": "Another",
        }
        made = goto.browser.post("/sandbox/clients", json=body, headers=CONTROL)
        assert (made.status_code, made.data) == (201, b'{"client_id":"late"}')
        form = {"grant_type": "refresh_token", "refresh_token": "made-up"}
        assert goto.token("late:late:secret", **form).status_code == 400

    @pytest.mark.parametrize(
        "uri",
        [
            "http://acme.hireanalytix.net/",
            "https://acme.example/#x",
            "acme.example/cb",
            "https://user@acme.example/",
            "http://localhost.evil.example/",
            "https://acme.example:port/",
            "javascript:alert(1)",
        ],
    )
    def test_an_unsafe_redirect_uri_cannot_be_registered(self, goto: GoTo, uri: str) -> None:
        body = {"client_id": "x", "client_secret": "y", "redirect_uris": [uri]}
        assert goto.browser.post("/sandbox/clients", json=body, headers=CONTROL).status_code == 400

    @pytest.mark.parametrize(
        "uri",
        [
            "http://localhost:8000/x",
            "http://acme.localhost:8000/x/",
            "http://127.0.0.1/",
            "https://acme.hireanalytix.net/admin/settings/activities/",
        ],
    )
    def test_https_and_loopback_redirect_uris_can(self, uri: str) -> None:
        assert Client.new("x", "y", [uri]).redirect_uris == (uri,)

    def test_switches_are_turned_and_shown(self, goto: GoTo) -> None:
        turned = goto.browser.post(
            "/sandbox/switches", json={"rotation": "always", "omit": ["loa"]}, headers=CONTROL
        )
        assert parsed(turned)["rotation"] == "always"
        shown = parsed(goto.browser.get("/sandbox/switches", headers=CONTROL))
        assert shown["omit"] == ["loa"]
        assert Switches().changed(**shown).rotation == "always"
        assert "loa" not in goto.connect()

    @pytest.mark.parametrize(
        "body", [{"rotatoin": "late"}, {"rotation": "weekly"}, {"self": 1}, [1], "text"]
    )
    def test_a_switch_turned_wrongly_is_400_and_changes_nothing(
        self, goto: GoTo, body: Any
    ) -> None:
        before = console(goto.app).switches
        response = goto.browser.post("/sandbox/switches", json=body, headers=CONTROL)
        assert response.status_code == 400
        assert console(goto.app).switches == before

    def test_the_log_counts_and_never_tells_a_value(self, goto: GoTo) -> None:
        code = goto.code()
        answer = parsed(goto.exchange(code))
        goto.refresh(answer["refresh_token"])
        goto.refresh("made-up")
        log = goto.log()
        assert log["token_requests"] == 3
        assert log["by_grant_type"] == {"authorization_code": 1, "refresh_token": 2}
        assert log["by_status"] == {"200": 2, "400": 1}
        first = log["requests"][0]
        assert first["time"] == START
        assert first["client_id"] == "client-1"
        assert first["presented"] == hashlib.sha256(code.encode()).hexdigest()[:16]
        assert log["requests"][1]["presented"] == first["issued"]
        for secret in [code, answer["access_token"], answer["refresh_token"], SECRET]:
            assert secret not in json.dumps(log)

    def test_the_metadata_names_the_endpoints(self, goto: GoTo) -> None:
        found = parsed(goto.browser.get("/.well-known/oauth-authorization-server"))
        assert found["token_endpoint"] == "http://localhost/oauth/token"
        assert found["code_challenge_methods_supported"] == ["S256"]
        assert "authorization_response_iss_parameter_supported" not in found


class TestSwitches:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("access_token_lifetime", 0),
            ("access_token_lifetime", "60"),
            ("refresh_token_lifetime", True),
            ("rotation", "weekly"),
            ("rotation_grace", -1),
            ("omit", "loa"),
            ("omit", ["expires_in"]),
            ("omit", [["loa"]]),
            ("expires_in_as_string", 1),
            ("expired_form", "gone"),
            ("deny_error", "access denied"),
            ("send_iss", 1),
            ("client_auth", None),
            ("rate_per_second", 0),
            ("fail_next", {"status": 503}),
            ("fail_next", [{"state": 503}]),
            ("fail_next", [{"status": 99}]),
            ("fail_next", [{"status": 200, "delay": -1}]),
            ("fail_next", [{"content_type": "text/html\r\nX: y"}]),
        ],
    )
    def test_a_value_a_switch_cannot_take_is_refused_by_name(self, name: str, value: Any) -> None:
        with pytest.raises(SwitchError, match=name):
            Switches().changed(**{name: value})
        with pytest.raises(SwitchError, match=name):
            Switches(**{name: value})

    def test_a_failure_waits_for_its_kind_of_request(self) -> None:
        board = Console(Switches(), lambda: 0.0)
        board.turn(fail_next=[{"status": 500, "grant_type": "authorization_code"}])
        assert board.next_failure("refresh_token") is None
        assert board.next_failure("authorization_code") is not None
        assert board.next_failure("authorization_code") is None

    def test_a_failure_for_an_unknown_kind_of_request_is_refused(self) -> None:
        with pytest.raises(SwitchError, match="grant_type"):
            Switches().changed(fail_next=[{"grant_type": "password"}])

    def test_an_unknown_switch_is_refused_with_the_known_ones(self) -> None:
        with pytest.raises(SwitchError, match=r"no switch 'rotatoin'.*rotation_grace"):
            Switches().changed(rotatoin="late")


class TestRules:
    @pytest.mark.parametrize(
        ("rotation", "every", "days"),
        [
            pytest.param("late", 1, 365, id="late, daily: lives"),
            pytest.param("late", 11, 363, id="late, every 11 days: lives"),
            pytest.param("late", 17, 34, id="late, every 17 days: lost"),
            pytest.param("always", 29, 348, id="always, every 29 days: lives"),
            pytest.param("never", 1, 30, id="never: lost on day 30"),
        ],
    )
    def test_a_year_without_http(self, rotation: str, every: int, days: int) -> None:
        switches = Switches().changed(rotation=rotation)
        names = (f"token-{number}" for number in range(1000))
        held = next(names)
        grant = rules.open_grant(Grant("g", "c", "a@b", "s", ()), held, 0, switches)
        day = every
        while day <= 365:
            outcome = rules.refresh(grant, held, day * DAY, switches, lambda: next(names))
            if outcome.refusal is not None:
                assert day == days
                return
            grant, held = outcome.grant, outcome.new.id if outcome.new else held
            day += every
        assert day - every == days

    def test_a_family_does_not_grow_for_ever(self) -> None:
        switches = Switches().changed(rotation="always")
        grant = rules.open_grant(Grant("g", "c", "a@b", "s", ()), "0", 0, switches)
        for day in range(1, 366):
            outcome = rules.refresh(
                grant, str(day - 1), day * DAY, switches, iter([str(day)]).__next__
            )
            grant = outcome.grant
        assert len(grant.tokens) == 30


class TestState:
    def test_everything_survives_a_restart(self, key: RSAKey, tmp_path: Path) -> None:
        path = tmp_path / "below" / "goto.json"
        goto = GoTo(key)
        goto.state = State(path, clients=goto.state.clients.values(), key=key)
        goto.app = create_app(goto.state, clock=goto.clock)
        goto.browser = goto.app.test_client()
        answer = goto.connect()
        cookie = goto.browser.get_cookie("sandbox_goto")
        assert cookie is not None
        text = path.read_text(encoding="utf-8")
        for secret in [SECRET, answer["refresh_token"], answer["access_token"]]:
            assert secret not in text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["goto.json"]

        goto.app = create_app(State(path), clock=goto.clock)
        goto.browser = goto.app.test_client()
        goto.browser.set_cookie("sandbox_goto", cookie.value)
        assert goto.refresh(answer["refresh_token"]).status_code == 200
        assert goto.call(answer["access_token"]).status_code == 200
        assert "code" in answer_of(goto.browser.get(goto.authorize_url()))

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "null"])
    def test_another_file_is_refused_in_a_sentence(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "notes.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(StateError, match="not a state file"):
            State(path)
        assert path.read_text(encoding="utf-8") == text

    @pytest.mark.parametrize(
        ("client_id", "secret", "uris"),
        [("", "s", [REDIRECT]), ("a:b", "s", [REDIRECT]), ("a", "", [REDIRECT]), ("a", "s", [])],
    )
    def test_half_a_client_cannot_be_registered(
        self, client_id: str, secret: str, uris: list[str]
    ) -> None:
        with pytest.raises(StateError):
            Client.new(client_id, secret, uris)


class TestCommandLine:
    @pytest.fixture
    def secret_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text(SECRET + "\n", encoding="utf-8")
        return path

    def test_a_taken_port_is_one_sentence_and_exit_code_1(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert main(["--port", str(port)]) == 1
        assert capsys.readouterr().err == (
            f"Port {port} on 127.0.0.1 is already in use."
            " Stop what uses it, or choose another with --port.\n"
        )

    def test_a_client_without_its_parts_is_a_sentence(
        self, capsys: pytest.CaptureFixture[str], secret_file: Path
    ) -> None:
        assert main(["--client", "a"]) == 1
        assert "needs --client-secret-file" in capsys.readouterr().err
        assert main(["--client", "a", "--client-secret-file", str(secret_file)]) == 1
        assert "at least one redirect URI" in capsys.readouterr().err

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_serves_logs_no_query_and_stops_on_a_signal(
        self, secret_file: Path, number: signal.Signals
    ) -> None:
        client = ["--client", "client-1", "--redirect-uri", REDIRECT]
        client += ["--client-secret-file", str(secret_file)]
        command = [sys.executable, "-m", "sandbox.goto", "--port", "0", *client]
        root = Path(__file__).parents[2]
        with subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                ready = process.stdout.readline()
                found = re.search(r"http://127\.0\.0\.1:\d+", ready)
                assert found is not None
                page = requests.get(f"{found[0]}/?token=canary", timeout=5)
                assert page.status_code == 200
                form = {"grant_type": "refresh_token", "refresh_token": "canary"}
                auth = ("client-1", SECRET)
                answer = requests.post(f"{found[0]}/oauth/token", data=form, auth=auth, timeout=5)
                assert answer.content == REVOKED
            finally:
                process.send_signal(number)
            out, err = process.communicate(timeout=10)
        assert process.returncode == 0
        assert out == ""
        lines = [line.split(" ", 1)[1] for line in err.splitlines()]
        assert lines == ["GET / 200", "POST /oauth/token 400"]


def test_running_serves_the_whole_flow_to_a_client_of_the_network(goto: GoTo) -> None:
    with running(goto.app) as url:
        session = requests.Session()
        login = session.get(url + goto.authorize_url(), timeout=5)
        form = {"email": "admin@acme.example", "password": "practice"}
        consent = session.post(login.url, data=form, timeout=5)
        allowed = session.post(
            consent.url, data={"decision": "allow"}, allow_redirects=False, timeout=5
        )
        code = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"][0]
        tokens = requests.post(
            f"{url}/oauth/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT,
                "client_id": "client-1",
                "code_verifier": VERIFIER,
            },
            auth=("client-1", SECRET),
            timeout=5,
        ).json()
        who = requests.get(
            f"{url}/users/v1/me",
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            timeout=5,
        )
        assert who.content == b'{"items":[{"accountKey":"4000000001"}]}'


def test_it_answers_under_a_localhost_name_without_touching_the_environment(goto: GoTo) -> None:
    before = dict(os.environ)
    browser: FlaskClient = goto.browser
    response = browser.get(goto.authorize_url(), base_url="http://goto.localhost:8001/")
    assert response.status_code == 200
    assert dict(os.environ) == before
