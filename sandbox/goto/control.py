"""The control routes: what tests and `make run` turn while the sandbox runs.

They answer this machine alone, and only with a header that no web page can send across origins.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request

from sandbox.goto.console import Console
from sandbox.goto.oauth import compact
from sandbox.goto.rules import is_loopback_name
from sandbox.goto.state import DEFAULT_NAME, DEFAULT_SCOPE, Client, State, StateError
from sandbox.goto.switches import SwitchError

HEADER = "X-Sandbox-Control"


class ControlError(Exception):
    """A control request that is refused, with its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def add_control(app: Flask, state: State, console: Console) -> None:
    """Add the `/sandbox/...` routes."""

    @app.post("/sandbox/clients")
    def clients() -> Response:
        _check_caller()
        client = _client(_body())
        state.add_client(client)
        return _json({"client_id": client.client_id}, status=201)

    @app.get("/sandbox/switches")
    def show_switches() -> Response:
        _check_caller()
        return _json(console.switches.as_json())

    @app.post("/sandbox/switches")
    def turn_switches() -> Response:
        _check_caller()
        return _json(console.turn(**_body()).as_json())

    @app.get("/sandbox/log")
    def log() -> Response:
        _check_caller()
        return _json(console.log())

    @app.post("/sandbox/revoke-user")
    def revoke_user() -> Response:
        _check_caller()
        email = _body().get("email")
        if not isinstance(email, str) or email not in state.users:
            raise ControlError(404, "there is no user with that email")
        return _json({"revoked": state.revoke_user(email)})

    @app.errorhandler(ControlError)
    def refused(error: ControlError) -> Response:
        return _json({"error": error.reason}, status=error.status)

    @app.errorhandler(SwitchError)
    @app.errorhandler(StateError)
    def mistaken(error: Exception) -> Response:
        return _json({"error": str(error)}, status=400)


def _check_caller() -> None:
    # The header makes a browser ask first, and nobody answers; the Host check stops a page whose
    # own name was pointed at this machine.
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        raise ControlError(403, "only from this machine") from None
    host = urlsplit(f"//{request.host}").hostname or ""
    if not address.is_loopback or not is_loopback_name(host):
        raise ControlError(403, "only from this machine")
    if request.headers.get(HEADER) != "1":
        raise ControlError(403, f"only with the header {HEADER}: 1")


def _body() -> dict[str, Any]:
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise ControlError(400, "the body is a JSON object")
    return body


def _client(body: Mapping[str, Any]) -> Client:
    known = {"client_id", "client_secret", "redirect_uris", "scope", "name"}
    if not set(body) <= known:
        raise ControlError(400, f"a client has {', '.join(sorted(known))}")
    uris = body.get("redirect_uris")
    texts = [
        body.get("client_id"),
        body.get("client_secret"),
        body.get("scope", DEFAULT_SCOPE),
        body.get("name", DEFAULT_NAME),
    ]
    if not isinstance(uris, list) or not all(isinstance(text, str) for text in [*texts, *uris]):
        raise ControlError(400, "redirect_uris is a list of strings, the rest are strings")
    client_id, client_secret, scope, name = (str(text) for text in texts)
    return Client.new(client_id, client_secret, uris, scope, name)


def _json(payload: object, status: int = 200) -> Response:
    return Response(compact(payload), status=status, content_type="application/json")
