"""What a fleet costs as it grows: a tick with 100 due, and the rep's `status`.

    .venv/bin/python -m bench.fleet [--large 10000] [--rounds 5]

Two deployments on Amazon's DynamoDB Local, one with a tenth of the other's tenants, take turns with
the same use cases. The capacity is what DynamoDB says each call consumed.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from moto import mock_aws

from bench.table import Row, told
from sandbox import dynamodb_local
from tests.support.aws import REGION, create_tables, session
from tests.support.world import World

DUE = 100
"""Tenants due at each tick, whatever the size of the fleet."""

FLAT = 1.1
"""What ten times the tenants may cost at most."""

LARGEST_STATUS = 2.0
"""Seconds."""

_MEASURED = (
    "BatchGetItem",
    "DeleteItem",
    "GetItem",
    "PutItem",
    "Query",
    "TransactWriteItems",
    "UpdateItem",
)


class Deployment:
    """One fleet on tables of its own. ``capacity``: units consumed since it was last set to 0."""

    def __init__(self, endpoint: str, size: int) -> None:
        self.size = size
        self.capacity = 0.0
        client: Any = session().create_client("dynamodb", REGION, endpoint_url=endpoint)
        for operation in _MEASURED:
            events = client.meta.events
            events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
            events.register(f"after-call.dynamodb.{operation}", self._count)
        self.world = World(client, create_tables(client, f"fleet-{size}-"))
        self._client = client
        self._fill()

    def make_due(self) -> None:
        """The same hundred again."""
        for number in range(DUE):
            self._client.update_item(
                TableName=self.world.settings.grants_table,
                Key={"tenant": {"S": _name(number)}},
                UpdateExpression="SET next_refresh_at = :now REMOVE lease_until",
                ExpressionAttributeValues={":now": {"N": str(int(self.world.clock.now))}},
            )

    def _fill(self) -> None:
        """One tenant connects in earnest; the others' rows are written after its own."""
        world, names = self.world, self.world.settings
        world.connect(world.add_tenant("t0"))
        client = world.vault.credentials("t0", world.tenants.known("t0").secret_version or "")
        versions = {number: world.vault.store(_name(number), client) for number in range(DUE)}
        later = int(world.clock.now) + 30_000
        for table in (names.tenants_table, names.tokens_table, names.grants_table):
            key = {"tenant": {"S": "t0"}}
            row = self._client.get_item(TableName=table, Key=key)["Item"]
            if "next_refresh_at" in row:
                row["next_refresh_at"] = {"N": str(later)}
            for start in range(0, self.size, 25):
                puts = []
                for number in range(start, min(start + 25, self.size)):
                    item = {**row, "tenant": {"S": _name(number)}}
                    if "secret_version" in row and number in versions:
                        item["secret_version"] = {"S": versions[number]}
                    if "lane" in row:
                        item["lane"] = {"N": str(number % 16)}
                    puts.append({"PutRequest": {"Item": item}})
                self._client.batch_write_item(RequestItems={table: puts})

    def _ask(self, params: dict[str, Any], **_context: object) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _count(self, parsed: dict[str, Any], **_context: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.capacity += each["CapacityUnits"]


def _name(number: int) -> str:
    return f"t{number}"


def main() -> int:
    """Measure and tell; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", type=int, default=10_000, help="tenants; default: 10000")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; default: 5")
    options = parser.parse_args()
    return told(rows(options.large, options.rounds))


def rows(large: int, rounds: int) -> list[Row]:
    """Time and capacity of the large fleet to those of a tenth of it."""
    with dynamodb_local.running() as endpoint, mock_aws():
        fleets = [Deployment(endpoint, large // 10), Deployment(endpoint, large)]
        seconds: dict[str, list[list[float]]] = {"tick": [[], []], "status": [[], []]}
        capacity: dict[str, list[list[float]]] = {"tick": [[], []], "status": [[], []]}
        for number in range(rounds + 1):
            for which, fleet in enumerate(fleets):
                fleet.make_due()
                for name, act in (("tick", _tick), ("status", _status)):
                    fleet.capacity = 0.0
                    taken = _seconds(act, fleet)
                    if number:  # the first round warms both
                        seconds[name][which].append(taken)
                        capacity[name][which].append(fleet.capacity)
    middle = {name: [statistics.median(each) for each in found] for name, found in seconds.items()}
    units = {name: [statistics.median(each) for each in found] for name, found in capacity.items()}
    of = f"{large} tenants to {large // 10}"
    return [
        _row(f"tick: time, {of}", middle["tick"], FLAT, 1e3, "ms"),
        _row(f"tick: capacity, {of}", units["tick"], FLAT, 1, "units"),
        _row(f"status: capacity, {of}", units["status"], None, 1, "units"),
        Row(
            f"status: seconds at {large} tenants, to {LARGEST_STATUS:.0f}",
            middle["status"][1] / LARGEST_STATUS,
            1.0,
            f"{middle['status'][1] * 1e3:.0f} ms",
        ),
    ]


def _row(name: str, found: list[float], goal: float | None, factor: float, unit: str) -> Row:
    small, big = found
    return Row(name, big / small, goal, f"{big * factor:.0f} {unit}, {small * factor:.0f} {unit}")


def _tick(fleet: Deployment) -> None:
    outcomes = fleet.world.tick()
    if outcomes.get("refreshed") != DUE:
        raise SystemExit(f"a tick refreshed {outcomes}, not {DUE}")


def _status(fleet: Deployment) -> None:
    answer = fleet.world.rep("status")
    if not answer["ok"]:
        raise SystemExit(answer["error"])


def _seconds(act: Callable[[Deployment], None], fleet: Deployment) -> float:
    begun = time.perf_counter()
    act(fleet)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
