"""S21: what infra/deployer-access.yaml lets those do who deploy and operate a stage, against what
their commands and CloudFormation ask for.

What CloudFormation asks for to make a resource is published with the resource's schema, which
cfn-lint brings: "handlers", CloudFormation CLI User Guide, *Resource type definition schema*.
"""

import ast
import json
import re
from functools import cache
from typing import Any

from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

from infra import cloudformation, package
from infra.cfn_intrinsics import ACCOUNT, REGION, Resolver, made_of
from sandbox.environment import ROOT
from tests.policies import operators, roles
from tests.policies.evaluator import Request, evaluate, evaluate_each
from tests.policies.operators import ACCESS, INFRA, ZONE, policy
from tests.support.aws import session

ALLOWED, DENIED = "Allowed", "ImplicitlyDenied"
THROUGH = {"aws:CalledViaFirst": "cloudformation.amazonaws.com"}
LONGEST_POLICY = 6_144
"""Characters of a managed policy, without white space. IAM User Guide, *IAM and AWS STS quotas*."""

EXPANDED = {
    "AWS::Serverless::Api": ["RestApi", "Deployment", "Stage"],
    "AWS::Serverless::Function": ["Function", "EventSourceMapping", "EventInvokeConfig"],
}
"""What the transform makes of them; rules and permissions besides."""

UNUSED = {
    "acm-pca": "the certificate is a public one",
    "amplify": "a firewall before an application of Amplify",
    "apigateway:UpdateRestApiPolicy": "the API has no policy",
    "apprunner": "a firewall before App Runner",
    "appsync": "a firewall before AppSync",
    "bedrock-agentcore": "a firewall before a gateway of Bedrock",
    "cognito-idp": "a firewall before a user pool",
    "dynamodb:AssociateTableReplica": "there are no replicas",
    "dynamodb:BatchWriteItem": "a replica's rows",
    "dynamodb:CreateTableReplica": "there are no replicas",
    "dynamodb:DeleteItem": "a replica's rows",
    "dynamodb:DeleteResourcePolicy": "tables have no policy",
    "dynamodb:DescribeImport": "no table is imported",
    "dynamodb:DisableKinesisStreamingDestination": "nothing streams to Kinesis",
    "dynamodb:EnableKinesisStreamingDestination": "nothing streams to Kinesis",
    "dynamodb:GetItem": "a replica's rows",
    "dynamodb:ImportTable": "no table is imported",
    "dynamodb:PutItem": "a replica's rows",
    "dynamodb:PutResourcePolicy": "tables have no policy",
    "dynamodb:Query": "a replica's rows",
    "dynamodb:Scan": "a replica's rows",
    "dynamodb:UpdateContributorInsights": "off",
    "dynamodb:UpdateItem": "a replica's rows",
    "dynamodb:UpdateKinesisStreamingDestination": "nothing streams to Kinesis",
    "ec2": "no function is in a VPC",
    "elasticfilesystem": "no function mounts a disk",
    "elasticloadbalancing": "a firewall before a load balancer",
    "events:PutPermission": "the bus is the account's own",
    "events:RemovePermission": "the bus is the account's own",
    "firehose": "no log is delivered",
    "iam:DeleteRolePermissionsBoundary": "roles have no boundary",
    "iam:PutRolePermissionsBoundary": "roles have no boundary",
    "kinesis": "nothing streams to Kinesis",
    "kms:GenerateDataKeyWithoutPlaintext": "the bus is under no key of ours",
    "kms:ReEncrypt": "the bus is under no key of ours",
    "kms:RevokeGrant": "a table keeps its key",
    "lambda:AssociateRuntimeAlias": "functions have no pinned runtime version",
    "lambda:DeleteFunctionCodeSigningConfig": "code is not signed",
    "lambda:GetCodeSigningConfig": "code is not signed",
    "lambda:GetLayerVersion": "there are no layers",
    "lambda:PassCapacityProvider": "there is no capacity provider",
    "lambda:PublishVersion": "there are no versions",
    "lambda:PutFunctionCodeSigningConfig": "code is not signed",
    "lambda:PutFunctionRecursionConfig": "as AWS has it",
    "lambda:PutFunctionScalingConfig": "as AWS has it",
    "lambda:PutRuntimeManagementConfig": "as AWS has it",
    "logs:CreateLogDelivery": "no log is delivered",
    "logs:CreateLogStream": "no table is imported",
    "logs:DeleteDataProtectionPolicy": "there is none",
    "logs:DeleteIndexPolicy": "there is none",
    "logs:DeleteResourcePolicy": "there is none",
    "logs:DescribeLogStreams": "no table is imported",
    "logs:PutBearerTokenAuthentication": "off",
    "logs:PutDataProtectionPolicy": "there is none",
    "logs:PutIndexPolicy": "there is none",
    "logs:PutLogEvents": "no table is imported",
    "logs:PutLogGroupDeletionProtection": "off",
    "logs:PutResourcePolicy": "there is none",
    "payments": "no rule group of the marketplace",
    "s3:GetObjectMetadata": "no table is imported",
    "s3:GetObjectVersion": "the bucket keeps no versions",
    "s3:REST.PUT.OBJECT": "no log is delivered",
    "s3files": "no function mounts a disk",
    "ses:PutConfigurationSetArchivingOptions": "as AWS has it",
    "ses:PutConfigurationSetDeliveryOptions": "as AWS has it",
    "ses:PutConfigurationSetSendingOptions": "as AWS has it",
    "ses:PutConfigurationSetTrackingOptions": "as AWS has it",
    "ses:PutConfigurationSetVdmOptions": "as AWS has it",
    "sns:PutDataProtectionPolicy": "there is none",
    "sns:Subscribe": "the template subscribes nobody",
    "sns:Unsubscribe": "the template subscribes nobody",
    "wafv2:GetPermissionPolicy": "no rule group is shared",
    "wafv2:PutPermissionPolicy": "no rule group is shared",
}
"""What CloudFormation may ask for, or whole services of it, for what the template does not use."""


