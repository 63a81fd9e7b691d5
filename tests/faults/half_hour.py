"""Half an hour without GoTo, begun at each minute of an hour: how many tenants run dry?

    python -m tests.faults.half_hour [RefreshShare ...]

It decides what `RefreshShare` is. The fleet is refreshed by the product's own tick, circuit and
backoff; a tenant is dry while the token that its readers find is dead by a clock that is 15 s fast.
"""

import random
import sys
from collections.abc import Iterable

from chalicelib.durations import ASSUMED_LIFETIME, refresh_pause
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials
from tests.support import fleet
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.world import World

OUTAGE = 30
"""Minutes."""

BETWEEN = 91
"""Minutes from the end of one outage to the beginning of the next: a minute later in the hour."""

MARGIN = 15
"""Seconds of a token's life that a reader may leave unused."""


class Fleet:
    """Tenants that connected at any time of an hour. ``down``: GoTo does not answer."""

    def __init__(self, tenants: int, share: int) -> None:
        memory = MemoryDynamoDB()
        self.world = World(memory, create_tables(memory, ""), REFRESH_SHARE=str(share))
        self.world.stand_in(secret_store=fleet.Secrets())
        self.world.random = random.Random(7).random
        self.down = False
        self._answer = self.world.goto.token
        self.world.goto.answer_by(self._token)
        self._names = [f"tenant-{number}" for number in range(tenants)]
        now, settings = int(self.world.clock.now), self.world.settings
        for number, name in enumerate(self._names):
            pause = refresh_pause(name, ASSUMED_LIFETIME, settings.refresh_share)
            issued = now - pause * number // tenants
            seed = fleet.Seed(name, issued, issued + ASSUMED_LIFETIME, issued + pause, "a", "r")
            for table, row in fleet.rows(settings, seed).items():
                memory.put_item(TableName=table, Item=row)

    def minutes(self, number: int) -> set[str]:
        """So many ticks; who was dry when one of them ended."""
        dry = set()
        for _ in range(number):
            begun = self.world.clock.now
            self.world.tick()
            self.world.clock.now = begun + 60
            dry |= set(self._dry())
        return dry

    def outage(self) -> set[str]:
        """Half an hour without GoTo, and what follows; who was dry."""
        self.down = True
        dry = self.minutes(OUTAGE)
        self.down = False
        return dry | self.minutes(BETWEEN)

    def _dry(self) -> Iterable[str]:
        soonest = self.world.clock.now + MARGIN
        for name in self._names:
            connection = self.world.connections.get(name)
            if connection is None or connection.expires_at <= soonest:
                yield name

    def _token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        if self.down:
            raise ProviderUnreachable("no connection", sent=False)
        return self._answer(client, form)


def dry(tenants: int, share: int, outages: int) -> list[int]:
    """How many tenants ran dry in each of so many outages, a minute of the hour apart."""
    made = Fleet(tenants, share)
    assert made.minutes(60) == set(), "before any outage"
    return [len(made.outage()) for _ in range(outages)]


def main(arguments: list[str]) -> int:
    """Tell for each share; 1 where a tenant ran dry with the last of them."""
    found = [0]
    for share in map(int, arguments or ["33"]):
        found = dry(200, share, 60)
        worst = max(found)
        print(
            f"RefreshShare {share}: in {sum(map(bool, found))} of 60 outages of 30 minutes tenants"
            f" ran dry, {worst} of 200 ({worst / 2:.0f} %) in the worst",
            flush=True,
        )
    return 1 if max(found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
