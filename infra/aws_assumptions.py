"""What we believe about AWS and only AWS can confirm: how to check it, and what to do if false.

A check changes nothing lasting. If the local cloud can't show a belief, its check says so.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from infra import runtime
from infra.smoke import TICK

PATIENCE, PAUSE = 240, 5
"""Seconds to wait for an alarm or a mail, and between two looks."""

TENANT = "prove-aws"
NOBODY = "success@simulator.amazonses.com"
"""SES's mailbox simulator, which accepts every mail."""

ACCEPTS = ("text/html", "*/*", "application/json", None)
HEADER = "default-src; form-action; frame-ancestors; base-uri"


class NotSo(Exception):
    """The belief is false; the message says in one sentence what was seen."""


class Unproven(Exception):
    """The belief can't be checked here; the message says why in one sentence."""


@dataclass(frozen=True)
class Stage:
    """A deployed stage. ``rep`` sends one of the rep's commands; ``local``: on the local cloud."""

    stack: Mapping[str, Any]
    outputs: Mapping[str, str]
    resources: Mapping[str, str]
    parameters: Mapping[str, str]
    client: Callable[[str], Any]
    rep: Callable[..., dict[str, Any]]
    local: bool
    pause: Callable[[float], None]

    def on_aws(self, why: str) -> None:
        """Raise `Unproven` on the local cloud; ``why`` continues "The local cloud"."""
        if self.local:
            raise Unproven(f"The local cloud {why}.")

    def until(self, looks: Callable[[], bool]) -> bool:
        """Repeat a check for `PATIENCE` seconds; whether it succeeded."""
        for _ in range(PATIENCE // PAUSE):
            if looks():
                return True
            self.pause(PAUSE)
        return looks()


@dataclass(frozen=True)
class Belief:
    """``look`` returns what was seen, or raises `NotSo` or `Unproven`. ``then``: what to do."""

    says: str
    look: Callable[[Stage], str]
    then: str
    spare: bool = False


def _protected(stage: Stage) -> str:
    if not stage.stack.get("EnableTerminationProtection"):
        raise NotSo("The stack can be deleted by anybody with cloudformation:DeleteStack.")
    return ""


def _runtime(stage: Stage) -> str:
    stage.on_aws("runs any Python")
    function = stage.client("lambda").get_function_configuration(
        FunctionName=stage.outputs["WebFunction"]
    )
    if function["Runtime"] != runtime.NAME:
        raise NotSo(f"Lambda runs {function['Runtime']}.")
    return runtime.NAME


def _made_under_its_key(stage: Stage) -> str:
    stage.on_aws("enforces no key policy")
    table = stage.client("dynamodb").describe_table(TableName=stage.outputs["GrantsTable"])["Table"]
    under = table.get("SSEDescription", {})
    if not under.get("KMSMasterKeyArn", "").endswith(stage.resources["GrantsKey"]):
        raise NotSo("Grants is under another key.")
    if under.get("Status") != "ENABLED":
        raise NotSo(f"Encryption of Grants is {under.get('Status')}.")
    return ""


def _operator_kept_out(stage: Stage) -> str:
    stage.on_aws("enforces no key policy")
    try:
        stage.client("dynamodb").get_item(
            TableName=stage.outputs["GrantsTable"], Key={"tenant": {"S": "#nobody"}}
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "AccessDeniedException":
            return ""
        raise
    raise NotSo("You can read Grants without being named in KeyOperators.")


ROLES = (
    ("APIHandlerRole", "dynamodb:GetItem", "GrantsTable", False),
    ("APIHandlerRole", "dynamodb:GetItem", "TokensTable", True),
    ("RepCommandRole", "secretsmanager:GetSecretValue", "", False),
    ("RefreshTickRole", "secretsmanager:GetSecretValue", "", True),
    ("AnnounceRole", "dynamodb:Scan", "TenantsTable", False),
)
"""Role, action, its table (empty: the stage's secrets), and whether IAM must allow it."""


def _roles(stage: Stage) -> str:
    stage.on_aws("enforces no policy of IAM")
    iam, dynamodb = stage.client("iam"), stage.client("dynamodb")
    wrong = []
    for name, action, table, allowed in ROLES:
        logical = name.replace("APIHandler", "ApiHandler")
        role = iam.get_role(RoleName=stage.resources[logical])["Role"]["Arn"]
        account, partition = role.split(":")[4], role.split(":")[1]
        place = (
            dynamodb.describe_table(TableName=stage.outputs[table])["Table"]["TableArn"]
            if table
            else f"arn:{partition}:secretsmanager:{dynamodb.meta.region_name}:{account}"
            f":secret:ha-goto/{stage.parameters['Stage']}/x-AbCdEf"
        )
        decision = iam.simulate_principal_policy(
            PolicySourceArn=role, ActionNames=[action], ResourceArns=[place]
        )["EvaluationResults"][0]["EvalDecision"]
        if (decision == "allowed") is not allowed:
            wrong.append(f"{name} {action}: {decision}")
    if wrong:
        raise NotSo("; ".join(wrong) + ".")
    return f"{len(ROLES)} decisions of IAM's own simulator"


def _gateway_answers(stage: Stage) -> str:
    stage.on_aws("stores gateway responses and does not apply them")
    for accept in ACCEPTS:
        headers = _answer(stage.outputs["PagesURL"] + "/nothing-here", accept)[1]
        if headers.get("Content-Security-Policy") != HEADER:
            raise NotSo(f"With Accept {accept} the gateway's error does not have our headers.")
        if not headers.get("Content-Type", "").startswith("text/html"):
            raise NotSo(f"With Accept {accept} it is {headers.get('Content-Type')}.")
    return ""


def _answer(address: str, accept: str | None) -> tuple[int, Mapping[str, str]]:
    request = urllib.request.Request(address, headers={"Accept": accept} if accept else {})  # noqa: S310 # nosec B310 - https, from the stack's outputs
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 # nosec B310 - likewise
            return answer.status, dict(answer.headers.items())
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers.items())


def _firewall(stage: Stage) -> str:
    if stage.parameters.get("Firewall") == "off":
        raise Unproven("Firewall is off.")
    gateway = stage.client("apigateway")
    place = (
        f"arn:aws:apigateway:{gateway.meta.region_name}::/restapis/{stage.outputs['ApiId']}"
        f"/stages/{stage.outputs['ApiStage']}"
    )
    if "WebACL" not in stage.client("wafv2").get_web_acl_for_resource(ResourceArn=place):
        raise NotSo("No web ACL is attached to the stage.")
    return ""


def _closed_behind_own_host(stage: Stage) -> str:
    if stage.parameters.get("Front", "forwarded") == "forwarded":
        raise Unproven("Front is forwarded: the API's own address is what it forwards to.")
    region = stage.client("lambda").meta.region_name
    address = f"https://{stage.outputs['ApiId']}.execute-api.{region}.amazonaws.com/api/healthz"
    status, _ = _answer(address, None)
    if status != 403:
        raise NotSo(f"The API's own address answers {status}.")
    return ""


def _stream_read(stage: Stage) -> str:
    def well() -> bool:
        findings = stage.rep("doctor")["findings"]
        return any(one["name"] == "journal's stream" and one["well"] for one in findings)

    if not stage.until(well):
        raise NotSo("No heartbeat of a tick has come through it.")
    return ""


def _mail_goes_out(stage: Stage) -> str:
    added = stage.rep("tenant_add", tenant=TENANT, display_name="Proving AWS", admin_email=NOBODY)
    if not added.get("ok", True):
        raise NotSo(f"A tenant could not be added: {added['error']}")
    try:
        stage.rep("intake_send", tenant=TENANT)
        if not stage.until(lambda: _sent(stage)):
            raise NotSo("SES has not taken a mail that the journal asks for.")
    finally:
        stage.rep("tenant_remove", tenant=TENANT)
    return "from a rep's command through the stream to SES"


def _sent(stage: Stage) -> bool:
    """Whether the announcer has recorded the mail, which it does once SES has accepted it."""
    dynamodb = stage.client("dynamodb")
    rows = dynamodb.query(
        TableName=stage.outputs["JournalTable"],
        KeyConditionExpression="tenant = :tenant",
        ExpressionAttributeValues={":tenant": {"S": TENANT}},
        ScanIndexForward=False,
    )["Items"]
    row = next((one for one in rows if one["kind"]["S"] == "intake_sent"), None)
    if row is None:
        return False
    key = {"link": {"S": f"sent#{TENANT}#{row['at']['S']}#admin"}}
    return "Item" in dynamodb.get_item(TableName=stage.outputs["LinksTable"], Key=key)


def _alarm_arrives(stage: Stage) -> str:
    topic = stage.client("sns").get_topic_attributes(TopicArn=stage.outputs["AlarmTopic"])
    if not int(topic["Attributes"].get("SubscriptionsConfirmed", 0)):
        raise NotSo("Nobody has confirmed a subscription to the topic of alarms.")
    stage.on_aws("runs no action of an alarm")
    cloudwatch, name = stage.client("cloudwatch"), stage.resources["NotTold"]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="make prove")

    def acted() -> bool:
        history = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")
        newest = [one["HistorySummary"] for one in history["AlarmHistoryItems"][:2]]
        return any(text.startswith("Successfully executed action") for text in newest)

    if not stage.until(acted):
        raise NotSo("CloudWatch could not publish it to the topic.")
    return "see that it has arrived with the people on call"


