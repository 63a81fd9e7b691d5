"""DynamoDB's wire format: items, expressions, transactions, and its errors as ours; and the tables
of one deployment, which every store is made of.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from chalicelib.aws import clients
from chalicelib.aws.errors import aws_errors
from chalicelib.config import Settings
from chalicelib.durations import CONFLICT_PAUSE
from chalicelib.errors import Conflict, DependencyUnavailable

CONFLICT_ATTEMPTS = 4
"""How often a transaction is tried when another one holds the same item for a moment."""

Result = TypeVar("Result")

Plain = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One part of a transaction; ``label`` is how a failed condition is reported."""

    label: str
    request: dict[str, Any]


def encode(value: Any) -> dict[str, Any]:
    """One attribute value. The tables hold text, whole numbers, truth values and maps only."""
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": str(value)}
        case dict():
            return {"M": item(value)}
    raise TypeError(f"no attribute type for {type(value).__name__}")


def decode(value: Mapping[str, Any]) -> Any:
    """The inverse of `encode`."""
    kind, raw = next(iter(value.items()))
    match kind:
        case "N":
            return int(raw)
        case "M":
            return plain(raw)
    return raw


def item(values: Plain) -> dict[str, Any]:
    """A whole item; an attribute without a value is left out."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `item`."""
    return {name: decode(value) for name, value in attributes.items()}


def put(table: str, values: Plain, when: str = "", **given: Any) -> dict[str, Any]:
    """Arguments of a PutItem. In ``when``, attributes are written ``#name``, values ``:name``."""
    return {"TableName": table, "Item": item(values), **_condition(when, "", given)}


def update(
    table: str,
    key: Plain,
    *,
    setting: Plain = MappingProxyType({}),
    first: Plain = MappingProxyType({}),
    remove: Sequence[str] = (),
    adding: Plain = MappingProxyType({}),
    when: str = "",
    **given: Any,
) -> dict[str, Any]:
    """Arguments of an UpdateItem; an attribute set to None is removed.

    ``first``: set only where the item has none. ``adding``: numbers that count up.
    """
    kept = {name: value for name, value in setting.items() if value is not None}
    gone = [*remove, *(name for name, value in setting.items() if value is None)]
    sets = [f"#{name} = :set_{name}" for name in kept]
    sets += [f"#{name} = if_not_exists(#{name}, :set_{name})" for name in first]
    parts = ["SET " + ", ".join(sets)] if sets else []
    if gone:
        parts.append("REMOVE " + ", ".join(f"#{name}" for name in gone))
    if adding:
        parts.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in adding))
    expression = " ".join(parts)
    values = {f"set_{name}": value for name, value in {**kept, **first}.items()} | given
    values |= {f"add_{name}": value for name, value in adding.items()}
    return {
        "TableName": table,
        "Key": item(key),
        "UpdateExpression": expression,
        **_condition(when, expression, values),
    }


def projection(attributes: Sequence[str]) -> Any:
    """Arguments of a read that brings these attributes only; without any, all of them."""
    if not attributes:
        return {}
    return {
        "ProjectionExpression": ", ".join(f"#{name}" for name in attributes),
        "ExpressionAttributeNames": {f"#{name}": name for name in attributes},
    }


def get(
    client: clients.DynamoDBClient, table: str, key: Plain, attributes: Sequence[str] = ()
) -> dict[str, Any]:
    """One row as it is now, read consistently; empty where there is none.

    ``attributes``: those only. Raises `DependencyUnavailable`.
    """
    with dynamodb_errors():
        found = client.get_item(
            TableName=table, Key=item(key), ConsistentRead=True, **projection(attributes)
        )
    return plain(found.get("Item", {}))


