"""Adapters for AWS: boto3 clients with deadlines, the names that a stage publishes, and the
service's function `refresh_now`, which never returns a token."""

import json
import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from ha_goto_tokens.errors import Unavailable
from ha_goto_tokens.process import Process, process

ASK_AGAIN = 5
"""Seconds to wait before asking again, if the answer names no time."""

LONGEST_MINIMUM = 1_800
"""The most seconds of life that a reader may ask the service for."""

LONGEST_PAUSE = 300
"""Seconds. A longer ``retry_after`` is cut to this."""

REFRESHED = "refreshed"
ALIVE = "alive"
IN_PROGRESS = "in_progress"
LATER = "later"
NOT_CONNECTED = "not_connected"

_DYNAMODB = Config(
    connect_timeout=1,
    read_timeout=2,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=50,
)
"""Seconds. A read takes milliseconds; a caller would rather get an error than wait."""

_LAMBDA = Config(
    connect_timeout=2,
    read_timeout=40,
    retries={"mode": "standard", "total_max_attempts": 1},
)
"""Seconds. The service gives GoTo 30 s. No retry: a second call would only wait for the first."""

_SSM = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"})

_CONFIGS = {"dynamodb": _DYNAMODB, "lambda": _LAMBDA, "ssm": _SSM}


class ForkedClient(Exception):
    """The client was passed in before a fork: its connections belong to the parent process."""

    what_to_do = (
        "The operator must have the service hand in a function that makes the client, as in"
        " dynamodb=lambda: session.client('dynamodb'), or make the TokenReader after the fork."
    )

    def __str__(self) -> str:
        return "the reader's client was handed in before this process was forked"


class Client:
    """A boto3 client, made at its first use, so that no process uses another's.

    ``given`` is None, a function that makes the client, or the client itself. A client itself works
    only in the process that it was passed to, not in a fork.
    """

    def __init__(self, service: str, given: Any, given_in: Process) -> None:
        self._service = service
        self._given = given
        self._given_in = given_in
        self._lock = threading.Lock()
        self._made: Any = None

    def __call__(self) -> Any:
        """Raises `ForkedClient`."""
        if self._made is None:
            with self._lock:
                if self._made is None:
                    self._made = self._make()
        return self._made

    def _make(self) -> Any:
        if self._given is None:
            return client(self._service)
        if callable(self._given):
            return self._given()
        if self._given_in is not process():
            raise ForkedClient
        return self._given


_UNPUBLISHED = {
    "NoRegionError": ("No AWS region is set.", "Set AWS_REGION."),
    "NoCredentialsError": ("There are no AWS credentials.", "Log in to AWS, or set a role."),
    "ParameterNotFound": (
        "This account and region publish no such stage.",
        "Check the name and AWS_REGION; deploy infra/reader-access.yaml with the parameter Stage.",
    ),
    "AccessDeniedException": (
        "This identity may not look the stage up.",
        "Use the role of the stage's reader-access stack.",
    ),
}
"""What went wrong when looking up a stage, and what to do, by AWS's code or botocore's class."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names or ARNs of the table and the refresh function; None if readers may not ask."""

    table: str
    refresh_function: str | None


def client(service: str) -> Any:
    """A boto3 client with its own session: threads must not share sessions."""
    # AWS's other tools read AWS_REGION; boto3 reads only AWS_DEFAULT_REGION and profiles.
    session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
    return session.client(service, config=_CONFIGS[service])  # type: ignore[call-overload]  # by its name


def names(stage: str, ssm: Any = None) -> Names:
    """The names that a deployment's reader-access stack published. Raises `Unavailable`."""
    try:
        with process().calling():
            asked = ssm or client("ssm")
            answer = asked.get_parameter(Name=f"/ha-goto/{stage}/reader")
    except (ClientError, BotoCoreError) as error:
        happened, what_to_do = _UNPUBLISHED.get(
            code_of(error), (f"AWS answered {code_of(error)}.", "Look at the AWS settings.")
        )
        raise Unavailable(f"stage {stage}", happened, what_to_do, whose_turn="operator") from error
    published = json.loads(answer["Parameter"]["Value"])
    return Names(published["table"], published["refresh_function"])


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of `refresh_now`. ``version``: the stored token's; ``retry_after``: seconds, or
    None if it named no time; ``detail``: why."""

    outcome: str
    version: int | None = None
    retry_after: int | None = None
    detail: str = ""

    @property
    def pause(self) -> int:
        """Seconds to wait before asking again."""
        return ASK_AGAIN if self.retry_after is None else self.retry_after


class RefreshClient:
    def __init__(self, client: Callable[[], Any], function: str | None) -> None:
        """``client`` returns a boto3 client for Lambda; ``function`` is a name or ARN, or None if
        readers may not ask."""
        self._client = client
        self._function = function

    def ask(self, tenant: str, request: Mapping[str, int]) -> Answer:
        """Invoke the function with ``min_valid_seconds``, ``rejected_version`` or
        ``forbidden_version``.

        Never raises an error of AWS: no answer counts as the answer ``later``.
        """
        if self._function is None:
            return Answer(LATER, detail="this reader has no refresh function")
        payload = json.dumps({"tenant": tenant, **request}).encode()
        try:
            with process().calling():
                invoked = self._client().invoke(FunctionName=self._function, Payload=payload)
                answer = invoked["Payload"].read()
            if "FunctionError" in invoked:
                return Answer(LATER, detail="refresh_now failed")
            return _read(json.loads(answer))
        except (ClientError, BotoCoreError) as error:
            return Answer(LATER, detail=f"refresh_now: {code_of(error)}")
        except ForkedClient as error:
            return Answer(LATER, detail=str(error))
        except (ValueError, OSError):
            return Answer(LATER, detail="refresh_now gave no answer that can be read")


def code_of(error: ClientError | BotoCoreError) -> str:
    """AWS's error code, or the name of botocore's error if AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def _read(answer: Any) -> Answer:
    """Parse the function's answer, ignoring members that this library does not know."""
    if not isinstance(answer, dict) or not isinstance(answer.get("outcome"), str):
        return Answer(LATER, detail="refresh_now gave no answer that can be read")
    pause, version, outcome = answer.get("retry_after"), answer.get("version"), answer["outcome"]
    return Answer(
        outcome,
        version if isinstance(version, int) else None,
        max(1, min(pause, LONGEST_PAUSE)) if isinstance(pause, int) else None,
        str(answer.get("detail") or f"refresh_now: {outcome}"),
    )
