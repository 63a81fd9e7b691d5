"""The sandbox on a socket: its command line, and a whole flow over the network."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask.testing import FlaskClient

from sandbox.goto.__main__ import main
from sandbox.goto.server import running
from tests.sandbox.client import (
    REDIRECT,
    REVOKED,
    SECRET,
    VERIFIER,
    GoTo,
)


class TestCommandLine:
    @pytest.fixture
    def secret_file(self, tmp_path: Path) -> Path:
        path = tmp_path / "secret"
        path.write_text(SECRET + "\n", encoding="utf-8")
        return path

    def test_a_taken_port_is_one_sentence_and_exit_code_1(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            assert main(["--port", str(port)]) == 1
        assert capsys.readouterr().err == (
            f"Port {port} on 127.0.0.1 is already in use."
            " Stop what uses it, or choose another with --port.\n"
        )

    def test_a_client_without_its_parts_is_a_sentence(
        self, capsys: pytest.CaptureFixture[str], secret_file: Path
    ) -> None:
        assert main(["--client", "a"]) == 1
        assert "needs --client-secret-file" in capsys.readouterr().err
        assert main(["--client", "a", "--client-secret-file", str(secret_file)]) == 1
        assert "at least one redirect URI" in capsys.readouterr().err

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_serves_logs_no_query_and_stops_on_a_signal(
        self, secret_file: Path, number: signal.Signals
    ) -> None:
        client = ["--client", "client-1", "--redirect-uri", REDIRECT]
        client += ["--client-secret-file", str(secret_file)]
        command = [sys.executable, "-m", "sandbox.goto", "--port", "0", *client]
        root = Path(__file__).parents[2]
        with subprocess.Popen(
            command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                ready = process.stdout.readline()
                found = re.search(r"http://127\.0\.0\.1:\d+", ready)
                assert found is not None
                page = requests.get(f"{found[0]}/?token=canary", timeout=5)
                assert page.status_code == 200
                form = {"grant_type": "refresh_token", "refresh_token": "canary"}
                auth = ("client-1", SECRET)
                answer = requests.post(f"{found[0]}/oauth/token", data=form, auth=auth, timeout=5)
                assert answer.content == REVOKED
            finally:
                process.send_signal(number)
            out, err = process.communicate(timeout=10)
        assert process.returncode == 0
        assert out == ""
        lines = [line.split(" ", 1)[1] for line in err.splitlines()]
        assert lines == ["GET / 200", "POST /oauth/token 400"]


def test_running_serves_the_whole_flow_to_a_client_of_the_network(goto: GoTo) -> None:
    with running(goto.app) as url:
        session = requests.Session()
        login = session.get(url + goto.authorize_url(), timeout=5)
        form = {"email": "admin@acme.example", "password": "practice"}
        consent = session.post(login.url, data=form, timeout=5)
        allowed = session.post(
            consent.url, data={"decision": "allow"}, allow_redirects=False, timeout=5
        )
        code = parse_qs(urlsplit(allowed.headers["Location"]).query)["code"][0]
        tokens = requests.post(
            f"{url}/oauth/token",
            data={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": REDIRECT,
                "client_id": "client-1",
                "code_verifier": VERIFIER,
            },
            auth=("client-1", SECRET),
            timeout=5,
        ).json()
        who = requests.get(
            f"{url}/users/v1/me",
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
            timeout=5,
        )
        assert who.content == b'{"items":[{"accountKey":"4000000001"}]}'


def test_it_answers_under_a_localhost_name_without_touching_the_environment(goto: GoTo) -> None:
    before = dict(os.environ)
    browser: FlaskClient = goto.browser
    response = browser.get(goto.authorize_url(), base_url="http://goto.localhost:8001/")
    assert response.status_code == 200
    assert dict(os.environ) == before
