"""OAuth without I/O: requests as RFC 6749 writes them, answers judged."""

import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from chalicelib.durations import LONGEST_LIFETIME
from chalicelib.errors import DependencyUnavailable, MalformedRequest, ProviderUnreachable
from chalicelib.goto import oauth, token_response
from chalicelib.goto.oauth import Answer, Failure, FailureClass
from chalicelib.goto.token_response import TokenSet
from chalicelib.models import ClientCredentials, Reason


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


def test_forms_have_the_names_of_rfc_6749() -> None:
    exchange = oauth.exchange_form(
        code="c", redirect_uri="https://acme.example/", client_id="id", verifier="v"
    )
    assert exchange == {
        "grant_type": "authorization_code",
        "code": "c",
        "redirect_uri": "https://acme.example/",
        "client_id": "id",
        "code_verifier": "v",
    }
    assert oauth.refresh_form("r") == {"grant_type": "refresh_token", "refresh_token": "r"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"refresh_token": "r", "token_type": "Bearer", "scope": "A B", "principal": "a@b"},
            TokenSet("a", "r", True, 3600, "A B", "a@b"),
            id="everything",
        ),
        pytest.param({}, TokenSet("a"), id="nothing but the access token"),
        pytest.param({"expires_in": "1800"}, TokenSet("a", expires_in=1800), id="string life"),
        pytest.param({"expires_in": 90.7}, TokenSet("a", expires_in=90), id="fractional life"),
        pytest.param({"expires_in": "soon"}, TokenSet("a", expires_in=3600), id="no number"),
        pytest.param({"expires_in": True}, TokenSet("a", expires_in=3600), id="a truth value"),
        pytest.param({"expires_in": None}, TokenSet("a", expires_in=3600), id="null"),
        pytest.param({"expires_in": -5}, TokenSet("a", expires_in=3600), id="says nothing"),
        pytest.param({"expires_in": "1e999"}, TokenSet("a", expires_in=3600), id="infinity"),
        pytest.param(
            {"expires_in": 10**12},
            TokenSet("a", expires_in=LONGEST_LIFETIME),
            id="a life of 30,000 years",
        ),
        pytest.param({"refresh_token": ""}, TokenSet("a"), id="empty refresh token"),
        pytest.param({"refresh_token": "!~"}, TokenSet("a", "!~"), id="the ends of ASCII"),
        pytest.param(
            {"refresh_token": "r" * 65_536}, TokenSet("a", "r" * 65_536), id="16 times GoTo's"
        ),
        pytest.param({"refresh_token": "r" * 65_537}, TokenSet("a"), id="longer than an item"),
        pytest.param(
            {"access_token": "a" * 65_537, "refresh_token": "r"},
            TokenSet("", "r", bearer=False, expires_in=0),
            id="an access token that is too long costs no refresh token",
        ),
        pytest.param(
            {"refresh_token": "r", "token_type": "DPoP"},
            TokenSet("a", "r", bearer=False, expires_in=0),
            id="another type: the refresh token is kept, the access token has no life",
        ),
        pytest.param(
            {"token_type": "Bearer\r\nX: y"},
            TokenSet("a", bearer=False, expires_in=0),
            id="a type that would split a header",
        ),
        pytest.param(
            {"token_type": ["Bearer"]}, TokenSet("a", bearer=False, expires_in=0), id="[]"
        ),
        pytest.param({"token_type": "bEARER"}, TokenSet("a"), id="Bearer in another case"),
        pytest.param({"token_type": ""}, TokenSet("a"), id="no type"),
        pytest.param({"scope": 5, "principal": ["x"]}, TokenSet("a"), id="words that are none"),
        pytest.param({"refresh_token": "a b"}, TokenSet("a", "a b"), id="a form takes it"),
        pytest.param({"refresh_token": "a\ufffdb"}, TokenSet("a"), id="a broken byte in it"),
        pytest.param({"refresh_token": "a\tb"}, TokenSet("a"), id="a control character in it"),
        pytest.param({"access_token": " a\r\n"}, TokenSet("a"), id="white space around"),
        pytest.param({"refresh_token": "\tr "}, TokenSet("a", "r"), id="around both"),
        pytest.param({"expires_in": 0}, TokenSet("a", expires_in=3600), id="a life of 0"),
        pytest.param({"expires_in": "0"}, TokenSet("a", expires_in=3600), id="as text"),
        pytest.param(
            {"refresh_token": "r", "refresh_token_expires_in": "86400"},
            TokenSet("a", "r", refresh_expires_in=86_400),
            id="the refresh token's own life",
        ),
        pytest.param({"refresh_token_expires_in": 0}, TokenSet("a"), id="which says nothing"),
        pytest.param(
            {"access_token": None, "refresh_token": "r"},
            TokenSet("", "r", bearer=False, expires_in=0),
            id="a refresh token alone",
        ),
    ],
)
def test_a_token_answer_is_read_as_far_as_it_goes(
    fields: dict[str, Any], expected: TokenSet
) -> None:
    given = {"access_token": "a", "expires_in": 3600, **fields}
    assert token_response.judge(Answer(200, body(**given))) == expected


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
        pytest.param(Answer(504, b""), FailureClass.AMBIGUOUS, id="a gateway's 504"),
        pytest.param(Answer(200, b""), FailureClass.AMBIGUOUS, id="empty"),
        pytest.param(Answer(200, b'{"access_tok'), FailureClass.AMBIGUOUS, id="truncated"),
        pytest.param(Answer(429, b""), FailureClass.RATE_LIMITED, id="429"),
        pytest.param(Answer(502, b"<html>"), FailureClass.AMBIGUOUS, id="a gateway's 502"),
        pytest.param(Answer(503, b"<html>"), FailureClass.TRANSIENT, id="a clear 503"),
        pytest.param(
            Answer(500, body(error="invalid_grant")), FailureClass.AMBIGUOUS, id="a confused 500"
        ),
        pytest.param(
            Answer(200, body(error="invalid_grant")), FailureClass.GRANT_REFUSED, id="F26, as 200"
        ),
        pytest.param(
            Answer(200, body(error="server_error")), FailureClass.AMBIGUOUS, id="trouble as 200"
        ),
        pytest.param(Answer(204, b""), FailureClass.AMBIGUOUS, id="F28, any 2xx may have acted"),
        pytest.param(
            Answer(400, body(error="INVALID_GRANT")), FailureClass.GRANT_REFUSED, id="in capitals"
        ),
        pytest.param(
            Answer(400, body(errors=["x", {"code": "invalid_grant"}])),
            FailureClass.GRANT_REFUSED,
            id="in a list",
        ),
        pytest.param(
            Answer(401, body(error={"code": "invalid_client"})),
            FailureClass.CLIENT_REFUSED,
            id="as an object",
        ),
        pytest.param(
            Answer(400, b'{"error":"invalid_grant","error_description":"acc\xe8s\r\n\trefus"}'),
            FailureClass.GRANT_REFUSED,
            id="in another charset, over several lines",
        ),
        pytest.param(Answer(400, body(error=["x"])), FailureClass.TRANSIENT, id="odd error"),
        pytest.param(Answer(200, b"[" * 100_000), FailureClass.AMBIGUOUS, id="deeply nested"),
        pytest.param(Answer(200, b"\xff\xfe"), FailureClass.AMBIGUOUS, id="not text"),
        pytest.param(Answer(200, body(access_token=5)), FailureClass.AMBIGUOUS, id="a number"),
        pytest.param(
            Answer(200, body(access_token="a\nb")), FailureClass.AMBIGUOUS, id="a line break"
        ),
    ],
)
def test_only_a_clear_refusal_is_final(answer: Answer, kind: FailureClass) -> None:
    """F08: everything else must never end a grant."""
    verdict = token_response.judge(answer)
    assert isinstance(verdict, Failure)
    assert verdict.kind is kind


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        (Answer(200, b"{}"), "answer without a usable token"),
        (Answer(403, body(error="invalid_grant")), "invalid_grant"),
        (Answer(404, body(error="invalid_grant")), "HTTP 404 invalid_grant"),
        (Answer(400, body(error="invalid_request")), "HTTP 400 invalid_request"),
        (Answer(400, body(error="canary")), "HTTP 400"),
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
    verdict = token_response.judge(answer)
    assert isinstance(verdict, Failure)
    assert verdict.detail == detail


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        pytest.param(Answer(400, b"Invalid redirect_uri"), True, id="a client error that names it"),
        pytest.param(Answer(400, b"<p>REDIRECT URL mismatch"), True, id="in GoTo's own words"),
        pytest.param(Answer(499, b"redirect-uri"), True, id="the last client error"),
        pytest.param(Answer(400, b"invalid client"), False, id="a client error of another kind"),
        pytest.param(Answer(302, b"redirect_uri"), False, id="a redirect"),
        pytest.param(Answer(399, b"redirect_uri"), False, id="no client error yet"),
        pytest.param(Answer(500, b"redirect_uri"), False, id="trouble of GoTo's own"),
    ],
)
def test_a_redirect_uri_is_refused_by_name_only(answer: Answer, refused: bool) -> None:
    assert oauth.is_redirect_refusal(answer) is refused


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (DependencyUnavailable("kms", "Busy"), Failure(FailureClass.INTERNAL, "kms: Busy")),
        (ProviderUnreachable("slow", sent=True), Failure(FailureClass.NO_ANSWER, "slow")),
        (ProviderUnreachable("no host", sent=False), Failure(FailureClass.NOT_SENT, "no host")),
    ],
)
def test_f09_an_error_on_the_way_says_whether_goto_may_have_acted(
    error: ProviderUnreachable | DependencyUnavailable, failure: Failure
) -> None:
    assert oauth.failure_of(error) == failure


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
    ("value", "style", "allowed"),
    [
        pytest.param("a:b", "raw", False, id="a colon would end it"),
        pytest.param("a:b", "rfc6749", True, id="a colon that is encoded"),
        pytest.param("ab", "raw", True, id="no colon"),
        pytest.param(" ab", "raw", False, id="a space around"),
    ],
)
def test_what_a_client_id_can_be(value: str, style: str, allowed: bool) -> None:
    assert oauth.client_id_allowed(value, style) is allowed


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
    verdict = token_response.judge(
        Answer(400, body(error="invalid_grant", error_description="canary"))
    )
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


