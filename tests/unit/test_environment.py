"""Setting up: what is there is not made again; settings that make no sense are a sentence."""

import os
import shutil
from pathlib import Path

import pytest

from sandbox import environment
from sandbox.settings import BadSettings, load

OTHER_SERVER = {
    "GOTO_AUTHORIZE_URL": "https://idp.example/authorize",
    "GOTO_TOKEN_URL": "https://idp.example/token",
    "GOTO_CLIENT_ID": "id",
    "GOTO_CLIENT_SECRET": "CANARY",
}


def test_an_environment_of_this_very_lock_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def record(command: list[str], _failure: str) -> None:
        calls.append(command)
        (tmp_path / "venv" / "bin").mkdir(parents=True, exist_ok=True)
        (tmp_path / "venv" / "bin" / "python").touch()

    monkeypatch.setattr(environment, "call", record)
    monkeypatch.setattr(environment, "UV", tmp_path)  # there
    lock = tmp_path / "lock.txt"
    lock.write_text("one")
    environment.virtual_environment(tmp_path / "venv", lock, "Packages")
    environment.virtual_environment(tmp_path / "venv", lock, "Packages")
    assert len(calls) == 2  # made, and filled
    lock.write_text("two")
    environment.virtual_environment(tmp_path / "venv", lock, "Packages")
    assert len(calls) == 4


def test_where_uv_finds_no_way_pip_installs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[list[str]] = []

    def refuse_uv(command: list[str], failure: str) -> None:
        calls.append(command)
        if command[0] == str(tmp_path):
            raise environment.Missing(failure)

    monkeypatch.setattr(environment, "call", refuse_uv)
    monkeypatch.setattr(environment, "UV", tmp_path)
    (tmp_path / "venv").mkdir()
    environment.virtual_environment(tmp_path / "venv", environment.LOCK, "Packages")
    *_, by_pip = calls
    assert {"pip", "--require-hashes", str(environment.LOCK)} <= set(by_pip)


def test_pip_gets_uv_itself_by_its_version_and_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "VENV", tmp_path)
    monkeypatch.setattr(environment, "UV", tmp_path / "uv")
    monkeypatch.setattr(environment, "call", lambda *_: None)
    environment.virtual_environment(tmp_path, environment.LOCK, "Packages")
    first, *others = (tmp_path / "uv.txt").read_text().splitlines()
    assert first.startswith("uv==")
    assert others
    assert all(line.strip().startswith("--hash=sha256:") for line in others)


def test_what_tests_lack_is_named_at_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(environment, "find_library", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(environment, "_ensure_node_packages", lambda: None)
    environment.prepare_tests()
    [line] = capsys.readouterr().out.splitlines()
    for package in (
        "chromium",
        "firefox-esr",
        "webkit2gtk-driver",
        "xvfb",
        "libatomic1",
        "default-jdk-headless",
        "npm",
        "nginx",
        "php-cli",
    ):
        assert package in line


def test_a_private_file_is_for_this_user_alone(tmp_path: Path) -> None:
    environment.write_private(tmp_path / "secret", "x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


def test_ports_follow_the_first() -> None:
    ports = load({"PORT": "9000"}).ports
    assert (ports.edge, ports.goto, ports.aws) == (9000, 9001, 9002)


@pytest.mark.parametrize("port", ["80", "65535", "eight", "-1", "8000.0"])
def test_a_port_that_cannot_be_is_named(port: str) -> None:
    with pytest.raises(BadSettings, match="PORT must be"):
        load({"PORT": port})


def test_another_server_needs_all_of_its_settings() -> None:
    settings = load(OTHER_SERVER)
    assert settings.provider is not None
    assert "CANARY" not in repr(settings)
    for name in OTHER_SERVER:
        with pytest.raises(BadSettings, match=name):
            load({**OTHER_SERVER, name: ""})


def test_an_empty_scope_is_left_out() -> None:
    assert load({"GOTO_SCOPE": ""}).scope == ""
    assert "identity:" in load({}).scope


def test_the_edge_names_visitors_where_it_is_told_to() -> None:
    assert load({}).visitor_identity == load({"VISITOR_IDENTITY": ""}).visitor_identity == "off"
    assert load({"VISITOR_IDENTITY": "required"}).visitor_identity == "required"
    with pytest.raises(BadSettings, match="must be off, optional or required"):
        load({"VISITOR_IDENTITY": "on"})
