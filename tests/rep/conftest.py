"""The rep's program before the service: its desk, and the proof of who calls. Lambda's wire and AWS
are stood in for: an STS that checks every signature."""

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

import cli.main
from chalicelib.dynamodb.links import Proofs
from chalicelib.rep import commands
from chalicelib.rep.caller_identity import CallerIdentity
from cli.service import Service
from infra.cfn_intrinsics import ACCOUNT
from tests.rep.program import Ran, Run
from tests.support import rep_contract
from tests.support.aws import REGION
from tests.support.sts import ANN, ENDPOINT, Sts
from tests.support.world import World


def typed(text: str | bytes) -> io.TextIOWrapper:
    """Standard input that holds this."""
    return io.TextIOWrapper(io.BytesIO(text if isinstance(text, bytes) else text.encode()))


FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ha-goto-main-rep-command"


@pytest.fixture
def sts() -> Sts:
    return Sts(time.time)


@pytest.fixture
def function(world: World, sts: Sts) -> Callable[[bytes], bytes]:
    """The function itself: a payload to its answer, by the clock of this machine."""
    callers = CallerIdentity(
        endpoint=ENDPOINT, outbound=sts, proofs=Proofs(world.tables), clock=time.time
    )

    def invoke(payload: bytes) -> bytes:
        received = json.loads(payload)
        answer = commands.run(
            world.desk(), received, lambda: callers.identify(received, "a-number", FUNCTION)
        )
        rep_contract.check_answer(received["command"], answer)
        return json.dumps(answer).encode()

    return invoke


@pytest.fixture
def wire(
    function: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> list[dict[str, Any]]:
    """Every payload that would have gone to the function, from a rep whom STS knows."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ANN.key)  # after `world`, whose moto has set its own
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ANN.secret)
    sent: list[dict[str, Any]] = []

    def invoke(self: Service, payload: dict[str, Any]) -> Any:
        sent.append(json.loads(json.dumps(payload)))
        return json.loads(function(json.dumps(payload).encode()))

    monkeypatch.setattr(Service, "_invoke", invoke)
    return sent


@pytest.fixture
def run(
    wire: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    def ran(*arguments: str, stdin: str | bytes = "") -> Ran:
        monkeypatch.setattr("sys.stdin", typed(stdin))
        capsys.readouterr()
        code = cli.main.main(list(arguments))
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return ran
