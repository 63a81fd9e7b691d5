"""What the reader adds to a bare read: A B A B in one run, with the same client and database.

    PYTHONPATH=reader/src .venv/bin/python -m bench.reader [--rounds 40] [--calls 100]

A is `client.get_item`, B is `TokenReader.get` with its cache off; they take turns in short blocks,
so that other load on the machine affects both.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from bench.table import Row, told
from ha_goto_tokens import TokenReader
from sandbox import dynamodb_local

TABLE = "Tokens"
MOST_OVERHEAD = 1.15
MOST_CACHED = 5e-6
"""Seconds."""

TOKEN_LENGTH = 1_000
"""Characters, about as many as in GoTo's RS512 tokens."""


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="blocks of each; default: 40")
    parser.add_argument("--calls", type=int, default=100, help="calls a block; default: 100")
    options = parser.parse_args()
    with dynamodb_local.running() as endpoint:
        return told(rows(endpoint, options.rounds, options.calls))


def rows(endpoint: str, rounds: int, calls: int) -> list[Row]:
    """The uncached reader's time divided by a bare read's, and the cached reader's time."""
    times = measure(_client(endpoint), rounds, calls)
    median = {name: statistics.median(found) for name, found in times.items()}
    shown = f"{median['uncached'] * 1e3:.3f} ms, {median['bare'] * 1e3:.3f} ms"
    return [
        Row(
            "reader: uncached to get_item",
            median["uncached"] / median["bare"],
            MOST_OVERHEAD,
            shown,
        ),
        Row(
            "reader: cached, to 5 microseconds",
            median["cached"] / MOST_CACHED,
            1.0,
            f"{median['cached'] * 1e6:.3f} us",
            bound=True,
        ),
    ]


def measure(client: Any, rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds a call takes: the bare read, the uncached reader, and the cached one."""
    _fill(client)
    uncached = TokenReader(table=TABLE, dynamodb=client, cached_for=0)
    cached = TokenReader(table=TABLE, dynamodb=client)
    key = {"tenant": {"S": "acme"}}

    def bare() -> object:
        return client.get_item(TableName=TABLE, Key=key, ConsistentRead=False)

    def read() -> object:
        return uncached.get("acme")

    _block(bare, 500)
    _block(read, 500)
    times: dict[str, list[float]] = {"bare": [], "uncached": [], "cached": []}
    for _ in range(rounds):
        times["bare"] += _block(bare, calls)
        times["uncached"] += _block(read, calls)
    cached.get("acme")
    times["cached"] = [_loop(lambda: cached.get("acme"), 10_000) for _ in range(rounds)]
    return times


def _block(call: Callable[[], object], calls: int) -> list[float]:
    """Seconds of each call."""
    times = []
    for _ in range(calls):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return times


def _loop(call: Callable[[], object], calls: int) -> float:
    """Average seconds a call: a single one is too short for the clock."""
    begun = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - begun) / calls


def _client(endpoint: str) -> Any:
    return boto3.client(
        "dynamodb",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="bench",
        aws_secret_access_key="bench",  # noqa: S106 - DynamoDB Local takes any
        config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
    )


def _fill(client: Any) -> None:
    client.create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "tenant", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "tenant", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    now = int(time.time())
    values: dict[str, str | int] = {
        "tenant": "acme",
        "schema": 1,
        "status": "connected",
        "generation": 1,
        "version": 1,
        "access_token": "x" * TOKEN_LENGTH,
        "token_type": "Bearer",
        "scope": "cr.v1.read users.v1.read",
        "issued_at": now,
        "expires_at": now + 3600,
        "refreshed_at": now,
        "next_refresh_at": now + 2400,
        "account_key": "4000000001",
    }
    item = {
        name: {"N": str(value)} if isinstance(value, int) else {"S": value}
        for name, value in values.items()
    }
    client.put_item(TableName=TABLE, Item=item)


if __name__ == "__main__":
    sys.exit(main())
