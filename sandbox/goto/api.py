"""GoTo's API as far as the product and its readers ask it: who am I, the names of accounts, the
calls of each user, a message to send, and its errors. The calls are made up, the same each time."""

from __future__ import annotations

import random
import uuid
from datetime import datetime

from flask import Flask, Response, request

from sandbox.goto.console import Console
from sandbox.goto.issuer import Issuer, Malformed, Presented
from sandbox.goto.oauth import compact
from sandbox.goto.state import Membership, State, User

# The extension of GoTo's SCIM record that carries the accounts.
_EXTENSION = "urn:scim:schemas:extension:getgo:1.0"

REPORTS_SCOPE = "cr.v1.read"
USERS_SCOPE = "users.v1.read"
SENDING_SCOPE = "messaging.v1.send"
_LARGEST_PAGE = 100
_PERIOD = ("startTime", "endTime")

_MESSAGES = {
    "AUTHN_EXPIRED_TOKEN": "The access token has expired.",
    "AUTHN_INVALID_TOKEN": "The access token is not valid.",
    "AUTHN_MALFORMED_TOKEN": "The access token cannot be read.",
    "AUTHZ_INSUFFICIENT_SCOPE": "The access token's scope does not cover this.",
    "INVALID_PARAMETER": "A parameter is missing or wrong.",
    "TOO_MANY_REQUESTS": "Too many requests.",
    "UNAUTHORIZED": "The user does not have permission for this.",
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
    """Add the routes that tell whose access token it is, the report of calls, and one that writes.

    A scope is "independent of the permissions that the user has": both are looked at.
    """

    def caller(api: str, scope: str | None = None) -> User:
        if console.is_too_many(api):
            raise APIError(429, "TOO_MANY_REQUESTS")
        token = _bearer(issuer)
        if scope is not None and scope not in token.get_scope().split():
            raise APIError(403, "AUTHZ_INSUFFICIENT_SCOPE")
        user = None if token.grant is None else state.users.get(token.grant.email)
        if user is None:
            raise APIError(401, "AUTHN_INVALID_TOKEN")
        return user

    def person(api: str, scope: str | None = None) -> User:
        user = caller(api, scope)
        if not console.switches.account_readable:
            raise APIError(403, "AUTHZ_INSUFFICIENT_SCOPE")
        return user

    def accounts_of(user: User) -> list[tuple[str, str]]:
        keys = [one.key for one in user.accounts]
        match console.switches.account_order:
            case "reversed":
                keys.reverse()
            case "shuffled":
                random.shuffle(keys)
        return [(key, state.account_names.get(key, f"Account {key}")) for key in keys]

    @app.get("/users/v1/me")
    def users_me() -> Response:
        user = person("users", USERS_SCOPE)
        return _json({"items": [{"accountKey": key} for key, _ in accounts_of(user)]})

    @app.get("/identity/v1/Users/me")
    def identity_me() -> Response:
        user = person("identity")
        listed = [{"value": key, "display": name} for key, name in accounts_of(user)]
        return _json({"id": user.key, "userName": user.email, _EXTENSION: {"accounts": listed}})

    @app.get("/admin/rest/v1/me")
    def admin_me() -> Response:
        user = person("admin")
        if not console.switches.names_readable:
            raise APIError(403, "AUTHZ_INSUFFICIENT_SCOPE")
        listed = [{"key": key, "name": name} for key, name in accounts_of(user)]
        return _json({"key": user.key, "email": user.email, "accounts": listed})

    @app.get("/call-reports/v1/reports/user-activity")
    def user_activity() -> Response:
        user = caller("call-reports", REPORTS_SCOPE)
        account = _account_asked(user)
        _check_period()
        page, size = _number("page", 0), _number("pageSize", _LARGEST_PAGE)
        if not 1 <= size <= _LARGEST_PAGE:
            raise APIError(400, "INVALID_PARAMETER")
        colleagues = [one for one in state.users.values() if one.member_of(account.key)]
        shown = sorted(colleagues, key=lambda one: one.email)[page * size : (page + 1) * size]
        items = [_activity(one) for one in shown]
        return _json({"items": items, "page": page, "pageSize": size, "total": len(colleagues)})

    @app.post("/messaging/v1/messages")
    def send_message() -> Response:
        caller("messaging", SENDING_SCOPE)
        return Response(compact({"id": str(uuid.uuid4())}), 201, content_type="application/json")

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


def _account_asked(user: User) -> Membership:
    """The account to report on: the one that is named, or else the person's first."""
    asked = request.args.get("accountKey") or next((one.key for one in user.accounts), None)
    for one in user.accounts:
        if one.key == asked and one.admin and one.licensed:
            return one
    raise APIError(403, "UNAUTHORIZED")


def _check_period() -> None:
    try:
        start, end = (datetime.fromisoformat(request.args[name]) for name in _PERIOD)
        ordered = start < end
    except (KeyError, TypeError, ValueError):
        ordered = False
    if not ordered:
        raise APIError(400, "INVALID_PARAMETER")


def _number(name: str, default: int) -> int:
    given = request.args.get(name, str(default))
    if not (given.isascii() and given.isdigit()):
        raise APIError(400, "INVALID_PARAMETER")
    return int(given)


def _activity(user: User) -> dict[str, object]:
    inbound, outbound = int(user.key[-2:]), int(user.key[-4:-2])
    return {
        "userId": user.key,
        "userName": user.email.partition("@")[0],
        "dataValues": {
            "volume": inbound + outbound,
            "inboundVolume": inbound,
            "outboundVolume": outbound,
        },
    }


def _json(payload: object) -> Response:
    return Response(compact(payload), content_type="application/json")
