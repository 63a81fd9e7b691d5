"""Copy the rows of a restored table into the stack's own table: `make restore`.

    python -m infra.restore STAGE TABLE SOURCE [--over]

Many rows hold tokens, so they pass only through this process's memory: none is written to a file or
shown. Rows that the stack's table has stay, unless ``--over``. If interrupted, run it again.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra import eventbridge_rules, preflight
from infra.stack import Stack, StackFailed

COUNTED = {"Tenants": ("link_series", "sequence")}
"""Restored counters jump to the current time in epoch seconds: higher than any value drawn since a
backup, and higher at each restore. Links revoked since the backup stay dead, as do all others of
that time (S14), and the next sign-in counts as newer than the one in `Grants` (F23)."""

DROPPED = {"Tenants": ("pinned_account", "pin_lifted", "choosing")}
"""Attributes that a restore leaves out: the account, which may belong to another tenant by now, the
permission to replace it (S25), and the count of sign-ins waiting for a choice, which would block
removing the tenant forever (S22). The next refresh pins the account of the live grant."""

TOLD_AGAIN = {
    "Journal": (
        "Each row goes through the journal's stream again. What is older than a day is told to"
        " nobody; of the last day, mails that `Links` does not know as sent are sent, and events"
        " are published again under the ids that they had.\n"
    )
}
"""What else happens when a table's rows are written: printed for the operator."""

AT_ONCE = 16
"""Rows written in parallel."""


def main(arguments: list[str] | None = None, session: Any = None) -> int:
    """Return the exit code: 1 if something was refused or failed, with one sentence printed."""
    parser = argparse.ArgumentParser(prog="restore", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage")
    parser.add_argument("table", help="as the stack's outputs name it: Grants, Tokens ...")
    parser.add_argument("source", help="the restored table's name")
    parser.add_argument("--over", action="store_true", help="rows that are there go, too")
    options = parser.parse_args(arguments)
    session = session or preflight.session()
    try:
        outputs = Stack(session, f"ha-goto-{options.stage}").outputs
        require_rest(session, outputs)
        target = _target(outputs, options.table)
        dynamodb = session.client("dynamodb", config=Config(max_pool_connections=AT_ONCE))
        print(TOLD_AGAIN.get(options.table, ""), end="")
        counts = put_back(dynamodb, options.source, target, over=options.over, kind=options.table)
    except (StackFailed, ClientError, BotoCoreError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{counts[True]} rows were put back; {counts[False]} were there already, and stay.")
    return 0


def require_rest(session: Any, outputs: Mapping[str, str]) -> None:
    """Raise `StackFailed` while anything may refresh: it would use unchecked rows (F19)."""
    functions, events = session.client("lambda"), session.client("events")
    rules = eventbridge_rules.rules(functions, events, outputs["RefreshTickFunction"])
    for name, enabled in rules.items():
        if enabled:
            raise StackFailed(f"Ticks still run: disable the rule {name} first.")
    name = outputs["RefreshNowFunction"]
    concurrency = functions.get_function_concurrency(FunctionName=name)
    if concurrency.get("ReservedConcurrentExecutions") != 0:
        raise StackFailed(f"Services can still refresh: set the concurrency of {name} to 0 first.")


def put_back(
    dynamodb: Any, source: str, target: str, *, over: bool, kind: str = ""
) -> Counter[bool]:
    """Copy rows from table to table; returns how many were written (True) and left alone (False).

    ``kind``: the table's name in the stack, which selects `COUNTED` and `DROPPED`. Raises
    `StackFailed` if the tables' keys differ, or DynamoDB's errors.
    """
    keys = [
        dynamodb.describe_table(TableName=name)["Table"]["KeySchema"] for name in (source, target)
    ]
    if source == target or keys[0] != keys[1]:
        raise StackFailed(f"{source} is not a restored copy of {target}.")
    key = next(part["AttributeName"] for part in keys[0] if part["KeyType"] == "HASH")
    unless: dict[str, Any] = {
        "ConditionExpression": "attribute_not_exists(#key)",
        "ExpressionAttributeNames": {"#key": key},
    }

    def put(row: dict[str, Any]) -> bool:
        for name in DROPPED.get(kind, ()):
            row.pop(name, None)
        for counter in COUNTED.get(kind, ()):
            before = int(row.get(counter, {"N": "0"})["N"])
            row[counter] = {"N": str(max(before + 1, int(time.time())))}
        try:
            dynamodb.put_item(TableName=target, Item=row, **({} if over else unless))
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return False
        return True

    counts: Counter[bool] = Counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for page in _pages(dynamodb, source):
            counts.update(pool.map(put, page))
    return counts


def _pages(dynamodb: Any, table: str) -> Iterator[list[dict[str, Any]]]:
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield page["Items"]


def _target(outputs: Mapping[str, str], table: str) -> str:
    names = sorted(name.removesuffix("Table") for name in outputs if name.endswith("Table"))
    if table not in names:
        raise StackFailed(f"There is no table {table}; there are {', '.join(names)}.")
    return outputs[f"{table}Table"]


if __name__ == "__main__":
    sys.exit(main())
