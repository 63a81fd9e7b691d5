"""For a service's tests: a `TokenReader` without AWS and without waiting.

    reader = FakeTokenReader()
    reader.connect("acme", "a-token")
    assert my_service(reader, "acme") == ...
    reader.end("acme")                   # from now on: ReauthorizationRequired

It is the real reader on a table in memory, with its 30-second cache off: errors, outages and auth
classes behave as in production. A rejected token is replaced, as the service would do.
"""

import io
import itertools
import json
from typing import Any

from botocore.exceptions import ConnectTimeoutError

from ha_goto_tokens.item import (
    DISCONNECTED,
    REAUTHORIZATION_REQUIRED,
    SCHEMA,
    UNKNOWN,
)
from ha_goto_tokens.reader import TokenReader

_START = 1_800_000_000
_LIFE = 3_600


class FakeTokenReader(TokenReader):
    """``asked`` lists the requests to the service: ``{"tenant": ..., "rejected_version": 1}`` for
    each 401, one with ``forbidden_version`` for each reported 403."""

    def __init__(self) -> None:
        self._table = _Tables()
        self.asked = self._table.asked
        super().__init__(
            table="Tokens",
            refresh_function="refresh_now",
            dynamodb=self._table,
            lambda_client=self._table,
            clock=self._table.now,
            monotonic=self._table.now,
            sleep=self._table.pass_,
            clock_error=0,
            cached_for=0,
        )

    def connect(
        self,
        tenant: str,
        token: str | None = None,
        *,
        lives: int = _LIFE,
        scope: str | None = None,
        account_key: str | None = None,
        usable: str = UNKNOWN,
    ) -> None:
        """Give the tenant a token that lives for ``lives`` seconds."""
        self._table.put(
            tenant,
            status="connected",
            access_token=token,
            expires_at=int(self._table.time) + lives,
            scope=scope,
            account_key=account_key,
            usable=usable,
        )

    def disconnect(self, tenant: str) -> None:
        """Disconnect the tenant. From now on: `NotConnected`."""
        self._table.put(tenant, status=DISCONNECTED, access_token=None, expires_at=None)

    def end(self, tenant: str) -> None:
        """Let GoTo end the connection, and the token die: `ReauthorizationRequired`."""
        self._table.put(tenant, status=REAUTHORIZATION_REQUIRED, expires_at=int(self._table.time))

    def kill(self, tenant: str) -> None:
        """Let the token die while GoTo is down: `Unavailable`, until `connect`."""
        self._table.put(tenant, status="degraded", expires_at=int(self._table.time))

    def go_away(self) -> None:
        """Take DynamoDB away: tokens read before are still served, the rest is `Unavailable`."""
        self._table.away = True

    def come_back(self) -> None:
        """Let DynamoDB answer again."""
        self._table.away = False

    def pass_(self, seconds: float) -> None:
        """Let time pass."""
        self._table.pass_(seconds)


class _Tables:
    """DynamoDB and Lambda as the reader calls them."""

    def __init__(self) -> None:
        self.time = float(_START)
        self.away = False
        self.asked: list[dict[str, Any]] = []
        self._items: dict[str, dict[str, Any]] = {}
        self._versions = itertools.count(1)

    def now(self) -> float:
        return self.time

    def pass_(self, seconds: float) -> None:
        self.time += seconds

    def put(self, tenant: str, **changed: Any) -> None:
        """Add an item or change it; None removes an attribute."""
        version = next(self._versions)
        if changed.get("access_token", "") is None and changed.get("expires_at"):
            changed["access_token"] = f"token-{version}-of-{tenant}"
        values = self._items.get(tenant, {"tenant": tenant, "schema": SCHEMA})
        values = values | changed | {"version": version}
        self._items[tenant] = {name: value for name, value in values.items() if value is not None}

    def get_item(self, *, Key: Any, **_: Any) -> dict[str, Any]:  # noqa: N803 - as boto3 names it
        self._reached()
        item = self._items.get(Key["tenant"]["S"])
        return {"Item": _typed(item)} if item else {}

    def batch_get_item(self, *, RequestItems: Any) -> dict[str, Any]:  # noqa: N803 - likewise
        self._reached()
        [(table, request)] = RequestItems.items()
        items = [self._items.get(key["tenant"]["S"]) for key in request["Keys"]]
        return {"Responses": {table: [_typed(item) for item in items if item]}}

    def invoke(self, *, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803 - likewise
        asked = json.loads(Payload)
        self.asked.append(asked)
        answer = json.dumps(self._answer(asked)).encode()
        return {"Payload": io.BytesIO(answer)}

    def _answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        item = self._items[asked["tenant"]]
        if "forbidden_version" in asked:
            return {"outcome": "alive", "version": item["version"]}
        if item["status"] != "connected":
            return {"outcome": "later", "retry_after": 60}
        expires_at = int(self.time) + _LIFE
        self.put(asked["tenant"], access_token=None, expires_at=expires_at)
        return {"outcome": "refreshed", "version": self._items[asked["tenant"]]["version"]}

    def _reached(self) -> None:
        if self.away:
            raise ConnectTimeoutError(endpoint_url="https://dynamodb.example")


def _typed(item: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in item.items()
    }
