"""The functions' roles: what their policies and the keys' allow of what the functions asked for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from infra import cloudformation, package
from infra.cfn_intrinsics import ACCOUNT, STACK, Resolver, made_of
from infra.roles import Statement, document, policies, role
from tests.policies.evaluator import Request, evaluate_each
from tests.support import authorised
from tests.support.authorised import Asked, arn, queue_arn, table_arn
from tests.support.recorder import Call

STAGE = "test"

FUNCTIONS = tuple(policies())
"""Every function that has a role: `test_template` holds it to the functions of the template."""

GIVEN = {
    "Stage": STAGE,
    "TenantOrigin": "https://x.example",
    "MailFrom": "goto@analytics.example",
    "VisitorIdentity": "optional",
    "VisitorKey": "visitor-key",
}
"""Parameters that bring every statement about."""


@dataclass(frozen=True)
class Roles:
    """Policies as IAM sees them: each function's statements, each key's policy."""

    statements: Mapping[str, list[Statement]]
    keys: Mapping[str, Any]


def packaged(**given: str) -> Roles:
    """Of the template as it is deployed, with these parameters."""
    template = cloudformation.load(package.build().template.read_text())
    resources = template["Resources"]
    found = {}
    for function in FUNCTIONS:
        assert resources[function]["Properties"]["Role"]["Fn::GetAtt"][0] == role(function)
        [policy] = resources[role(function)]["Properties"]["Policies"]
        found[function] = policy["PolicyDocument"]["Statement"]
    return _resolved(template, found, **given)


def of_sources() -> Roles:
    """The same from the table that it is made of, which `test_template` holds it to."""
    return _resolved(cloudformation.merged(), policies())


def _resolved(template: Mapping[str, Any], found: Mapping[str, Any], **given: str) -> Roles:
    functions = {name: {"Type": "AWS::Serverless::Function"} for name in FUNCTIONS}
    made = made_of(template["Resources"] | functions)
    resolver = Resolver(template, made, **GIVEN | given)
    keys = {
        name: resolver.resolve(resource["Properties"]["KeyPolicy"])
        for name, resource in template["Resources"].items()
        if resource.get("Type") == "AWS::KMS::Key"
    }
    return Roles({name: resolver.resolve(each) for name, each in found.items()}, keys)


MADE_UP = "1ABCDEFGHIJK2"
"""What CloudFormation ends a name with: 13 characters at most."""

WRITES = ("DeleteItem", "PutItem", "UpdateItem")

LOGGING = (
    Asked("logs:CreateLogStream", "{group}"),
    Asked("logs:PutLogEvents", "{group}"),
)


def _from_queue(name: str) -> Iterator[Asked]:
    """What Lambda asks of a queue that it takes messages from."""
    actions = (
        "ChangeMessageVisibility",
        "DeleteMessage",
        "GetQueueAttributes",
        "ReceiveMessage",
    )
    yield from (Asked(f"sqs:{action}", queue_arn(name)) for action in actions)


BY_LAMBDA: Mapping[str, tuple[Asked, ...]] = {
    # https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html, and the queue of what failed.
    "Announce": (
        *(
            Asked(f"dynamodb:{action}", f"{table_arn('Journal')}/stream/2026-11-24")
            for action in ("DescribeStream", "GetRecords", "GetShardIterator")
        ),
        Asked("dynamodb:ListStreams", "*"),
        Asked("sqs:SendMessage", queue_arn("Unannounced")),
        *_from_queue("MailsWaiting"),
    ),
    # https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html; what is not worked
    # on is made visible again.
    "Rescue": (
        *_from_queue("RescueQueue"),
        *authorised.through("sqs", "GrantsKey", ("kms:Decrypt",), "aws:sqs:arn"),
    ),
}
"""What Lambda itself does with a function's role, besides its log: read what invokes it."""

TRACING = (Asked("xray:PutTelemetryRecords", "*"), Asked("xray:PutTraceSegments", "*"))
"""Traces are sent by Lambda's own daemon, which no test hears."""


def by_lambda(function: str) -> Iterator[Asked]:
    """What Lambda does with a function's role."""
    name = "ha-goto-test-rep-command" if function == "RepCommand" else f"{STACK}-{function}-1AB"
    group = arn("logs", f"log-group:/aws/lambda/{name}:log-stream:2026/11/24/[$LATEST]1a2b")
    yield from (asked._replace(resource=group) for asked in LOGGING)
    yield from TRACING
    yield from BY_LAMBDA.get(function, ())


