"""How costs grow with the fleet: a tick with 100 tenants due, and the rep's `status`.

    .venv/bin/python -m bench.fleet [--large 100000] [--rounds 5]

Three deployments on Amazon's DynamoDB Local, each with ten times the tenants of the one before,
take turns with the same use cases. Capacity is what DynamoDB reports for each call.
"""

import argparse
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from moto import mock_aws

from bench.table import Row, told
from sandbox import dynamodb_local
from tests.support import fleet
from tests.support.aws import REGION, create_tables, session
from tests.support.world import World

DUE = 100
"""Tenants due at each tick, whatever the size of the fleet."""

FLAT = 1.1
"""The most that ten or a hundred times the tenants may cost."""

LARGEST_STATUS = 2.0
"""Seconds."""

_READS = ("BatchGetItem", "GetItem", "Query")
_WRITES = ("DeleteItem", "PutItem", "TransactWriteItems", "UpdateItem")

ACCESS_TOKEN, REFRESH_TOKEN = "a" * 1_100, "r" * 900


class Deployment:
    """One fleet with its own tables. ``capacity``: units read and written since last cleared."""

    def __init__(self, endpoint: str, size: int, due: int) -> None:
        self.size = size
        self.due = due
        self.capacity: Counter[str] = Counter()
        client: Any = session().create_client("dynamodb", REGION, endpoint_url=endpoint)
        for operation in (*_READS, *_WRITES):
            events = client.meta.events
            events.register(f"provide-client-params.dynamodb.{operation}", self._ask)
            events.register(f"after-call.dynamodb.{operation}", self._count)
        self.world = World(client, create_tables(client, f"fleet-{size}-"))
        self.world.stand_in(secret_store=fleet.Secrets())
        self._client = client
        self._fill()

    def make_due(self) -> None:
        """Make the same tenants due again."""
        for number in range(self.due):
            self._client.update_item(
                TableName=self.world.settings.grants_table,
                Key={"tenant": {"S": _name(number)}},
                UpdateExpression="SET next_refresh_at = :now REMOVE lease_until",
                ExpressionAttributeValues={":now": {"N": str(int(self.world.clock.now))}},
            )

    def _fill(self) -> None:
        now = int(self.world.clock.now)
        later = now + 30_000
        fleet.write(self._client, self.world.settings, (_seed(n, later) for n in range(self.size)))

    def _ask(self, params: dict[str, Any], **_context: object) -> dict[str, Any]:
        return {**params, "ReturnConsumedCapacity": "TOTAL"}

    def _count(self, parsed: dict[str, Any], model: Any, **_context: object) -> None:
        consumed = parsed.get("ConsumedCapacity", [])
        kind = "read" if model.name in _READS else "write"
        for each in consumed if isinstance(consumed, list) else [consumed]:
            self.capacity[kind] += each["CapacityUnits"]


def _name(number: int) -> str:
    return f"t{number}"


def _seed(number: int, due_at: int) -> fleet.Seed:
    """With tokens as long as GoTo's: DynamoDB counts units by size."""
    return fleet.Seed(
        _name(number), due_at - 2_400, due_at + 1_200, due_at, ACCESS_TOKEN, REFRESH_TOKEN
    )


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", type=int, default=100_000, help="tenants; default: 100000")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each; default: 5")
    options = parser.parse_args()
    with dynamodb_local.running() as endpoint:
        return told(rows(endpoint, options.large, options.rounds))


def rows(endpoint: str, large: int, rounds: int, due: int = DUE) -> list[Row]:
    """Time and capacity of two fleets, divided by those of the smallest."""
    sizes = (large // 100, large // 10, large)
    taken: dict[tuple[str, int], list[float]] = defaultdict(list)
    capacity: dict[tuple[str, int], Counter[str]] = {}
    with mock_aws():
        fleets = [Deployment(endpoint, size, due) for size in sizes]
        for number in range(rounds + 1):
            for one in fleets:
                one.make_due()
                for name, act in (("tick", _tick), ("status", _status)):
                    one.capacity.clear()
                    seconds = _seconds(act, one)
                    if number:  # the first round warms all
                        taken[name, one.size].append(seconds)
                        capacity[name, one.size] = one.capacity.copy()
    middle = {which: statistics.median(each) for which, each in taken.items()}
    smallest = sizes[0]
    found = []
    for size in sizes[1:]:
        of = f"{size} tenants to {smallest}"
        ticks = [middle["tick", size] * 1e3, middle["tick", smallest] * 1e3]
        units = [capacity["tick", each].total() for each in (size, smallest)]
        found += [
            _row(f"tick: time, {of}", ticks, "ms"),
            _row(f"tick: capacity, {of}", units, "units", _each(capacity["tick", size], due)),
        ]
    status = middle["status", large]
    shown = f"{status * 1e3:.0f} ms, {capacity['status', large].total():.0f} units"
    name = f"status: seconds at {large} tenants, to {LARGEST_STATUS:.0f}"
    return [*found, Row(name, status / LARGEST_STATUS, 1.0, shown)]


def _row(
    name: str, found: Sequence[float], unit: str, facts: dict[str, float] | None = None
) -> Row:
    big, small = found
    return Row(name, big / small, FLAT, f"{big:.0f} {unit}, {small:.0f} {unit}", facts or {})


def _each(capacity: Counter[str], due: int) -> dict[str, float]:
    """Units of one refresh."""
    return {f"{kind}_units": round(units / due, 2) for kind, units in sorted(capacity.items())}


def _tick(one: Deployment) -> None:
    outcomes = one.world.tick()
    if outcomes.get("refreshed") != one.due:
        raise SystemExit(f"a tick refreshed {outcomes}, not {one.due}")


def _status(one: Deployment) -> None:
    answer = one.world.rep("status")
    if not answer["ok"]:
        raise SystemExit(answer["error"])


def _seconds(act: Callable[[Deployment], None], one: Deployment) -> float:
    begun = time.perf_counter()
    act(one)
    return time.perf_counter() - begun


if __name__ == "__main__":
    sys.exit(main())
