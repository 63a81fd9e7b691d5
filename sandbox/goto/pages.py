"""The pages a person sees: start, login, consent, error. The authorize endpoint's way.

A browser that is logged in and has allowed the client and the scopes before sees none of them.
"""

from __future__ import annotations

from authlib.common.urls import add_params_to_uri  # type: ignore[import-untyped]  # no stubs
from authlib.oauth2 import OAuth2Error  # type: ignore[import-untyped]
from flask import Flask, Response, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as BaseResponse

from sandbox.goto.console import Console
from sandbox.goto.oauth import Server
from sandbox.goto.state import State, User

_SESSION_USER = "email"
# One line for each scope that GoTo's portal has a box for; any other is shown by its name.
SCOPES = {
    "identity:": "Admin Center: see the people and accounts of your organization",
    "cr.v1.read": "See call reports",
    "call-events.v1.events.read": "See calls as they happen",
    "call-history.v1.notifications.manage": "Be told of finished calls",
    "users.v1.read": "See users",
    "users.v1.lines.read": "See users' lines",
    "voice-admin.v1.read": "See phone system settings",
    "messaging.v1.send": "Send messages in your name",
}


def add_pages(app: Flask, state: State, server: Server, console: Console) -> None:
    """Add `/`, `/logout` and `/oauth/authorize`."""

    def current_user() -> User | None:
        return state.users.get(session.get(_SESSION_USER, ""))

    @app.get("/")
    def start() -> str:
        clients = list(state.clients.values())
        return render_template(
            "start.html",
            users=list(state.users.values()),
            clients=clients,
            switches=console.switches,
            user=current_user(),
        )

    @app.get("/logout")
    def logout() -> BaseResponse:
        session.clear()
        return redirect("/", 303)

    @app.get("/oauth/authorize")
    def authorize() -> BaseResponse | str:
        user = current_user()
        try:
            grant = server.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            return _refused(error, console)
        if user is None:
            return _login_page(state, grant.client.client.name)
        client, scope = grant.client.client, grant.request.scope
        if state.has_consent(user.email, client.client_id, scope):
            return _finish(server, console, grant, user)
        return render_template(
            "consent.html",
            client=client,
            user=user,
            scopes=[(name, SCOPES.get(name, name)) for name in scope.split()],
        )

    @app.post("/oauth/authorize")
    def answer() -> BaseResponse | str:
        if not _is_from_our_page():
            return _error_page("This form was not sent from the sandbox's own page.", 403)
        user = current_user()
        try:
            grant = server.get_consent_grant(end_user=user)
        except OAuth2Error as error:
            return _refused(error, console)
        if "password" in request.form:
            return _log_in(state, grant.client.client.name)
        decision = request.form.get("decision")
        if user is None or decision not in {"allow", "deny"}:
            return redirect(request.full_path, 303)
        if decision == "deny":
            return _finish(server, console, grant, None)
        state.add_consent(user.email, grant.client.client_id, grant.request.scope)
        return _finish(server, console, grant, user)

    @app.after_request
    def protect(response: Response) -> Response:
        headers = response.headers
        headers.setdefault("Cache-Control", "no-store")
        headers["X-Content-Type-Options"] = "nosniff"
        # No form-action: Chromium would apply it to the redirect back to the client.
        headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none';"
            " frame-ancestors 'none'"
        )
        headers["Referrer-Policy"] = "same-origin"
        return response


def _finish(server: Server, console: Console, grant: object, user: User | None) -> BaseResponse:
    if console.switches.authorize_error is not None:
        user = None  # whatever they decided, GoTo fails
    response: Response = server.create_authorization_response(grant=grant, grant_user=user)
    return _with_issuer(response, console)


def _refused(error: OAuth2Error, console: Console) -> BaseResponse:
    if not error.redirect_uri:
        # What GoTo says here, and with which status, is not known.
        told = console.switches.tells_redirect_uri
        return _error_page(error.description, 400) if told else _error_page("", 200)
    status, _, headers = error()
    return _with_issuer(Response("", status=status, headers=headers), console)


def _with_issuer(response: Response, console: Console) -> Response:
    """Add the `iss` parameter of RFC 9207 where the switch says so; errors carry it too."""
    issuer = console.switches.send_iss
    if issuer is not None and response.location:
        response.location = add_params_to_uri(response.location, [("iss", issuer)])
    return response


def _login_page(state: State, client_name: str, wrong: bool = False) -> BaseResponse:
    page = render_template(
        "login.html",
        client_name=client_name,
        users=list(state.users.values()),
        email=request.form.get("email", ""),
        wrong=wrong,
    )
    return make_response(page, 401 if wrong else 200)


def _log_in(state: State, client_name: str) -> BaseResponse:
    user = state.users.get(request.form.get("email", "").strip().lower())
    if user is None or user.password != request.form["password"]:
        return _login_page(state, client_name, wrong=True)
    session.clear()
    session[_SESSION_USER] = user.email
    return redirect(request.full_path, 303)


def _error_page(reason: str, status: int) -> BaseResponse:
    return make_response(render_template("error.html", reason=reason), status)


def _is_from_our_page() -> bool:
    # Browsers tell where a form came from; a program that sends no such header is no browser.
    return request.headers.get("Sec-Fetch-Site", "same-origin") == "same-origin"
