"""The `intake` function: checks a GoTo client that a customer entered, and stores it."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.aws.telemetry import report
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.connect.client_check import CredentialIntake, Outcome
from chalicelib.durations import CHECK_DEADLINE
from chalicelib.dynamodb.links import IntakeTables


def take(deployment: Deployment, event: Mapping[str, str]) -> Outcome:
    """Check and store a client. What went wrong in a library that had the secret in its hands is
    reported without its text; the client then counts as unchecked."""
    try:
        return credential_intake(deployment).take(event)
    except Exception as error:  # noqa: BLE001 - it may quote the secret
        report("intake failed", error)
        return Outcome.UNCHECKED


def credential_intake(deployment: Deployment) -> CredentialIntake:
    """One per invocation, like its connection to GoTo."""
    return CredentialIntake(
        links=deployment.links,
        tables=IntakeTables(deployment.tables),
        connections=deployment.connections,
        secret_store=deployment.secret_store,
        goto=deployment.goto(connections=1, ask_deadline=CHECK_DEADLINE),
        client_auth=deployment.settings.client_auth,
        clock=deployment.clock,
    )
