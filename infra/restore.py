"""Put the rows of a restored table into the stack's own: `make restore`.

    python -m infra.restore STAGE TABLE SOURCE [--over]

They go from one to the other through this process's memory: many are tokens, so none is written
to a file or shown. What the stack's table has stays, unless ``--over``. Cut off, run it again.
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

from infra import preflight, schedule
from infra.stack import Stack, StackFailed

COUNTED = {"Tenants": ("link_series", "sequence")}
"""Counters of restored rows jump to now in epoch seconds: more than were drawn since any backup
was made, and at each restore more than at the one before. A link that has been revoked since stays
dead, as do all others of that time (S14), and the next sign-in counts as newer than what stands in
`Grants` (F23)."""

DROPPED = {"Tenants": ("pinned_account", "pin_lifted", "choosing")}
"""What no restored row brings back: an account that was another's since, or the leave to replace it
(S25), or the count of sign-ins that waited for a choice then and would keep the tenant from being
removed for ever (S22). The next refresh pins the account of the grant that lives."""

TOLD_AGAIN = {
    "Journal": (
        "Each row goes through the journal's stream again. What is older than a day is told to"
        " nobody; of the last day, mails that `Links` does not know as sent are sent, and events"
        " are published again under the ids that they had.\n"
    )
}
"""What else a table's rows bring about when they are written."""

AT_ONCE = 16
"""Rows that are written at the same time."""


def main(arguments: list[str] | None = None, session: Any = None) -> int:
    """The command's exit code: 1 where something was refused or failed, in one sentence."""
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
    """Raise `StackFailed` while anything may refresh: it would use what is not checked (F19)."""
    functions, events = session.client("lambda"), session.client("events")
    for name, on in schedule.rules(functions, events, outputs["RefreshTickFunction"]).items():
        if on:
            raise StackFailed(f"Ticks still run: disable the rule {name} first.")
    name = outputs["RefreshNowFunction"]
    concurrency = functions.get_function_concurrency(FunctionName=name)
    if concurrency.get("ReservedConcurrentExecutions") != 0:
        raise StackFailed(f"Services can still refresh: set the concurrency of {name} to 0 first.")


def put_back(
    dynamodb: Any, source: str, target: str, *, over: bool, kind: str = ""
) -> Counter[bool]:
    """Copy rows from table to table; how many were written, and how many were left as they are.

    ``kind``: the table's name in the stack; its `COUNTED` jump and its `DROPPED` go on the way.

    Raises `StackFailed` where the two are not of one kind, and what DynamoDB refuses.
    """
    keys = [
        dynamodb.describe_table(TableName=name)["Table"]["KeySchema"] for name in (source, target)
    ]
    if source == target or keys[0] != keys[1]:
        raise StackFailed(f"{source} is no restored copy of {target}.")
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
