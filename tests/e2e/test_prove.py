"""`make prove` on the local cloud: what it can show is as believed, all else is unproven."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from infra import aws_assumptions, prove
from infra.aws_assumptions import Stage
from infra.package import STAGE
from infra.smoke import TICK
from sandbox.cloud import LocalCloud
from tests.policies import operators

SHOWN_HERE = (
    "the stack is protected from deletion",
    "the journal's stream is read, through its key",
    "a mail goes out",
)
"""Beliefs of which the local cloud shows what AWS would."""


@pytest.fixture
def stage(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The local cloud's, with somebody on call."""
    for name, value in {
        "AWS_ENDPOINT_URL": cloud.aws.endpoint,
        "AWS_ACCESS_KEY_ID": cloud.key.access_key,
        "AWS_SECRET_ACCESS_KEY": cloud.key.secret_key,
        "AWS_REGION": "us-east-1",
    }.items():
        monkeypatch.setitem(os.environ, name, value)
    session: Any = cloud.aws.session
    stack, endpoint = cloud.aws.stack, cloud.aws.endpoint
    with operators.overheard(session) as calls:
        yield prove.stage_of(session, stack, STAGE, local=True, endpoint=endpoint)
    # S21: whatever it has asked for, infra/deployer-access.yaml allows those on call.
    assert operators.denied(calls, "OperatePolicy") == []


def test_s20_every_line_of_it_and_no_secret(cloud: LocalCloud, stage: Stage) -> None:
    """S20: nothing that it prints opens a door."""
    said: list[str] = []
    cloud.aws.invoke(cloud.functions["refresh_tick"], TICK)
    assert prove.prove(stage, said.append, spare=True) == 1
    *lines, summary = said
    assert len(lines) == len(aws_assumptions.ALL)
    for belief, line in zip(aws_assumptions.ALL, lines, strict=True):
        assert belief.says in line
        if belief.says in SHOWN_HERE:
            assert line.startswith("as believed"), line
        elif belief.says == "an alarm arrives":
            assert line.startswith("not so"), line
            assert "Nobody has confirmed" in line
        else:
            assert line.startswith("unproven"), line
    assert "3 as believed, 1 not so, 9 unproven" in summary
    text = "\n".join(said)
    assert "/connect/" not in text
    assert cloud.key.secret_key not in text
    rows = cloud.rep("tenant_list")["tenants"]
    assert aws_assumptions.TENANT not in str(rows), "its own tenant is gone"


class Refusing:
    """An AWS on which a belief does not hold: it answers what it was given."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.meta = type("Meta", (), {"region_name": "eu-west-1"})

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda **_: self._answers[name]


ANOTHER_KEY = {"KMSMasterKeyArn": "x", "Status": "ENABLED"}
ANOTHER_RUNTIME = {"Runtime": "python3.11"}


@pytest.mark.parametrize(
    ("says", "answers"),
    [
        (
            "Lambda runs the pinned Python",
            {"get_function_configuration": ANOTHER_RUNTIME},
        ),
        (
            "CloudFormation puts Grants under its key (aws:CalledViaFirst)",
            {"describe_table": {"Table": {"SSEDescription": ANOTHER_KEY}}},
        ),
        ("an operator who is not named can't read Grants", {"get_item": {}}),
        ("the firewall stands before the stage", {"get_web_acl_for_resource": {}}),
    ],
)
def test_what_is_not_so_is_said_with_what_to_do(says: str, answers: dict[str, Any]) -> None:
    """As it would read on AWS."""
    stage = Stage(
        stack={},
        outputs={"WebFunction": "w", "GrantsTable": "g", "ApiId": "a", "ApiStage": "api"},
        resources={"GrantsKey": "1234"},
        parameters={"Firewall": "on"},
        client=lambda _name: Refusing(**answers),
        rep=lambda *_, **__: {},
        local=False,
        pause=lambda _seconds: None,
    )
    [belief] = [one for one in aws_assumptions.ALL if one.says == says]
    said: list[str] = []
    finding = prove._finding(belief, stage, said.append)
    assert finding.verdict == prove.NOT_SO
    assert said[0].startswith(f"not so       {says}")
    assert f"And then: {belief.then}" in said[0]
