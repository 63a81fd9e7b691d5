"""S19, S21: what infra/rep-access.yaml lets a rep do, against what `ha-goto` asks for."""

import io
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from infra import cloudformation
from infra.resolve import ACCOUNT, REGION, Resolver
from rep.service import Service
from tests.policies.evaluator import EVERYTHING, Request, evaluate
from tests.policies.roles import FUNCTIONS

ACCESS = cloudformation.load((Path(__file__).parents[2] / "infra" / "rep-access.yaml").read_text())
REP_COMMAND = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ha-goto-main-rep-command"
REP = f"arn:aws:iam::{ACCOUNT}:role/a-rep"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/RepRole"
ALLOWED, DENIED = "Allowed", "ImplicitlyDenied"


def stack(**given: str) -> Resolver:
    made = {"RepPolicy": f"arn:aws:iam::{ACCOUNT}:policy/RepPolicy"}
    return Resolver(ACCESS, made, **{"RepCommandArn": REP_COMMAND} | given)


def policy() -> Any:
    return stack().resolve(ACCESS["Resources"]["RepPolicy"]["Properties"]["PolicyDocument"])


def calls_of_a_rep() -> set[tuple[str, str]]:
    """What the rep's program asks AWS for: operation, and the function named."""
    asked: set[tuple[str, str]] = set()
    session = boto3.Session("test", "test", region_name=REGION)

    def hear(**told: Any) -> None:
        model = told["model"]
        function = told["params"].get("FunctionName", "")
        asked.add((f"{model.service_model.service_name}:{model.name}", function))

    def answer(**told: Any) -> Any:
        http = type("Http", (), {"status_code": 200, "headers": {}})
        return http, {"Payload": io.BytesIO(json.dumps({"ok": True}).encode())}

    session.events.register("before-parameter-build", hear)
    session.events.register("before-call.lambda.Invoke", answer)
    with mock_aws():
        Service("main", session).ask("status")
    return asked


def test_s21_a_rep_may_do_what_the_program_asks_for_and_no_more() -> None:
    """S21: one call, whatever the command; the proof of who calls is signed, not asked for."""
    [(operation, function)] = calls_of_a_rep()
    assert (operation, function) == ("lambda:Invoke", REP_COMMAND.rpartition(":")[2])
    assert evaluate([policy()], [Request("lambda:InvokeFunction", REP_COMMAND)]) == [ALLOWED]
    [statement] = policy()["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("lambda:InvokeFunction", REP_COMMAND)


def test_s19_a_rep_reaches_no_data_and_no_other_function() -> None:
    """S19: nor another stage's."""
    others = [f"product-{name}-1" for name in FUNCTIONS] + ["ha-goto-test-rep-command"]
    requests = [
        Request("lambda:InvokeFunction", re.sub("ha-goto-main-rep-command", name, REP_COMMAND))
        for name in others
    ]
    tables = ("Tokens", "Grants", "Tenants", "Links", "AuthorizationRequests", "Journal", "Fleet")
    requests += [
        Request(f"dynamodb:{action}", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/product-{table}")
        for table in tables
        for action in ("GetItem", "Query", "Scan", "PutItem", "UpdateItem", "DeleteItem")
    ]
    secret = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ha-goto/main/acme-AbCdEf"
    requests += [
        Request("secretsmanager:GetSecretValue", secret),
        Request("sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:product-RescueQueue"),
        Request("lambda:UpdateFunctionCode", REP_COMMAND),
        Request("lambda:GetFunction", REP_COMMAND),
    ]
    assert set(evaluate([policy()], requests)) == {DENIED}


@pytest.mark.parametrize(
    ("given", "context", "expected"),
    [
        pytest.param({}, {"aws:MultiFactorAuthPresent": "true"}, ALLOWED, id="second factor"),
        pytest.param({}, {"aws:MultiFactorAuthPresent": "false"}, DENIED, id="password alone"),
        pytest.param({}, {}, DENIED, id="a key without any"),
        pytest.param({"MultiFactor": "no"}, {}, ALLOWED, id="left to the directory"),
    ],
)
def test_the_role_is_assumed_with_a_second_factor(
    given: dict[str, str], context: dict[str, str], expected: str
) -> None:
    made = stack(RepPrincipals=REP, **given)
    trust = made.resolve(ACCESS["Resources"]["RepRole"]["Properties"])["AssumeRolePolicyDocument"]
    asked = [Request("sts:AssumeRole", ROLE, context, REP, trust)]
    assert evaluate([EVERYTHING], asked) == [expected]
    other = [Request("sts:AssumeRole", ROLE, context, f"{REP}-not", trust)]
    assert evaluate([EVERYTHING], other) == [DENIED]


def test_there_is_no_role_where_nobody_is_named() -> None:
    assert not stack().holds(ACCESS["Resources"]["RepRole"]["Condition"])
    assert stack(RepPrincipals=REP).holds(ACCESS["Resources"]["RepRole"]["Condition"])
