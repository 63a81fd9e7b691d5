"""Use case of the rep: is this stage well? Each part is checked from inside the service.

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
"""Looks at one part: None where it is well, else one sentence on what is wrong."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stage, how it is looked at, and what to do where it is not well."""

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
        """All findings; ``at`` is the service's time, ``page_url`` what answers from outside."""
        return {
            "at": self.clock(),
            "page_url": self._page_url(),
            "findings": [asdict(_finding(part)) for part in self.parts],
        }

    def _page_url(self) -> str | None:
        """A page that a front forwards, at a host that is there: some tenant's, where each has one.

        None where no tenant is known; a table that can't be read has a finding of its own.
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
    """What was found. ``told`` and ``advice`` are empty where all is well."""

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
    """Whether these indexes of a table serve. Raises `DependencyUnavailable`."""
    with aws_errors("dynamodb"):
        found = client.describe_table(TableName=table)["Table"]
    serving = {
        index["IndexName"]
        for index in found.get("GlobalSecondaryIndexes", [])
        if index.get("IndexStatus", "ACTIVE") == "ACTIVE"
    }
    missing = [name for name in wanted if name not in serving]
    return f"The index {missing[0]!r} of {table} does not serve." if missing else None


def key(client: clients.KMSClient, arn: str) -> str | None:
    """Whether a key can be used. Raises `DependencyUnavailable`."""
    with aws_errors("kms"):
        state = client.describe_key(KeyId=arn)["KeyMetadata"].get("KeyState", "Enabled")
    return None if state == "Enabled" else f"The secrets' key is {state}."


def mail_account(client: clients.SESV2Client) -> str | None:
    """Whether the account may send to anybody in this region. Raises `DependencyUnavailable`.

    AWS: "GetAccount", SES API v2 Reference.
    """
    with aws_errors("ses"):
        found = client.get_account()
    if not found.get("ProductionAccessEnabled"):
        return "The account is in SES's sandbox: mails reach verified addresses only."
    if not found.get("SendingEnabled") or found.get("EnforcementStatus") == "SHUTDOWN":
        return "SES has paused sending for this account."
    return None


def sender(client: clients.SESV2Client, address: str) -> str | None:
    """Whether SES sends from this address, verified itself or by its domain.

    Raises `DependencyUnavailable`.
    """
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