POLICIES = [name for name, made in ACCESS["Resources"].items()]
DEPLOY = [name for name in POLICIES if name.startswith("Deploy")]
THROUGH_CLOUDFORMATION = [name for name in DEPLOY if name != "DeployPolicy"]


def actions(*names: str) -> set[str]:
    return set().union(*(_actions_of(policy(name)) for name in names))


def _actions_of(document: Any) -> set[str]:
    given = [statement["Action"] for statement in document["Statement"]]
    return {each for one in given for each in ([one] if isinstance(one, str) else one)}


@cache
def kinds() -> set[str]:
    """Types of resources that CloudFormation makes of the packaged template."""
    made = cloudformation.load(package.build().template.read_text())["Resources"].values()
    types = {resource["Type"] for resource in made}
    expanded = {
        f"AWS::{'ApiGateway' if kind.endswith('Api') else 'Lambda'}::{name}"
        for kind, names in EXPANDED.items()
        for name in names
    }
    return types - set(EXPANDED) | expanded | {"AWS::Events::Rule", "AWS::Lambda::Permission"}


@cache
def asked_by_cloudformation() -> dict[str, set[str]]:
    """By type of resource."""
    found = {}
    for kind in kinds():
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(REGION, kind).schema
        handlers = {name: told for name, told in schema["handlers"].items() if name != "list"}
        found[kind] = {action for told in handlers.values() for action in told["permissions"]}
    return found


def unused(action: str) -> bool:
    return action in UNUSED or action.partition(":")[0] in UNUSED


ANYWHERE = {
    "acm:RequestCertificate",
    "cloudformation:ListStacks",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListDashboards",
    "events:ListRuleNamesByTarget",
    "kms:CreateKey",
    "kms:ListAliases",
    "lambda:CreateEventSourceMapping",
    "lambda:GetAccountSettings",
    "lambda:ListEventSourceMappings",
    "logs:DescribeIndexPolicies",
    "logs:DescribeLogGroups",
    "logs:DescribeResourcePolicies",
    "route53:ListHostedZones",
    "ses:GetAccount",
    "ses:ListSuppressedDestinations",
}
"""Actions for which AWS knows no resource, or none that is there yet."""

NAMELESS = ("acm", "apigateway", "kms", "route53", "ses", "wafv2")
"""Services that choose names themselves: a resource of another stage looks the same."""

UNJUDGED = {
    "apigateway:SetWebACL",
    "lambda:GetFunctionScalingConfig",
    "ses:DescribeConfigurationSet",
}
"""Actions that the evaluator does not know, or not with a resource."""

