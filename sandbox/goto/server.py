"""The sandbox GoTo as a web application, and the small server that runs it on loopback.

`create_app` puts the parts together; the OAuth endpoints stand here, with the failures that a
token request may be made to meet. Nothing logged holds a query, code, token or secret.
"""

from __future__ import annotations

import errno
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, Response, request
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.goto import answers, api, control, pages
from sandbox.goto.console import Console, TokenRequest, fingerprint
from sandbox.goto.grants import CLIENT_AUTH_METHODS
from sandbox.goto.issuer import Issuer
from sandbox.goto.oauth import Server, basic_credentials, compact
from sandbox.goto.state import State
from sandbox.goto.switches import Failure, Switches

HOST = "127.0.0.1"


def create_app(
    state: State,
    switches: Switches | None = None,
    clock: Callable[[], float] = time.time,
    hold: Callable[[float], object] | None = None,
    key: str = "",
) -> Flask:
    """Return the application over this state.

    `clock` gives epoch seconds; `hold` serves the delays of injected failures, in place of the
    console's; `key` opens the control routes, which are closed without one. The switches can be
    turned while it runs: `console(app).turn(rotation="always")`.
    """
    # At its debug level Authlib writes whole tokens.
    logging.getLogger("authlib").setLevel(logging.INFO)
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=state.session_key,
        SESSION_COOKIE_NAME="sandbox_goto",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        MAX_CONTENT_LENGTH=1_000_000,
    )
    board = Console(switches or Switches(), clock)

    def current_switches() -> Switches:
        return board.switches

    issuer = Issuer(state, current_switches, clock)
    server = Server(state, issuer, current_switches, clock)
    app.extensions["sandbox_goto"] = board
    _add_oauth(app, server, board, clock, hold or board.hold)
    api.add_api(app, state, issuer, board)
    control.add_control(app, state, board, key)
    pages.add_pages(app, state, server, board)
    return app


def console(app: Flask) -> Console:
    """Return the console of an app that `create_app` made: switches and log, in process."""
    found: Console = app.extensions["sandbox_goto"]
    return found


@contextmanager
def running(app: Flask, port: int = 0, log: bool = False) -> Iterator[str]:
    """Serve the app on 127.0.0.1 from a thread; yields the base URL, without a trailing slash.

    Port 0 takes a free one. `log` writes one line a request to stderr. Raises `PortTakenError`.
    """
    server = _listen(app, port, _LoggingHandler if log else _QuietHandler)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield f"http://{HOST}:{server.port}"
    finally:
        server.shutdown()
        thread.join()


class PortTakenError(Exception):
    """Something else listens on the port."""


def _add_oauth(
    app: Flask,
    server: Server,
    board: Console,
    clock: Callable[[], float],
    hold: Callable[[float], object],
) -> None:
    def limited(answer: Callable[[], Response]) -> Response:
        too_many = board.is_too_many("oauth")
        return api.error_response(429, "TOO_MANY_REQUESTS") if too_many else answer()

    def process() -> Response:
        wrong = answers.wrongly_refused(board.switches)
        return _sent(wrong) if wrong else _shaped(server, server.create_token_response())

    @app.post("/oauth/token")
    def token() -> Response:
        if board.is_too_many("oauth"):
            response = api.error_response(429, "TOO_MANY_REQUESTS")
            _ask_to_wait(response, board.switches)
            board.note(_record(response, None, None, clock()))
            return response
        failure = board.next_failure(request.form.get("grant_type"))
        response, real = _meet(failure, process, hold)
        _ask_to_wait(response, board.switches)
        board.note(_record(response, real, failure, clock()))
        return response

    @app.post("/oauth/revoke")
    def revoke() -> Response:
        page = board.switches.revocation_page
        if page is not None:
            return Response(answers.PROXY_PAGE, status=page, content_type="text/html")
        return limited(lambda: server.create_endpoint_response("revocation"))

    @app.post("/oauth/introspect")
    def introspect() -> Response:
        return limited(lambda: server.create_endpoint_response("introspection"))

    @app.get("/oauth/jwks.json")
    def keys() -> Response:
        return Response(compact(server.issuer.public_keys()), content_type="application/json")

    @app.get("/.well-known/oauth-authorization-server")
    def metadata() -> Response:
        base = request.url_root.rstrip("/")
        names = {"authorization": "authorize", "token": "token", "revocation": "revoke"}
        names["introspection"] = "introspect"
        found: dict[str, object] = {"issuer": base}
        found |= {f"{name}_endpoint": f"{base}/oauth/{path}" for name, path in names.items()}
        found |= {
            "jwks_uri": f"{base}/oauth/jwks.json",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": CLIENT_AUTH_METHODS,
            "code_challenge_methods_supported": ["S256"],
        }
        return Response(compact(found), content_type="application/json")


