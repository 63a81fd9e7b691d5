"""A deployment is tried where its stack says that the pages are, also one of an older version."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from infra.deploy import Smoke, pages_of
from infra.stack import StackFailed


class Pages(BaseHTTPRequestHandler):
    """Well under the path `/api`, and nowhere else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/healthz" else 404)
        self.end_headers()
        self.wfile.write(b'{"ok": true}')

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the pages answer."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    server = HTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/api"
    server.shutdown()
    server.server_close()


def smoke(invoked: list[str], *, error: bool = False, silent: Exception | None = None) -> Smoke:
    def invoke(FunctionName: str, Payload: bytes) -> dict[str, str]:  # noqa: N803 - as AWS spells it
        invoked.append(FunctionName)
        if silent:
            raise silent
        return {"FunctionError": "Unhandled"} if error else {}

    client = SimpleNamespace(invoke=invoke)
    session = SimpleNamespace(client=lambda _name, **_: client)
    return Smoke(session, pause=lambda _seconds: None)


def outputs(**address: str) -> dict[str, str]:
    return {"RefreshTickFunction": "tick", **address}


def test_going_back_to_a_version_without_pages_url_is_tried_at_the_gateway(pages: str) -> None:
    """Chalice's own output ends with a slash."""
    invoked: list[str] = []
    smoke(invoked)(outputs(EndpointURL=f"{pages}/"))
    assert invoked == ["tick"]


def test_a_host_of_the_stack_s_own_is_tried_and_not_the_gateway(pages: str) -> None:
    invoked: list[str] = []
    found = outputs(PagesURL=pages, EndpointURL="http://127.0.0.1:9/switched/off/")
    assert pages_of(found) == pages
    smoke(invoked)(found)
    assert invoked == ["tick"]


def test_pages_that_answer_are_not_enough(pages: str) -> None:
    with pytest.raises(StackFailed, match="log of RefreshTick"):
        smoke([], error=True)(outputs(PagesURL=pages))


@pytest.mark.parametrize(
    "silent",
    [
        ReadTimeoutError(endpoint_url="https://lambda"),
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
    ],
    ids=["no answer", "refused"],
)
def test_a_tick_that_can_t_be_tried_is_smoke_too(pages: str, silent: Exception) -> None:
    """Only for a `StackFailed` does a deployment go back; a tick is never asked for twice."""
    invoked: list[str] = []
    with pytest.raises(StackFailed, match="could not be tried"):
        smoke(invoked, silent=silent)(outputs(PagesURL=pages))
    assert invoked == ["tick"]
