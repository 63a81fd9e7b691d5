"""Lambda: invokes another function of this service, asynchronously or waiting for its answer.

Payloads and answers may hold secrets, so no error includes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.errors import DependencyUnavailable, Misconfigured

Payload = Mapping[str, str | float | list[int]]
"""Payload of an asynchronous invocation."""


def invoke_later(client: clients.LambdaClient, function: str | None, payload: Payload) -> None:
    """Queue one asynchronous invocation. Raises `DependencyUnavailable`, `Misconfigured`."""
    if function is None:
        raise Misconfigured("the function to invoke is not set")
    with aws_errors("lambda"):
        client.invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(payload).encode()
        )


def invoke_now(
    client: clients.LambdaClient, function: str | None, payload: Mapping[str, Any]
) -> dict[str, Any]:
    """Invoke and wait. Raises `DependencyUnavailable` if no answer comes, `Misconfigured`."""
    if function is None:
        raise Misconfigured("the function to invoke is not set")
    with aws_errors("lambda"):
        answer = client.invoke(FunctionName=function, Payload=json.dumps(payload).encode())
        text = answer["Payload"].read()
    try:
        result: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise DependencyUnavailable("lambda", type(error).__name__) from None
    if answer.get("FunctionError"):
        raise DependencyUnavailable("lambda", "FunctionError")
    return result
