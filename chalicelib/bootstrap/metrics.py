"""The metrics of all functions."""

from __future__ import annotations

from functools import partial

from chalicelib.bootstrap.deployment import Deployment, namespace
from chalicelib.notify.metrics import Metrics


def metrics(deployment: Deployment) -> Metrics:
    """What CloudWatch is told."""
    return Metrics(partial(deployment.write_metrics, namespace(deployment)))
