"""DynamoDB in memory, for what the store uses of it, fast enough for a year of a fleet.

A stand-in for botocore's client: same arguments, same answers, same errors. Every suite that runs
on tables runs on this one too, beside moto and Amazon's own engine, and a generated test compares
it with the latter.
"""

import json
import threading
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from tests.support.expressions import (
    Change,
    Item,
    Names,
    Values,
    change_of,
    compiled,
    key_condition,
    key_names,
    listed,
    plain,
)

MOST_ACTIONS = 100
MOST_KEYS = 100


class _Table:
    def __init__(self, keys: Sequence[str], indexes: Mapping[str, tuple[str, str]]) -> None:
        self.keys = tuple(keys)
        self.indexes = indexes
        self.kept: dict[str, tuple[str, ...]] = {}
        self.items: dict[tuple[Any, ...], Item] = {}
        self.sorted: dict[str, dict[Any, list[tuple[Any, tuple[Any, ...]]]]] = {
            name: {} for name in indexes
        }
        self.told: Callable[[Item], None] | None = None

    def key(self, attributes: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(plain(attributes[name]) for name in self.keys)

    def write(self, key: tuple[Any, ...], item: Item | None) -> None:
        before = self.items.get(key)
        for name, (hashed, ranged) in self.indexes.items():
            old, new = _place(before, hashed, ranged), _place(item, hashed, ranged)
            if old != new:
                rows = self.sorted[name]
                if old is not None:
                    lane = rows[old[0]]
                    del lane[bisect_left(lane, (old[1], key))]
                if new is not None:
                    insort(rows.setdefault(new[0], []), (new[1], key))
        if item is None:
            self.items.pop(key, None)
        else:
            self.items[key] = item
            if self.told is not None:
                self.told(item)


class MemoryDynamoDB:
    """One account's tables. Safe to share between threads: every call is one step."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._lock = threading.RLock()

    def create_table(self, **arguments: Any) -> dict[str, Any]:
        keys = _names_of(arguments["KeySchema"])
        declared = arguments.get("GlobalSecondaryIndexes", ())
        indexes = {index["IndexName"]: _names_of(index["KeySchema"]) for index in declared}
        table = _Table(keys, indexes)  # type: ignore[arg-type]  # an index has two
        for index in declared:
            projection = index["Projection"]
            if projection["ProjectionType"] != "ALL":
                also = projection.get("NonKeyAttributes", ())
                table.kept[index["IndexName"]] = (*keys, *_names_of(index["KeySchema"]), *also)
        self._tables[arguments["TableName"]] = table
        return {}

    def watch(self, table: str, told: Callable[[Item], None]) -> None:
        """Have each row told that is written from now on, as a stream of new images would."""
        self._tables[table].told = told

    def key_of(self, table: str, item: Item) -> Item:
        """The key of a row."""
        return {name: item[name] for name in self._tables[table].keys}

    def snapshot(self) -> dict[str, Any]:
        """All rows as they are, for `restore`; rows are never changed in place."""
        with self._lock:
            return {
                name: (
                    dict(table.items),
                    {
                        index: {hashed: list(places) for hashed, places in rows.items()}
                        for index, rows in table.sorted.items()
                    },
                )
                for name, table in self._tables.items()
            }

    def rows(self) -> list[tuple[str, Item]]:
        """Every row with its table's name."""
        with self._lock:
            return [
                (name, item)
                for name, table in self._tables.items()
                for item in table.items.values()
            ]

    def row(self, table: str, *key: str) -> Item:
        """A row as it is kept, which nobody may change; empty where there is none."""
        return self._tables[table].items.get(key, {})

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Put back what `snapshot` saw."""
        with self._lock:
            for name, (items, placed) in snapshot.items():
                self._tables[name].items = dict(items)
                self._tables[name].sorted = {
                    index: {hashed: list(places) for hashed, places in rows.items()}
                    for index, rows in placed.items()
                }

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            table = self._table(arguments)
            item = table.items.get(table.key(arguments["Key"]))
            return {} if item is None else {"Item": _selected(item, arguments)}

    def batch_get_item(self, **arguments: Any) -> dict[str, Any]:
        found: dict[str, list[Item]] = {}
        with self._lock:
            for name, wanted in arguments["RequestItems"].items():
                if not 0 < len(wanted["Keys"]) <= MOST_KEYS:
                    raise _error("ValidationException", "BatchGetItem", "1 to 100 keys")
                answers = (
                    self.get_item(TableName=name, Key=key, **_without(wanted, "Keys"))
                    for key in wanted["Keys"]
                )
                found[name] = [answer["Item"] for answer in answers if answer]
        return {"Responses": found, "UnprocessedKeys": {}}

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            self._checked("PutItem", arguments)
            self._apply("Put", arguments)
            return {}

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            self._checked("DeleteItem", arguments)
            self._apply("Delete", arguments)
            return {}

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            self._checked("UpdateItem", arguments)
            before = self._table(arguments).items.get(self._place(arguments), {})
            item, change = self._apply("Update", arguments)
            match arguments.get("ReturnValues", "NONE"):
                case "ALL_OLD":
                    return {"Attributes": dict(before)} if before else {}
                case "ALL_NEW":
                    return {"Attributes": dict(item)}
                case "UPDATED_NEW":
                    names = arguments["ExpressionAttributeNames"]
                    touched = [names[name] for name, _ in change.setting + change.adding]
                    return {"Attributes": {name: item[name] for name in touched}}
                case "NONE":
                    return {}
            raise _error("ValidationException", "UpdateItem", "ReturnValues")

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        actions = [next(iter(action.items())) for action in arguments["TransactItems"]]
        with self._lock:
            places = {(part["TableName"], self._place(part)) for _, part in actions}
            if len(actions) > MOST_ACTIONS or len(places) < len(actions):
                raise _error("ValidationException", "TransactWriteItems", "not one action an item")
            if not {kind for kind, _ in actions} <= {"Put", "Update", "Delete", "ConditionCheck"}:
                raise _error("ValidationException", "TransactWriteItems", "not an action")
            held = [self._holds("TransactWriteItems", part) for _, part in actions]
            if not all(held):
                raise _cancelled(held)
            for kind, part in actions:
                if kind != "ConditionCheck":
                    self._apply(kind, part)
            return {}

    def query(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            table = self._table(arguments)
            index: str | None = arguments.get("IndexName")
            rows = _Rows(arguments)
            keys = table.keys if index is None else table.indexes[index]
            if rows.names != keys[: len(rows.names)]:
                raise _error("ValidationException", "Query", "not the keys of what is queried")
            if index is None:
                found = sorted(
                    (key for key in table.items if key[0] == rows.hashed),
                    reverse=not arguments.get("ScanIndexForward", True),
                )
            else:
                lane = table.sorted[index].get(rows.hashed, [])
                end = len(lane) if rows.upto is None else bisect_right(lane, (rows.upto, (_LAST,)))
                begin = 0 if rows.least is None else bisect_left(lane, (rows.least, ("",)))
                begin = max(begin, _after(arguments, table, lane))
                found = [key for _, key in lane[begin:end]]
                if not found:
                    return {"Items": [], "Count": 0}
                arguments = _without(arguments, "ExclusiveStartKey")
            return _page(arguments, table, found)

    def scan(self, **arguments: Any) -> dict[str, Any]:
        with self._lock:
            table = self._table(arguments)
            return _page(arguments, table, list(table.items))

    def _table(self, arguments: Mapping[str, Any]) -> _Table:
        try:
            return self._tables[arguments["TableName"]]
        except KeyError:
            raise _error("ResourceNotFoundException", "DynamoDB", "no such table") from None

    def _place(self, arguments: Mapping[str, Any]) -> tuple[Any, ...]:
        return self._table(arguments).key(arguments.get("Key") or arguments["Item"])

    def _checked(self, operation: str, arguments: Mapping[str, Any]) -> None:
        if not self._holds(operation, arguments):
            raise _error("ConditionalCheckFailedException", operation, "the condition failed")

    def _holds(self, operation: str, arguments: Mapping[str, Any]) -> bool:
        """Whether the condition holds; refuses placeholders that nothing uses, as AWS does."""
        text = arguments.get("ConditionExpression")
        condition = compiled(text) if text else None
        changed = arguments.get("UpdateExpression")
        used = condition.used if condition else frozenset()
        if changed:
            used |= change_of(changed).used
        names = arguments.get("ExpressionAttributeNames", {})
        values = arguments.get("ExpressionAttributeValues", {})
        if names.keys() | values.keys() != used:
            raise _error("ValidationException", operation, "placeholders unused or undefined")
        if condition is None:
            return True
        item = self._table(arguments).items.get(self._place(arguments), {})
        return condition.test(item, names, values)

    def _apply(self, kind: str, arguments: Mapping[str, Any]) -> tuple[Item, Change]:
        table = self._table(arguments)
        key = self._place(arguments)
        if kind == "Delete":
            table.write(key, None)
            return {}, _UNCHANGED
        if kind == "Put":
            item = dict(arguments["Item"])
            table.write(key, item)
            return item, _UNCHANGED
        change = change_of(arguments["UpdateExpression"])
        names = arguments.get("ExpressionAttributeNames", {})
        values = arguments.get("ExpressionAttributeValues", {})
        item = {**table.items.get(key, arguments["Key"])}
        for name, value in change.setting:
            first = value.startswith("if_not_exists(")
            if not first or names[name] not in item:
                item[names.get(name, name)] = values[value.split(",")[-1].strip(" )")]
        for name in change.removing:
            item.pop(names.get(name, name), None)
        for name, value in change.adding:
            attribute = names.get(name, name)
            before = int(item.get(attribute, {"N": "0"})["N"])
            item[attribute] = {"N": str(before + int(values[value]["N"]))}
        table.write(key, item)
        return item, change


def answer_call(memory: MemoryDynamoDB, **told: Any) -> Any:
    """For a session's `before-call`: its clients' calls of DynamoDB, which botocore has checked and
    put together, are answered from memory. A call of another service goes its way."""
    operation = told["model"]
    if operation.service_model.service_name != "dynamodb":
        return None
    answer = getattr(memory, xform_name(operation.name))(**json.loads(told["params"]["body"]))
    return SimpleNamespace(status_code=200, headers={}), answer


class _Rows:
    """What a query asks for: a hash value, and a highest or a least range value."""

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        values = arguments["ExpressionAttributeValues"]
        condition = arguments["KeyConditionExpression"]
        hashed, upto, least = key_condition(condition)
        names, _ = _placeholders(arguments)
        self.names = tuple(names.get(each, each) for each in key_names(condition))
        self.hashed = plain(values[hashed])
        self.upto = plain(values[upto]) if upto else None
        self.least = plain(values[least]) if least else None


_LAST = "\U0010ffff"
_UNCHANGED = Change((), (), (), frozenset())


def _place(item: Item | None, hashed: str, ranged: str) -> tuple[Any, Any] | None:
    """Where an index holds an item; None where it lacks one of the attributes (sparse)."""
    if item is None or hashed not in item or ranged not in item:
        return None
    return plain(item[hashed]), plain(item[ranged])


def _after(arguments: Mapping[str, Any], table: _Table, lane: Sequence[Any]) -> int:
    """Where a page of an index begins; no row need stand at the key that it begins after."""
    start = arguments.get("ExclusiveStartKey")
    if start is None:
        return 0
    hashed, ranged = table.indexes[arguments["IndexName"]]
    if plain(start[hashed]) != _Rows(arguments).hashed:
        raise _error("ValidationException", "Query", "the starting key is outside the query")
    return bisect_right(lane, (plain(start[ranged]), table.key(start)))


def _page(
    arguments: Mapping[str, Any],
    table: _Table,
    keys: Sequence[tuple[Any, ...]],
) -> dict[str, Any]:
    """A page of items; one cut by Limit says where the next begins."""
    after = arguments.get("ExclusiveStartKey")
    if after is not None:
        keys = keys[list(keys).index(table.key(after)) + 1 :]
    limit = arguments.get("Limit", len(keys))
    index = arguments.get("IndexName", "")
    kept = table.kept.get(index)
    items = [_projected(table.items[key], kept) for key in keys[:limit]]
    if "FilterExpression" in arguments:
        wanted = compiled(arguments["FilterExpression"]).test
        names, values = _placeholders(arguments)
        items = [row for row in items if wanted(row, names, values)]
    answer: dict[str, Any] = {"Items": items, "Count": len(items)}
    if arguments.get("Select") == "COUNT":
        del answer["Items"]
    if len(keys) > limit:
        last = keys[limit - 1]
        position = (*table.keys, *table.indexes.get(index, ()))
        answer["LastEvaluatedKey"] = _projected(table.items[last], position)
    return answer


def _placeholders(arguments: Mapping[str, Any]) -> tuple[Names, Values]:
    names = arguments.get("ExpressionAttributeNames", {})
    return names, arguments.get("ExpressionAttributeValues", {})


def _selected(item: Item, arguments: Mapping[str, Any]) -> Item:
    """An item with the attributes that a projection expression asks for."""
    expression = arguments.get("ProjectionExpression")
    if expression is None:
        return dict(item)
    names, _ = _placeholders(arguments)
    wanted = [names.get(name, name) for name in listed(expression)]
    return {name: item[name] for name in wanted if name in item}


def _without(arguments: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if key != name}


def _projected(item: Item, kept: Sequence[str] | None) -> Item:
    return dict(item) if kept is None else {name: item[name] for name in kept if name in item}


def _names_of(schema: Sequence[Mapping[str, str]]) -> tuple[str, ...]:
    return tuple(part["AttributeName"] for part in schema)


def _cancelled(held: Sequence[bool]) -> ClientError:
    reasons = [{"Code": "None" if holds else "ConditionalCheckFailed"} for holds in held]
    answer: Any = {
        "Error": {"Code": "TransactionCanceledException", "Message": "a condition failed"},
        "CancellationReasons": reasons,
    }
    return ClientError(answer, "TransactWriteItems")


def _error(code: str, operation: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)
