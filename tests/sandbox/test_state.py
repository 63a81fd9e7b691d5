"""What the sandbox knows outlives it, and a file of another schema is refused."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey

from sandbox.goto.server import create_app
from sandbox.goto.state import Client, State, StateError
from tests.sandbox.client import (
    REDIRECT,
    SECRET,
    GoTo,
    answer_of,
)


class TestState:
    def test_everything_survives_a_restart(self, key: RSAKey, tmp_path: Path) -> None:
        path = tmp_path / "below" / "goto.json"
        goto = GoTo(key)
        goto.state = State(path, clients=goto.state.clients.values(), key=key)
        goto.app = create_app(goto.state, clock=goto.clock)
        goto.browser = goto.app.test_client()
        answer = goto.connect()
        cookie = goto.browser.get_cookie("sandbox_goto")
        assert cookie is not None
        text = path.read_text(encoding="utf-8")
        for secret in [SECRET, answer["refresh_token"], answer["access_token"]]:
            assert secret not in text
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [file.name for file in path.parent.iterdir()] == ["goto.json"]

        goto.app = create_app(State(path), clock=goto.clock)
        goto.browser = goto.app.test_client()
        goto.browser.set_cookie("sandbox_goto", cookie.value)
        assert goto.refresh(answer["refresh_token"]).status_code == 200
        assert goto.call(answer["access_token"]).status_code == 200
        assert "code" in answer_of(goto.browser.get(goto.authorize_url()))

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', "null"])
    def test_another_file_is_refused_in_a_sentence(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "notes.json"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(StateError, match="not a state file"):
            State(path)
        assert path.read_text(encoding="utf-8") == text

    @pytest.mark.parametrize(
        ("client_id", "secret", "uris"),
        [("", "s", [REDIRECT]), ("a:b", "s", [REDIRECT]), ("a", "", [REDIRECT]), ("a", "s", [])],
    )
    def test_half_a_client_cannot_be_registered(
        self, client_id: str, secret: str, uris: list[str]
    ) -> None:
        with pytest.raises(StateError):
            Client.new(client_id, secret, uris)
