"""Setting up: what is there is not made again; settings that make no sense are a sentence."""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.package import NotPackaged
from sandbox import environment, machines, run
from sandbox.environment import ROOT
from sandbox.settings import BadSettings, load

OTHER_SERVER = {
    "GOTO_AUTHORIZE_URL": "https://idp.example/authorize",
    "GOTO_TOKEN_URL": "https://idp.example/token",
    "GOTO_CLIENT_ID": "id",
    "GOTO_CLIENT_SECRET": "CANARY",
}


@pytest.fixture(autouse=True)
def no_python_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests may run under `make PYTHON=... test`, which hands it to them."""
    monkeypatch.delenv("PYTHON", raising=False)


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


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An ordinary user's checkout, on a machine that has nothing but Python."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(environment, "find_library", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(environment, "STATE", tmp_path / "state")
    monkeypatch.setattr(environment, "NODE", tmp_path / "node")
    monkeypatch.setattr(environment, "VENV", tmp_path / "venv")


ALL = (
    "chromium",
    "chromium-headless-shell",
    "firefox-esr",
    "webkit2gtk-driver",
    "xvfb",
    "libatomic1",
    "default-jdk-headless",
    "npm",
    "nginx",
    "php-cli",
    "php-curl",
)


def test_what_tests_lack_is_named_at_once(bare: None, capsys: pytest.CaptureFixture[str]) -> None:
    environment.prepare_tools("test")
    [line] = capsys.readouterr().out.splitlines()
    assert f"`apt-get install {' '.join(ALL)}`" in line
    names = (
        "Chromium, Firefox, WebKit's driver, Xvfb, libatomic, a JDK of Java 17 or newer, npm, nginx"
        " and PHP with curl"
    )
    assert f"This machine lacks {names}." in line


def test_what_nothing_goes_on_without_is_named_with_the_rest(
    bare: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = SimpleNamespace(returncode=1, stdout=b"")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: nothing)
    with pytest.raises(
        environment.Missing, match=f"`apt-get install python3-venv {' '.join(ALL)}`"
    ):
        environment.prepare_tools("test")
    with pytest.raises(environment.Missing, match="`apt-get install python3-venv`"):
        environment.prepare_tools("run")


def test_packages_of_other_names_are_named_and_all_others_installed(
    bare: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on Ubuntu, whose browsers are no packages of apt-get's."""

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        unknown = command[0] == "apt-cache" and command[-1] in ALL[:3]
        return SimpleNamespace(returncode=100 if unknown else 0, stdout=b"")

    called: list[list[str]] = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name, **_: name if name == "apt-get" else None)
    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(environment, "call", lambda command, *_: called.append(command))
    environment.prepare_tools("test")
    _, install = called
    assert install[-len(ALL[3:]) :] == list(ALL[3:])
    assert (
        "no package here for Chromium (chromium, chromium-headless-shell) and Firefox"
        " (firefox-esr): install it by other means." in capsys.readouterr().out
    )


def test_pages_want_npm_and_say_so(bare: None) -> None:
    with pytest.raises(environment.Missing, match=r"lacks npm.*`apt-get install npm`"):
        environment.prepare_tools("docs")


def fill(folder: Path, lock: Path, version: str = "3.11.2") -> None:
    """A virtual environment as it is when it was made from a lock."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").touch()
    (folder / "pyvenv.cfg").write_text(f"version = {version}\n")
    (folder / "lock-digest").write_text(environment.digest(lock))


def test_the_product_s_packages_are_a_part_of_all_and_are_not_fetched_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make run` is content with either; `make test` adds what is missing, and removes nothing."""
    calls: list[list[str]] = []
    venv, cloud = tmp_path / "venv", tmp_path / "cloud"
    monkeypatch.setattr(environment, "call", lambda command, _failure: calls.append(command))
    monkeypatch.setattr(environment, "VENV", venv)
    monkeypatch.setattr(environment, "CLOUD_VENV", cloud)
    monkeypatch.setattr(environment, "STATE", tmp_path)
    monkeypatch.setattr(environment, "UV", tmp_path)  # there
    fill(venv, environment.RUN_LOCK)
    fill(cloud, environment.CLOUD_LOCK)
    environment.prepare("run")
    assert not calls
    environment.prepare("test")
    [added] = calls
    assert added[-1] == str(environment.LOCK)
    environment.prepare("run")
    assert len(calls) == 1


def test_the_part_is_locked_as_the_whole_is() -> None:
    def locked(file: Path) -> set[str]:
        return set(file.read_text().replace("\\\n", "").splitlines())

    part = locked(environment.RUN_LOCK)
    assert len(part) > 20
    assert part <= locked(environment.LOCK)


