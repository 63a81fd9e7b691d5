"""S19, S21, S32: what infra/rep-access.yaml lets a rep do, against what `ha-goto` asks for."""

import io
import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib.rep.caller_identity import Function, _is_given
from cli.service import Service
from infra import cloudformation
from infra.cfn_intrinsics import ACCOUNT, REGION, Resolver
from tests.policies.evaluator import EVERYTHING, Request, evaluate
from tests.policies.roles import FUNCTIONS

ACCESS = cloudformation.load((Path(__file__).parents[2] / "infra" / "rep-access.yaml").read_text())
REP_COMMAND = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ha-goto-main-rep-command"
REP = f"arn:aws:iam::{ACCOUNT}:role/a-rep"
USER = f"arn:aws:iam::{ACCOUNT}:user/ann"
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


def role(**given: str) -> Any:
    made = stack(RepPrincipals=f"{REP},{USER}", **given)
    return made.resolve(ACCESS["Resources"]["RepRole"]["Properties"])


def asks(made: Any, context: dict[str, Any], who: str, action: str = "AssumeRole") -> Request:
    return Request(f"sts:{action}", ROLE, context, who, made["AssumeRolePolicyDocument"])


@pytest.mark.parametrize(
    ("given", "context", "expected"),
    [
        pytest.param({}, {"aws:MultiFactorAuthPresent": "true"}, ALLOWED, id="second factor"),
        pytest.param({}, {"aws:MultiFactorAuthPresent": "false"}, DENIED, id="password alone"),
        pytest.param({}, {}, DENIED, id="a key without any"),
        pytest.param({"MultiFactor": "no"}, {}, ALLOWED, id="left to the directory"),
    ],
)
@pytest.mark.parametrize("names", ["yes", "no"])
def test_the_role_is_assumed_with_a_second_factor(
    given: dict[str, str], context: dict[str, str], expected: str, names: str
) -> None:
    made = role(EnforceNames=names, **given)
    own, others = [], []
    for who, its_name in ((USER, {"aws:username": "ann"}), (REP, {"aws:SourceIdentity": "ann"})):
        asked = {"sts:RoleSessionName": "ann", **its_name, **context}
        own.append(asks(made, asked, who))
        others.append(asks(made, asked, f"{who}-not"))
    assert evaluate([EVERYTHING], [*own, *others]) == [expected] * 2 + [DENIED] * 2


@pytest.mark.parametrize(
    ("who", "context", "expected"),
    [
        pytest.param("user", {"aws:username": "ann"}, ALLOWED, id="own user name"),
        pytest.param("user", {"aws:username": "bob"}, DENIED, id="another user's"),
        pytest.param("user", {"aws:username": "Ann"}, DENIED, id="in other letters"),
        pytest.param("role", {"aws:SourceIdentity": "ann"}, ALLOWED, id="own source"),
        pytest.param("role", {"aws:SourceIdentity": "bob"}, DENIED, id="another's source"),
        pytest.param("role", {}, DENIED, id="a session that has no source"),
        pytest.param("user", {}, DENIED, id="no name at all"),
    ],
)
def test_s32_a_session_is_named_after_who_assumes_the_role(
    who: str, context: dict[str, str], expected: str
) -> None:
    """S32: whoever assumes it can choose no other name."""
    asked = {"sts:RoleSessionName": "ann", "aws:MultiFactorAuthPresent": "true", **context}
    principal = USER if who == "user" else REP
    wild = [{**asked, "sts:RoleSessionName": name} for name in ("*", "an?", "${aws:username}")]
    requests = [asks(role(), one, principal) for one in (asked, *wild)]
    requests.append(asks(role(EnforceNames="no"), asked, principal))
    assert evaluate([EVERYTHING], requests) == [expected, DENIED, DENIED, DENIED, ALLOWED]


@pytest.mark.parametrize(
    ("context", "expected"), [({"aws:SourceIdentity": "ann"}, ALLOWED), ({}, DENIED)]
)
def test_s32_nobody_takes_on_a_source_identity_here(context: dict[str, str], expected: str) -> None:
    """S32: it only goes along from a session that has one already."""
    requests = [asks(role(), context, principal, "SetSourceIdentity") for principal in (USER, REP)]
    assert evaluate([EVERYTHING], requests) == [expected, expected]


def test_s32_the_roles_name_says_whether_sessions_are_named_for_their_people() -> None:
    """S32: the service takes their names as given by that; it fits what IAM allows, 64."""
    name = role()["RoleName"]
    assert name == f"ha-goto-main-rep-command-{REGION}"
    assert "RoleName" not in role(EnforceNames="no")
    function = Function.of(f"{REP_COMMAND}:live")
    assert _is_given(f"assumed-role/{name}/ann", function)
    assert not _is_given("assumed-role/stack-RepRole-1ABCDEFGHIJK2/ann", function)
    longest = "ha-goto-" + "s" * 20 + "-rep-command-" + "ap-southeast-2"
    assert len(longest) <= 64


def test_there_is_no_role_where_nobody_is_named() -> None:
    assert not stack().holds(ACCESS["Resources"]["RepRole"]["Condition"])
    assert stack(RepPrincipals=REP).holds(ACCESS["Resources"]["RepRole"]["Condition"])
