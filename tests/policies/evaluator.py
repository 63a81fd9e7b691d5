"""The offline IAM evaluator (npm `@cloud-copilot/iam-simulate`), asked from Python."""

import atexit
import json
import os
import select
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from infra.cfn_intrinsics import ACCOUNT
from sandbox.environment import NODE

_SCRIPT = Path(__file__).with_name("evaluate.mjs")

PATIENCE = 120
"""Seconds that many questions may take."""

EVERYTHING = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}],
}
"""A policy that allows whatever is asked: where another one must decide."""


@dataclass(frozen=True)
class Request:
    """One call as AWS would authorise it, with the context that AWS would give."""

    action: str
    resource: str
    context: dict[str, Any] = field(default_factory=dict)
    principal: str = f"arn:aws:iam::{ACCOUNT}:role/a-service"
    resource_policy: Any = None


def evaluate(policies: Sequence[Any], requests: Sequence[Request]) -> list[str]:
    """`Allowed`, `ImplicitlyDenied` or `ExplicitlyDenied` for each request.

    Fails where the evaluator found a fault in a policy or request, or ignored part of a context:
    an answer to another question is no evidence.
    """
    return evaluate_each([(policies, request) for request in requests])


def at_hand() -> bool:
    """Whether the evaluator is on this machine."""
    return bool(shutil.which("node")) and (NODE / "node_modules" / "@cloud-copilot").exists()


def evaluate_each(cases: Sequence[tuple[Sequence[Any], Request]]) -> list[str]:
    """The same where each request has policies of its own."""
    if not at_hand():
        pytest.skip("The IAM evaluator is missing: `make test` installs it where npm is there.")
    answers = _asked([_simulation(policies, request) for policies, request in cases])
    faults = [
        (request, answer)
        for (_, request), answer in zip(cases, answers, strict=True)
        if answer["errors"] or answer["ignored"]
    ]
    assert faults == []
    return [answer["result"] for answer in answers]


def _asked(simulations: list[dict[str, Any]]) -> Any:
    evaluator = _started(os.getpid())
    assert evaluator.stdin
    assert evaluator.stdout
    evaluator.stdin.write(f"{json.dumps(simulations)}\n".encode())
    evaluator.stdin.flush()
    assert select.select([evaluator.stdout], [], [], PATIENCE)[0], "the evaluator does not answer"
    answer = evaluator.stdout.readline()
    assert answer, "the evaluator has ended: what it said is above"
    return json.loads(answer)


@cache
def _started(process: int) -> subprocess.Popen[bytes]:
    """One for all questions of a process, for most take less time than a start. It ends with it."""
    command = ["node", str(_SCRIPT), str(NODE)]
    started = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    atexit.register(started.communicate)
    return started


def _simulation(policies: Sequence[Any], request: Request) -> dict[str, Any]:
    simulation = {
        "request": {
            "principal": request.principal,
            "action": request.action,
            "resource": {"resource": request.resource, "accountId": ACCOUNT},
            "contextVariables": request.context,
        },
        "identityPolicies": [
            {"name": f"policy-{number}", "policy": policy} for number, policy in enumerate(policies)
        ],
        "serviceControlPolicies": [
            {"orgIdentifier": "root", "policies": [{"name": "all", "policy": EVERYTHING}]}
        ],
        "resourceControlPolicies": [],
    }
    if request.resource_policy:
        simulation["resourcePolicy"] = request.resource_policy
    return simulation