def principal(function: str) -> str:
    """The ARN of a function's role: CloudFormation makes up the last part of its name."""
    return f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{role(function)}-{MADE_UP}"


def request(roles: Roles, who: str, asked: Asked) -> Request:
    """The request that IAM would see of ``who`` (an ARN)."""
    context: dict[str, Any] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asked.context
    }
    context["aws:PrincipalArn"] = who
    key = asked.resource.rpartition("/")[2] if asked.action.startswith("kms:") else None
    return Request(
        asked.action, asked.resource, context, who, roles.keys[key] if key is not None else None
    )


def denied(roles: Roles, calls: Iterable[Call]) -> list[Call]:
    """What was asked for and is not allowed."""
    asked = sorted(calls)
    cases = [
        ([document(roles.statements[function])], request(roles, principal(function), each))
        for function, each in asked
    ]
    answers = evaluate_each(cases)
    return [call for call, answer in zip(asked, answers, strict=True) if answer != "Allowed"]


def unused(roles: Roles, function: str, calls: Iterable[Asked]) -> list[str]:
    """What a function is allowed and none of its calls asked for.

    Each action on each resource of each statement by itself, under the statement's condition; of
    lists of attributes, each attribute.
    """
    found: list[str] = []
    spoken: dict[str, set[str]] = {}
    for part, hits in _hits(roles, function, sorted(calls)):
        if not hits:
            found.append(f"{part['Sid']}: {part['Action']} on {part['Resource']}")
        unspoken = spoken.setdefault(part["Sid"], set(_attributes(part)))
        for one in hits:
            unspoken -= set(dict(one.context).get("dynamodb:Attributes", ()))
    return found + [f"{sid}: attribute {name}" for sid, left in spoken.items() for name in left]


def written(calls: Iterable[Call]) -> dict[tuple[str, str], dict[str, set[str]]]:
    """By function and table: what it does to rows, and of which attributes it speaks there."""
    found: dict[tuple[str, str], dict[str, set[str]]] = {}
    for function, asked in calls:
        if asked.action.removeprefix("dynamodb:") in WRITES:
            actions = found.setdefault((function, asked.resource), {})
            named = dict(asked.context).get("dynamodb:Attributes", ())
            actions.setdefault(asked.action, set()).update(named)
    return found


def strange_writes(calls: Iterable[Call]) -> list[Call]:
    """Each write of each function, with an attribute that some function writes in that table and
    this one does not, that none knows, or with none that AWS tells."""
    own = written(calls)
    known: dict[str, set[str]] = {}
    for (_, table), actions in own.items():
        known.setdefault(table, {"of_tomorrow"}).update(*actions.values())
    return [
        (function, Asked(action, table, context))
        for (function, table), actions in own.items()
        for action in actions
        for context in [
            (),
            *(
                (("dynamodb:Attributes", (name,)),)
                for name in sorted(known[table] - set().union(*actions.values()))
            ),
        ]
    ]


def _hits(
    roles: Roles, function: str, asked: list[Asked]
) -> Iterator[tuple[Statement, list[Asked]]]:
    """Every part of every statement, with the calls that it alone allows."""
    parts = [
        statement | {"Action": action, "Resource": resource}
        for statement in roles.statements[function]
        for action in _listed(statement["Action"])
        for resource in _listed(statement["Resource"])
    ]
    near = [[one for one in asked if _speaks_of(one, part)] for part in parts]
    who = principal(function)
    answers = iter(
        evaluate_each(
            [
                ([document([part])], request(roles, who, one))
                for part, ones in zip(parts, near, strict=True)
                for one in ones
            ]
        )
    )
    for part, ones in zip(parts, near, strict=True):
        yield part, [one for one in ones if next(answers) == "Allowed"]


def _attributes(part: Statement) -> list[str]:
    """The attributes that a statement is confined to."""
    condition = part.get("Condition", {}).get("ForAllValues:StringEquals", {})
    listed: list[str] = condition.get("dynamodb:Attributes", [])
    return listed


def _speaks_of(asked: Asked, part: Statement) -> bool:
    return fnmatchcase(asked.action, part["Action"]) and fnmatchcase(
        asked.resource, part["Resource"]
    )


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
