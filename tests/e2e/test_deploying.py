"""The operator's commands against the local cloud: deploy, diff, roll back, destroy."""

import json
import socket
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra import package
from infra.adopt import IDENTIFIERS, Adopter
from infra.cloudformation import load as cloudformation_template
from infra.deploy import Operator
from infra.rollback_alarms import WATCHED
from infra.smoke import LOOK_SECONDS, Smoke
from infra.stack import Plan, StackFailed
from infra.versions import BEFORE, LIVE, TAGS, Versions
from sandbox.ministack import STACK, UNKNOWN_HERE, MiniStack
from tests.policies import operators

STAGE = "shown"
GIVEN = {
    "Stage": STAGE,
    "TenantOrigin": "https://{tenant}.example.com",
    "MailFrom": "no-reply@example.com",
    **UNKNOWN_HERE,
}


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[MiniStack]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    cloud = MiniStack(tmp_path, port)
    try:
        with operators.overheard(cloud.session) as calls:
            yield cloud
        # S21: whatever the commands have asked for, infra/deployer-access.yaml allows.
        assert operators.denied(calls, "DeployPolicy") == []
    finally:
        cloud.stop()


def operator(aws: MiniStack, answers: str = "", **options: Any) -> Operator:
    """One who answers each question with the next word."""
    words = iter(answers.split())

    def smoke(outputs: dict[str, str]) -> None:
        stage = f"{outputs['ApiId']}/{outputs['ApiStage']}"
        Smoke(aws.session, aws.endpoint, f"{aws.endpoint}/_aws/execute-api/{stage}")(outputs)

    usual: dict[str, Any] = {"smoke": smoke, "ask": lambda _question: next(words)}
    return Operator(aws.session, STAGE, stack=aws.stack, **usual | options)


def deployed(aws: MiniStack) -> bool:
    return aws.stack.live is not None


def stages(aws: MiniStack) -> list[str]:
    """Under which the API answers."""
    api = aws.session.client("apigateway", endpoint_url=aws.endpoint)
    found = api.get_stages(restApiId=aws.stack.outputs["ApiId"])["item"]
    return sorted(stage["stageName"] for stage in found)


def ring(aws: MiniStack, alarm: str) -> None:
    cloudwatch = aws.session.client("cloudwatch", endpoint_url=aws.endpoint)
    cloudwatch.set_alarm_state(
        AlarmName=aws.stack.resources[alarm], StateValue="ALARM", StateReason="a test"
    )


def changed(built: package.Package, folder: Path) -> package.Package:
    """Another version: an alarm rings later."""
    template = folder / "changed.yaml"
    text = built.template.read_text()
    assert text.count("Threshold: 600") == 1
    template.write_text(text.replace("Threshold: 600", "Threshold: 601"))
    return replace(built, template=template, digest="c" * 64)


