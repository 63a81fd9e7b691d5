"""The local cloud's guard: MiniStack answers only requests with the key that `make run` created.

MiniStack's own setting AUTH is not enough: it leaves `/_ministack/...` (mails, reset), the API's
pages and CORS open, and derives the functions' keys from names. So this wraps its whole
application. Runs on the local cloud's interpreter, which has only MiniStack installed.
"""

import hmac
import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

HEADER = "X-Sandbox-Key"
"""Header with the secret for unsigned requests: the edge, the mail list, the sandbox's GoTo."""
ACCOUNT = "000000000000"
"""The access key id that MiniStack gives to functions. Their secret is MiniStack's own."""
REFUSED = (
    b'{"__type": "UnrecognizedClientException", "message": '
    b'"The local cloud answers its own programs only: .sandbox/aws.sh has the key."}'
)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """Passes a request on to `app` if it has the secret in `HEADER` or is signed with it."""

    def __init__(self, app: App, sigv4: Any, keys: Mapping[str, str], hosts: set[str]) -> None:
        """``keys``: secrets by access key id; ``hosts``: the hosts allowed for signed requests."""
        self._app = app
        self._sigv4 = sigv4
        self._keys = keys
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle a request, a WebSocket (always refused), or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        if self._has_key(headers):
            rest = [pair for pair in scope["headers"] if pair[0].lower() != HEADER.lower().encode()]
            await self._app({**scope, "headers": rest}, receive, without_cors(send))
            return
        signature = self._signature(scope, headers)
        body = await read(receive) if signature else b""
        if signature and self._is_signed(signature, scope, headers, body):
            await self._app(scope, replayed(body, receive), without_cors(send))
        else:
            await refuse(scope, send)

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        shown = headers.get(HEADER.lower(), "").encode()
        return any(hmac.compare_digest(shown, secret.encode()) for secret in self._keys.values())

    def _signature(self, scope: Message, headers: Mapping[str, str]) -> Any:
        """The signature of a request from a program on this machine; None for any other."""
        if "origin" in headers or headers.get("host") not in self._hosts:
            return None
        if "authorization" in headers:
            found = self._sigv4.parse_header_signature(headers)
        else:
            found = self._sigv4.parse_query_signature(query_of(scope))
        return None if isinstance(found, tuple) or found.access_key_id not in self._keys else found

    def _is_signed(
        self, signature: Any, scope: Message, headers: Mapping[str, str], body: bytes
    ) -> bool:
        failure = self._sigv4.header_signature_failure(
            signature,
            self._keys[signature.access_key_id],
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            query_of(scope),
            headers,
            body,
            presigned="authorization" not in headers,
        )
        return not (failure or self._sigv4.request_time_failure(signature))


def headers_of(scope: Message) -> dict[str, str]:
    """Headers by lowercase name; repeated ones are joined, as they are signed."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def query_of(scope: Message) -> dict[str, list[str]]:
    """The query's values by name."""
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


async def read(receive: Receive) -> bytes:
    """The whole body, which a signature covers."""
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that returns the body again, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def without_cors(send: Send) -> Send:
    """A `send` that lets no page of another origin read an answer, whatever MiniStack allows."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            allowed = b"access-control-"
            rest = [pair for pair in message["headers"] if not pair[0].lower().startswith(allowed)]
            message = {**message, "headers": rest}
        await send(message)

    return sent


async def refuse(scope: Message, send: Send) -> None:
    """Send the same refusal to every request without the key."""
    body = b"" if scope["method"] == "HEAD" else REFUSED
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def main() -> None:
    """Start MiniStack behind the guard; it reads its settings from the environment."""
    ministack: Any = importlib.import_module("ministack.app")
    secret, port = os.environ["AWS_SECRET_ACCESS_KEY"], os.environ["GATEWAY_PORT"]
    ministack.app = Guard(
        ministack.app,
        importlib.import_module("ministack.core.sigv4"),
        {os.environ["AWS_ACCESS_KEY_ID"]: secret, ACCOUNT: secret},
        {f"127.0.0.1:{port}", f"localhost:{port}"},
    )
    ministack.main()


if __name__ == "__main__":
    main()
