"""docs/examples/rep.mjs and rep.php, run as a back office would run them, before the service itself
and an STS that checks every signature. Only Lambda's wire is stood in for."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, request

from chalicelib.goto.oauth import Answer
from sandbox.environment import NODE, ROOT
from sandbox.goto.server import running
from tests.rep.program import SECRET
from tests.support.aws import REGION
from tests.support.sts import ANN, Person, Sts
from tests.support.world import World

EXAMPLES = ROOT / "docs" / "examples"
ROLE = Person("SESSION", ANN.arn.replace("user", "assumed-role/office"), "a+token/" + "x" * 99)
ADD = ("add", "acme", "admin@acme.example", "Acme")


class Lambda:
    """Lambda's endpoint. ``answer`` in the place of the function's; ``without`` goes missing of a
    payload on the way."""

    def __init__(self, function: Callable[[bytes], bytes]) -> None:
        self.app = Flask("lambda")
        self.answer: Response | None = None
        self.without: str | None = None
        self.received: list[dict[str, Any]] = []
        self.links: list[str] = []
        self._function = function
        path = "/2015-03-31/functions/ha-goto-main-rep-command/invocations"
        self.app.add_url_rule(path, view_func=self.invoke, methods=["POST"])

    def invoke(self) -> Response:
        payload = json.loads(request.get_data())
        payload.pop(self.without, None)
        self.received.append(payload)
        answer = self.answer or Response(self._function(json.dumps(payload).encode()))
        self.links += [json.loads(answer.data).get("url", "")] if self.answer is None else []
        return answer


@pytest.fixture
def cloud(function: Callable[[bytes], bytes]) -> Lambda:
    return Lambda(function)


@pytest.fixture
def sts() -> Sts:
    return Sts(time.time, ANN, ROLE)


class Example:
    """The program in a folder of its own, and its caller. Fails where it prints a secret."""

    def __init__(self, command: list[str], folder: Path, endpoint: str, cloud: Lambda) -> None:
        self.person = ANN
        self._command, self._folder, self._endpoint, self._cloud = command, folder, endpoint, cloud

    def __call__(self, *arguments: str, code: int = 0, stdin: str = "") -> dict[str, Any]:
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self._folder,
            env=os.environ | self._environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == code, done.stderr + done.stdout
        links = [url.rpartition("/")[2] for url in self._cloud.links if url]
        for secret in (SECRET, self.person.secret, self.person.token, *links):
            assert not secret or secret not in done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _environment(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": self.person.key,
            "AWS_SECRET_ACCESS_KEY": self.person.secret,
            "AWS_SESSION_TOKEN": self.person.token or "",
            "AWS_REGION": REGION,
            "AWS_ENDPOINT_URL_LAMBDA": self._endpoint,
            "HA_GOTO_STAGE": "main",
        }


@pytest.fixture(params=["node", "php"])
def example(
    cloud: Lambda, world: World, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Example]:
    file = "rep.php" if request.param == "php" else "rep.mjs"
    program = shutil.which(request.param)
    if program is None or not _has_what_it_needs(request.param, program):
        pytest.skip("PHP's curl or AWS's SDK for Node.js is missing: see `make test`.")
    shutil.copy(EXAMPLES / file, tmp_path)
    (tmp_path / "node_modules").symlink_to(NODE / "node_modules")
    with running(cloud.app) as endpoint:
        yield Example([program, file], tmp_path, endpoint, cloud)


def _has_what_it_needs(language: str, program: str) -> bool:
    if language == "php":
        return "curl" in subprocess.check_output([program, "-m"], text=True)
    return (NODE / "node_modules" / "@aws-sdk").exists()


def test_a_back_office_onboards_a_tenant(world: World, example: Example, cloud: Lambda) -> None:
    """The history names who it was by the proof (S32)."""
    redirect_uri = "https://acme.analytics.example/admin/settings/activities/"
    assert example(*ADD) == {"tenant": "acme", "redirect_uri": redirect_uri}
    assert example("show", "acme")["state"] == "awaiting_credentials"
    assert example("client", "acme", stdin=f"id-acme\n{SECRET}\n") == {"tenant": "acme"}
    link = example("link", "acme")
    assert link["url"] == "https://acme.analytics.example/connect/..."
    assert link["expires_at"] > world.clock()
    shown = example("show", "acme")
    assert shown["state"] == "awaiting_authorization"
    world.connect(cloud.links[-2].rpartition("/")[2])
    assert example("show", "acme") == {"state": "connected", "next_action": "Nothing."}
    entries = world.journal.newest("acme", 100)
    rep = {entry.who for entry in entries if entry.kind in ("tenant_added", "link_created")}
    assert rep == {"user/ann"}


def test_a_tenant_that_is_there_is_no_failure(world: World, example: Example) -> None:
    assert example(*ADD) == example(*ADD)
    assert world.history() == ["tenant_added"]


@pytest.mark.parametrize("name", ['Zoë\'s "Büro" 📞 / A\\S', "\x7f"], ids=["text", "control"])
def test_s32_any_text_is_signed_as_the_service_reads_it(example: Example, name: str) -> None:
    """S32: what is no fit name is refused for that, and not for its proof."""
    added = example(*ADD[:3], name, code=2 if name == "\x7f" else 0)
    assert added.get("refused") == ("invalid_input" if name == "\x7f" else None)


def test_s32_a_session_of_a_role_proves_itself_too(world: World, example: Example) -> None:
    """S32: by its token; its name is its own word."""
    example.person = ROLE
    example(*ADD)
    [entry] = world.journal.newest("acme", 1)
    assert entry.who == "assumed-role/office/ann (as they call themselves)"


def test_an_unknown_tenant_is_told_by_its_kind(example: Example) -> None:
    told = {"refused": "unknown_tenant", "error": "There is no tenant 'nobody'."}
    assert example("show", "nobody", code=2) == told
    assert example("link", "nobody", code=2) == told
    wrong = f"id-nobody\n{SECRET}\n"
    assert example("client", "nobody", code=2, stdin=wrong) == told


def test_s32_without_its_proof_nothing_is_done(
    world: World, example: Example, cloud: Lambda
) -> None:
    """S32"""
    example(*ADD)
    before = world.everything()
    cloud.without = "proof"
    assert example("link", "acme", code=2)["refused"] == "caller_refused"
    assert example("show", "acme")["state"] == "awaiting_credentials"
    assert world.everything() == before


def test_s32_a_key_that_aws_does_not_know_does_nothing(world: World, example: Example) -> None:
    """S32"""
    example.person = Person("NOBODY", "arn")
    assert example(*ADD, code=2)["refused"] == "caller_refused"
    assert world.history() == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Response("{}", 403), id="no right"),
        pytest.param(Response("{}", 429), id="throttled"),
        pytest.param(Response("a proxy's page"), id="no JSON"),
        pytest.param(
            Response('{"errorType": "x"}', headers={"X-Amz-Function-Error": "Unhandled"}),
            id="function error",
        ),
    ],
)
def test_what_is_no_answer_is_asked_once(example: Example, cloud: Lambda, answer: Response) -> None:
    cloud.answer = answer
    assert set(example(*ADD, code=1)) == {"no_answer"}
    assert len(cloud.received) == 1


def test_what_goto_does_not_tell_may_be_tried_again(world: World, example: Example) -> None:
    example(*ADD)
    world.goto.script = [Answer(503, b"")]
    tried = example("client", "acme", code=1, stdin=f"id-acme\n{SECRET}\n")
    assert tried["refused"] == "unavailable"
    assert world.history() == ["tenant_added"]
