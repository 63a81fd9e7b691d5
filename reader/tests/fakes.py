"""A table, the service's function and a clock that a test holds in its hands."""

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from ha_goto_tokens import TokenReader

START = 1_800_000_000.0
CANARY = "canary-access-token-never-to-be-seen"
Result = TypeVar("Result")


def run(coroutine: Coroutine[Any, Any, Result]) -> Result:
    """`asyncio.run` in a thread of its own: a browser test may have left this one its loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


class Clock:
    """The true time, which passes only when the test says so, and this machine's clocks.

    ``wrong_by``: what the clock of the day is ahead; ``drift``: seconds by which it and the
    monotonic clock gain in a second; ``asleep``: seconds that the monotonic clock has missed.
    """

    def __init__(self) -> None:
        self.now = START
        self.wrong_by = 0.0
        self.drift = 0.0
        self.asleep = 0.0

    def __call__(self) -> float:
        return self.now + self.wrong_by + self.drift * (self.now - START)

    def monotonic(self) -> float:
        passed = self.now - START
        return 5_000 + passed * (1 + self.drift) - self.asleep

    def dated(self) -> dict[str, Any]:
        """What boto3 tells of an answer that AWS gives now."""
        headers = {"date": formatdate(int(self.now), usegmt=True)}
        return {"RequestId": "R1", "HTTPStatusCode": 200, "HTTPHeaders": headers}


def refused(code: str, operation: str) -> ClientError:
    """AWS's refusal as boto3 raises it."""
    return ClientError({"Error": {"Code": code, "Message": "said by AWS"}}, operation)


class FakeDynamoDB:
    """The `Tokens` table. ``failing``: what each read raises. ``reads``: consistent or not.
    ``clock``: whose time its answers tell; None where they tell none."""

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.items: dict[str, dict[str, Any]] = {}
        self.reads: list[bool] = []
        self.batches: list[int] = []
        self.failing: Exception | None = None
        self.unprocessed: list[int] = []

    def put(self, tenant: str = "acme", **changed: Any) -> None:
        """An item as the service writes it; an attribute that is None is left out."""
        values = {
            "tenant": tenant,
            "schema": 1,
            "status": "connected",
            "generation": 1,
            "version": 1,
            "access_token": f"{CANARY}-{tenant}-{changed.get('version', 1)}",
            "token_type": "Bearer",
            "scope": "cr.v1.read",
            "account_key": "4000000001",
            "issued_at": int(START),
            "expires_at": int(START) + 3600,
            "added_by_a_later_service": "ignored",
        } | changed
        self.items[tenant] = {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value}
            for name, value in values.items()
            if value is not None
        }

    def get_item(self, *, TableName: str, Key: Any, ConsistentRead: bool) -> dict[str, Any]:
        self.reads.append(ConsistentRead)
        if self.failing:
            raise self.failing
        found = self.items.get(Key["tenant"]["S"])
        return {**({"Item": found} if found else {}), **self._about()}

    def _about(self) -> dict[str, Any]:
        return {"ResponseMetadata": self.clock.dated()} if self.clock else {}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        """Leaves as many keys unprocessed as ``unprocessed`` says for this call."""
        [(table, request)] = RequestItems.items()
        keys = request["Keys"]
        assert 0 < len(keys) <= 100
        self.batches.append(len(keys))
        if self.failing:
            raise self.failing
        left = self.unprocessed.pop(0) if self.unprocessed else 0
        done, undone = keys[: len(keys) - left], keys[len(keys) - left :]
        names = [key["tenant"]["S"] for key in done]
        found = [self.items[name] for name in names if name in self.items]
        unprocessed = {table: {"Keys": undone}} if undone else {}
        return {"Responses": {table: found}, "UnprocessedKeys": unprocessed, **self._about()}


class FakeLambda:
    """`refresh_now`. ``answer``: what it answers, raises, or a call that makes the answer."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.answer: dict[str, Any] | Exception | Callable[[dict[str, Any]], dict[str, Any]] = {
            "outcome": "later"
        }
        self.raw: bytes | None = None
        self.function_error = False

    def invoke(self, *, FunctionName: str, Payload: bytes) -> dict[str, Any]:
        wish = json.loads(Payload)
        self.asked.append(wish)
        if isinstance(self.answer, Exception):
            raise self.answer
        answer = self.answer(wish) if callable(self.answer) else self.answer
        payload = self.raw or json.dumps({"schema": 1, **answer}).encode()
        error = {"FunctionError": "Unhandled"} if self.function_error else {}
        return {"StatusCode": 200, "Payload": io.BytesIO(payload), **error}


class Bench:
    """A reader on these stand-ins."""

    def __init__(self, **changed: Any) -> None:
        self.clock = Clock()
        self.dynamodb = FakeDynamoDB()
        self.function = FakeLambda()
        self.slept: list[float] = []
        self.reader = TokenReader(
            table="Tokens",
            refresh_function="refresh_now",
            dynamodb=self.dynamodb,
            lambda_client=self.function,
            clock=self.clock,
            monotonic=self.clock.monotonic,
            sleep=self.slept.append,
            **changed,
        )

    def refreshing(self, wish: dict[str, Any]) -> dict[str, Any]:
        """An answer of a service that refreshes: at most once a version."""
        tenant = wish["tenant"]
        before = self.dynamodb.items[tenant]
        version = int(before["version"]["N"])
        if wish.get("rejected_version", version) < version:
            return {"outcome": "alive", "version": version}
        expires_at = int(self.clock.now) + 3600
        self.dynamodb.put(tenant, version=version + 1, expires_at=expires_at)
        return {"outcome": "refreshed", "version": version + 1, "expires_at": expires_at}