CALLBACKS = {
    "access_denied": Reason.DENIED,
    "server_error": Reason.SIGN_IN_FAILED,
    "temporarily_unavailable": Reason.PROVIDER_BUSY,
    "invalid_request": Reason.CLIENT_REFUSED,
    "invalid_scope": Reason.SCOPE_REFUSED,
    "unauthorized_client": Reason.CLIENT_REFUSED,
    "unsupported_response_type": Reason.CLIENT_REFUSED,
    "invalid_client": Reason.CLIENT_REFUSED,
    "anything else": Reason.PROVIDER_ERROR,
}


@pytest.mark.parametrize(("error", "reason"), CALLBACKS.items())
def test_error_callbacks_have_their_reason(error: str, reason: Reason) -> None:
    assert oauth.callback_reason(error) is reason


def test_every_error_callback_is_looked_at() -> None:
    assert CALLBACKS.keys() == {*oauth.CALLBACK_REASONS, "anything else"}


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
    assert token_response.refresh_token_expiry(token, 1000, 100) == expiry


@pytest.mark.parametrize("status", [200, 201, 202, 203, 299])
def test_f28_tokens_in_any_2xx_are_tokens(status: int) -> None:
    assert token_response.judge(Answer(status, body(access_token="a"))) == TokenSet("a")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"access_token":"a","name":"Andr\xe9"}', id="one byte of Latin-1"),
        pytest.param(b'\xef\xbb\xbf{"access_token":"a"}', id="a byte order mark"),
        pytest.param(b'{"access_token":"a","name":"two\nlines\t"}', id="raw control characters"),
        pytest.param('{"access_token":"a"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b' \r\n{"access_token":"a"}\r\n', id="white space around"),
    ],
)
def test_f28_what_stands_beside_tokens_does_not_cost_them(raw: bytes) -> None:
    assert token_response.judge(Answer(200, raw)) == TokenSet("a")


