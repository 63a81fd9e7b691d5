"""A service that hands out which token it got: under gunicorn (`wsgi`), and under uvicorn (`main`)
with two servers, each in a thread with an event loop of its own.

One reader is made when this module is imported, and has read by then: with `--preload`, before
the workers are forked.
"""

import json
import os
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import uvicorn

from ha_goto_tokens import AsyncTokenReader, TokenError, TokenReader
from tests.reader.forks import read

READER = TokenReader(table="Tokens", cached_for=0)
READER.get("warm-up")
ASYNC_READER = AsyncTokenReader(READER)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The process that answers, and what it got for the tenant in the path."""
    tenant = environ["PATH_INFO"].strip("/")
    body = json.dumps({"by": os.getpid(), "got": read(READER, tenant)}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """As `wsgi`, by the thread whose loop answers."""
    if scope["type"] != "http":
        return
    tenant = scope["path"].strip("/")
    try:
        token = await ASYNC_READER.get(tenant)
        got = "right" if token.value == f"token-of-{tenant}" else f"got {token.tenant}"
    except TokenError as error:
        got = type(error).__name__
    body = json.dumps({"by": threading.get_ident(), "got": got}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Announced(uvicorn.Server):
    """Prints its port once it listens."""

    port = 0

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self.port = self.servers[0].sockets[0].getsockname()[1]
        os.write(sys.stdout.fileno(), f"{self.port}\n".encode())  # whole, beside the other thread's


def main() -> None:
    """Serve on two ports; one that is named on standard input is stopped in the middle."""
    servers = []
    for _ in range(2):
        config = uvicorn.Config(asgi, port=0, lifespan="off", log_level="error")
        servers.append(Announced(config))
        threading.Thread(target=servers[-1].run, daemon=True).start()
    for line in sys.stdin:
        for server in servers:
            if server.port == int(line):
                server.should_exit = server.force_exit = True


if __name__ == "__main__":
    main()
