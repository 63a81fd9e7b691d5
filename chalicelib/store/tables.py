"""The tables of one deployment, and the client that reaches them: what every store is made of."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from chalicelib.config import Settings


@dataclass(frozen=True, slots=True)
class Tables:
    """Each table by the name that CloudFormation gave it. Which of them a function reaches is
    decided by its role, not here."""

    client: "DynamoDBClient"
    tokens: str
    grants: str
    tenants: str
    links: str
    requests: str
    journal: str
    fleet: str


def of(client: "DynamoDBClient", settings: "Settings") -> Tables:
    """The tables that the settings name."""
    return Tables(
        client,
        tokens=settings.tokens_table,
        grants=settings.grants_table,
        tenants=settings.tenants_table,
        links=settings.links_table,
        requests=settings.requests_table,
        journal=settings.journal_table,
        fleet=settings.fleet_table,
    )
