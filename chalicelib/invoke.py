"""Lambda: have another function of this service do something later."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import DependencyUnavailable, Misconfigured

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient


def invoke_later(
    client: "LambdaClient", function: str | None, payload: Mapping[str, str | float]
) -> None:
    """Queue one asynchronous invocation. Raises `DependencyUnavailable`, `Misconfigured`."""
    if function is None:
        raise Misconfigured("the function to invoke is not set")
    try:
        client.invoke(
            FunctionName=function, InvocationType="Event", Payload=json.dumps(payload).encode()
        )
    except ClientError as error:
        raise DependencyUnavailable("lambda", error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise DependencyUnavailable("lambda", type(error).__name__) from None
