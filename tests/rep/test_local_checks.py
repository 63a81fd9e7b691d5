"""What the rep's own machine finds out: whether the pages answer, and whether the clocks agree."""

import runpy
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from cli import local_checks
from cli.service import Answer, Service

STATUS = "/admin/settings/activities/status"


class _Pages(BaseHTTPRequestHandler):
    """The service behind a front and AWS's firewall, which wants to know what asks."""

    def do_GET(self) -> None:
        status, body = 503, b""
        if not self.headers.get("User-Agent"):
            status = 403
        elif self.path == STATUS and self.headers["Host"].startswith("acme.localhost"):
            status, body = 401, b'{"processing": false}'
        elif self.path == "/login":
            status, body = 401, b"<html>Please log in</html>"
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture
def pages() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://acme.localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


def found(monkeypatch: pytest.MonkeyPatch, url: str | None, at: float) -> dict[str, Any]:
    """Findings by name, where the service itself says ``url`` and ``at``."""
    answer: dict[str, Any] = {"at": at, "page_url": url, "findings": []}
    monkeypatch.setattr(Service, "ask", lambda self, command: Answer.of(answer))
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    return {row["name"]: row for row in local_checks.examine(Service("prod"))}


def test_pages_that_answer_and_clocks_that_agree_are_well(
    pages: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = found(monkeypatch, pages + STATUS, 1_800_000_000.0 + local_checks.CLOCK_ERROR)
    assert all(row["well"] and row["advice"] == "" for row in rows.values()), rows


@pytest.mark.parametrize(("path", "status"), [("/other", 503), ("/login", 401)])
def test_pages_that_answer_otherwise_are_told_with_advice(
    pages: str, monkeypatch: pytest.MonkeyPatch, path: str, status: int
) -> None:
    """Be it an error, or another application that has the host to itself."""
    row = found(monkeypatch, pages + path, 1_800_000_000.0)["pages"]
    assert row["told"] == f"{pages}{path} answers {status}, and not as the service does."
    assert "DNS" in row["advice"]


def test_without_a_tenant_there_is_no_page_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    row = found(monkeypatch, None, 1_800_000_000.0)["pages"]
    assert row["well"]
    assert row["told"].startswith("Nothing to ask yet")


@pytest.mark.parametrize("url", ["http://acme.localhost:1/status", "https://127.0.0.1:1/status"])
def test_pages_that_do_not_answer_are_told(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = found(monkeypatch, url, 1_800_000_000.0)["pages"]
    assert row["told"] == f"{url} does not answer (ConnectionRefusedError)."


@pytest.mark.parametrize("apart", [-300, 300])
def test_a_clock_that_is_off_is_told(apart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    row = found(monkeypatch, "http://acme.localhost:1/", 1_800_000_000.0 + apart)["clock"]
    assert row["told"] == "This machine's clock is 300 s off."


def test_the_module_runs_as_the_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["ha-goto", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("cli", run_name="__main__")
    assert ended.value.code == 0
    assert "tenant" in capsys.readouterr().out
