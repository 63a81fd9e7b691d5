"""The tables of one deployment, on which every store is built: reads, writes, transactions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from chalicelib.aws import clients
from chalicelib.config import Settings
from chalicelib.durations import CONFLICT_PAUSE
from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.expressions import Plain, dynamodb_errors, item, plain
from chalicelib.errors import Conflict, DependencyUnavailable

CONFLICT_ATTEMPTS = 4
"""Attempts at a write while another transaction holds the same item."""

_NOTHING: Plain = MappingProxyType({})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Action:
    """One item's write. If its condition fails, `Conflict` names its ``label``."""

    label: str
    verb: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table; CloudFormation chose its ``name``. Conditions write attributes as ``#name`` and
    values as ``:name``. A key is the partition key's value, or all attributes of the key."""

    client: clients.DynamoDBClient
    name: str
    label: str
    key: str = "tenant"

    def get(self, key: str | Plain, attributes: Sequence[str] = ()) -> dict[str, Any]:
        """One row, read consistently, or only its ``attributes``; empty if there is none. Raises
        `DependencyUnavailable`."""
        with dynamodb_errors():
            found = self.client.get_item(
                TableName=self.name,
                Key=self._key(key),
                ConsistentRead=True,
                **expressions.projection(attributes),
            )
        return plain(found.get("Item", {}))

    def batch_get(self, keys: Sequence[str], attributes: Sequence[str]) -> list[dict[str, Any]]:
        """The rows that exist for up to 100 keys, in any order. Raises `DependencyUnavailable`."""
        found: list[dict[str, Any]] = []
        reading: Any = {"Keys": [self._key(key) for key in keys], "ConsistentRead": True}
        wanted = {self.name: reading | expressions.projection(attributes)} if keys else None
        for attempt in range(CONFLICT_ATTEMPTS):
            if not wanted:
                return found
            if attempt:
                time.sleep(CONFLICT_PAUSE * 2 ** (attempt - 1))
            with dynamodb_errors():
                answer: Any = self.client.batch_get_item(RequestItems=wanted)
            found += map(plain, answer["Responses"].get(self.name, ()))
            wanted = answer.get("UnprocessedKeys")
        if wanted:
            raise DependencyUnavailable("dynamodb", "UnprocessedKeys")
        return found

    def query(
        self,
        when: str,
        *,
        limit: int,
        index: str | None = None,
        keeping: str = "",
        newest_first: bool = False,
        after: Any = None,
        **given: Any,
    ) -> tuple[list[dict[str, Any]], Any]:
        """Rows of one partition, and where the next page starts (None: no more). Reads at most
        ``limit`` rows and returns those for which ``keeping`` holds. Consistent, except with an
        ``index``. Raises `DependencyUnavailable`."""
        optional: dict[str, Any] = {
            "IndexName": index,
            "FilterExpression": keeping,
            "ExclusiveStartKey": after,
        }
        with dynamodb_errors():
            found = self.client.query(
                TableName=self.name,
                KeyConditionExpression=when,
                ConsistentRead=index is None,
                ScanIndexForward=not newest_first,
                Limit=limit,
                **{name: value for name, value in optional.items() if value},
                **expressions.placeholders(f"{when} {keeping}", given),
            )
        return [plain(each) for each in found["Items"]], found.get("LastEvaluatedKey")

    def count(self, when: str, *, limit: int, index: str, **given: Any) -> int:
        """Count an index partition's rows, up to ``limit``. Raises `DependencyUnavailable`."""
        with dynamodb_errors():
            found = self.client.query(
                TableName=self.name,
                IndexName=index,
                Select="COUNT",
                KeyConditionExpression=when,
                Limit=limit,
                **expressions.placeholders(when, given),
            )
        return found["Count"]

    def scan(self, *, after: Any = None, **arguments: Any) -> tuple[list[dict[str, Any]], Any]:
        """One page of the table, and where the next one starts. Raises `DependencyUnavailable`."""
        start: Any = {"ExclusiveStartKey": after} if after else {}
        with dynamodb_errors():
            found = self.client.scan(TableName=self.name, **arguments, **start)
        return [plain(each) for each in found["Items"]], found.get("LastEvaluatedKey")

    def put(self, values: Plain, when: str = "", *, label: str = "", **given: Any) -> Action:
        return self._action("Put", {"Item": item(values)}, when, given, label)

    def delete(self, key: str | Plain, when: str = "", **given: Any) -> Action:
        return self._action("Delete", {"Key": self._key(key)}, when, given)

    def check(self, key: str | Plain, when: str, **given: Any) -> Action:
        """Change nothing, but cancel the transaction if the condition fails."""
        return self._action("ConditionCheck", {"Key": self._key(key)}, when, given)

    def update(
        self,
        key: str | Plain,
        *,
        setting: Plain = _NOTHING,
        first: Plain = _NOTHING,
        remove: Sequence[str] = (),
        adding: Plain = _NOTHING,
        when: str = "",
        label: str = "",
        **given: Any,
    ) -> Action:
        """Change attributes; setting one to None removes it. ``first``: set only if the row lacks
        it. ``adding``: numbers to add."""
        expression, values = expressions.changing(setting, first, remove, adding)
        arguments = {"Key": self._key(key), "UpdateExpression": expression}
        return self._action("Update", arguments, when, values | given, label)

    def _key(self, key: str | Plain) -> dict[str, Any]:
        return item({self.key: key} if isinstance(key, str) else key)

    def _action(
        self, verb: str, arguments: dict[str, Any], when: str, values: Plain, label: str = ""
    ) -> Action:
        text = f"{arguments.get('UpdateExpression', '')} {when}"
        condition = {"ConditionExpression": when} if when else {}
        placed = expressions.placeholders(text, values)
        whole = {"TableName": self.name, **arguments, **condition, **placed}
        return Action(label or self.label, verb, whole)