_NAMED = {
    "cloudformation": "{here}:stack/ha-goto-{stage}/a-number",
    "cloudwatch": "{here}:alarm:ha-goto-{stage}-Overdue-X",
    "dynamodb": "{here}:table/ha-goto-{stage}-Links-X-proved-1",
    "events": "{here}:rule/ha-goto-{stage}-RefreshTick-X",
    "iam": ":{account}:role/ha-goto-{stage}-CompleteRole-X",
    "lambda": "{here}:function:ha-goto-{stage}-RefreshTick-X",
    "logs": "{here}:log-group:/aws/lambda/ha-goto-{stage}-Complete-X",
    "sns": "{here}:ha-goto-{stage}-Alarms-X",
    "sqs": "{here}:ha-goto-{stage}-RescueQueue-X",
    "acm": "{here}:certificate/a-number",
    "apigateway": "{region}::/restapis/abc123/stages/api",
    "kms": "{here}:key/a-number",
    "route53": "::hostedzone/{zone}",
    "s3": "::ha-goto-{stage}-code-{account}-{region}/a-package",
    "ses": "{here}:configuration-set/a-name",
    "wafv2": "{here}:regional/webacl/a-name/a-number",
}
"""A resource of each service, as AWS names it."""

_OTHERS = {
    r"apigateway:(DELETE|GET|PATCH|PUT)": "apigateway:{region}::/restapis/abc123",
    r"apigateway:POST": "apigateway:{region}::/restapis/abc123/resources",
    r"cloudwatch:.*Dashboards?": "cloudwatch::{account}:dashboard/ha-goto-{stage}",
    r"dynamodb:Get(Records|ShardIterator)": (
        "dynamodb:{here}:table/ha-goto-{stage}-Journal-X/stream/2026-11-24"
    ),
    r"events:.*EventBus": "events:{here}:event-bus/ha-goto-{stage}",
    r"iam:CreateServiceLinkedRole": (
        "iam::{account}:role/aws-service-role/ops.apigateway.amazonaws.com/AWSServiceRoleForAPIGateway"
    ),
    r"lambda:.*EventSourceMapping": "lambda:{here}:event-source-mapping:a-number",
    r"route53:GetChange": "route53:::change/C1",
    r"s3:(CreateBucket|ListBucket|PutBucket\w+)": "s3:::ha-goto-{stage}-code-{account}-{region}",
    r"wafv2:DisassociateWebACL": "apigateway:{region}::/restapis/abc123/stages/api",
}
"""And where an action is on another kind of its service."""


def on(action: str, stage: str = "main") -> str:
    """A resource on which AWS would authorise an action."""
    if action in ANYWHERE:
        return "*"
    service = action.partition(":")[0]
    special = [form for pattern, form in _OTHERS.items() if re.fullmatch(pattern, action)]
    form = special[0] if special else f"{service}:{_NAMED[service]}"
    given = {"here": f"{REGION}:{ACCOUNT}", "account": ACCOUNT, "region": REGION}
    return "arn:aws:" + form.format(**given, stage=stage, zone=ZONE)


def context(action: str, stage: str = "main") -> dict[str, Any]:
    """What AWS would tell with it, besides who asked whom."""
    function = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:ha-goto-{stage}-Announce-X"
    if "EventSourceMapping" in action and "List" not in action:
        return {"lambda:FunctionArn": function}
    if action in ("iam:AttachRolePolicy", "iam:DetachRolePolicy"):
        return {"iam:PolicyARN": f"arn:aws:iam::aws:policy/service-role/{GATEWAYS_LOG}"}
    if action == "iam:PassRole":
        return {"iam:PassedToService": "lambda.amazonaws.com"}
    if action == "iam:CreateServiceLinkedRole":
        return {"iam:AWSServiceName": "ops.apigateway.amazonaws.com"}
    if action in USES:
        return {"kms:ViaService": f"dynamodb.{REGION}.amazonaws.com"}
    return {}


GATEWAYS_LOG = "AmazonAPIGatewayPushToCloudWatchLogs"
USES = {
    f"kms:{name}"
    for name in ("CreateGrant", "Decrypt", "Encrypt", "GenerateDataKey", "ReEncryptFrom")
} | {"kms:ReEncryptTo"}
ALIASES = {"kms:ResourceAliases": ["alias/ha-goto-main-grants"]}


def decisions(names: list[str], asked: set[str], more: dict[str, Any], stage: str) -> set[str]:
    """Those of the actions that some of the policies allow, on a stage's resources. Each action is
    put to the policies that name it: none of them denies anything."""
    known = sorted(asked - UNJUDGED)
    held = {name: (policy(name), actions(name)) for name in names}
    key = roles.packaged().keys["TokensKey"]
    cases = []
    for action in known:
        resource = on(action, stage)
        its = {**context(action, stage), **more}
        request = Request(action, resource, its, resource_policy=key if ":key/" in resource else {})
        cases.append(([one for one, named in held.values() if action in named], request))
    answers = evaluate_each(cases)
    return {action for action, answer in zip(known, answers, strict=True) if answer == ALLOWED}


