"""The merged template: what Chalice and infra/ make together, before any cloud sees it."""

import json
import re
from typing import Any

import pytest

from chalicelib.web import pages
from infra import package
from infra.cloudformation import load
from infra.roles import policies
from sandbox.environment import ROOT
from tests.policies.roles import FUNCTIONS, packaged
from tests.support.cloudwatch import children, objectives

CSP = "Content-Security-Policy"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    found: dict[str, Any] = load(package.build().template.read_text())["Resources"]
    return found


def of_type(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    return {name: made for name, made in resources.items() if made["Type"] == kind}


def statements(resources: dict[str, Any], function: str) -> list[dict[str, Any]]:
    role = resources[function]["Properties"]["Role"]["Fn::GetAtt"][0]
    [policy] = resources[role]["Properties"]["Policies"]
    return allowed(policy["PolicyDocument"]["Statement"])


def allowed(statements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Statements, under whatever condition of the template."""
    return [one.get("Fn::If", [None, one])[1] for one in statements]


def test_every_resource_has_a_type(resources: dict[str, Any]) -> None:
    """A wrong logical id in the merge template would be packaged silently."""
    assert {name for name, made in resources.items() if "Type" not in made} == set()


def test_s21_every_function_has_its_own_role_and_policy(resources: dict[str, Any]) -> None:
    """S21: one whose name is misspelt in the table would fall back to the policy that only logs."""
    assert set(of_type(resources, "AWS::Serverless::Function")) == set(FUNCTIONS)
    roles = {resources[name]["Properties"]["Role"]["Fn::GetAtt"][0] for name in FUNCTIONS}
    assert len(roles) == len(FUNCTIONS)
    for function, expanded in policies().items():
        assert statements(resources, function) == allowed(expanded)


def test_s21_no_policy_names_everything(resources: dict[str, Any]) -> None:
    """S21: listing streams and sending traces: AWS knows no resource for either."""
    wide = {
        (function, statement["Sid"])
        for function in FUNCTIONS
        for statement in statements(resources, function)
        if statement["Resource"] == "*" or "*" in statement["Action"]
    }
    nameless = {("Announce", "ListStreams"), ("RepCommand", "LookAtMailAccount")}
    assert wide == nameless | {(name, "SendTraces") for name in FUNCTIONS}


def test_s19_the_web_role_reaches_no_grant_and_no_secret(resources: dict[str, Any]) -> None:
    """S19: refresh tokens and client secrets have their own tables, keys and roles."""
    held = statements(resources, "APIHandler")
    secrets = [one for one in held if "secretsmanager" in json.dumps(one)]
    [place] = [one["Resource"]["Fn::Sub"] for one in secrets]
    assert place.endswith(":secret:${VisitorKey}-??????")
    text = json.dumps(held)
    for beyond in ("Grants", "GrantsKey", "SecretsKey", "ha-goto/", "ses:"):
        assert beyond not in text


def test_s19_the_visitors_key_is_read_where_visitors_are_known() -> None:
    """S19: in *off* the web role reads no secret at all, and none is a tenant's."""
    for mode, count in (("off", 0), ("optional", 1), ("required", 1)):
        held = packaged(VisitorIdentity=mode).statements["APIHandler"]
        assert sum("secretsmanager" in json.dumps(one) for one in held) == count
    with pytest.raises(ValueError, match="VisitorKey"):
        packaged(VisitorKey="ha-goto/test/acme")


def test_s19_the_intake_keeps_secrets_and_reads_none(resources: dict[str, Any]) -> None:
    """S19: what the web function hands a secret to can't give one back."""
    text = json.dumps(statements(resources, "Intake"))
    assert "secretsmanager:PutSecretValue" in text
    for beyond in ("GetSecretValue", "BatchGet", '"Tokens', '"AuthorizationRequests', "lambda:"):
        assert beyond not in text
    grants = [s for s in statements(resources, "Intake") if "Grants" in json.dumps(s["Resource"])]
    assert [s["Action"] for s in grants if "dynamodb:" in s["Action"][0]] == [
        ["dynamodb:UpdateItem"]
    ]


@pytest.mark.parametrize("kind", ["DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "WAF_FILTERED"])
def test_s11_the_gateways_own_errors_carry_the_headers(
    resources: dict[str, Any], kind: str
) -> None:
    """S11: what no function of ours answers; the browser's part of it is in tests/e2e."""
    body = resources["RestAPI"]["Properties"]["DefinitionBody"]
    answer = body["x-amazon-apigateway-gateway-responses"][kind]
    sent = {
        name.removeprefix("gatewayresponse.header."): value.strip("'")
        for name, value in answer["responseParameters"].items()
    }
    ours = {name: value for name, value in pages.headers(None).items() if name != CSP}
    assert {name: sent.get(name) for name in ours} == ours
    assert sent[CSP] == "default-src; form-action; frame-ancestors; base-uri"
    templates = answer["responseTemplates"]
    assert "hireanalytiX" in templates["text/html"]
    # By Accept; without one, or with */*, API Gateway takes application/json.
    assert templates["application/json"] == templates["text/html"]
    assert sent["Content-Type"] == "text/html; charset=utf-8"


def test_every_table_that_must_last_is_kept_and_backed_up(resources: dict[str, Any]) -> None:
    tables = of_type(resources, "AWS::DynamoDB::Table")
    assert len(tables) == 7
    for name, table in tables.items():
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        backed_up = "PointInTimeRecoverySpecification" in table["Properties"]
        assert backed_up == (name != "AuthorizationRequests")
        assert table["Properties"]["DeletionProtectionEnabled"] is True


def test_tables_with_secrets_are_under_their_own_keys(resources: dict[str, Any]) -> None:
    keys = {
        name: made["Properties"]["SSESpecification"]["KMSMasterKeyId"]["Fn::GetAtt"]
        for name, made in of_type(resources, "AWS::DynamoDB::Table").items()
        if "SSESpecification" in made["Properties"]
    }
    assert set(keys) == set(of_type(resources, "AWS::DynamoDB::Table"))
    secret = {keys.pop(name)[0] for name in ("Tokens", "Grants", "AuthorizationRequests")}
    assert len(secret) == 3
    assert {key[0] for key in keys.values()} == {"RecordsKey"}


def test_every_function_is_traced_and_the_gateway_is_not(resources: dict[str, Any]) -> None:
    """S20: traces of the gateway hold whole addresses; those of Lambda times and outcomes alone."""
    traced = {resources[name]["Properties"]["Tracing"] for name in FUNCTIONS}
    assert traced == {"Active"}
    assert not resources["RestAPI"]["Properties"].get("TracingEnabled")


def test_functions_run_on_arm(resources: dict[str, Any]) -> None:
    architectures = [resources[name]["Properties"]["Architectures"] for name in FUNCTIONS]
    assert architectures == [["arm64"]] * len(FUNCTIONS)


def test_f21_a_completion_is_not_repeated_by_lambda(resources: dict[str, Any]) -> None:
    """F21: no retries, and nothing that waited longer than the page does."""
    configured = resources["Complete"]["Properties"]["EventInvokeConfig"]
    assert configured == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60}


def test_f03_the_rescue_queue_is_under_the_grants_key_and_ends_in_an_alarm(
    resources: dict[str, Any],
) -> None:
    """F03: it holds refresh tokens; what can't be committed is an alarm, never a silent drop."""
    for name in ("RescueQueue", "LostAnswers"):
        key = resources[name]["Properties"]["KmsMasterKeyId"]["Fn::GetAtt"]
        assert key == ["GrantsKey", "Arn"]
    for queue in of_type(resources, "AWS::SQS::Queue").values():
        encrypted = {"KmsMasterKeyId", "SqsManagedSseEnabled"} & set(queue["Properties"])
        assert len(encrypted) == 1
    redrive = resources["RescueQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["LostAnswers", "Arn"]}
    watched = {
        alarm["Properties"]["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values()
        if alarm["Properties"]["Namespace"] == "AWS/SQS"
    }
    assert watched == {"LostAnswers", "Unannounced"}
    assert resources["RescueWaits"]["Properties"]["MetricName"] == "RescueDepth"
    [source] = resources["Rescue"]["Properties"]["Events"].values()
    assert source["Properties"]["Queue"] == {"Fn::GetAtt": ["RescueQueue", "Arn"]}


def test_a_stage_hears_of_its_own_mails_only(resources: dict[str, Any]) -> None:
    """The bus that SES tells is the account's."""
    listens = resources["MailFeedback"]["Properties"]["Events"]["MailFeedbackEvent"]["Properties"]
    assert listens["Pattern"] == {
        "source": ["aws.ses"],
        "detail": {
            "eventType": ["Bounce", "Complaint", "Reject"],
            "mail": {"tags": {"ses:configuration-set": [{"Ref": "MailConfiguration"}]}},
        },
    }


def test_the_tick_comes_every_minute(resources: dict[str, Any]) -> None:
    [event] = resources["RefreshTick"]["Properties"]["Events"].values()
    assert event["Properties"]["Schedule"] == "rate(1 minute)"


def test_the_due_index_holds_keys_only(resources: dict[str, Any]) -> None:
    due, ending = resources["Grants"]["Properties"]["GlobalSecondaryIndexes"]
    assert due["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert ending["Projection"]["NonKeyAttributes"] == ["status"]


def test_the_template_has_no_yaml_aliases() -> None:
    """CloudFormation does not read them."""
    assert re.search(r"[&*]id\d{3}", package.build().template.read_text()) is None


def test_each_alarm_reaches_a_person_and_has_its_page(resources: dict[str, Any]) -> None:
    """Sent when it begins and when it is over; its description ends with the runbook's section."""
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    windows = {child for made in objectives().values() for child in children(made)}
    telling = {name: made for name, made in alarms.items() if name not in windows}
    telling |= objectives()
    for name, alarm in telling.items():
        properties = alarm["Properties"]
        assert properties["AlarmActions"] == properties["OKActions"] == [{"Ref": "Alarms"}]
        assert properties["AlarmDescription"].endswith(f" docs/runbook.md#{name.lower()}")
    text = (ROOT / "docs" / "runbook.md").read_text()
    assert re.findall(r"^### (\w+)$", text, re.MULTILINE) == sorted(telling)


def test_alarms_can_be_published(resources: dict[str, Any]) -> None:
    """CloudWatch may use the topic's key; under AWS's own key no alarm would arrive."""
    key = resources["Alarms"]["Properties"]["KmsMasterKeyId"]["Fn::GetAtt"][0]
    users = {
        statement["Principal"].get("Service"): statement["Action"]
        for statement in resources[key]["Properties"]["KeyPolicy"]["Statement"]
        if isinstance(statement["Principal"].get("Service"), str)
    }
    assert users["cloudwatch.amazonaws.com"] == ["kms:Decrypt", "kms:GenerateDataKey*"]


def test_a_missing_tick_is_an_alarm(resources: dict[str, Any]) -> None:
    """No invocation makes no data: that is what it is for."""
    alarm = resources["TickMissing"]["Properties"]
    assert alarm["TreatMissingData"] == "breaching"
    assert (alarm["Threshold"], alarm["ComparisonOperator"]) == (1, "LessThanThreshold")


def test_s20_every_log_is_encrypted_and_ends(resources: dict[str, Any]) -> None:
    groups = of_type(resources, "AWS::Logs::LogGroup")
    assert set(groups) - {"AccessLog"} == {name for name in groups if name.endswith("LogGroup")}
    assert len(groups) == len(FUNCTIONS) + 1
    for group in groups.values():
        assert group["Properties"]["KmsKeyId"] == {"Fn::GetAtt": ["OperationsKey", "Arn"]}
        assert group["Properties"]["RetentionInDays"] == 90


def test_s16_s20_the_gateway_throttles_and_logs_no_request(resources: dict[str, Any]) -> None:
    """S20: a log of executions holds whole addresses, and with them links and codes."""
    api = resources["RestAPI"]["Properties"]
    stage, *routes = api["MethodSettings"]
    assert (stage["ResourcePath"], stage["HttpMethod"]) == ("/*", "*")
    posts = {
        f"/{path.replace('/', '~1')}"
        for path, methods in api["DefinitionBody"]["paths"].items()
        if "post" in methods
    }
    assert {(route["ResourcePath"], route["HttpMethod"]) for route in routes} == {
        (path, "POST") for path in posts
    }
    for settings in (stage, *routes):
        assert 0 < settings["ThrottlingRateLimit"] <= settings["ThrottlingBurstLimit"] <= 200
        assert settings["LoggingLevel"] == "OFF"
        assert settings["DataTraceEnabled"] is False


def test_s11_no_page_is_compressed(resources: dict[str, Any]) -> None:
    """A page shows a token: its compressed length could tell of it (BREACH)."""
    assert "MinimumCompressionSize" not in resources["RestAPI"]["Properties"]


def test_s20_the_access_log_names_routes_only(resources: dict[str, Any]) -> None:
    """S20: a path holds a link; a query a code and a state."""
    written = json.loads(resources["RestAPI"]["Properties"]["AccessLogSetting"]["Format"])
    assert set(written.values()) == {
        "$context.requestId",
        "$context.httpMethod",
        "$context.resourcePath",
        "$context.status",
        "$context.responseLatency",
        "$context.responseLength",
        "$context.identity.sourceIp",
        "$context.requestTimeEpoch",
    }


def test_keys_are_named_for_people_and_go_with_a_failed_first_deployment(
    resources: dict[str, Any],
) -> None:
    """AWS: "DeletionPolicy attribute", CloudFormation Template Reference.

    Tables stay even then: they are protected, and CloudFormation could not delete them.
    """
    keys = of_type(resources, "AWS::KMS::Key")
    aliases = of_type(resources, "AWS::KMS::Alias").values()
    named = {made["Properties"]["TargetKeyId"]["Ref"]: made["Properties"] for made in aliases}
    assert set(named) == set(keys)
    for name, key in keys.items():
        purpose = name.removesuffix("Key").lower()
        assert named[name]["AliasName"] == {"Fn::Sub": f"alias/ha-goto-${{Stage}}-{purpose}"}
        assert key["DeletionPolicy"] == "RetainExceptOnCreate"
        assert key["UpdateReplacePolicy"] == "Retain"


def test_the_gateway_s_metrics_per_method_are_off(resources: dict[str, Any]) -> None:
    """AWS: "Amazon API Gateway dimensions and metrics", Developer Guide: they are charged each; all
    alarms and the dashboard look at the API's own, which are not."""
    settings = resources["RestAPI"]["Properties"]["MethodSettings"]
    assert {one["MetricsEnabled"] for one in settings} == {False}


def test_f35_the_stream_is_read_from_its_beginning(resources: dict[str, Any]) -> None:
    """F35: AWS: "Polling and stream starting positions", Lambda Developer Guide (with DynamoDB):
    LATEST could miss events while a mapping is created or updated."""
    events = resources["Announce"]["Properties"]["Events"]
    assert events["AnnounceDynamodbEventSource"]["Properties"]["StartingPosition"] == "TRIM_HORIZON"
    assert events["MailsWaitingSqsEventSource"]["Type"] == "SQS"