def test_deploy_diff_update_roll_back_destroy(
    aws: MiniStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = package.build()
    operator(aws).check(aws.lambda_, first)
    assert operator(aws, "no").deploy(first, GIVEN) == 1
    assert not deployed(aws)
    assert operator(aws, "yes").deploy(first, GIVEN) == 0
    shown = capsys.readouterr().out
    assert "Add     Tokens                           AWS::DynamoDB::Table" in shown
    assert f"{STACK} runs {first.digest[:12]} and answers." in shown
    assert set(WATCHED) < set(aws.stack.resources)
    assert stages(aws) == [aws.stack.outputs["ApiStage"]], "no firewall or throttle is before it"

    second = changed(first, tmp_path)
    ring(aws, "TickFails")
    assert operator(aws).diff(second, GIVEN) == 0
    shown = capsys.readouterr().out
    assert "Modify  Overdue" in shown
    assert "TickFails is already ringing, so it will not trigger a rollback." in shown
    assert aws.stack.versions == Versions(first.digest)
    with pytest.raises(StackFailed, match="nothing to go back to"):
        operator(aws).rollback()
    assert operator(aws, "y").deploy(second, GIVEN) == 0
    assert aws.stack.versions == Versions(second.digest, first.digest)

    assert operator(aws, yes=True).rollback() == 0
    assert aws.stack.versions == Versions(first.digest, second.digest)

    tables = set(
        aws.session.client("dynamodb", endpoint_url=aws.endpoint).list_tables()["TableNames"]
    )
    assert operator(aws, "main").destroy() == 1
    assert deployed(aws)
    assert operator(aws, STAGE).destroy() == 0
    assert not deployed(aws)
    kept = aws.session.client("dynamodb", endpoint_url=aws.endpoint).list_tables()["TableNames"]
    assert set(kept) == tables
    assert len(kept) == 7


def test_a_destroyed_stage_is_made_again_with_what_it_left(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables, keys and the queues of GoTo's answers: imported, then deployed over.

    AWS: "Import AWS resources into a CloudFormation stack", CloudFormation User Guide.
    """
    built = package.build()
    assert operator(aws, yes=True).deploy(built, GIVEN) == 0
    table = aws.stack.outputs["TokensTable"]
    row = {"tenant": {"S": "acme"}}
    aws.dynamodb.put_item(TableName=table, Item=row)
    left = _left_by(aws)
    assert {one["LogicalResourceId"] for one in left} > {"Tokens", "GrantsKey", "RescueQueue"}
    assert operator(aws, STAGE).destroy() == 0
    # The local cloud tells nothing of a stack that is gone; tests/unit/test_adopting.py reads it.
    monkeypatch.setattr(Adopter, "_left", lambda _self: left)
    adopter = Adopter(aws.session, STACK, aws.endpoint, yes=True)
    assert adopter.adopt(built.template.read_text(), GIVEN) == 0
    assert operator(aws, yes=True).deploy(built, GIVEN) == 0
    assert aws.stack.outputs["TokensTable"] == table
    assert aws.dynamodb.get_item(TableName=table, Key=row)["Item"] == row
    with pytest.raises(StackFailed, match="There is a stack"):
        adopter.adopt(built.template.read_text(), GIVEN)


def _left_by(aws: MiniStack) -> list[dict[str, Any]]:
    """What a stack will leave, as CloudFormation lists it."""
    cloudformation = aws.session.client("cloudformation", endpoint_url=aws.endpoint)
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=STACK)
    made = cloudformation_template(package.build().template.read_text())["Resources"]
    return [
        dict(one)
        for page in pages
        for one in page["StackResourceSummaries"]
        if one["ResourceType"] in IDENTIFIERS
        and made[one["LogicalResourceId"]].get("DeletionPolicy")
        in ("Retain", "RetainExceptOnCreate")
    ]


def test_a_version_that_does_not_answer_is_taken_back(
    aws: MiniStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = package.build()
    assert operator(aws, yes=True).deploy(first, GIVEN) == 0
    tried: list[str | None] = []

    def smoke(_outputs: dict[str, str]) -> None:
        tried.append(aws.stack.versions.live)
        if tried[-1] != first.digest:
            raise StackFailed("A tick ended in an error.")

    second = changed(first, tmp_path)
    assert operator(aws, yes=True, smoke=smoke).deploy(second, GIVEN) == 1
    assert tried == [second.digest, first.digest]
    assert aws.stack.versions.live == first.digest
    assert "A tick ended in an error." in capsys.readouterr().err


def small(folder: Path, digest: str, *kinds: str) -> package.Package:
    """A package of a few resources, and no code."""
    made = {
        f"Resource{number}": {"Type": kind, "Properties": PROPERTIES.get(kind, {})}
        for number, kind in enumerate(kinds)
    }
    template, code = folder / f"{digest}.yaml", folder / f"{digest}.zip"
    template.write_text(json.dumps({"Parameters": {}, "Resources": made}))
    code.touch()
    return package.Package(template, code, digest)


QUEUE, TOPIC, FAILING = "AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::CloudFormation::WaitCondition"
PROPERTIES = {FAILING: {"Handle": "https://nobody.example/signals", "Timeout": "1"}}
"""It waits for a signal that nobody sends."""


def test_a_stack_that_told_its_versions_by_tags_tells_them_by_outputs(
    aws: MiniStack, tmp_path: Path
) -> None:
    """And can go back to a version that knew nothing of outputs. Other tags are the account's."""
    first, second = small(tmp_path, "a", QUEUE), small(tmp_path, "b", QUEUE, TOPIC)
    aws.stack.publish(first)
    told = {TAGS[LIVE]: "a", TAGS[BEFORE]: "0", "cost": "1"}
    cloudformation = aws.session.client("cloudformation", endpoint_url=aws.endpoint)
    cloudformation.create_stack(
        StackName=STACK,
        TemplateBody=first.template.read_text(),
        Tags=[{"Key": key, "Value": value} for key, value in told.items()],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=STACK, WaiterConfig={"Delay": 1}
    )
    assert aws.stack.versions == Versions("a", "0")
    aws.deploy(second, {})
    assert aws.stack.versions == Versions("b", "a")
    assert (aws.stack.live or {})["Tags"] == [{"Key": "cost", "Value": "1"}]
    plan = aws.stack.plan_back()
    assert plan is not None
    assert [line.split()[:2] for line in plan.lines] == [["Remove", "Resource1"]]
    aws.stack.carry_out(plan)
    assert aws.stack.versions == Versions("a", "b")


def test_what_runs_is_told_truly_where_cloudformation_went_back(
    aws: MiniStack, tmp_path: Path
) -> None:
    aws.deploy(small(tmp_path, "a", QUEUE), {})
    aws.deploy(small(tmp_path, "b", QUEUE, TOPIC), {})
    with pytest.raises(StackFailed, match="The stack failed: Resource2: "):
        aws.deploy(small(tmp_path, "c", QUEUE, TOPIC, FAILING), {})
    assert (aws.stack.live or {})["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert aws.stack.versions == Versions("b", "a")
    plan = aws.stack.plan_back()
    assert plan is not None
    aws.stack.carry_out(plan)
    assert aws.stack.versions == Versions("a", "b")
    with pytest.raises(StackFailed, match="The stack failed: Resource1: "):
        aws.deploy(small(tmp_path, "d", QUEUE, FAILING), {})


def test_what_exists_nowhere_else_is_not_lost_by_the_way(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that a change set would replace: refused, asked or not."""
    lost = "Modify  Tokens  AWS::DynamoDB::Table, replaced"
    plan = Plan("a-change-set", "update", (lost,), (lost,))
    forgotten: list[Plan] = []
    monkeypatch.setattr(aws.stack, "publish", lambda _package: None)
    monkeypatch.setattr(aws.stack, "plan", lambda _digest, _given: plan)
    monkeypatch.setattr(aws.stack, "forget", forgotten.append)
    assert operator(aws, yes=True).deploy(package.build(), GIVEN) == 1
    assert forgotten == [plan]
    assert "exists nowhere else" in capsys.readouterr().out


def keyed(folder: Path, digest: str, attribute: str) -> package.Package:
    """A package of a table with that key."""
    schema = {"AttributeName": attribute}
    table = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [schema | {"AttributeType": "S"}],
            "KeySchema": [schema | {"KeyType": "HASH"}],
        },
    }
    template, code = folder / f"{digest}.yaml", folder / f"{digest}.zip"
    template.write_text(json.dumps({"Parameters": {}, "Resources": {"Tokens": table}}))
    code.touch()
    return package.Package(template, code, digest)


def test_a_table_that_another_key_would_replace_stays(
    aws: MiniStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """CloudFormation says `Conditional` of it: refused, forward and back.

    AWS: "AWS::DynamoDB::Table", CloudFormation Template Reference (`KeySchema`); "Example change
    sets", CloudFormation User Guide.
    """
    first, second = keyed(tmp_path, "a", "tenant"), keyed(tmp_path, "b", "customer")
    fine: dict[str, Any] = {"smoke": lambda _outputs: None}
    assert operator(aws, yes=True, **fine).deploy(first, {}) == 0
    assert operator(aws, yes=True, **fine).deploy(second, {}) == 1
    assert aws.stack.versions.live == "a"
    shown = capsys.readouterr().out
    assert "perhaps replaced (KeySchema)" in shown
    assert "exists nowhere else" in shown

    def smoke(_outputs: dict[str, str]) -> None:
        raise StackFailed("It does not answer.")

    assert operator(aws, yes=True, lose=True, smoke=smoke).deploy(second, {}) == 1
    assert aws.stack.versions.live == "b", "going back would lose what was written since"
    assert "Going back would lose these" in capsys.readouterr().out


def test_a_stack_is_deleted_by_make_destroy_alone(aws: MiniStack, tmp_path: Path) -> None:
    """AWS: "Protect CloudFormation stacks from being deleted", CloudFormation User Guide."""
    fine: dict[str, Any] = {"smoke": lambda _outputs: None}
    assert operator(aws, yes=True, **fine).deploy(small(tmp_path, "a", QUEUE), {}) == 0
    cloudformation = aws.session.client("cloudformation", endpoint_url=aws.endpoint)
    with pytest.raises(ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName=STACK)
    assert operator(aws, STAGE).destroy() == 0
    assert not deployed(aws)


def test_parameters_that_do_not_work_bring_no_older_code_back(
    aws: MiniStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The version before would run with the same parameters, and with rows that it can't read."""
    first = package.build()
    second = changed(first, tmp_path)
    for version in (first, second):
        assert operator(aws, yes=True).deploy(version, GIVEN) == 0
    other = {**GIVEN, "TokenRate": "7"}

    def smoke(_outputs: dict[str, str]) -> None:
        raise StackFailed("The web function does not answer.")

    assert operator(aws, yes=True, smoke=smoke).deploy(second, other) == 1
    assert aws.stack.versions == Versions(second.digest, first.digest)
    assert "put the parameters back" in capsys.readouterr().out


def test_smoke_is_found(aws: MiniStack) -> None:
    aws.deploy(package.build(), GIVEN)
    outputs = aws.stack.outputs
    waited: list[float] = []
    none = f"{aws.endpoint}/_aws/execute-api/none/api"
    warned: list[str] = []
    nowhere = Smoke(aws.session, aws.endpoint, none, waited.append, warned.append)
    nowhere(outputs)
    assert sum(waited) == LOOK_SECONDS
    assert "from this machine" in warned[0]
    with pytest.raises(StackFailed, match="web function"):
        nowhere({**outputs, "WebFunction": outputs["RefreshTickFunction"]})


def test_a_stack_gets_a_host_of_its_own_and_gives_it_back(aws: MiniStack) -> None:
    """Forwarded to, a host for each tenant, one host for all, and forwarded to again."""
    route53 = aws.session.client("route53", endpoint_url=aws.endpoint)
    made = route53.create_hosted_zone(Name="example.com", CallerReference="once")
    zone = made["HostedZone"]["Id"].rpartition("/")[2]
    gateway = aws.session.client("apigateway", endpoint_url=aws.endpoint)

    def hosts(**given: str) -> list[tuple[str, str]]:
        aws.deploy(package.build(), GIVEN | given)
        found = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        names = {domain["domainName"] for domain in gateway.get_domain_names()["items"]}
        records = [(one["Name"].rstrip("."), one["Type"]) for one in found if "AliasTarget" in one]
        assert {name for name, _ in records} == names
        return records

    assert hosts() == []
    every = hosts(Front="wildcard", HostedZoneId=zone)
    assert every == [("*.example.com", "A"), ("*.example.com", "AAAA")]
    one = {"Front": "host", "HostedZoneId": zone, "TenantOrigin": "https://goto.example.com"}
    assert hosts(**one) == [("goto.example.com", "A"), ("goto.example.com", "AAAA")]
    request = urllib.request.Request(
        f"{aws.endpoint}/healthz", headers={"Host": "goto.example.com", **aws.key.header}
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.read() == b'{"ok":true}'
    assert hosts(Front="forwarded", HostedZoneId="") == []
