"""The Route 53 zone of a host of the stack's own, asked before anything is touched.

CloudFormation would find out too, but only after minutes of waiting for the certificate.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from infra.parameters import BadParameters


def check(route53: Any, given: Mapping[str, str]) -> None:
    """Hold TenantOrigin against the zone that is named, if one is.

    Raises `BadParameters`, or what botocore raises where there is no such zone.
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
