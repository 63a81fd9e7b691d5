"""What AWS would ask IAM for when an operator's command calls it; heard from real calls.

Only calls that `infra/` makes are kept, not those of a test that looks or prepares.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from infra import cloudformation
from infra.cfn_intrinsics import ACCOUNT, REGION, Resolver, made_of
from sandbox.environment import ROOT
from tests.policies.evaluator import Request, at_hand, evaluate

INFRA = ROOT / "infra"
ACCESS = cloudformation.load((INFRA / "deployer-access.yaml").read_text())

ZONE = "Z0123456789"

Call = tuple[str, str]
"""An action and the resource that it is on."""

_NAMELESS = {
    "cloudformation:ListStacks",
    "events:ListRuleNamesByTarget",
    "lambda:GetAccountSettings",
}
ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:UploadPart": "s3:PutObject",
}
"""Operations that IAM knows by another name."""

UNASKED = {"sts:GetCallerIdentity"}
"""What AWS answers anybody."""


def policy(name: str, **given: str) -> Any:
    """A policy of infra/deployer-access.yaml, for the stage `main` unless another is given."""
    parameters = {"Stage": "main", "HostedZoneId": ZONE} | given
    resolver = Resolver(ACCESS, made_of(ACCESS["Resources"]), **parameters)
    return resolver.resolve(ACCESS["Resources"][name]["Properties"]["PolicyDocument"])


def denied(calls: Iterable[Call], *names: str) -> list[Call]:
    """Those of the calls that none of these policies allows; none where there is no evaluator."""
    if not at_hand():
        return []
    known = sorted(calls)
    answers = evaluate([policy(name) for name in names], [Request(*call) for call in known])
    return [call for call, answer in zip(known, answers, strict=True) if answer != "Allowed"]


def _arn(service: str, rest: str) -> str:
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{rest}"


def _stack(given: Mapping[str, Any]) -> list[str]:
    """By its name or ARN. AWS authorises a change set on its stack, which ours is here."""
    name = re.sub(r"^arn:.*:stack/([^/]+)/.*$", r"\1", given.get("StackName", "ha-goto-main"))
    return [_arn("cloudformation", f"stack/{name}/a-number")]


def _s3(given: Mapping[str, Any]) -> list[str]:
    key = f"/{given['Key']}" if "Key" in given else ""
    return [f"arn:aws:s3:::{given['Bucket']}{key}"]


def _alarms(given: Mapping[str, Any]) -> list[str]:
    names = given.get("AlarmNames") or [given["AlarmName"]]
    return [_arn("cloudwatch", f"alarm:{name}") for name in names]


_RESOURCES: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "cloudformation": _stack,
    "cloudwatch": _alarms,
    "dynamodb": lambda given: [_arn("dynamodb", f"table/{given['TableName']}")],
    "events": lambda given: [_arn("events", f"rule/{given['Name']}")],
    "iam": lambda given: [f"arn:aws:iam::{ACCOUNT}:role/{given['RoleName']}"],
    "lambda": lambda given: [_arn("lambda", f"function:{given['FunctionName']}")],
    "s3": _s3,
    "sns": lambda given: [given["TopicArn"]],
}


def asked(service: str, operation: str, given: Mapping[str, Any]) -> Iterator[Call]:
    """Of one call of botocore, in the account of the tests."""
    action = f"{service}:{operation}"
    action = ACTIONS.get(action, action)
    if action in UNASKED:
        return
    resources = ["*"] if action in _NAMELESS else _RESOURCES[service](given)
    for resource in resources:
        yield action, _as_deployed(resource)


def _as_deployed(resource: str) -> str:
    """On the local cloud the account is another, and the stack's name has no stage."""
    named = re.sub(r"(?<=[:/])ha-goto(-main|-shown)?(?=[-/])", "ha-goto-main", resource)
    return re.sub(r"(?<=[:-])[0-9]{12}(?=[:-])", ACCOUNT, named)


@contextmanager
def overheard(session: Any) -> Iterator[set[Call]]:
    """What `infra/` asks AWS for through clients that a boto3 session makes meanwhile."""
    calls: set[Call] = set()

    def hear(**told: Any) -> None:
        if _of_infra():
            model = told["model"]
            calls.update(asked(model.service_model.service_name, model.name, told["params"]))

    session.events.register("before-parameter-build", hear)
    try:
        yield calls
    finally:
        session.events.unregister("before-parameter-build", hear)


def _of_infra() -> bool:
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if str(frame.f_globals.get("__name__")).startswith("infra."):
            return True
        frame = frame.f_back
    return False