def test_the_python_that_is_asked_for_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make PYTHON=...` also where the environment was made of another."""
    calls: list[list[str]] = []
    monkeypatch.setattr(environment, "call", lambda command, _failure: calls.append(command))
    monkeypatch.setattr(environment, "UV", tmp_path)
    lock = tmp_path / "lock.txt"
    lock.write_text("one")
    fill(tmp_path / "venv", lock, "3.9.1")
    environment.virtual_environment(tmp_path / "venv", lock, "Packages")
    assert not calls
    monkeypatch.setenv("PYTHON", "python3")
    environment.virtual_environment(tmp_path / "venv", lock, "Packages")
    assert "--clear" in calls[0]


OLD = """
import sys
sys.version_info = (3, 9, 0)
sys.argv[0] = "sandbox/start.py"
exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""


def start_old(path: str) -> "subprocess.CompletedProcess[str]":
    """`make clean`'s first step, on a Python that says it is 3.9."""
    command = [sys.executable, "-c", OLD, "nothing-of-that-name"]
    return subprocess.run(
        command, cwd=ROOT, env={"PATH": path}, capture_output=True, text=True, check=False
    )


def test_an_old_python_hands_over_to_a_newer_one_or_says_so(tmp_path: Path) -> None:
    refused = start_old("/nowhere")
    assert refused.returncode == 1
    assert refused.stderr == (
        "Python 3.11 or newer is needed, and this is 3.9: install it, or name it with"
        " `make PYTHON=...`.\n"
    )
    for name, text in (
        ("python3.11", "exit 127"),
        ("python3.12", 'case $1 in -m) echo "$@";; esac'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    # The first is a version manager's, which has no such version.
    assert start_old(str(tmp_path)).stdout == "-m sandbox.environment nothing-of-that-name\n"


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("error: Failed to fetch\n  Caused by: dns error: failed to lookup", "check the network"),
        ("npm error code ENOTFOUND", "check the network"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("error: failed to write (os error 28): No space left on device", "the disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "PIP_CERT"),
        ("invalid peer certificate: UnknownIssuer", "PIP_CERT"),
        ("one\nerror: no such option\nlast", "error: no such option"),
        ("", "it gave no reason"),
    ],
)
def test_why_a_program_failed_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, cause: str
) -> None:
    monkeypatch.setattr(environment, "STATE", tmp_path)
    program = [sys.executable, "-c", f"import sys; sys.exit({said!r})"]
    with pytest.raises(environment.Missing) as raised:
        environment.call(program, "Fetching failed")
    [line] = str(raised.value).splitlines()
    assert line.startswith("Fetching failed: ")
    assert cause in line
    assert (tmp_path / "setup.log").read_text().strip() == said.strip()


def test_a_checkout_that_is_not_yours_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "STATE", tmp_path / "state")
    monkeypatch.setattr(environment, "VENV", tmp_path / "venv")
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert environment.main(["run"]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path} belongs to another user: use a checkout of your own.\n"
    )
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert environment.main(["run"]) == 1
    assert "is read-only" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_second_set_up_waits_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "STATE", tmp_path)
    monkeypatch.setattr(environment, "_prepare", lambda _command: Path("made"))
    with (tmp_path / "setup.lock").open("w") as first:
        fcntl.flock(first, fcntl.LOCK_EX)
        threading.Timer(0.3, fcntl.flock, (first, fcntl.LOCK_UN)).start()
        assert environment.prepare("run") == Path("made")
    assert "Waiting for another command" in capsys.readouterr().out


def test_a_package_that_cannot_be_made_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise NotPackaged("`chalice package` failed: no network.")

    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(run, "STATE", tmp_path)
    monkeypatch.setattr("sandbox.run.LocalCloud.start", fail)
    assert run.main() == 1
    assert capsys.readouterr().err.strip() == "`chalice package` failed: no network."


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


def test_what_nobody_reads_ends_the_set_up_in_silence(tmp_path: Path) -> None:
    """As `make run | head -1` does."""
    program = f"""
import sys
from pathlib import Path
from sandbox import environment
environment.STATE = Path({str(tmp_path)!r})
def speak(_command):
    for _ in range(100):
        print("x" * 10_000, flush=True)
environment._prepare = speak
sys.exit(environment.main(["run"]))
"""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as set_up:
        assert set_up.stdout is not None
        assert set_up.stderr is not None
        set_up.stdout.close()
        assert set_up.stderr.read() == b""
    assert set_up.returncode == 1


@pytest.mark.parametrize(
    ("user", "program", "sentence"),
    [
        (1000, "", "run it as root"),
        (0, None, "lacks debootstrap, unshare, chroot: on Debian, `apt-get install debootstrap"),
    ],
)
def test_machines_that_cannot_be_made_are_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    user: int,
    program: str | None,
    sentence: str,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(shutil, "which", lambda _name: program)
    assert machines.main([]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert sentence in line


def test_a_mirror_that_gives_no_debian_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machines, "STATE", tmp_path)
    monkeypatch.setattr(machines, "require_tools", lambda: None)
    (tmp_path / "debootstrap").write_text("#!/bin/sh\necho E: no such mirror: $4\nexit 1\n")
    (tmp_path / "debootstrap").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("MIRROR", "http://nowhere.example")
    assert machines.main(["bookworm"]) == 1
    assert capsys.readouterr().err == (
        "No minimal Debian bookworm could be made: E: no such mirror: http://nowhere.example\n"
    )
    assert not (tmp_path / "machines" / "bookworm").exists()
