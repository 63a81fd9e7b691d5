"""The local cloud's door: MiniStack answers nobody who can't show the key that `make run` has made.

MiniStack's own setting AUTH is not enough: it leaves `/_ministack/...` (mails, reset), the API's
pages and CORS open, and derives the functions' keys from names. So its whole application is
wrapped here. Runs on the local cloud's own interpreter: the standard library and MiniStack only.
"""

import hmac
import importlib
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

HEADER = "X-Sandbox-Key"
"""Shows the secret where nothing is signed: the edge, the list of mails, the sandbox's GoTo."""
ACCOUNT = "000000000000"
"""Access key id that MiniStack gives to functions. Their secret is the one it was started with."""
REFUSED = (
    b'{"__type": "UnrecognizedClientException", "message": '
    b'"The local cloud answers its own programs only: .sandbox/aws.sh has the key."}'
)

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class Guard:
    """Lets a request through to `app` that shows the secret in `HEADER` or is signed with it."""

    def __init__(self, app: App, sigv4: Any, keys: Mapping[str, str], hosts: set[str]) -> None:
        """``keys``: the secret by access key id; ``hosts``: where signed requests are sent to."""
        self._app = app
        self._sigv4 = sigv4
        self._keys = keys
        self._hosts = hosts

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One request, a WebSocket (none is let in), or the server's start and end."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _answer(self, scope: Message, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        if self._has_key(headers):
            kept = [pair for pair in scope["headers"] if pair[0].lower() != HEADER.lower().encode()]
            await self._app({**scope, "headers": kept}, receive, without_cors(send))
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
        """What a request of a program of this machine is signed with; nothing for any other."""
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
    """By name in lower case; repeated ones are joined, as they are signed."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        found[key] = f"{found[key]},{text}" if key in found else text
    return found


def query_of(scope: Message) -> dict[str, list[str]]:
    """The query's values by name."""
    return parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)


async def read(receive: Receive) -> bytes:
    """The whole body: a signature covers it."""
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


def replayed(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read once more, then what comes after it."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return waiting.pop() if waiting else await receive()

    return again


def without_cors(send: Send) -> Send:
    """No page of another origin may read an answer, whatever MiniStack allows."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            allowed = b"access-control-"
            kept = [pair for pair in message["headers"] if not pair[0].lower().startswith(allowed)]
            message = {**message, "headers": kept}
        await send(message)

    return sent


async def refuse(scope: Message, send: Send) -> None:
    """The same words for everybody who lacks the key, whatever they asked for."""
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
