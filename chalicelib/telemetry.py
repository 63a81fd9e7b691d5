"""Log lines and metrics, as JSON through Powertools. Callers name what happened; values that grant
something (tokens, codes, secrets, links, cookies, states) are never passed in (S20)."""

import traceback
from collections.abc import Mapping
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger


SERVICE = "goto-connection"
"""Not the name of the Chalice app: its own logger, of that name, would write each line again."""


@cache
def logger() -> "Logger":
    """The function's logger; made at first use, for its import is not free."""
    from aws_lambda_powertools.logging import Logger

    return Logger(service=SERVICE)


def report(message: str, error: BaseException) -> None:
    """Log an error by its kind and its way here, without its text: that may quote what it was
    given, which may grant something (S20)."""
    way = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    logger().error(message, cause=type(error).__name__, way=way)


def measure(namespace: str, values: Mapping[str, float]) -> None:
    """Metrics of this invocation, in CloudWatch's embedded format: counts, and seconds or a
    percentage where the name says so. Never a tenant's name: each would be a metric of its own, and
    paid for."""
    from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

    metrics = EphemeralMetrics(namespace=namespace, service=SERVICE)
    for name, value in values.items():
        units = (MetricUnit.Seconds, MetricUnit.Percent)
        unit = next((each for each in units if each.value in name), MetricUnit.Count)
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()