def batch_get(
    client: clients.DynamoDBClient,
    table: str,
    key: str,
    values: Sequence[str],
    attributes: Sequence[str],
) -> list[dict[str, Any]]:
    """Rows of up to 100 keys, in any order; what is not there is left out.

    Raises `DependencyUnavailable`.
    """
    found: list[dict[str, Any]] = []
    keys = [{key: {"S": value}} for value in values]
    wanted: Any = {table: {"Keys": keys, "ConsistentRead": True}} if keys else None
    if keys:
        wanted[table] |= projection(attributes)
    for attempt in range(CONFLICT_ATTEMPTS):
        if not wanted:
            return found
        if attempt:
            time.sleep(CONFLICT_PAUSE * 2 ** (attempt - 1))
        with dynamodb_errors():
            answer = client.batch_get_item(RequestItems=wanted)
        found += map(plain, answer["Responses"].get(table, ()))
        wanted = answer.get("UnprocessedKeys")
    if wanted:
        raise DependencyUnavailable("dynamodb", "UnprocessedKeys")
    return found


def delete(table: str, key: Plain, when: str = "", **given: Any) -> dict[str, Any]:
    """Arguments of a DeleteItem."""
    return {"TableName": table, "Key": item(key), **_condition(when, "", given)}


def check(table: str, key: Plain, when: str, **given: Any) -> dict[str, Any]:
    """Arguments of a ConditionCheck."""
    return {"TableName": table, "Key": item(key), **_condition(when, "", given)}


def _condition(when: str, expression: str, values: Plain) -> dict[str, Any]:
    names = set(re.findall(r"#(\w+)", f"{expression} {when}"))
    arguments: dict[str, Any] = {}
    if when:
        arguments["ConditionExpression"] = when
    if names:
        arguments["ExpressionAttributeNames"] = {f"#{name}": name for name in sorted(names)}
    if values:
        arguments["ExpressionAttributeValues"] = {
            f":{name}": encode(value) for name, value in values.items()
        }
    return arguments


@contextmanager
def dynamodb_errors(label: str = "item") -> Iterator[None]:
    """Turn botocore's errors into `Conflict` or `DependencyUnavailable`, without their text."""
    try:
        with aws_errors("dynamodb"):
            yield
    except DependencyUnavailable as error:
        if error.code == "ConditionalCheckFailedException":
            raise Conflict((label,)) from None
        raise


def change(
    client: clients.DynamoDBClient, label: str, arguments: dict[str, Any], returning: Any = "NONE"
) -> dict[str, Any]:
    """Update one item; returns the attributes asked for by ``returning`` (ReturnValues).

    Raises `Conflict` with the label when its condition failed, `DependencyUnavailable` otherwise.
    """

    def once() -> dict[str, Any]:
        with dynamodb_errors(label):
            answer = client.update_item(**arguments, ReturnValues=returning)
        return plain(answer.get("Attributes", {}))

    return _patiently(once)


def transact(client: clients.DynamoDBClient, actions: Sequence[Action]) -> None:
    """Write all or nothing.

    Raises `Conflict` naming the actions whose condition failed, `DependencyUnavailable` otherwise.
    """

    def once() -> None:
        with dynamodb_errors():
            _transact_once(client, actions)

    _patiently(once)


def _patiently(once: Callable[[], Result]) -> Result:
    """A write that merely met a transaction on the same item is tried again."""
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
        client.transact_write_items(TransactItems=[action.request for action in actions])  # type: ignore[misc]  # built by put and update above
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


@dataclass(frozen=True, slots=True)
class Tables:
    """Each table by the name that CloudFormation gave it. Which of them a function reaches is
    decided by its role, not here."""

    client: clients.DynamoDBClient
    tokens: str
    grants: str
    tenants: str
    links: str
    requests: str
    journal: str
    fleet: str


def tables_of(client: clients.DynamoDBClient, settings: Settings) -> Tables:
    """The tables that the settings name."""
    return Tables(
        client,
        tokens=settings.tokens_table,
        grants=settings.grants_table,
        tenants=settings.tenants_table,
        links=settings.links_table,
        requests=settings.requests_table,
        journal=settings.journal_table,
        fleet=settings.fleet_table,
    )
