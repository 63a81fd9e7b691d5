"""The smoke test of a deployment, which decides whether to restore the previous version.

Only calls through Lambda itself decide: the operator's machine may have a proxy, old certificates,
or a DNS that does not have a new host yet. What it finds from outside is only a warning.
"""

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from cli.local_checks import page_fault
from infra import eventbridge_rules
from infra.stack import StackFailed

TICK = {
    "version": "0",
    "id": "smoke-test",
    "detail-type": "Scheduled Event",
    "source": "aws.events",
    "account": "",
    "time": "",
    "region": "",
    "resources": [],
    "detail": {},
}
"""What EventBridge sends each minute. An extra tick has no effect (F17)."""

HEALTH = {
    "resource": "/healthz",
    "path": "/healthz",
    "httpMethod": "GET",
    "headers": {},
    "multiValueHeaders": {},
    "queryStringParameters": None,
    "multiValueQueryStringParameters": None,
    "pathParameters": None,
    "stageVariables": None,
    "requestContext": {"httpMethod": "GET", "resourcePath": "/healthz", "identity": {}},
    "body": None,
    "isBase64Encoded": False,
}
"""What API Gateway sends for `GET /healthz`."""

LOOK_SECONDS, PAUSE_SECONDS = 60, 5
"""Seconds allowed for a new host to become reachable from outside, and between two tries."""

TICK_SECONDS = 130
"""Seconds to wait for a tick; it ends by itself after 120."""


def pages_of(outputs: Mapping[str, str]) -> str:
    """The address of a stage's pages: from the stack's outputs, or at the local cloud, which
    AWS_ENDPOINT_URL names and no public host name leads to."""
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    if not elsewhere:
        # After a rollback the version may be older than this output.
        return outputs.get("PagesURL") or outputs["EndpointURL"].rstrip("/")
    stage = f"{outputs['ApiId']}/{outputs['ApiStage']}"
    return f"{elsewhere.rstrip('/')}/_aws/execute-api/{stage}"


class Smoke:
    """Tests a deployment: the web function answers, a tick completes. Also looks from outside."""

    def __init__(
        self,
        session: Any,
        endpoint: str | None = None,
        pages: str | None = None,
        pause: Callable[[float], None] = time.sleep,
        warn: Callable[[str], None] = print,
    ) -> None:
        """``pages``: the address of the pages, if it differs from `pages_of`."""
        config = Config(read_timeout=TICK_SECONDS, retries={"total_max_attempts": 1})
        self._session = session
        self._elsewhere = endpoint or os.environ.get("AWS_ENDPOINT_URL")
        self._lambda = session.client("lambda", endpoint_url=endpoint, config=config)
        self._events = session.client("events", endpoint_url=endpoint)
        self._pages = pages
        self._pause = pause
        self._warn = warn

    def __call__(self, outputs: Mapping[str, str]) -> None:
        """Raises `StackFailed` if the version is bad; everything else is a warning."""
        self._try_pages(outputs["WebFunction"])
        self._try_tick(outputs["RefreshTickFunction"])
        self._look_from_here((self._pages or pages_of(outputs)) + "/healthz")
        self._look_within(outputs["RepCommandFunction"])

    def _try_pages(self, function: str) -> None:
        answer = self._invoked(function, HEALTH, "The web function")
        body = json.loads(answer.get("body") or "{}")
        if (answer.get("statusCode"), body) != (200, {"ok": True}):
            raise StackFailed("The web function answers, but not that it is well.")

    def _try_tick(self, function: str) -> None:
        """Skipped while its rule is disabled: an operator stopped refreshing on purpose (F19)."""
        if not eventbridge_rules.enabled(self._lambda, self._events, function):
            self._warn("The rule of RefreshTick is disabled, so no tick was tried.")
            return
        self._invoked(function, TICK, "A tick")

    def _invoked(self, function: str, payload: Mapping[str, Any], what: str) -> dict[str, Any]:
        try:
            response = self._lambda.invoke(
                FunctionName=function, Payload=json.dumps(payload).encode()
            )
            answer: dict[str, Any] = json.loads(response["Payload"].read() or b"null") or {}
        except (BotoCoreError, ClientError, ValueError) as error:
            raise StackFailed(f"{what} could not be tried: {error}") from None
        if "FunctionError" in response:
            raise StackFailed(f"{what} ended in an error; the log of {function} says why.")
        return answer

    def _look_from_here(self, address: str) -> None:
        """Try for a minute: a new host takes time to become reachable."""
        fault = self._fault(address)
        for _ in range(LOOK_SECONDS // PAUSE_SECONDS):
            if fault is None:
                return
            self._pause(PAUSE_SECONDS)
            fault = self._fault(address)
        if fault is not None:
            self._warn(f"Lambda says that all is well, but from this machine {address}: {fault}")

    def _fault(self, address: str) -> str | None:
        try:
            with urllib.request.urlopen(self._request(address), timeout=30) as answer:  # noqa: S310 # nosec B310 - https, or the local cloud
                return None if json.load(answer) == {"ok": True} else "it is not our answer"
        except (OSError, ValueError) as error:
            return str(error)

    def _request(self, address: str) -> urllib.request.Request:
        """Signed for the local cloud, which requires it; on AWS the pages are public."""
        asked = AWSRequest("GET", address)
        if self._elsewhere and address.startswith(self._elsewhere):
            key = self._session.get_credentials()
            SigV4Auth(key, "execute-api", self._session.region_name).add_auth(asked)
        return urllib.request.Request(address, headers=dict(asked.headers.items()))  # noqa: S310 # nosec B310 - likewise

    def _look_within(self, function: str) -> None:
        """Warn of what the doctor finds, and try a tenant's page through the front."""
        try:
            found = self._invoked(function, {"command": "doctor"}, "The doctor")
        except StackFailed as error:
            self._warn(str(error))
            return
        for one in found.get("findings", ()):
            if not one["well"]:
                self._warn(f"{one['name']}: {one['told']} {one['advice']}")
        url = found.get("page_url")
        if url is None:
            self._warn("The front was not tried: there is no tenant yet, and so no host.")
        elif fault := page_fault(url):
            self._warn(f"The front does not lead to this stage: {fault}")
