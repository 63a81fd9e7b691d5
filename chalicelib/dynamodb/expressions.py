"""DynamoDB's wire format: items and expressions. Turns its errors into ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from chalicelib.aws.errors import aws_errors
from chalicelib.errors import Conflict, DependencyUnavailable

Plain = Mapping[str, Any]


def encode(value: Any) -> dict[str, Any]:
    """One attribute value. The tables hold only strings, integers, booleans and maps."""
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
    """A whole item, without attributes that are None."""
    return {name: encode(value) for name, value in values.items() if value is not None}


def plain(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of `item`."""
    return {name: decode(value) for name, value in attributes.items()}


def changing(
    setting: Plain, first: Plain, remove: Sequence[str], adding: Plain
) -> tuple[str, dict[str, Any]]:
    """An UpdateExpression, and its values by placeholder name."""
    assigned = {name: value for name, value in setting.items() if value is not None}
    removed = [*remove, *(name for name, value in setting.items() if value is None)]
    sets = [f"#{name} = :set_{name}" for name in assigned]
    sets += [f"#{name} = if_not_exists(#{name}, :set_{name})" for name in first]
    parts = ["SET " + ", ".join(sets)] if sets else []
    if removed:
        parts.append("REMOVE " + ", ".join(f"#{name}" for name in removed))
    if adding:
        parts.append("ADD " + ", ".join(f"#{name} :add_{name}" for name in adding))
    values = {f"set_{name}": value for name, value in {**assigned, **first}.items()}
    return " ".join(parts), values | {f"add_{name}": value for name, value in adding.items()}


def projection(attributes: Sequence[str]) -> Any:
    """Arguments that limit a read to these attributes; if empty, it returns all of them."""
    if not attributes:
        return {}
    names = [f"#{name}" for name in attributes]
    return {"ProjectionExpression": ", ".join(names), **placeholders(" ".join(names), {})}


def placeholders(text: str, values: Plain) -> dict[str, Any]:
    """The arguments that define each ``#name`` in ``text`` and each ``:name`` in ``values``."""
    names = {f"#{name}": name for name in sorted(set(re.findall(r"#(\w+)", text)))}
    encoded = {f":{name}": encode(value) for name, value in values.items()}
    arguments = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": encoded}
    return {name: held for name, held in arguments.items() if held}


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