def test_s21_through_cloudformation_each_is_allowed_on_the_stages_own() -> None:
    """S21: by hand none of it is, but for what the commands ask for themselves; and on what is
    named for another stage nothing is."""
    through = actions(*THROUGH_CLOUDFORMATION) - UNJUDGED
    assert decisions(THROUGH_CLOUDFORMATION, through, THROUGH, "main") == through
    own = {"iam:CreateServiceLinkedRole"}
    assert decisions(THROUGH_CLOUDFORMATION, through, {}, "main") == own
    named = {one for one in through - ANYWHERE if one.partition(":")[0] not in NAMELESS}
    assert decisions(THROUGH_CLOUDFORMATION, named, THROUGH, "other") == own


def test_s21_what_the_commands_ask_for_is_allowed_on_the_stages_own() -> None:
    """S21: and on what is named for another stage nothing is."""
    for name, more in (("DeployPolicy", {}), ("OperatePolicy", ALIASES)):
        asked = actions(name)
        keys = {action for action in asked if action.startswith("kms:")}
        rest = asked - keys
        assert decisions([name], rest, {}, "main") == rest
        if keys:
            assert decisions([name], keys, more, "main") == keys
            others = {"kms:ResourceAliases": ["alias/another"]}
            assert decisions([name], keys, others, "main") == set()
        named = {one for one in rest - ANYWHERE if one.partition(":")[0] not in NAMELESS}
        assert decisions([name], named, {}, "other") == set()
    table = on("dynamodb:PutItem").replace("-proved-1", "")
    changes = [Request(f"dynamodb:{one}", table) for one in ("DeleteTable", "DeleteItem")]
    assert set(evaluate([policy("OperatePolicy")], changes)) == {DENIED}
    role = f"arn:aws:iam::{ACCOUNT}:role/ha-goto-main-CompleteRole-X"
    passed = Request("iam:PassRole", role, {"iam:PassedToService": "ec2.amazonaws.com"})
    assert evaluate([policy(name) for name in DEPLOY], [passed]) == [DENIED]


def test_s21_cloudformation_may_do_what_it_asks_for_and_no_more() -> None:
    """S21: in the deployer's name; each action is named, none by a pattern."""
    wanted = set().union(*asked_by_cloudformation().values())
    allowed = actions(*DEPLOY)
    assert not {action for action in allowed | actions("OperatePolicy") if "*" in action}
    assert {action for action in wanted - allowed if not unused(action)} == set()
    stale = {one for one in UNUSED if not any(re.match(f"{one}(:|$)", each) for each in wanted)}
    assert stale == set()
    assert {action for action in allowed if unused(action)} == set()
    assert actions(*THROUGH_CLOUDFORMATION) <= wanted


def test_each_policy_fits_into_what_iam_takes() -> None:
    for name in POLICIES:
        whole = policy(name, Stage="s" * 20, HostedZoneId="Z" * 32)
        assert {statement["Effect"] for statement in whole["Statement"]} == {"Allow"}
        assert len(json.dumps(whole, separators=(",", ":"))) <= LONGEST_POLICY


def test_without_a_zone_there_is_no_right_to_one() -> None:
    resolver = Resolver(ACCESS, made_of(ACCESS["Resources"]), Stage="main")
    assert not resolver.holds(ACCESS["Resources"]["DeployOwnHostPolicy"]["Condition"])
    assert not {one for one in _actions_of(policy("DeployPolicy", HostedZoneId="")) if "53" in one}


ADMINISTRATORS = {
    "cloudformation deploy": "makes the stacks of readers and reps",
    "dynamodb delete-table": "what a failed first deployment has left",
    "dynamodb update-table": "what a failed first deployment has left",
    "kms schedule-key-deletion": "what a destroyed stage has left",
    "secretsmanager create-secret": "the key of the front, once",
    "sesv2 create-email-identity": "the sender, once",
    "sesv2 get-email-identity": "the sender, once",
}
"""Commands of the pages that are for an administrator of the account, and why."""

CALLED = {
    "dynamodb wait": "dynamodb:DescribeTable",
    "lambda invoke": "lambda:InvokeFunction",
    "logs tail": "logs:FilterLogEvents",
}
"""Commands of AWS's command line that are no operation by that name."""

