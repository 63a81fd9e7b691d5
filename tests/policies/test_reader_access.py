"""S19: what infra/reader-access.yaml lets one of HA's services do, evaluated, not read."""

import io
import json
import re
import time
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from chalicelib import config
from ha_goto_tokens import TokenError, TokenReader
from infra import cloudformation
from infra.cfn_intrinsics import ACCOUNT, REGION, Resolver
from tests.policies.evaluator import EVERYTHING, Request, evaluate
from tests.support.authorised import Asked, authorised, function_arn, key_arn, table_arn
from tests.support.aws import create_tables, environment
from tests.support.fleet import Seed, rows

INFRA = Path(__file__).parents[2] / "infra"
PRODUCT = cloudformation.merged()
ACCESS = cloudformation.load((INFRA / "reader-access.yaml").read_text())

TOKENS = f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/product-Tokens-1"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/TokensKey"
REFRESH_NOW = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:product-RefreshNow-1"
OTHER_ACCOUNT = "222222222222"
READER_ELSEWHERE = f"arn:aws:iam::{OTHER_ACCOUNT}:role/a-service"
VIA_DYNAMODB = {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}
ALLOWED, DENIED = "Allowed", "ImplicitlyDenied"

DATA_ACTIONS = (
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "GetItem",
    "PartiQLDelete",
    "PartiQLInsert",
    "PartiQLSelect",
    "PartiQLUpdate",
    "PutItem",
    "Query",
    "Scan",
    "UpdateItem",
)
READS = ("BatchGetItem", "GetItem")


def stack(**given: str) -> Resolver:
    arns = {"TokensTableArn": TOKENS, "TokensKeyArn": KEY, "RefreshNowArn": REFRESH_NOW}
    made = {"ReaderPolicy": f"arn:aws:iam::{ACCOUNT}:policy/ReaderPolicy"}
    return Resolver(ACCESS, made, **arns | given)


def policy(**given: str) -> Any:
    properties = ACCESS["Resources"]["ReaderPolicy"]["Properties"]
    return stack(**given).resolve(properties["PolicyDocument"])


def of_type(kind: str) -> list[str]:
    return [name for name, made in PRODUCT["Resources"].items() if made.get("Type") == kind]


def key_policy(name: str) -> Any:
    properties = PRODUCT["Resources"][name]["Properties"]
    given = {"Stage": "main", "TenantOrigin": "https://x.example", "MailFrom": "a@b.example"}
    return Resolver(PRODUCT, {}, **given).resolve(properties["KeyPolicy"])


def table_request(action: str, table: str, *keys: str) -> Request:
    """AWS tells the partition keys of every request but a scan, which names none."""
    context = {"dynamodb:LeadingKeys": list(keys)} if keys and action != "Scan" else {}
    return Request(f"dynamodb:{action}", table, context)


def key_request(action: str, name: str, context: dict[str, Any]) -> Request:
    arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{name}"
    return Request(f"kms:{action}", arn, context, resource_policy=key_policy(name))


def test_s19_a_reader_gets_a_token() -> None:
    """S19: the table, through its key, and the function that refreshes."""
    requests = [
        table_request("GetItem", TOKENS, "acme"),
        table_request("BatchGetItem", TOKENS, "acme", "beta"),
        key_request("Decrypt", "TokensKey", VIA_DYNAMODB),
        Request("lambda:InvokeFunction", REFRESH_NOW),
    ]
    assert evaluate([policy()], requests) == [ALLOWED] * 4