def _key_that_is_away(stage: Stage) -> str:
    stage.on_aws("asks no key for anything")
    kms, key = stage.client("kms"), stage.resources["GrantsKey"]
    kms.disable_key(KeyId=key)
    try:
        stage.pause(PATIENCE)  # DynamoDB and SQS cache data keys for minutes
        during = _ticked(stage)
    finally:
        kms.enable_key(KeyId=key)
    if not stage.until(lambda: _ticked(stage)):
        raise NotSo("Ticks fail although the key is enabled again.")
    return "ticks went on" if during else "ticks failed, and go on since the key is enabled again"


def _ticked(stage: Stage) -> bool:
    ran = stage.client("lambda").invoke(
        FunctionName=stage.outputs["RefreshTickFunction"], Payload=json.dumps(TICK).encode()
    )
    return "FunctionError" not in ran


def _restored(stage: Stage) -> str:
    stage.on_aws("keeps no history of a table")
    dynamodb, table = stage.client("dynamodb"), stage.outputs["LinksTable"]
    name = f"{table[:200]}-proved-{int(time.time())}"
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=table, TargetTableName=name, UseLatestRestorableTime=True
    )
    try:
        waiter = dynamodb.get_waiter("table_exists")
        waiter.wait(TableName=name, WaiterConfig={"Delay": 20, "MaxAttempts": 180})
        schemas = [
            dynamodb.describe_table(TableName=each)["Table"]["KeySchema"] for each in (table, name)
        ]
        dynamodb.scan(TableName=name, Limit=1)
    finally:
        dynamodb.delete_table(TableName=name)
    if schemas[0] != schemas[1]:
        raise NotSo("The restored table has another key.")
    return "one row of it was read, as `make restore` does"


