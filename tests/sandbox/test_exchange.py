"""The sandbox exchanges codes, and knows clients, as GoTo does."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote_plus

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.sandbox.client import (
    NOT_FOUND,
    REDIRECT,
    REVOKED,
    SCOPE,
    SECRET,
    START,
    VERIFIER,
    GoTo,
    basic,
    parsed,
)


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
