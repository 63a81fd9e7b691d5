"""Adapters for AWS: boto3's clients with their deadlines, the names a stage publishes, and the
service's function `refresh_now`, which never answers a token."""

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
"""Seconds after which to ask again where AWS names no time."""

LONGEST_MINIMUM = 1_800
"""Seconds of life that the service lets a reader ask for."""

LONGEST_PAUSE = 300
"""Seconds: an answer that names a longer ``retry_after`` is asked again after this."""

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
"""Seconds. A read takes milliseconds; a caller would rather hear than wait."""

_LAMBDA = Config(
    connect_timeout=2,
    read_timeout=40,
    retries={"mode": "standard", "total_max_attempts": 1},
)
"""Seconds. The service gives GoTo 30 s; asked twice, the function would only wait for itself."""

_SSM = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard"})

_CONFIGS = {"dynamodb": _DYNAMODB, "lambda": _LAMBDA, "ssm": _SSM}


class ForkedClient(Exception):
    """A client that was handed in before a fork: its connections belong to the parent process."""

    what_to_do = (
        "The operator must have the service hand in a function that makes the client, as in"
        " dynamodb=lambda: session.client('dynamodb'), or make the TokenReader after the fork."
    )

    def __str__(self) -> str:
        return "the reader's client was handed in before this process was forked"


class Client:
    """One of boto3's clients, made where it is first used: a process never uses another's.

    ``given`` is None, a function that makes the client, or the client itself, which is then good
    for the process it was handed in to and for no fork of it.
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
"""What went wrong where a stage is looked up, and what to do, by AWS's name or botocore's."""


@dataclass(frozen=True, slots=True)
class Names:
    """The table's name or ARN, and the refresh function's; None where readers may not ask."""

    table: str
    refresh_function: str | None


def client(service: str) -> Any:
    """boto3's client, of a session of its own: sessions are not to be shared between threads."""
    # AWS_REGION is what AWS's other tools read; boto3 knows AWS_DEFAULT_REGION and profiles.
    session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))
    return session.client(service, config=_CONFIGS[service])  # type: ignore[call-overload]  # by its name


def names(stage: str, ssm: Any = None) -> Names:
    """What a deployment's reader-access stack has published. Raises `Unavailable`."""
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
    """What `refresh_now` answered: ``version`` of the stored token; ``retry_after`` in seconds, or
    None where it named no time; ``detail`` says why."""

    outcome: str
    version: int | None = None
    retry_after: int | None = None
    detail: str = ""

    @property
    def pause(self) -> int:
        """Seconds after which to ask again."""
        return ASK_AGAIN if self.retry_after is None else self.retry_after


class RefreshClient:
    def __init__(self, client: Callable[[], Any], function: str | None) -> None:
        """``client`` gives boto3's for Lambda; ``function`` is a name or ARN, None where readers
        may not ask."""
        self._client = client
        self._function = function

    def ask(self, tenant: str, request: Mapping[str, int]) -> Answer:
        """Invoke the function with ``min_valid_seconds``, ``rejected_version`` or
        ``forbidden_version``.

        Never raises for what AWS does: no answer is the answer ``later``.
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
    """What AWS calls it, or the name of botocore's error where AWS did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "ClientError"))
    return type(error).__name__


def _read(answer: Any) -> Answer:
    """What the function answered. Members that this library does not know are ignored."""
    if not isinstance(answer, dict) or not isinstance(answer.get("outcome"), str):
        return Answer(LATER, detail="refresh_now gave no answer that can be read")
    pause, version, outcome = answer.get("retry_after"), answer.get("version"), answer["outcome"]
    return Answer(
        outcome,
        version if isinstance(version, int) else None,
        max(1, min(pause, LONGEST_PAUSE)) if isinstance(pause, int) else None,
        str(answer.get("detail") or f"refresh_now: {outcome}"),
    )