def test_s19_every_other_table_is_refused() -> None:
    """S19: with every action on data, reads that it has on `Tokens` included."""
    others = [name for name in of_type("AWS::DynamoDB::Table") if name != "Tokens"]
    assert {"Grants", "Tenants", "Links", "AuthorizationRequests", "Journal"} <= set(others)
    arns = [f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/product-{name}-1" for name in others]
    requests = [table_request(action, arn, "acme") for arn in arns for action in DATA_ACTIONS]
    assert len(requests) >= 5 * len(DATA_ACTIONS)
    assert set(evaluate([policy()], requests)) == {DENIED}


def test_s19_tokens_are_read_by_key_and_never_written_or_listed() -> None:
    """S19: no scan, no query, no write."""
    forbidden = [action for action in DATA_ACTIONS if action not in READS]
    requests = [table_request(action, TOKENS, "acme") for action in forbidden]
    assert set(evaluate([policy()], requests)) == {DENIED}


def test_s19_secrets_are_refused() -> None:
    """S19: of every stage and form of name."""
    arns = [
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:ha-goto/{stage}/acme-AbCdEf"
        for stage in ("main", "test")
    ]
    actions = ("GetSecretValue", "BatchGetSecretValue", "DescribeSecret", "PutSecretValue")
    requests = [
        Request(f"secretsmanager:{action}", "*" if action.startswith("Batch") else arn)
        for arn in arns
        for action in actions
    ]
    assert set(evaluate([policy(Stage="main")], requests)) == {DENIED}


def test_s19_other_keys_are_refused_and_its_own_serves_dynamodb_alone() -> None:
    """S19: under the key policies of the product's own template."""
    others = [name for name in of_type("AWS::KMS::Key") if name != "TokensKey"]
    assert {"GrantsKey", "RequestsKey", "SecretsKey"} <= set(others)
    requests = [
        key_request(action, name, VIA_DYNAMODB)
        for name in others
        for action in ("Decrypt", "Encrypt", "GenerateDataKey")
    ]
    elsewhere = "dynamodb.eu-west-1.amazonaws.com"
    secrets = f"secretsmanager.{REGION}.amazonaws.com"
    requests += [
        key_request("Decrypt", "TokensKey", {}),
        key_request("Decrypt", "TokensKey", {"kms:ViaService": secrets}),
        key_request("Decrypt", "TokensKey", {"kms:ViaService": elsewhere}),
        key_request("Encrypt", "TokensKey", VIA_DYNAMODB),
        key_request("ScheduleKeyDeletion", "TokensKey", {}),
        key_request("CreateGrant", "TokensKey", VIA_DYNAMODB),
    ]
    assert set(evaluate([policy()], requests)) == {DENIED}


def test_s19_other_functions_and_the_queues_are_refused() -> None:
    """S19: in particular `rep_command`, which holds the rep's whole power."""
    functions = [
        re.sub("RefreshNow", name, REFRESH_NOW)
        for name in ("RepCommand", "RefreshTick", "RefreshLane", "Complete", "AfterRestore")
    ]
    requests = [Request("lambda:InvokeFunction", arn) for arn in functions]
    requests += [
        Request("lambda:GetFunction", REFRESH_NOW),
        Request("lambda:UpdateFunctionCode", REFRESH_NOW),
        Request("sqs:ReceiveMessage", f"arn:aws:sqs:{REGION}:{ACCOUNT}:product-RescueQueue-1"),
    ]
    assert set(evaluate([policy()], requests)) == {DENIED}


def test_s19_a_confined_reader_reads_its_tenant_and_no_other() -> None:
    """S19: not in a batch that names its own too, nor where AWS tells no key at all."""
    requests = [
        table_request("GetItem", TOKENS, "acme"),
        table_request("BatchGetItem", TOKENS, "acme"),
        table_request("GetItem", TOKENS, "beta"),
        table_request("GetItem", TOKENS, "acme-2"),
        table_request("BatchGetItem", TOKENS, "acme", "beta"),
        table_request("BatchGetItem", TOKENS, "beta"),
        table_request("GetItem", TOKENS),
        table_request("BatchGetItem", TOKENS),
        table_request("Scan", TOKENS),
        key_request("Decrypt", "TokensKey", VIA_DYNAMODB),
    ]
    answers = evaluate([policy(Tenant="acme")], requests)
    assert answers == [ALLOWED, ALLOWED, *[DENIED] * 7, ALLOWED]


def test_the_null_condition_is_what_refuses_a_request_without_keys() -> None:
    """Without it the confinement would let such a request through: the test above can fail."""
    loose = json.loads(json.dumps(policy(Tenant="acme")))
    del loose["Statement"][0]["Condition"]["Null"]
    assert evaluate([loose], [table_request("GetItem", TOKENS)]) == [ALLOWED]


def test_the_names_of_a_stage_may_be_looked_up_where_the_stack_says_so() -> None:
    def parameter(name: str) -> Request:
        return Request("ssm:GetParameter", f"arn:aws:ssm:{REGION}:{ACCOUNT}:parameter{name}")

    asked = [parameter("/ha-goto/main/reader"), parameter("/ha-goto/test/reader")]
    assert evaluate([policy(Stage="main")], asked) == [ALLOWED, DENIED]
    assert evaluate([policy()], asked) == [DENIED, DENIED]


def test_what_is_published_is_what_the_reader_reads() -> None:
    resource = ACCESS["Resources"]["Names"]
    made = stack(Stage="main").resolve(resource["Properties"])
    assert made["Name"] == "/ha-goto/main/reader"
    expected = {"table": "product-Tokens-1", "refresh_function": REFRESH_NOW}
    assert json.loads(made["Value"]) == expected
    assert stack(Stage="main").holds(resource["Condition"])
    assert not stack(Stage="main", PublishNames="no").holds(resource["Condition"])
    assert not stack().holds(resource["Condition"])


@pytest.mark.parametrize("principals", [OTHER_ACCOUNT, READER_ELSEWHERE])
def test_the_role_is_assumed_by_those_named_and_by_no_other(principals: str) -> None:
    """From another account: its own policy allows everything, the role's trust decides."""
    role = f"arn:aws:iam::{ACCOUNT}:role/ReaderRole"
    resource = ACCESS["Resources"]["ReaderRole"]
    made = stack(ReaderPrincipals=principals)
    assert made.holds(resource["Condition"])
    properties = made.resolve(resource["Properties"])
    assert properties["ManagedPolicyArns"] == [f"arn:aws:iam::{ACCOUNT}:policy/ReaderPolicy"]
    trust = properties["AssumeRolePolicyDocument"]
    callers = [
        READER_ELSEWHERE,
        "arn:aws:iam::333333333333:role/a-service",
        f"arn:aws:iam::{OTHER_ACCOUNT}:role/another",
    ]
    asked = [
        Request("sts:AssumeRole", role, principal=caller, resource_policy=trust)
        for caller in callers
    ]
    whole_account = principals == OTHER_ACCOUNT
    expected = [ALLOWED, DENIED, ALLOWED if whole_account else DENIED]
    assert evaluate([EVERYTHING], asked) == expected


def test_an_external_id_is_demanded_where_one_is_set() -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/ReaderRole"
    made = stack(ReaderPrincipals=READER_ELSEWHERE, ExternalId="ours")
    properties = made.resolve(ACCESS["Resources"]["ReaderRole"]["Properties"])
    trust = properties["AssumeRolePolicyDocument"]
    asked = [
        Request("sts:AssumeRole", role, context, READER_ELSEWHERE, trust)
        for context in ({"sts:ExternalId": "ours"}, {"sts:ExternalId": "theirs"}, {})
    ]
    assert evaluate([EVERYTHING], asked) == [ALLOWED, DENIED, DENIED]


def test_there_is_no_role_where_nobody_is_named() -> None:
    assert not stack().holds(ACCESS["Resources"]["ReaderRole"]["Condition"])


def calls_of_a_reader() -> set[Asked]:
    """What the reader library asks AWS for: names, tokens, a refresh."""
    asked: set[Asked] = set()
    session = boto3.Session("test", "test", region_name=REGION)

    def hear(**told: Any) -> None:
        model = told["model"]
        asked.update(authorised(model.service_model.service_name, model.name, told["params"]))

    def answer(**told: Any) -> Any:
        http = type("Http", (), {"status_code": 200, "headers": {}})
        return http, {"Payload": io.BytesIO(json.dumps({"outcome": "later"}).encode())}

    with mock_aws():
        dynamodb: Any = session.client("dynamodb")
        settings = config.load(environment(create_tables(dynamodb, "product-")))
        now = int(time.time())
        seed = Seed("acme", now, now + 3600, now + 2400, "access-1", "refresh-1")
        row = rows(settings, seed)[settings.tokens_table]
        dynamodb.put_item(TableName=settings.tokens_table, Item=row)
        published = {"table": "product-Tokens", "refresh_function": "product-RefreshNow"}
        name, value = "/ha-goto/main/reader", json.dumps(published)
        session.client("ssm").put_parameter(Name=name, Value=value, Type="String")
        session.events.register("before-parameter-build", hear)
        session.events.register("before-call.lambda.Invoke", answer)
        clients: dict[str, Any] = {
            "dynamodb": session.client("dynamodb"),
            "lambda_client": session.client("lambda"),
            "ssm": session.client("ssm"),
        }
        reader = TokenReader("main", **clients)
        token = reader.get("acme")
        reader.get_many(["acme", "beta"])
        with pytest.raises(TokenError):
            reader.rejected(token)
    return asked


@pytest.mark.parametrize("tenant", ["", "acme"])
def test_s21_the_policy_is_what_the_library_asks_for_and_no_more(tenant: str) -> None:
    """S21: nothing denied that it uses, nothing allowed that it does not."""
    asked = sorted(calls_of_a_reader())
    given = {
        "TokensTableArn": table_arn("Tokens"),
        "TokensKeyArn": key_arn("TokensKey"),
        "RefreshNowArn": function_arn("RefreshNow"),
    }
    document = policy(Stage="main", Tenant=tenant, **given)
    requests = [_as_reader(one) for one in asked]
    assert {one.action for one in asked} == {
        action
        for statement in document["Statement"]
        for action in (
            statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
        )
    }
    several = [one.action == "dynamodb:BatchGetItem" and bool(tenant) for one in asked]
    expected = [DENIED if denied else ALLOWED for denied in several]
    assert evaluate([document], requests) == expected
    assert {statement["Resource"] for statement in document["Statement"]} == {
        one.resource for one in asked
    }


def _as_reader(asked: Asked) -> Request:
    """With the keys that the library asked for, which AWS tells of each request."""
    context = {name: list(v) if isinstance(v, tuple) else v for name, v in asked.context}
    if asked.action.startswith("dynamodb:"):
        batch = asked.action == "dynamodb:BatchGetItem"
        context["dynamodb:LeadingKeys"] = ["acme", "beta"] if batch else ["acme"]
    held = key_policy("TokensKey") if asked.action.startswith("kms:") else None
    return Request(asked.action, asked.resource, context, resource_policy=held)