OWN = {"sns:Publish": "Stack.publish"}
"""Methods of ours that have an operation's name."""

SERVICES = {"dynamodbstreams": "dynamodb", "sesv2": "ses"}
"""Services whose actions have another prefix."""

BESIDES = {
    "cloudwatch:GetDashboard": "the dashboard, in the console",
    "cloudwatch:GetMetricData": "the dashboard, in the console",
    "cloudwatch:ListDashboards": "the dashboard, in the console",
    "iam:PassRole": "for each function, and for the gateway's log",
    "s3:AbortMultipartUpload": "an upload that fails half-way",
    "sqs:CancelMessageMoveTask": "redriving (runbook), in the console",
    "sqs:GetQueueAttributes": "redriving (runbook)",
    "sqs:ListMessageMoveTasks": "redriving (runbook)",
    "sqs:SendMessage": "redriving (runbook)",
    "sqs:StartMessageMoveTask": "redriving (runbook)",
    **dict.fromkeys(
        (f"dynamodb:{name}" for name in ("BatchWriteItem", "DeleteItem", "UpdateItem")),
        "AWS asks for it of those who restore a table, on the new one",
    ),
    **dict.fromkeys((*USES, "kms:DescribeKey"), "a table's rows and a queue's messages"),
}
"""Actions that no call names, and why they are asked for."""


def calls_of_infra() -> set[str]:
    """Actions of every operation that the code of `infra/` names, also by paginator and waiter."""
    trees = [ast.parse(file.read_text()) for file in sorted(INFRA.glob("*.py"))]
    calls = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    named = [(node.func.attr, node.args) for node in calls if isinstance(node.func, ast.Attribute)]
    texts = {
        method: {text for name, one in named if name == method for text in _text(one)}
        for method in ("client", "get_paginator", "get_waiter")
    }
    methods = {name for name, _ in named} | texts["get_paginator"]
    waiters = texts["get_waiter"] | {"stack_create_complete", "stack_update_complete"}
    found = {"s3:PutObject"} if "upload_file" in methods else set()
    for service in texts["client"]:
        model = session().get_service_model(service)
        for operation in model.operation_names:
            if xform_name(operation) in methods:
                found |= {f"{service}:{operation}"}
        found |= {f"{service}:{one}" for one in _awaited(service, waiters)}
    return {_action(one) for one in found - set(OWN)} - operators.UNASKED


def _text(arguments: list[ast.expr]) -> list[str]:
    """The first argument, where it is a text as it stands."""
    first = arguments[0] if arguments else None
    return [str(first.value)] if isinstance(first, ast.Constant) else []


def _awaited(service: str, waiters: set[str]) -> set[str]:
    try:
        model = session().get_waiter_model(service)
    except UnknownServiceError:
        return set()
    known = {xform_name(name): name for name in model.waiter_names}
    return {model.get_waiter(known[name]).operation for name in waiters & set(known)}


def _action(operation: str) -> str:
    service, name = operators.ACTIONS.get(operation, operation).split(":")
    return f"{SERVICES.get(service, service)}:{name}"


def commands_of_pages() -> dict[str, str]:
    """Actions of AWS's commands in the operator's pages, by the command."""
    text = "".join((ROOT / "docs" / name).read_text() for name in ("deploying.md", "runbook.md"))
    found = set(re.findall(r"\baws ([a-z0-9]+ [a-z-]+)", text)) - set(ADMINISTRATORS)
    return {
        command: CALLED.get(command) or _action("{}:{}".format(*_operation(*command.split())))
        for command in found
    }


def _operation(service: str, command: str) -> tuple[str, str]:
    names = session().get_service_model(service).operation_names
    by_command = {xform_name(name, "-"): name for name in names}
    return service, by_command[command]


def test_s21_every_call_of_the_operators_commands_is_allowed_and_none_besides() -> None:
    """S21: what the code of `infra/` asks for, and what the pages say to type."""
    asked = calls_of_infra() | set(commands_of_pages().values()) - operators.UNASKED
    assert {"cloudformation:CreateChangeSet", "kms:DisableKey", "iam:GetRole"} <= asked
    allowed = actions("DeployPolicy", "OperatePolicy", "DeployOwnHostPolicy")
    assert asked - allowed == set()
    assert actions("DeployPolicy", "OperatePolicy") - asked - set(BESIDES) == set()
    assert set(BESIDES) - allowed == set()
    typed = (ROOT / "docs" / "deploying.md").read_text()
    assert all(f"aws {command}" in typed for command in ADMINISTRATORS)
