"""The sandbox authorizes as GoTo does: login, Allow, redirect URIs, PKCE."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from joserfc.jwk import RSAKey

from sandbox.goto.state import State, User
from tests.sandbox.client import (
    REDIRECT,
    SCOPE,
    SECRET,
    GoTo,
    answer_of,
    parsed,
)


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
            "partner@it.example",
            "third@beta.example",
        }

    def test_a_wrong_redirect_uri_may_be_refused_without_a_word_of_it(
        self, make: Callable[..., GoTo]
    ) -> None:
        goto = make(tells_redirect_uri=False)
        answer = goto.browser.get(goto.authorize_url(redirect_uri="https://other.example/"))
        assert (answer.status_code, b"redirect" in answer.data) == (200, False)
