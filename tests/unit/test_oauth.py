"""OAuth without I/O: requests as RFC 6749 writes them, answers judged."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib import oauth
from chalicelib.errors import MalformedRequest
from chalicelib.model import Reason, TokenSet
from chalicelib.oauth import Answer, ClientCredentials, Failure, FailureClass
from chalicelib.times import LONGEST_LIFETIME


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert oauth.code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.mark.parametrize(
    ("style", "joined"),
    [
        pytest.param("raw", "id:a+b/c=%", id="GoTo takes them as they are"),
        pytest.param("rfc6749", "id:a%2Bb%2Fc%3D%25", id="RFC 6749 2.3.1 encodes both first"),
    ],
)
def test_basic_authorization(style: str, joined: str) -> None:
    header = oauth.basic_authorization(ClientCredentials("id", "a+b/c=%"), style)
    assert base64.b64decode(header.removeprefix("Basic ")).decode() == joined


@pytest.mark.parametrize("endpoint", ["https://goto.example/a", "https://goto.example/a?b=c"])
@pytest.mark.parametrize("scope", [None, "one two"])
def test_the_authorization_url_carries_what_rfc_6749_asks_for(
    endpoint: str, scope: str | None
) -> None:
    url = oauth.authorization_url(
        endpoint,
        client_id="id",
        redirect_uri="https://acme.example/a/",
        state="state",
        verifier="verifier",
        scope=scope,
    )
    asked = parse_qs(urlsplit(url).query)
    assert asked["response_type"] == ["code"]
    assert asked["client_id"] == ["id"]
    assert asked["redirect_uri"] == ["https://acme.example/a/"]
    assert asked.get("scope") == ([scope] if scope else None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"refresh_token": "r", "token_type": "Bearer", "scope": "A B", "principal": "a@b"},
            TokenSet("a", "r", "Bearer", 3600, "A B", "a@b"),
            id="everything",
        ),
        pytest.param({}, TokenSet("a"), id="nothing but the access token"),
        pytest.param({"expires_in": "1800"}, TokenSet("a", expires_in=1800), id="string life"),
        pytest.param({"expires_in": 90.7}, TokenSet("a", expires_in=90), id="fractional life"),
        pytest.param({"expires_in": "soon"}, TokenSet("a", expires_in=3600), id="no number"),
        pytest.param({"expires_in": True}, TokenSet("a", expires_in=3600), id="a truth value"),
        pytest.param({"expires_in": None}, TokenSet("a", expires_in=3600), id="null"),
        pytest.param({"expires_in": -5}, TokenSet("a", expires_in=0), id="dead on arrival"),
        pytest.param({"expires_in": "1e999"}, TokenSet("a", expires_in=3600), id="infinity"),
        pytest.param(
            {"expires_in": 10**12},
            TokenSet("a", expires_in=LONGEST_LIFETIME),
            id="a life of 30,000 years",
        ),
        pytest.param({"refresh_token": ""}, TokenSet("a"), id="empty refresh token"),
        pytest.param({"refresh_token": "!~"}, TokenSet("a", "!~"), id="the ends of ASCII"),
        pytest.param(
            {"refresh_token": "r" * 16_384}, TokenSet("a", "r" * 16_384), id="four times GoTo's"
        ),
        pytest.param({"refresh_token": "r" * 16_385}, TokenSet("a"), id="longer than that"),
        pytest.param({"token_type": "DPoP"}, TokenSet("a", token_type="DPoP"), id="another type"),
        pytest.param({"scope": 5, "principal": ["x"]}, TokenSet("a"), id="words that are none"),
        pytest.param({"refresh_token": "a b"}, TokenSet("a"), id="no header would take it"),
    ],
)
def test_a_token_answer_is_read_as_far_as_it_goes(
    fields: dict[str, Any], expected: TokenSet
) -> None:
    given = {"access_token": "a", "expires_in": 3600, **fields}
    assert oauth.judge(Answer(200, body(**given))) == expected


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        pytest.param(
            Answer(401, body(error="invalid_client", error_description="client not found")),
            FailureClass.CLIENT_REFUSED,
            id="unknown client",
        ),
        pytest.param(
            Answer(400, body(error="invalid_client")), FailureClass.CLIENT_REFUSED, id="as 400"
        ),
        pytest.param(
            Answer(400, body(error="invalid_grant", error_description="refresh.token.revoked")),
            FailureClass.GRANT_REFUSED,
            id="revoked",
        ),
        pytest.param(
            Answer(
                400,
                body(
                    error="invalid_request",
                    error_description="Required parameter(s) missing or wrong.",
                ),
            ),
            FailureClass.GRANT_REFUSED,
            id="expired, on old hosts",
        ),
        pytest.param(
            Answer(400, body(error="invalid_request")), FailureClass.TRANSIENT, id="our mistake"
        ),
        pytest.param(
            Answer(401, body(error="invalid_client")), FailureClass.CLIENT_REFUSED, id="F11"
        ),
        pytest.param(
            Answer(400, body(error="unauthorized_client")),
            FailureClass.CLIENT_REFUSED,
            id="F11, not for this grant type",
        ),
        pytest.param(Answer(400, b"<html>"), FailureClass.TRANSIENT, id="400 without an error"),
        pytest.param(Answer(307, b""), FailureClass.TRANSIENT, id="a redirect"),
        pytest.param(Answer(404, b""), FailureClass.TRANSIENT, id="a wrong address"),
        pytest.param(Answer(408, b""), FailureClass.TRANSIENT, id="408"),
        pytest.param(Answer(504, b""), FailureClass.UNCLEAR, id="a gateway's 504"),
        pytest.param(Answer(200, b""), FailureClass.UNCLEAR, id="empty"),
        pytest.param(Answer(200, b'{"access_tok'), FailureClass.UNCLEAR, id="truncated"),
        pytest.param(Answer(429, b""), FailureClass.RATE_LIMITED, id="429"),
        pytest.param(Answer(502, b"<html>"), FailureClass.UNCLEAR, id="a gateway's 502"),
        pytest.param(Answer(503, b"<html>"), FailureClass.TRANSIENT, id="a clear 503"),
        pytest.param(
            Answer(500, body(error="invalid_grant")), FailureClass.UNCLEAR, id="a confused 500"
        ),
        pytest.param(
            Answer(200, body(error="invalid_grant")), FailureClass.UNCLEAR, id="an error as 200"
        ),
        pytest.param(Answer(400, body(error=["x"])), FailureClass.TRANSIENT, id="odd error"),
        pytest.param(Answer(200, b"[" * 100_000), FailureClass.UNCLEAR, id="deeply nested"),
        pytest.param(Answer(200, b"\xff\xfe"), FailureClass.UNCLEAR, id="not text"),
        pytest.param(Answer(200, body(access_token=5)), FailureClass.UNCLEAR, id="a number"),
        pytest.param(
            Answer(200, body(access_token="a\nb")), FailureClass.UNCLEAR, id="a line break"
        ),
    ],
)
def test_only_a_clear_refusal_is_final(answer: Answer, kind: FailureClass) -> None:
    """F08: everything else must never end a grant."""
    verdict = oauth.judge(answer)
    assert isinstance(verdict, Failure)
    assert verdict.kind is kind


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(200, b"{}"), "answer without a usable token"),
        (Answer(403, body(error="invalid_grant")), "invalid_grant"),
        (Answer(404, body(error="invalid_grant")), "HTTP 404"),
        (Answer(503, b""), "HTTP 503"),
        (
            Answer(
                400,
                body(
                    error="invalid_request",
                    error_description="Required parameter(s) missing or wrong.",
                ),
            ),
            "invalid_request, as for an expired token",
        ),
    ],
)
def test_a_verdict_says_what_it_is_of(answer: Answer, detail: str) -> None:
    verdict = oauth.judge(answer)
    assert isinstance(verdict, Failure)
    assert verdict.detail == detail


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        pytest.param("", False, id="nothing"),
        pytest.param("a", True, id="one character"),
        pytest.param("a" * 4_096, True, id="as long as can be"),
        pytest.param("a" * 4_097, False, id="too long"),
        pytest.param("a b", True, id="a space inside"),
        pytest.param(" a", False, id="a space around"),
        pytest.param("\u00fc", False, id="beyond ASCII"),
        pytest.param("a\n", False, id="a line break"),
    ],
)
def test_what_a_client_id_or_secret_can_be(value: str, allowed: bool) -> None:
    assert oauth.client_value_allowed(value) is allowed


@pytest.mark.parametrize(
    "name", ["state", "code", "error", "iss", "error_description", "error_uri"]
)
def test_s06_no_parameter_of_rfc_6749_is_given_twice(name: str) -> None:
    with pytest.raises(MalformedRequest):
        oauth.read_callback({"state": ["s"], "code": ["c"], name: ["a", "a"]})


def test_a_code_is_as_long_as_goto_makes_them() -> None:
    assert oauth.read_callback({"state": ["s"], "code": ["c" * 4_096]}).code == "c" * 4_096
    with pytest.raises(MalformedRequest):
        oauth.read_callback({"state": ["s"], "code": ["c" * 4_097]})


@pytest.mark.parametrize("name", ["state", "code", "error"])
def test_an_answer_is_told_from_a_plain_visit(name: str) -> None:
    assert oauth.is_callback({name: [""]})
    assert not oauth.is_callback({"utm": ["x"], "iss": ["x"]})


def test_a_verdict_never_repeats_what_goto_wrote() -> None:
    verdict = oauth.judge(Answer(400, body(error="invalid_grant", error_description="canary")))
    assert "canary" not in repr(verdict)


def test_s20_tokens_and_secrets_never_show_in_a_repr() -> None:
    shown = repr(
        [
            TokenSet("canary", "canary"),
            ClientCredentials("id", "canary"),
            Answer(200, b"canary"),
            oauth.CallbackParameters("canary", "canary", "canary", "canary"),
        ]
    )
    assert "canary" not in shown


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", Reason.DENIED),
        ("server_error", Reason.PROVIDER_ERROR),
        ("temporarily_unavailable", Reason.PROVIDER_ERROR),
        ("invalid_request", Reason.CLIENT_REFUSED),
        ("invalid_scope", Reason.CLIENT_REFUSED),
        ("unauthorized_client", Reason.CLIENT_REFUSED),
        ("unsupported_response_type", Reason.CLIENT_REFUSED),
        ("invalid_client", Reason.CLIENT_REFUSED),
        ("anything else", Reason.PROVIDER_ERROR),
    ],
)
def test_error_callbacks_have_their_reason(error: str, reason: Reason) -> None:
    assert oauth.callback_reason(error) is reason


def test_an_error_beside_a_code_is_an_error() -> None:
    read = oauth.read_callback({"state": ["s"], "code": ["c"], "error": ["access_denied"]})
    assert (read.code, read.error) == (None, "access_denied")


def test_a_missing_state_is_malformed() -> None:
    with pytest.raises(MalformedRequest):
        oauth.read_callback({"code": ["c"]})


def jwt(claims: object) -> str:
    part = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{part}.signature"


@pytest.mark.parametrize(
    ("token", "expiry"),
    [
        pytest.param(jwt({"exp": 5000}), 5000, id="a JWT refines the date"),
        pytest.param(jwt({"exp": 5000, "a": ""}), 5000, id="of another length"),
        pytest.param(jwt({"exp": 5000, "a": "b"}), 5000, id="of a third length"),
        pytest.param(jwt({"exp": 5000, "a": "bc"}), 5000, id="of a fourth length"),
        pytest.param(jwt({"exp": 500}), 1100, id="an exp in the past does not"),
        pytest.param(jwt({"exp": 1000}), 1100, id="nor one at its issue"),
        pytest.param(
            jwt({"exp": 1000 + LONGEST_LIFETIME}),
            1000 + LONGEST_LIFETIME,
            id="the longest life",
        ),
        pytest.param(jwt({"exp": "soon"}), 1100, id="nor one that is no number"),
        pytest.param(jwt([]), 1100, id="nor claims that are a list"),
        pytest.param("opaque", 1100, id="an opaque token"),
        pytest.param("a.%%%.c", 1100, id="dots in an opaque token"),
    ],
)
def test_a_refresh_tokens_end(token: str, expiry: int) -> None:
    assert oauth.refresh_token_expiry(token, 1000, 100) == expiry
