"""Checks made before a deployment changes anything: Lambda's quota, and the Route 53 zone.

CloudFormation would find the same problems, but only after minutes, and might leave a failed stack.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from infra import cloudformation
from infra.parameters import BadParameters

UNRESERVED = 100
"""Concurrent executions that Lambda keeps free for functions that reserve none."""


def session() -> boto3.Session:
    """The operator's session. Reads AWS_REGION, as AWS's other tools do: boto3 reads only
    AWS_DEFAULT_REGION and profiles, and would deploy to the profile's region."""
    return boto3.Session(region_name=os.environ.get("AWS_REGION"))


def check_zone(route53: Any, given: Mapping[str, str]) -> None:
    """Check that the zone named by HostedZoneId, if any, is public and contains TenantOrigin.

    Raises `BadParameters`, or botocore's error if there is no such zone.
    """
    if not given.get("HostedZoneId"):
        return
    zone = route53.get_hosted_zone(Id=given["HostedZoneId"])["HostedZone"]
    name = zone["Name"].rstrip(".")
    if zone["Config"]["PrivateZone"]:
        raise BadParameters(f"HostedZoneId is of {name}, which is a private zone.")
    host = urlsplit(given["TenantOrigin"].replace("{tenant}", "tenant")).hostname
    if not f".{host}".endswith(f".{name}"):
        raise BadParameters(f"TenantOrigin is not under {name}, the zone of HostedZoneId.")


def check_concurrency(
    lambda_: Any, template: Path, resources: Callable[[], Mapping[str, str]]
) -> None:
    """Check that the account has enough concurrency left for what the template's functions reserve.

    ``resources`` returns AWS's names of the stack's resources by their template names. It is called
    only if the account has too little: functions may hold their reservations already. Skipped if
    the operator may not read the account's limits. Raises `BadParameters` or botocore's errors.
    """
    wanted = _reserved_by(template)
    try:
        left = _left(lambda_)
    except ClientError as error:
        if error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"):
            return
        raise
    if left >= UNRESERVED + sum(wanted.values()):
        return
    made = resources()
    more = sum(wanted.values()) - sum(
        min(number, _has(lambda_, made[name])) for name, number in wanted.items() if name in made
    )
    if more > 0 and left < UNRESERVED + more:
        raise BadParameters(
            f"Lambda has {left} concurrent executions left in this account and region, and the"
            f" stack needs {UNRESERVED + more}, {more} of them reserved: have Service Quotas"
            f" raise them by {UNRESERVED + more - left} at least."
        )


def _reserved_by(template: Path) -> dict[str, int]:
    """Each function's reserved concurrent executions, by its template name."""
    resources = cloudformation.load(template.read_text())["Resources"].items()
    reserved = {
        name: made.get("Properties", {}).get("ReservedConcurrentExecutions")
        for name, made in resources
    }
    return {name: int(number) for name, number in reserved.items() if number is not None}


def _left(lambda_: Any) -> int:
    """The account's concurrent executions that no function has reserved."""
    return int(lambda_.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"])


def _has(lambda_: Any, function: str) -> int:
    found = lambda_.get_function_concurrency(FunctionName=function)
    return int(found.get("ReservedConcurrentExecutions", 0))
