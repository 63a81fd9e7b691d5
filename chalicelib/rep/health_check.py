"""Use case of the rep: is this stage healthy? The service checks each part from inside.

A check that cannot run is reported as failed; the others still run. Changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.config import Settings
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable

Look = Callable[[], str | None]
"""Checks one part: None if it is healthy, else one sentence on the fault."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stage, its check, and what to do if the check fails."""

    name: str
    look: Look
    advice: str


@dataclass(frozen=True, kw_only=True)
class Doctor:
    parts: Sequence[Part]
    settings: Settings
    tenants: Tenants
    clock: Callable[[], float]

    def examine(self) -> dict[str, Any]:
        """All findings. ``at``: the service's time; ``page_url``: a page to check from outside."""
        return {
            "at": self.clock(),
            "page_url": self._page_url(),
            "findings": [asdict(_finding(part)) for part in self.parts],
        }

    def _page_url(self) -> str | None:
        """A page that the front forwards, at a host that exists: any tenant's, if each has its own.

        None without a tenant, or if the table can't be read: another check reports that.
        """
        if self.settings.one_host:
            return self.settings.status_url("")
        try:
            tenant = self.tenants.any()
        except DependencyUnavailable:
            return None
        return self.settings.status_url(tenant.name) if tenant else None


@dataclass(frozen=True, slots=True)
class Finding:
    """Result of one check. ``told`` and ``advice`` are empty if the part is healthy."""

    name: str
    well: bool
    told: str = ""
    advice: str = ""


def _finding(part: Part) -> Finding:
    try:
        wrong = part.look()
    except (DependencyUnavailable, ProviderUnreachable) as error:
        wrong = f"It does not answer ({error})."
    except Exception as error:  # noqa: BLE001 - the other checks still say what they find
        wrong = f"It could not be checked ({type(error).__name__})."
    return Finding(part.name, False, wrong, part.advice) if wrong else Finding(part.name, True)


def indexes(client: clients.DynamoDBClient, table: str, wanted: Sequence[str]) -> str | None:
    """What is wrong with these indexes, if anything. Raises `DependencyUnavailable`."""
    with aws_errors("dynamodb"):
        found = client.describe_table(TableName=table)["Table"]
    serving = {
        index["IndexName"]
        for index in found.get("GlobalSecondaryIndexes", [])
        if index.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    missing = [name for name in wanted if name not in serving]
    return f"The index {missing[0]!r} of {table} is missing or not active." if missing else None


def key(client: clients.KMSClient, arn: str) -> str | None:
    """What is wrong with a key, if anything. Raises `DependencyUnavailable`."""
    with aws_errors("kms"):
        state = client.describe_key(KeyId=arn)["KeyMetadata"].get("KeyState", "Enabled")
    return None if state == "Enabled" else f"The secrets' key is {state}."


def mail_account(client: clients.SESV2Client) -> str | None:
    """Why the account can't mail everyone from this region, if so (AWS: "GetAccount", SES API v2
    Reference). Raises `DependencyUnavailable`."""
    with aws_errors("ses"):
        found = client.get_account()
    if not found.get("ProductionAccessEnabled"):
        return "The account is in SES's sandbox: mails reach verified addresses only."
    if not found.get("SendingEnabled") or found.get("EnforcementStatus") == "SHUTDOWN":
        return "SES has paused sending for this account."
    return None


def sender(client: clients.SESV2Client, address: str) -> str | None:
    """Why SES can't send from this address, if so: SES must have verified it or its domain.
    Raises `DependencyUnavailable`."""
    for identity in (address, address.rpartition("@")[2]):
        try:
            with aws_errors("ses"):
                found = client.get_email_identity(EmailIdentity=identity)
        except DependencyUnavailable as error:
            if error.code == "NotFoundException":
                continue
            raise
        if found.get("VerifiedForSendingStatus"):
            return None
    return f"SES has not verified {address} or its domain."
