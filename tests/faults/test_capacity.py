"""The work of a tick grows with what is due, not with the fleet: capacity as DynamoDB counts it.

Not a timed test; `make bench` counts the same among 100,000.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from botocore.config import Config

from chalicelib.models import LANES
from chalicelib.refresh.outcomes import Outcome
from tests.support import fleet
from tests.support.aws import REGION, create_tables, session
from tests.support.world import World

DUE = 100
SMALL, LARGE = 300, 3_000

HOUR = 3_600
ACCESS_TOKEN, REFRESH_TOKEN = "a" * 1_100, "r" * 900
"""As long as GoTo's, which are signed JWTs."""


class Metered:
    """A DynamoDB client that has every call's consumed capacity counted, indexes included."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.units: Counter[str] = Counter()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call = getattr(self._client, operation)

        def metered(**arguments: Any) -> Any:
            answer = call(**arguments, ReturnConsumedCapacity="INDEXES")
            used = answer["ConsumedCapacity"]
            for each in used if isinstance(used, list) else [used]:
                self.units[f"{operation} {each['TableName']}"] += each["CapacityUnits"]
            return answer

        return metered


def _seed(tenant: str, next_refresh_at: int) -> fleet.Seed:
    connected_at = next_refresh_at - 2 * HOUR // 3
    return fleet.Seed(
        tenant, connected_at, connected_at + HOUR, next_refresh_at, ACCESS_TOKEN, REFRESH_TOKEN
    )


def _consumed(client: Any, world: World, metered: Metered) -> dict[str, float]:
    """Capacity of one tick over the same tenants, due at the same moment."""
    now = int(world.clock.now)
    due = (_seed(f"due-{number}", now) for number in range(DUE))
    fleet.write(client, world.settings, due)
    metered.units.clear()
    assert world.tick() == {Outcome.REFRESHED: DUE}
    return dict(metered.units)


def test_a_ticks_capacity_follows_what_is_due_not_the_fleet(dynamodb_endpoint: str) -> None:
    """100 due among 300 and among 3,000 tenants, all of them in every table that it reads."""
    # Botocore's look at every argument would be a quarter of the time: 9,000 rows are alike.
    unchecked = Config(parameter_validation=False)
    client: Any = session().create_client(
        "dynamodb", REGION, endpoint_url=dynamodb_endpoint, config=unchecked
    )
    metered = Metered(client)
    world = World(metered, create_tables(client, "capacity-"))
    world.stand_in(secret_store=fleet.Secrets())
    later = int(world.clock.now) + HOUR

    def idle(first: int, end: int) -> None:
        seeds = (_seed(f"idle-{number}", later) for number in range(first, end))
        fleet.write(client, world.settings, seeds)

    def count(tenants: int) -> None:
        for lane in range(LANES):
            row = {"tenant": {"S": f"#lane#{lane}"}, "connected": {"N": str(tenants // LANES)}}
            client.put_item(TableName=world.settings.fleet_table, Item=row)

    count(SMALL)
    idle(DUE, SMALL)
    small = _consumed(client, world, metered)
    count(LARGE)
    idle(SMALL, LARGE)
    large = _consumed(client, world, metered)
    print(f"\n{'capacity units of a tick':40} {SMALL:>10,} {LARGE:>10,}")
    for name in sorted(small.keys() | large.keys()):
        print(f"{name:40} {small.get(name, 0):10.1f} {large.get(name, 0):10.1f}")
    print(f"{'in all':40} {sum(small.values()):10.1f} {sum(large.values()):10.1f}")
    assert sum(small.values()) > DUE
    assert small["batch_get_item capacity-Fleet"] >= LANES / 2, "the fleet's counts are read"
    assert large == pytest.approx(small, rel=0.01)


def test_a_seeded_tenant_has_the_rows_of_one_who_connected(world: World) -> None:
    """Else the figures above would be those of a fleet that does not exist."""
    world.connect(world.add_tenant("acme"))
    seeded = fleet.rows(world.settings, _seed("acme", int(world.clock.now)))
    for table, row in seeded.items():
        found = world.dynamodb.get_item(TableName=table, Key={"tenant": {"S": "acme"}})["Item"]
        assert {name: list(value) for name, value in row.items()} == {
            name: list(value) for name, value in found.items()
        }