def _shaped(server: Server, response: Response) -> Response:
    """The answer in the form that the switches ask for."""
    fields = response.get_json(silent=True)
    if not isinstance(fields, dict):
        return response
    presented = request.form.get("refresh_token")
    now, used = server.clock(), fields.get("refresh_token") or presented
    life = server.issuer.seconds_left(used, now) if used else None
    made = answers.shaped(
        response.status_code, fields, server.switches(), presented=presented, refresh_life=life
    )
    response.status_code = made.status
    response.set_data(made.body)
    return response


def _sent(made: answers.Shaped) -> Response:
    return Response(made.body, status=made.status, content_type="application/json")


def _ask_to_wait(response: Response, switches: Switches) -> None:
    if switches.retry_after is not None and response.status_code in (429, 503):
        response.headers["Retry-After"] = switches.retry_after


class _Dropped(Response):
    """No answer at all: the connection is closed, in process the call raises."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        connection = environ.get("werkzeug.socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError("the sandbox was told to close without an answer")


def _meet(
    failure: Failure | None, process: Callable[[], Response], hold: Callable[[float], object]
) -> tuple[Response, Response | None]:
    """Return the answer to send, and the true one if the request was processed."""
    if failure is None:
        answer = process()
        return answer, answer
    real = process() if failure.after else None
    if failure.delay:
        hold(failure.delay)
    if failure.status is None:
        answer = process() if real is None else real
        return answer, answer
    if failure.status == 0:
        return _Dropped(), real
    return (Response(failure.body, status=failure.status, content_type=failure.content_type), real)


def _record(
    response: Response, real: Response | None, failure: Failure | None, now: float
) -> TokenRequest:
    form = request.form
    basic = basic_credentials(request.headers.get("Authorization", ""))
    issued = real.get_json(silent=True) if real is not None else None
    return TokenRequest(
        time=now,
        grant_type=form.get("grant_type"),
        client_id=basic[0] if basic is not None else form.get("client_id"),
        presented=fingerprint(form.get("code") or form.get("refresh_token")),
        status=0 if isinstance(response, _Dropped) else response.status_code,
        issued=fingerprint(issued.get("refresh_token")) if isinstance(issued, dict) else None,
        injected=failure is not None,
    )


def _listen(app: Flask, port: int, handler: type[WSGIRequestHandler]) -> BaseWSGIServer:
    # Werkzeug, when it binds the port itself, prints and exits on a taken one.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(128)
        return make_server(
            HOST, port, app, threaded=True, request_handler=handler, fd=listener.fileno()
        )
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(f"Port {port} on {HOST} is already in use.") from error
        raise
    finally:
        listener.close()  # the server keeps a duplicate


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


class _LoggingHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        self._write(str(getattr(code, "value", code)))

    def connection_dropped(self, error: BaseException, environ: Any = None) -> None:
        if environ is not None:
            self._write("closed without an answer")

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write nothing of a malformed request: its first line may hold anything."""

    def _write(self, outcome: str) -> None:
        path = ascii(urlsplit(getattr(self, "path", "-")).path).strip("'")
        stamp = time.strftime("%H:%M:%S")
        sys.stderr.write(f"{stamp} {getattr(self, 'command', None) or '-'} {path} {outcome}\n")
        sys.stderr.flush()
