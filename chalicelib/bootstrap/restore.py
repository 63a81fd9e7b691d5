"""The `after_restore` function: checks grants after a table was restored from a backup."""

from __future__ import annotations

from chalicelib.bootstrap.deployment import Deployment
from chalicelib.dynamodb.setbacks import RestoredTables
from chalicelib.tokens.restored_backup import Restore


def restore(deployment: Deployment) -> Restore:
    """One per invocation."""
    return Restore(
        tables=RestoredTables(deployment.tables),
        connections=deployment.connections,
        tenants=deployment.tenants,
        clock=deployment.clock,
    )