ALL = (
    Belief("the stack is protected from deletion", _protected, "run `make deploy` again."),
    Belief("Lambda runs the pinned Python", _runtime, "run `make deploy` again."),
    Belief(
        "CloudFormation puts Grants under its key (aws:CalledViaFirst)",
        _made_under_its_key,
        "name the role that deploys in KeyOperators, and deploy again.",
    ),
    Belief(
        "an operator who is not named can't read Grants",
        _operator_kept_out,
        "is your role named in KeyOperators? Otherwise look at the policy of GrantsKey.",
    ),
    Belief(
        "IAM allows and denies the functions' roles what the table says",
        _roles,
        "compare the role with `.venv/bin/python -m infra.roles`, and repair by a deployment.",
    ),
    Belief(
        "the gateway's own errors have our headers, for any Accept",
        _gateway_answers,
        "its answers lack the content policy until infra/template/gateway.yaml is changed.",
    ),
    Belief(
        "the firewall stands before the stage",
        _firewall,
        "run `make deploy` again: AWS may not have known the new stage yet.",
    ),
    Belief(
        "the API's own address is closed behind a host of the stack's own",
        _closed_behind_own_host,
        "in the console, disable the API's default endpoint and deploy its stage.",
    ),
    Belief(
        "the journal's stream is read, through its key",
        _stream_read,
        "runbook, *TellingLate*: the event source mapping of Announce tells its last result.",
    ),
    Belief(
        "a mail goes out",
        _mail_goes_out,
        "run `ha-goto doctor`: is the sender verified, and the account out of SES's sandbox?",
    ),
    Belief(
        "an alarm arrives",
        _alarm_arrives,
        "subscribe and confirm (docs/deploying.md, *Then*); else OperationsKey's policy.",
    ),
    Belief(
        "a key that is disabled and enabled again stops nothing for good",
        _key_that_is_away,
        "runbook, *Keys*.",
        spare=True,
    ),
    Belief(
        "a table can be restored beside itself, and read",
        _restored,
        "is point-in-time recovery on, and are you allowed the key of records?",
        spare=True,
    ),
)
