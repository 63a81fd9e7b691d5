"""Adapter: the service's function `refresh_now`, asked for one tenant. It answers no token."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ha_goto_tokens.table import ASK_AGAIN, code_of

LONGEST_MINIMUM = 1_800
"""Seconds of life that the service lets a reader ask for."""

LONGEST_PAUSE = 300
"""Seconds: an answer that names a longer ``retry_after`` is asked again after this."""

REFRESHED = "refreshed"
ALIVE = "alive"
IN_PROGRESS = "in_progress"
LATER = "later"
NOT_CONNECTED = "not_connected"


@dataclass(frozen=True, slots=True)
class Answer:
    """``version`` of the stored token; ``retry_after`` in seconds; ``detail`` says why."""

    outcome: str
    version: int | None = None
    retry_after: int = ASK_AGAIN
    detail: str = ""


class Demand:
    def __init__(self, client: Callable[[], Any], function: str | None) -> None:
        """``client`` gives boto3's for Lambda; ``function`` is a name or ARN, None where readers
        may not ask."""
        self._client = client
        self._function = function

    def ask(self, tenant: str, wish: dict[str, int]) -> Answer:
        """Invoke the function with ``min_valid_seconds`` or ``rejected_version``.

        Never raises for what AWS does: no answer is the answer ``later``.
        """
        if self._function is None:
            return Answer(LATER, detail="this reader has no refresh function")
        payload = json.dumps({"tenant": tenant, **wish}).encode()
        try:
            invoked = self._client().invoke(FunctionName=self._function, Payload=payload)
            if "FunctionError" in invoked:
                return Answer(LATER, detail="refresh_now failed")
            return _read(json.loads(invoked["Payload"].read()))
        except (ClientError, BotoCoreError) as error:
            return Answer(LATER, detail=f"refresh_now: {code_of(error)}")
        except (ValueError, OSError):
            return Answer(LATER, detail="refresh_now gave no answer that can be read")


def _read(answer: Any) -> Answer:
    """What the function answered. Members that this library does not know are ignored."""
    if not isinstance(answer, dict) or not isinstance(answer.get("outcome"), str):
        return Answer(LATER, detail="refresh_now gave no answer that can be read")
    pause, version, outcome = answer.get("retry_after"), answer.get("version"), answer["outcome"]
    return Answer(
        outcome,
        version if isinstance(version, int) else None,
        max(1, min(pause, LONGEST_PAUSE)) if isinstance(pause, int) else ASK_AGAIN,
        str(answer.get("detail") or f"refresh_now: {outcome}"),
    )
