"""AWS's errors as ours, for every adapter: service and code only. AWS's text may quote our input,
secrets included (S20)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.errors import DependencyUnavailable


@contextmanager
def aws_errors(service: str) -> Iterator[None]:
    """Turn botocore's errors into `DependencyUnavailable`."""
    try:
        yield
    except ClientError as error:
        raise DependencyUnavailable(service, error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise DependencyUnavailable(service, type(error).__name__) from None
