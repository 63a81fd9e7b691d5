"""GoTo's token endpoint for the process runs: fast, and it remembers who asked with which token.

It decides by the sandbox's rules alone. Each request carries, in a header that only the workers of
these runs send, the claim that it was made under.
"""

import base64
import itertools
import json
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from sandbox.goto import token_rules
from sandbox.goto.switches import Switches
from sandbox.goto.token_rules import Grant

CLAIM_HEADER = "X-Claim"


@dataclass(frozen=True, slots=True)
class Claim:
    """One worker's hold on one tenant, with the row as it was asked."""

    worker: str
    tenant: str
    generation: int
    version: int
    fence: int

    def __str__(self) -> str:
        return f"{self.worker} {self.tenant} {self.generation} {self.version} {self.fence}"

    @classmethod
    def read(cls, text: str) -> "Claim":
        worker, tenant, *numbers = text.split()
        generation, version, fence = map(int, numbers)
        return cls(worker, tenant, generation, version, fence)


@dataclass(frozen=True, slots=True)
class Presented:
    """One refresh request; ``at`` is of the clock that all processes of a machine share.

    ``issued`` is the new refresh token, ``refused`` an OAuth error; neither where the provider
    was told to fail.
    """

    at: float
    claim: Claim
    token: str
    issued: str | None = None
    refused: str | None = None


class Provider:
    """Grants and their refresh tokens. ``delay`` holds every answer back for so many seconds,
    after the decision; ``failing`` is a status to answer with instead of deciding."""

    def __init__(self, tenants: Iterable[str], lifetime: int) -> None:
        self.lifetime = lifetime
        self.delay = 0.0
        self.failing: int | None = None
        self._switches = Switches(rotation="always", rotation_grace=0)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._presented: list[Presented] = []
        self._grants = {tenant: self._open(tenant) for tenant in tenants}

    def newest(self, tenant: str) -> str:
        """The last refresh token that was issued to the tenant."""
        return self._grants[tenant].tokens[-1].id

    def presented(self) -> tuple[Presented, ...]:
        """Every refresh request so far, oldest first."""
        with self._lock:
            return tuple(self._presented)

    def refresh(self, client_id: str, token: str, claim: Claim) -> tuple[int, dict[str, object]]:
        """Decide one refresh and note it; status and body of the answer."""
        with self._lock:
            note = Presented(time.monotonic(), claim, token)
            if self.failing is not None:
                self._presented.append(note)
                return self.failing, {}
            grant = self._grants[claim.tenant]
            outcome = token_rules.refresh(grant, token, time.time(), self._switches, self._new_id)
            refusal = outcome.refusal if client_id == grant.client_id else token_rules.REVOKED
            if refusal is not None or outcome.new is None:
                refused = refusal or token_rules.REVOKED
                self._presented.append(replace(note, refused=refused.error))
                self._grants[claim.tenant] = outcome.grant
                return 400, {"error": refused.error, "error_description": refused.description}
            self._presented.append(replace(note, issued=outcome.new.id))
            self._grants[claim.tenant] = outcome.grant
            return 200, {
                "access_token": f"access-{outcome.new.id}",
                "refresh_token": outcome.new.id,
                "token_type": "Bearer",
                "expires_in": self.lifetime,
            }

    def _open(self, tenant: str) -> Grant:
        blank = Grant(f"grant-{tenant}", f"client-{tenant}", "admin@example.com", "", ())
        return token_rules.open_grant(blank, self._new_id(), time.time(), self._switches)

    def _new_id(self) -> str:
        return f"refresh-{next(self._numbers)}"


@contextmanager
def serving(provider: Provider) -> Iterator[str]:
    """Serve it on the loopback interface; yields the token endpoint's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one segment
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            basic = base64.b64decode(self.headers["Authorization"].removeprefix("Basic "))
            status, body = provider.refresh(
                basic.decode().split(":")[0],
                form["refresh_token"][0],
                Claim.read(self.headers[CLAIM_HEADER]),
            )
            time.sleep(provider.delay)
            self._answer(status, json.dumps(body).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A worker that was killed closes its connections: no news."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/oauth/token"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
