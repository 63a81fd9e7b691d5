"""The sandbox is switched from outside by those who may."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from sandbox.goto.server import console, create_app
from sandbox.goto.state import Client
from sandbox.goto.switches import Switches
from sandbox.guard import HEADER
from tests.sandbox.client import (
    CONTROL,
    SECRET,
    START,
    GoTo,
    parsed,
)


class TestControl:
    ROUTES = (
        ("POST", "/sandbox/clients"),
        ("POST", "/sandbox/switches"),
        ("GET", "/sandbox/switches"),
        ("POST", "/sandbox/release"),
        ("GET", "/sandbox/log"),
        ("POST", "/sandbox/revoke-user"),
        ("POST", "/sandbox/people"),
        ("POST", "/sandbox/boxes"),
    )

    @pytest.mark.parametrize(("method", "path"), ROUTES)
    @pytest.mark.parametrize(
        "broken",
        [
            pytest.param({"headers": {}}, id="no key"),
            pytest.param({"headers": {HEADER: "1"}}, id="another key"),
            pytest.param({"headers": {HEADER: "\u00fc"}}, id="no key at all"),
            pytest.param({"environ_base": {"REMOTE_ADDR": "192.0.2.7"}}, id="another machine"),
            pytest.param({"base_url": "http://evil.example/"}, id="another name"),
        ],
    )
    def test_s34_control_is_for_this_machine_with_the_key(
        self, goto: GoTo, method: str, path: str, broken: dict[str, Any]
    ) -> None:
        """S34: a page of another origin and another user of the machine have none."""
        arguments: dict[str, Any] = {"headers": CONTROL, **broken}
        response = goto.browser.open(path, method=method, json={}, **arguments)
        assert response.status_code == 403

    @pytest.mark.parametrize("shown", [{}, {HEADER: ""}, CONTROL], ids=["none", "empty", "some"])
    def test_s34_a_sandbox_without_a_key_lets_nobody_control_it(
        self, goto: GoTo, shown: dict[str, str]
    ) -> None:
        browser = create_app(goto.state).test_client()
        assert browser.get("/sandbox/log", headers=shown).status_code == 403

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
