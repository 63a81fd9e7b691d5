"""The sandbox withdraws tokens, and tells whose they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.sandbox.client import (
    CONTROL,
    REVOKED,
    SCOPE,
    START,
    GoTo,
    answer_of,
    parsed,
)


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
