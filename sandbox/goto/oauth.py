"""Authlib's authorization server, fitted to GoTo's ways of naming and refusing a client.

Authlib parses and checks the requests; what is decided lies in `issuer` and `token_rules`. Authlib
is untyped, hence the ignores on its imports and base classes.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from authlib.integrations.flask_oauth2 import (  # type: ignore[import-untyped]
    AuthorizationServer,
)
from authlib.integrations.flask_oauth2.requests import (  # type: ignore[import-untyped]
    FlaskOAuth2Payload,
    FlaskOAuth2Request,
)
from authlib.oauth2.rfc6749 import (  # type: ignore[import-untyped]
    InvalidClientError,
    OAuth2Request,
)
from flask import Request, Response
from flask import request as current_request

from sandbox.goto import grants
from sandbox.goto.grants import CLIENT_AUTH_METHODS
from sandbox.goto.issuer import Issuer
from sandbox.goto.state import Client, State
from sandbox.goto.switches import Switches


def compact(payload: object) -> str:
    """Return JSON as GoTo writes it: no spaces, keys in the order given, no newline."""
    return json.dumps(payload, separators=(",", ":"))


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib is untyped
    """The authorization server of one sandbox; `clock` gives epoch seconds."""

    def __init__(
        self,
        state: State,
        issuer: Issuer,
        switches: Callable[[], Switches],
        clock: Callable[[], float],
    ) -> None:
        self.state, self.issuer, self.switches, self.clock = state, issuer, switches, clock
        super().__init__(query_client=self._registered)
        self.register_client_auth_method("client_secret_basic", self._authenticate_basic)
        self.register_client_auth_method("client_secret_post", self._authenticate_post)
        self.register_grant(grants.AuthorizationCodeGrant, [grants.S256(self.switches)])
        self.register_grant(grants.RefreshTokenGrant)
        self.register_endpoint(grants.Revocation)
        self.register_endpoint(grants.Introspection)

    def create_oauth2_request(self, request: object) -> OAuth2Request:
        return _SandboxRequest(current_request)

    def handle_response(self, status: int, payload: Any, headers: Any) -> Response:
        body = compact(payload) if isinstance(payload, dict) else payload
        return Response(body, status=status, headers=headers)

    def authenticate_client(self, request: Any, methods: Any, endpoint: str = "token") -> Any:
        """Authlib's way, with the one answer GoTo has for every client it does not accept."""
        try:
            return super().authenticate_client(request, methods, endpoint)
        except InvalidClientError as error:
            raise InvalidClientError("client not found", status_code=401) from error

    def _registered(self, client_id: str) -> _OAuthClient | None:
        client = self.state.clients.get(client_id)
        narrows = self.switches().missing_scope == "narrow"
        return None if client is None else _OAuthClient(client, narrows)

    def _authenticate_basic(self, query_client: Any, request: Any) -> _OAuthClient | None:
        pair = basic_credentials(request.headers.get("Authorization", ""))
        if pair is None:
            return None
        if self.switches().client_auth == "rfc6749":
            pair = unquote_plus(pair[0]), unquote_plus(pair[1])
        return self._authenticated(*pair)

    def _authenticate_post(self, query_client: Any, request: Any) -> _OAuthClient | None:
        # RFC 6749 2.3: one method a request. Basic, where it is tried, is the one that counts.
        if "Authorization" in request.headers:
            return None
        form = request.form
        return self._authenticated(form.get("client_id", ""), form.get("client_secret", ""))

    def _authenticated(self, client_id: str, client_secret: str) -> _OAuthClient | None:
        client = self._registered(client_id)
        return client if client is not None and client.check_client_secret(client_secret) else None


class _SandboxRequest(FlaskOAuth2Request):  # type: ignore[misc]  # Authlib is untyped
    """A request without Authlib's demand for https, which knows no `*.localhost`.

    The sandbox listens on loopback alone, so there is no transport to be secured. Authlib's own
    way out is an environment variable, which would leak to everything else in the process.
    """

    def __init__(self, request: Request) -> None:
        OAuth2Request.__init__(self, request.method, "https://localhost/", headers=request.headers)
        self.uri = request.url
        self._request = request
        self.payload = FlaskOAuth2Payload(request)


class _OAuthClient:
    """A registered client with the methods that Authlib asks of one."""

    def __init__(self, client: Client, narrows: bool) -> None:
        self.client_id = client.client_id
        self.client = client
        self._narrows = narrows

    def get_client_id(self) -> str:
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        return None

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return what is asked for, all where nothing is, None where it asks for too much."""
        asked, boxes = (scope or "").split(), self.client.scope.split()
        if not asked:
            return self.client.scope
        if self._narrows:
            return " ".join(one for one in asked if one in boxes)
        return " ".join(asked) if set(asked) <= set(boxes) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri in self.client.redirect_uris

    def check_client_secret(self, client_secret: str) -> bool:
        return self.client.has_secret(client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method in CLIENT_AUTH_METHODS

    def check_response_type(self, response_type: str) -> bool:
        return True  # the grant checks it, once it knows where to send the error

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in {"authorization_code", "refresh_token"}


def basic_credentials(header: str) -> tuple[str, str] | None:
    """Return id and secret of an HTTP Basic header as they stand there, or None (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
    client_id, colon, client_secret = text.partition(":")
    return (client_id, client_secret) if colon else None
