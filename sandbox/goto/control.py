"""The control routes: what tests and `make run` turn while the sandbox runs.

They answer this machine alone, and only those who have the local cloud's key: no web page, and no
other user of the machine.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request

from sandbox.goto.console import Console
from sandbox.goto.oauth import compact
from sandbox.goto.state import (
    DEFAULT_NAME,
    DEFAULT_SCOPE,
    Client,
    Membership,
    State,
    StateError,
    User,
)
from sandbox.goto.switches import SwitchError
from sandbox.goto.token_rules import is_loopback_name
from sandbox.guard import HEADER


class ControlError(Exception):
    """A control request that is refused, with its HTTP status."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def add_control(app: Flask, state: State, console: Console, key: str) -> None:
    """Add the `/sandbox/...` routes; without a key they answer nobody."""

    def check_caller() -> None:
        _check_caller(key)

    @app.post("/sandbox/clients")
    def clients() -> Response:
        check_caller()
        client = _client(_body())
        state.add_client(client)
        return _json({"client_id": client.client_id}, status=201)

    @app.get("/sandbox/switches")
    def show_switches() -> Response:
        check_caller()
        return _json(console.switches.as_json())

    @app.post("/sandbox/switches")
    def turn_switches() -> Response:
        check_caller()
        return _json(console.turn(**_body()).as_json())

    @app.post("/sandbox/release")
    def release() -> Response:
        check_caller()
        console.release()
        return _json({})

    @app.get("/sandbox/log")
    def log() -> Response:
        check_caller()
        return _json(console.log())

    @app.post("/sandbox/revoke-user")
    def revoke_user() -> Response:
        check_caller()
        email = _body().get("email")
        if not isinstance(email, str) or email not in state.users:
            raise ControlError(404, "there is no user with that email")
        return _json({"revoked": state.revoke_user(email)})

    @app.post("/sandbox/people")
    def people() -> Response:
        check_caller()
        body = _body()
        user = _person(body)
        for account, name in _names(body):
            state.name_account(account, name)
        state.put_user(user)
        return _json({"email": user.email, "accounts": [one.key for one in user.accounts]})

    @app.post("/sandbox/boxes")
    def boxes() -> Response:
        check_caller()
        body = _body()
        client_id, scope = body.get("client_id"), body.get("scope")
        if client_id not in state.clients or not isinstance(scope, str):
            raise ControlError(400, "client_id names a client, scope is a string")
        state.tick_boxes(client_id, scope)
        return _json({"client_id": client_id, "scope": state.clients[client_id].scope})

    @app.errorhandler(ControlError)
    def refused(error: ControlError) -> Response:
        return _json({"error": error.reason}, status=error.status)

    @app.errorhandler(SwitchError)
    @app.errorhandler(StateError)
    def mistaken(error: Exception) -> Response:
        return _json({"error": str(error)}, status=400)


def _check_caller(key: str) -> None:
    # The Host check stops a page whose own name was pointed at this machine.
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        raise ControlError(403, "only from this machine") from None
    host = urlsplit(f"//{request.host}").hostname or ""
    if not address.is_loopback or not is_loopback_name(host):
        raise ControlError(403, "only from this machine")
    shown = request.headers.get(HEADER, "")
    if not key or not hmac.compare_digest(shown.encode(), key.encode()):
        raise ControlError(403, f"only with the local cloud's key in the header {HEADER}")


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


def _person(body: Mapping[str, Any]) -> User:
    """A person with all their accounts, each with `key`, `name`, `admin` and `licensed`.

    An account that is left out is one that the person was removed from.
    """
    email, accounts = body.get("email"), body.get("accounts")
    rows: list[Any] = accounts if isinstance(accounts, list) else [None]
    if not isinstance(email, str) or "@" not in email or not all(map(_is_membership, rows)):
        raise ControlError(400, "email is an address, accounts have key, name, admin, licensed")
    memberships = tuple(
        Membership(row["key"], row.get("admin", True), row.get("licensed", True)) for row in rows
    )
    return User(email.strip().lower(), "", memberships=memberships)


def _names(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(row["key"], row["name"]) for row in body["accounts"] if "name" in row]


def _is_membership(row: object) -> bool:
    if not isinstance(row, Mapping) or not set(row) <= {"key", "name", "admin", "licensed"}:
        return False
    texts = isinstance(row.get("key"), str) and isinstance(row.get("name", ""), str)
    flags = all(isinstance(row.get(name, True), bool) for name in ("admin", "licensed"))
    return bool(row.get("key")) and texts and flags


def _json(payload: object, status: int = 200) -> Response:
    return Response(compact(payload), status=status, content_type="application/json")
