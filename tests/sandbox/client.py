"""A client of the sandbox GoTo, with a clock that the test winds by hand."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, quote_plus, urlsplit

from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from sandbox.goto.server import console, create_app
from sandbox.goto.state import Client, State
from sandbox.goto.switches import Switches
from sandbox.guard import HEADER

DAY = 86_400


START = 1_800_000_000


REDIRECT = "http://acme.localhost:8000/admin/settings/activities/"


SECRET = "raw+secret/with=odd%2Bsigns:inside"


SCOPE = "identity: users.v1.read"


VERIFIER = "a-verifier-of-enough-characters-0123456789-abcdef"


KEY = "the-key-of-this-sandbox"
CONTROL = {HEADER: KEY}


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
        self.app = create_app(self.state, Switches(**switches), self.clock, self.slept.append, KEY)
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
