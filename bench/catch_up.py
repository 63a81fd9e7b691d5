"""After two hours without a refresh: how long until the last token is alive, how hard GoTo is hit.

    .venv/bin/python -m bench.catch_up [--tenants 20000] [--rate 20]

Runs the product's own tick and lanes, minute by minute, on a simulated clock; a tick's lanes all
start at its moment. The tables are in memory, and GoTo answers at once.
"""

import argparse
import random
import sys
from bisect import bisect_left
from collections.abc import Iterable

from moto import mock_aws

from bench.table import Row, told
from chalicelib.goto.oauth import Answer
from chalicelib.models import ClientCredentials
from chalicelib.refresh.rate_limiter import RateLimiter
from chalicelib.refresh.refresher import Refresher
from chalicelib.refresh.scheduler import Schedule
from tests.support import fleet
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.world import World

OUTAGE = 2 * 3_600
"""Seconds."""

MOST_TIME = {"GoTo's": 1.5, "our own": 1.25}
"""Time to the last tenant, divided by the time of asking nonstop at the allowed rate. No refresh
begins in five seconds of each minute; after GoTo's outage, minutes pass with only a few."""

LIFE = 3_600
DUE_AFTER = 2_400
"""Seconds that a token lives, and after which it is refreshed."""

SECOND = 0.999
"""Just under a second, so that rounding can't put two slots a second apart into one window."""


def main() -> int:
    """Simulate and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=20_000, help="default: 20000")
    parser.add_argument("--rate", type=int, default=20, help="requests a second; default: 20")
    options = parser.parse_args()
    return told(rows(options.tenants, options.rate))


def rows(tenants: int, rate: int) -> list[Row]:
    """Time to the last tenant and the busiest second, for each side's outage."""
    found = []
    for whose, most in MOST_TIME.items():
        with mock_aws():
            deployment = Deployment(tenants, rate)
            deployment.minutes(10)
            if whose == "our own":
                deployment.world.clock.pass_(OUTAGE)
            else:
                deployment.down = True
                deployment.minutes(OUTAGE // 60)
                deployment.down = False
            seconds = deployment.catch_up()
        busiest, floor = _busiest_second(deployment.asked_at), tenants / rate
        found += [
            Row(
                f"catch-up: time to the last, {whose} outage",
                seconds / floor,
                most,
                f"{seconds:.0f} s, {floor:.0f} s",
            ),
            Row(
                f"catch-up: busiest second to the cap, {whose}",
                busiest / rate,
                1.0,
                f"{busiest} requests, {rate}",
            ),
        ]
    return found


class Deployment:
    """A running fleet, due at evenly spread times. ``asked_at``: when it asked GoTo for a token."""

    def __init__(self, tenants: int, rate: int) -> None:
        memory = MemoryDynamoDB()
        self.world = World(memory, create_tables(memory, ""), TOKEN_RATE=str(rate))
        self.world.stand_in(secret_store=fleet.Secrets())
        self.world.random = random.Random(7).random  # noqa: S311 - jitter
        self._answer, self.world.goto.token = self.world.goto.token, self._token  # type: ignore[method-assign]
        self._wanting = {fleet.client_id(f"t{number}") for number in range(tenants)}
        self._every = frozenset(self._wanting)
        self.asked_at: list[float] = []
        self.down = False
        now = int(self.world.clock.now)
        seeds = (
            fleet.Seed(f"t{number}", at - DUE_AFTER, at - DUE_AFTER + LIFE, at, "a", "r")
            for number in range(tenants)
            for at in [now + number * DUE_AFTER // tenants]
        )
        for seed in seeds:
            for table, row in fleet.rows(self.world.settings, seed).items():
                memory.put_item(TableName=table, Item=row)

    def minutes(self, number: int) -> None:
        for _ in range(number):
            self._minute()

    def catch_up(self) -> float:
        """Seconds until the last tenant has a new token."""
        begun = self.world.clock.now
        self._wanting = set(self._every)
        while self._wanting:
            self._minute()
            if self.world.clock.now - begun > 86_400:
                raise SystemExit(f"{len(self._wanting)} tenants were never given one")
        return self._last - begun

    def _minute(self) -> None:
        """A tick and the lanes that it starts, all at the same moment."""
        clock, handed = self.world.clock, []
        begun = clock.now
        self._schedule(lambda *share: handed.append(share)).tick()
        for lanes, rate, wait in handed:
            clock.now = begun
            self._schedule(None).lanes(lanes, rate, wait)
        clock.now = begun + 60

    def _schedule(self, hand_over: object) -> Schedule:
        world = self.world
        return Schedule(
            connections=world.connections,
            provider=world.provider,
            fleet=world.fleet,
            rescue_queue=world.rescue_queue,
            refresher_for=self._refresher,
            run=map,
            hand_over=hand_over,  # type: ignore[arg-type]  # a lane hands over nothing
            cap=world.settings.token_rate,
            dead_after=2_400.0,
            clock=world.clock,
            report=_fail,
        )

    def _refresher(self, rate: float, seconds: float, wait: float) -> Refresher:
        clock = self.world.clock
        return self.world.refresher(
            RateLimiter(rate, clock.now + seconds, clock, clock.pass_, wait)
        )

    def _token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        self.asked_at.append(self.world.clock.now)
        if self.down:
            return Answer(503, b"")
        self._wanting.discard(client.client_id)
        self._last = self.world.clock.now
        return self._answer(client, form)


def _busiest_second(moments: Iterable[float]) -> int:
    """The most requests in any second."""
    at = sorted(moments)
    return max(bisect_left(at, first + SECOND, number) - number for number, first in enumerate(at))


def _fail(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    sys.exit(main())
