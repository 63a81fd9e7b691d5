"""GoTo's API as far as the product asks it: who am I, in both forms, and its errors."""

from __future__ import annotations

import uuid

from flask import Flask, Response, request

from sandbox.goto.console import Console
from sandbox.goto.issuer import Issuer, Malformed, Presented
from sandbox.goto.oauth import compact
from sandbox.goto.state import State, User

# The extension of GoTo's SCIM record that carries the accounts.
_EXTENSION = "urn:scim:schemas:extension:getgo:1.0"

_MESSAGES = {
    "AUTHN_EXPIRED_TOKEN": "The access token has expired.",
    "AUTHN_INVALID_TOKEN": "The access token is not valid.",
    "AUTHN_MALFORMED_TOKEN": "The access token cannot be read.",
    "AUTHZ_INSUFFICIENT_SCOPE": "The access token's scope does not cover this.",
    "TOO_MANY_REQUESTS": "Too many requests.",
}


class APIError(Exception):
    """A refusal of the API with its HTTP status and GoTo's error code."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


def error_response(status: int, code: str) -> Response:
    """Return an error in the shape of GoTo's API."""
    body = {
        "reference": str(uuid.uuid4()),
        "errorCode": code,
        "message": _MESSAGES[code],
        "constraintViolations": [],
    }
    return Response(compact(body), status=status, content_type="application/json")


def add_api(app: Flask, state: State, issuer: Issuer, console: Console) -> None:
    """Add the two routes that tell whose access token it is."""

    def caller(api: str) -> User:
        if console.is_too_many(api):
            raise APIError(429, "TOO_MANY_REQUESTS")
        token = _bearer(issuer)
        user = None if token.grant is None else state.users.get(token.grant.email)
        if user is None:
            raise APIError(401, "AUTHN_INVALID_TOKEN")
        if not console.switches.account_readable:
            raise APIError(403, "AUTHZ_INSUFFICIENT_SCOPE")
        return user

    @app.get("/users/v1/me")
    def users_me() -> Response:
        return _json({"items": [{"accountKey": caller("users").account_key}]})

    @app.get("/identity/v1/Users/me")
    def identity_me() -> Response:
        user = caller("identity")
        account = {"value": user.account_key, "display": user.email.partition("@")[2]}
        return _json({"id": user.key, "userName": user.email, _EXTENSION: {"accounts": [account]}})

    @app.errorhandler(APIError)
    def refused(error: APIError) -> Response:
        return error_response(error.status, error.code)


def _bearer(issuer: Issuer) -> Presented:
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not value:
        raise APIError(401, "AUTHN_INVALID_TOKEN")
    try:
        token = issuer.look_up(value.strip())
    except Malformed as error:
        raise APIError(401, "AUTHN_MALFORMED_TOKEN") from error
    if token is None or token.kind != "access_token":
        raise APIError(401, "AUTHN_INVALID_TOKEN")
    if token.expired:
        raise APIError(401, "AUTHN_EXPIRED_TOKEN")
    if token.revoked:
        raise APIError(401, "AUTHN_INVALID_TOKEN")
    return token


def _json(payload: object) -> Response:
    return Response(compact(payload), content_type="application/json")
