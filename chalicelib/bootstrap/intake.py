"""The `intake` function: checks a GoTo client that a customer entered, and stores it."""

from __future__ import annotations

from chalicelib.bootstrap.deployment import Deployment
from chalicelib.connect.client_check import CredentialIntake
from chalicelib.durations import CHECK_DEADLINE
from chalicelib.dynamodb.links import IntakeTables


def credential_intake(deployment: Deployment) -> CredentialIntake:
    """One per invocation, as its connection to GoTo is."""
    return CredentialIntake(
        links=deployment.links,
        tables=IntakeTables(deployment.tables),
        connections=deployment.connections,
        secret_store=deployment.secret_store,
        goto=deployment.goto(connections=1, ask_deadline=CHECK_DEADLINE),
        client_auth=deployment.settings.client_auth,
        clock=deployment.clock,
    )
