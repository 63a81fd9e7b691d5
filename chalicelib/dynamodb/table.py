"""The tables of one deployment, which every store is made of: reads, writes, transactions."""

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
"""How often a transaction is tried when another one holds the same item for a moment."""

_NOTHING: Plain = MappingProxyType({})

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Action:
    """One item's write; ``label`` is how its failed condition is reported."""

    label: str
    verb: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One table, by the name that CloudFormation gave it. In conditions, attributes are written
    ``#name``, values ``:name``. A key is the partition key's value, or all attributes of the key.
    """

    client: clients.DynamoDBClient
    name: str
    label: str
    key: str = "tenant"

    def get(self, key: str | Plain, attributes: Sequence[str] = ()) -> dict[str, Any]:
        """One row as it is now, read consistently; empty where there is none.

        ``attributes``: those only. Raises `DependencyUnavailable`.
        """
        with dynamodb_errors():
            found = self.client.get_item(
                TableName=self.name,
                Key=self._key(key),
                ConsistentRead=True,
                **expressions.projection(attributes),
            )
        return plain(found.get("Item", {}))

    def batch_get(self, keys: Sequence[str], attributes: Sequence[str]) -> list[dict[str, Any]]:
        """Rows of up to 100 keys, in any order; what is not there is left out.

        Raises `DependencyUnavailable`.
        """
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
        """Rows of one partition, and where to go on (None: nowhere).

        At most ``limit`` are looked at, and answered if ``keeping`` holds. Consistent, but for an
        ``index``. Raises `DependencyUnavailable`.
        """
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
        """How many rows of an index's partition there are, up to ``limit``.

        Raises `DependencyUnavailable`.
        """
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
        """Rows of a page of the whole table, and where to go on. Raises `DependencyUnavailable`."""
        start: Any = {"ExclusiveStartKey": after} if after else {}
        with dynamodb_errors():
            found = self.client.scan(TableName=self.name, **arguments, **start)
        return [plain(each) for each in found["Items"]], found.get("LastEvaluatedKey")

    def put(self, values: Plain, when: str = "", *, label: str = "", **given: Any) -> Action:
        """Write a whole row."""
        return self._action("Put", {"Item": item(values)}, when, given, label)

    def delete(self, key: str | Plain, when: str = "", **given: Any) -> Action:
        """Delete a row."""
        return self._action("Delete", {"Key": self._key(key)}, when, given)

    def check(self, key: str | Plain, when: str, **given: Any) -> Action:
        """Change nothing; only in a transaction, which the condition holds up."""
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
        """Change attributes; one set to None is removed.

        ``first``: set only where the row has none. ``adding``: numbers that count up.
        """
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
    """Which of them a function reaches is decided by its role, not here."""

    client: clients.DynamoDBClient
    tokens: Table
    grants: Table
    tenants: Table
    links: Table
    requests: Table
    journal: Table
    fleet: Table

    def write(self, action: Action, returning: str = "NONE") -> dict[str, Any]:
        """Write one item; returns the attributes asked for by ``returning`` (ReturnValues).

        Raises `Conflict` with the label when its condition failed, `DependencyUnavailable`.
        """
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
        """The same; False when its condition failed. Raises `DependencyUnavailable`."""
        try:
            self.write(action)
        except Conflict:
            return False
        return True

    def transact(self, *actions: Action) -> None:
        """Write all or nothing.

        Raises `Conflict` naming the actions whose condition failed, `DependencyUnavailable`.
        """

        def once() -> None:
            with dynamodb_errors():
                _transact_once(self.client, actions)

        _patiently(once)

    def try_transact(self, *actions: Action) -> bool:
        """The same; False when a condition failed. Raises `DependencyUnavailable`."""
        try:
            self.transact(*actions)
        except Conflict:
            return False
        return True


def tables_of(client: clients.DynamoDBClient, settings: Settings) -> Tables:
    """The tables that the settings name."""
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
