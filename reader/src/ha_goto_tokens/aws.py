"""boto3's clients as this library makes them, with their deadlines, and what a stage is called."""

import json
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

_DYNAMODB = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=50,
)
"""Seconds. A read takes milliseconds; a caller would rather hear than wait."""

_LAMBDA = Config(
    connect_timeout=2,
    read_timeout=40,
    retries={"mode": "standard", "total_max_attempts": 1},
)
"""Seconds. The service gives GoTo 30 s; asked twice, the function would only wait for itself."""

_SSM = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"})

_CONFIGS = {"dynamodb": _DYNAMODB, "lambda": _LAMBDA, "ssm": _SSM}


@dataclass(frozen=True, slots=True)
class Names:
    """The table's name or ARN, and the refresh function's; None where readers may not ask."""

    table: str
    refresh_function: str | None


def client(service: str) -> Any:
    """boto3's client, of a session of its own: sessions are not to be shared between threads."""
    return boto3.session.Session().client(service, config=_CONFIGS[service])  # type: ignore[call-overload]  # by its name


def names(stage: str, ssm: Any = None) -> Names:
    """What a deployment's reader-access stack has published. Raises botocore's errors."""
    asked = ssm or client("ssm")
    answer = asked.get_parameter(Name=f"/ha-goto/{stage}/reader")
    published = json.loads(answer["Parameter"]["Value"])
    return Names(published["table"], published["refresh_function"])
