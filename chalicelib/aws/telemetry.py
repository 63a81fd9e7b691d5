"""Log lines and metrics, as JSON through Powertools. Callers name what happened; values that grant
something (tokens, codes, secrets, links, cookies, states) are never passed in (S20)."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from functools import cache, partial, wraps
from pathlib import PurePath
from typing import ParamSpec, TypeVar

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from chalicelib.errors import HandlerFailed, ServiceError
from chalicelib.opaque import new_reference

SERVICE = "goto-connection"
"""Not the name of the Chalice app: its own logger, of that name, would write each line again."""


@cache
def logger() -> Logger:
    """The function's logger, made at first use."""
    # In ASCII: Powertools' own would hand C1 controls and bidi characters to whoever reads (S30).
    ascii_only = partial(json.dumps, default=str, separators=(",", ":"))
    return Logger(service=SERVICE, json_serializer=ascii_only)


def report(message: str, error: BaseException) -> str:
    """Log an error by its kind and its way here; returns the reference number of that line.

    Its text is left out unless we wrote it ourselves: another's may quote what it was given, which
    may grant something (S20, S31).
    """
    way = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    reference = new_reference()
    logger().error(
        message,
        cause=type(error).__name__,
        detail=str(error) if isinstance(error, ServiceError) else None,
        reference=reference,
        way=way,
    )
    return reference


Given = ParamSpec("Given")
Answer = TypeVar("Answer")


def closed(handler: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """A handler out of which no error's text gets: Lambda would log it, trace it and answer with it
    (S31). What comes out instead is `HandlerFailed`, so that Lambda counts and repeats as before.
    """

    @wraps(handler)
    def run(*given: Given.args, **named: Given.kwargs) -> Answer:
        try:
            return handler(*given, **named)
        except Exception as error:  # noqa: BLE001 - nothing may pass as it is
            failed = HandlerFailed(
                type(error).__name__, report(f"{handler.__name__} failed", error)
            )
        raise failed  # out here, where it has no context that holds the other

    return run


def emit_metrics(namespace: str, values: Mapping[str, float]) -> None:
    """Metrics of this invocation, in CloudWatch's embedded format: counts, and seconds or a
    percentage where the name says so. Never a tenant's name: each would be a metric of its own, and
    paid for."""
    metrics = EphemeralMetrics(namespace=namespace, service=SERVICE)
    for name, value in values.items():
        units = (MetricUnit.Seconds, MetricUnit.Percent)
        unit = next((each for each in units if each.value in name), MetricUnit.Count)
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()