NOW = 1_800_000_000


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(None, 0, id="none"),
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 120 ", 120, id="white space"),
        pytest.param("0", 0, id="at once"),
        pytest.param("-5", 0, id="in the past"),
        pytest.param("86400", 3_600, id="an hour at most"),
        pytest.param("Fri, 15 Jan 2027 08:01:00 GMT", 61, id="a date"),
        pytest.param("Fri, 15 Jan 2027 07:59:00 GMT", 0, id="a date that is over"),
        pytest.param("Fri, 15 Jan 2038 08:01:00 GMT", 3_600, id="a date far away"),
        pytest.param("soon", 0, id="no date"),
        pytest.param("9" * 400, 3_600, id="a large number"),
        pytest.param("\u0661\u0662", 12, id="digits of another script"),
        pytest.param("Fri, 99 Jan 2027 08:01:00 GMT", 0, id="a date that is none"),
    ],
)
def test_f28_how_long_goto_asks_to_be_left_alone(header: str | None, seconds: int) -> None:
    assert token_response.seconds_to_wait(header, NOW) == seconds


def test_f28_a_failure_keeps_when_to_come_back() -> None:
    verdict = token_response.judge(Answer(503, b"", "30"))
    assert isinstance(verdict, Failure)
    assert verdict.retry_after == "30"
