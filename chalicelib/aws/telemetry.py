"""Log lines and metrics, as JSON through Powertools. Callers say what happened, and never pass a
value that grants access: a token, code, secret, link, cookie, or state (S20)."""

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
"""Must differ from the Chalice app's name, or Chalice's own logger would repeat each line."""


@cache
def logger() -> Logger:
    # ASCII only: Powertools' default would pass C1 controls and bidi characters to readers (S30).
    ascii_only = partial(json.dumps, default=str, separators=(",", ":"))
    return Logger(service=SERVICE, json_serializer=ascii_only)


def report(message: str, error: BaseException) -> str:
    """Log an error's type and call stack; returns the log line's reference number. The text of an
    error that is not ours is omitted: it may quote a secret (S20, S31)."""
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
    """Wrap a handler so that Lambda never logs, traces, or returns an error's text (S31). It raises
    `HandlerFailed` instead, so Lambda still counts the failure and retries."""

    @wraps(handler)
    def run(*given: Given.args, **named: Given.kwargs) -> Answer:
        try:
            return handler(*given, **named)
        except Exception as error:  # noqa: BLE001 - nothing may pass as it is
            failed = HandlerFailed(
                type(error).__name__, report(f"{handler.__name__} failed", error)
            )
        raise failed  # outside `except`, so its context does not hold the original error

    return run


def emit_metrics(namespace: str, values: Mapping[str, float]) -> None:
    """Print metrics in CloudWatch's embedded format, in the unit that the name contains (Seconds,
    Percent), else as counts. Never pass tenant names: AWS would bill each as its own metric."""
    metrics = EphemeralMetrics(namespace=namespace, service=SERVICE)
    for name, value in values.items():
        units = (MetricUnit.Seconds, MetricUnit.Percent)
        unit = next((each for each in units if each.value in name), MetricUnit.Count)
        metrics.add_metric(name, unit, value)
    metrics.flush_metrics()
