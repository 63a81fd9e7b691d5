"""A stage's parameters: reads the operator's file and checks it against the template.

`infra/stages/<stage>.json` holds names and values; the file's name is the stage.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chalicelib.untrusted_text import address_fault
from infra import cloudformation

STAGES = Path(__file__).resolve().parent / "stages"

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z][a-z0-9-]*[a-z0-9]")
"""A host name as certificates and API Gateway accept it: lowercase, no port."""

_STAGE = re.compile(r"[a-z0-9-]{1,20}")
_LOOPBACK = ("localhost", "127.0.0.1")


class BadParameters(Exception):
    """A parameter is missing or wrong; the message says which in one sentence."""


def read(stage: str, template: Path, stages: Path = STAGES) -> dict[str, str]:
    """A stage's parameters, checked. Raises `BadParameters`."""
    if not _STAGE.fullmatch(stage):
        raise BadParameters(
            f"{stage!r} is not a valid stage name: small letters, digits and dashes, 20 at most."
        )
    file = stages / f"{stage}.json"
    try:
        values = json.loads(file.read_text())
    except FileNotFoundError:
        raise BadParameters(
            f"There is no {file.name} in {stages.name}: copy example.json and fill it in."
        ) from None
    except ValueError as error:
        raise BadParameters(f"{file.name} is not valid JSON: {error}.") from None
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise BadParameters(f"{file.name} must be one object whose values are strings.")
    if values.setdefault("Stage", stage) != stage:
        raise BadParameters(f"{file.name} is of stage {values['Stage']!r}, not {stage!r}.")
    check(values, declared(template))
    return values


def declared(template: Path) -> dict[str, dict[str, Any]]:
    """The parameters that a template declares."""
    return declared_in(template.read_text())


def declared_in(text: str) -> dict[str, dict[str, Any]]:
    """Like `declared`, from the template's text."""
    found: dict[str, dict[str, Any]] = cloudformation.load(text)["Parameters"]
    return found


def check(given: Mapping[str, str], wanted: Mapping[str, Mapping[str, Any]]) -> None:
    """Check values against their declarations, as CloudFormation would. Raises `BadParameters`."""
    unknown = sorted(set(given) - set(wanted))
    if unknown:
        raise BadParameters(f"The template has no parameter {unknown[0]}.")
    for name, parameter in wanted.items():
        value = given.get(name)
        if value is None:
            if "Default" not in parameter:
                raise BadParameters(f"{name} is missing: {parameter['Description']}")
            continue
        _fits(name, value, parameter)
    _consistent(given)


def _fits(name: str, value: str, parameter: Mapping[str, Any]) -> None:
    allowed = parameter.get("AllowedValues")
    if allowed and value not in map(str, allowed):
        raise BadParameters(
            f"{name} is {value!r}; it must be one of {', '.join(map(str, allowed))}."
        )
    pattern = parameter.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        # The operator may have entered the key itself instead of its secret's name.
        shown = "" if name == "VisitorKey" else f" is {value!r}, which"
        raise BadParameters(f"{name}{shown} is none: {parameter['Description']}")
    if parameter["Type"] == "Number":
        low, high = parameter.get("MinValue", 0), parameter.get("MaxValue", 10**12)
        if not value.isdecimal() or not low <= int(value) <= high:
            raise BadParameters(f"{name} is {value!r}; it must be a number from {low} to {high}.")


def _consistent(given: Mapping[str, str]) -> None:
    """Check what no pattern can: tokens travel by https, except on this machine (S17)."""
    addresses = {name: value for name, value in given.items() if name.endswith(("Url", "Origin"))}
    for name, value in addresses.items():
        if not value:
            continue
        parts = urlsplit(value.replace("{tenant}", "tenant"))
        here = (parts.hostname or "").rpartition(".")[2] in _LOOPBACK or parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and here)):
            raise BadParameters(f"{name} is {value!r}; it must be an https address.")
    for name in ("MailFrom", "RepMail", "SupportEmail"):
        _mail(name, given.get(name, ""))
    if "TenantOrigin" in given:
        _front(given)


def _mail(name: str, address: str) -> None:
    fault = address_fault(address) if address else None
    if fault:
        raise BadParameters(f"{name} is {address!r}. {fault}")


def _front(given: Mapping[str, str]) -> None:
    """Check the settings of the front, one of the three in docs/deploying.md."""
    origin, front = given["TenantOrigin"], given.get("Front", "forwarded")
    if set("{}") & set(origin.replace("{tenant}", "")) or origin.count("{tenant}") > 1:
        raise BadParameters(f"TenantOrigin is {origin!r}; it may say {{tenant}} once, no more.")
    if given.get("VisitorHeader") and (front != "forwarded" or given.get("Firewall") == "off"):
        raise BadParameters("VisitorHeader is for the firewall behind a front that forwards.")
    if given.get("VisitorIdentity", "off") != "off":
        if front != "forwarded":
            raise BadParameters("VisitorIdentity is for a front that forwards and names visitors.")
        if not given.get("VisitorKey"):
            raise BadParameters("VisitorKey is missing; VisitorIdentity wants a secret's name.")
    if front == "forwarded":
        if given.get("HostedZoneId"):
            raise BadParameters("HostedZoneId is of no use while Front is 'forwarded'.")
        return
    if not given.get("HostedZoneId"):
        raise BadParameters(f"HostedZoneId is missing; Front {front!r} makes records in that zone.")
    _own_host(origin, front)


def _own_host(origin: str, front: str) -> None:
    host = origin.removeprefix("https://")
    if front == "host" and "{tenant}" in host:
        raise BadParameters("TenantOrigin says {tenant}, but Front 'host' is one host for all.")
    if front == "wildcard" and not host.startswith("{tenant}."):
        raise BadParameters("TenantOrigin must begin with https://{tenant}. for Front 'wildcard'.")
    if not _HOST.fullmatch(host.replace("{tenant}", "tenant")):
        raise BadParameters(
            f"TenantOrigin is {origin!r}; Front {front!r} wants https, small letters and no port."
        )