@dataclass(frozen=True, slots=True)
class Tables:
    """All tables. A function's IAM role decides which of them it can reach."""

    client: clients.DynamoDBClient
    tokens: Table
    grants: Table
    tenants: Table
    links: Table
    requests: Table
    journal: Table
    fleet: Table

    def write(self, action: Action, returning: str = "NONE") -> dict[str, Any]:
        """Write one item; returns the attributes that ``returning`` (ReturnValues) selects. Raises
        `Conflict` with the label if its condition fails, `DependencyUnavailable`."""
        send: Mapping[str, Callable[..., Any]] = {
            "Put": self.client.put_item,
            "Update": self.client.update_item,
            "Delete": self.client.delete_item,
        }

        def once() -> dict[str, Any]:
            with dynamodb_errors(action.label):
                answer = send[action.verb](**action.arguments, ReturnValues=returning)
            return plain(answer.get("Attributes", {}))

        return _patiently(once)

    def try_write(self, action: Action) -> bool:
        """Like `write`; False if its condition fails. Raises `DependencyUnavailable`."""
        try:
            self.write(action)
        except Conflict:
            return False
        return True

    def transact(self, *actions: Action) -> None:
        """Write all or nothing. Raises `Conflict` with the labels of the actions whose condition
        failed, `DependencyUnavailable`."""

        def once() -> None:
            with dynamodb_errors():
                _transact_once(self.client, actions)

        _patiently(once)

    def try_transact(self, *actions: Action) -> bool:
        """Like `transact`; False if a condition fails. Raises `DependencyUnavailable`."""
        try:
            self.transact(*actions)
        except Conflict:
            return False
        return True


@dataclass(eq=False)
class Store:
    """What a store of rows is made of."""

    tables: Tables


def tables_of(client: clients.DynamoDBClient, settings: Settings) -> Tables:
    return Tables(
        client,
        tokens=Table(client, settings.tokens_table, "tokens"),
        grants=Table(client, settings.grants_table, "grants"),
        tenants=Table(client, settings.tenants_table, "tenants"),
        links=Table(client, settings.links_table, "links", "link"),
        requests=Table(client, settings.requests_table, "request", "request"),
        journal=Table(client, settings.journal_table, "journal"),
        fleet=Table(client, settings.fleet_table, "fleet"),
    )


def _patiently(once: Callable[[], Result]) -> Result:
    """Retry writes that failed only because of a concurrent transaction on the same item."""
    for attempt in range(1, CONFLICT_ATTEMPTS):
        try:
            return once()
        except DependencyUnavailable as error:
            if not error.code.startswith("TransactionConflict"):
                raise
        time.sleep(CONFLICT_PAUSE * 2 ** (attempt - 1))
    return once()


def _transact_once(client: clients.DynamoDBClient, actions: Sequence[Action]) -> None:
    try:
        client.transact_write_items(
            TransactItems=[{action.verb: action.arguments} for action in actions]  # type: ignore[misc]  # built by Table
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "TransactionCanceledException":
            raise
        cancelled = error.response.get("CancellationReasons", [])
        reasons = [reason.get("Code", "None") for reason in cancelled]
        failed = tuple(
            action.label
            for action, reason in zip(actions, reasons, strict=False)
            if reason == "ConditionalCheckFailed"
        )
        if failed:
            raise Conflict(failed) from None
        other = next((reason for reason in reasons if reason != "None"), "Unknown")
        raise DependencyUnavailable("dynamodb", other) from None
