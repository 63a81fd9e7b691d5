"""Real worker processes on Amazon's DynamoDB Local, killed at random, and what came of it.

`python -m tests.faults.processes --seconds 60` runs it for a minute and prints the account. Ends
only processes that it started.
"""

import argparse
import itertools
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from chalicelib import config
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.table import tables_of
from chalicelib.models import Grant, Status
from sandbox import dynamodb_local
from sandbox.environment import Missing
from sandbox.processes import Child, Failed
from tests.faults.ledger import Account, Death, Evidence, How, judge
from tests.faults.provider import Claim, Provider, serving
from tests.faults.worker import Timing, read_returned
from tests.support import fleet
from tests.support.aws import REGION, create_tables, environment, session

NOBODY = "nobody"
"""Made-up credentials: nothing leaves the machine."""

WORKERS = 8
THREADS = 4
TENANTS = 200

ENOUGH = 1_000
"""Refreshes over which the account is worth something."""

PATIENCE = 240.0
"""Seconds after which a busy machine is not waited for any longer."""

LIFETIME = 9
"""Seconds of an access token while workers are killed: due again two seconds after its refresh."""

ANSWER_TAKES = 0.1
"""Seconds from the provider's decision to its answer; real ones take longer."""

CALM_LIFETIME = 3_600
"""Seconds of an access token once nobody is killed any more: refreshed once, and then at rest."""

HURRIED = Timing(
    budget=5, pause=1.0, lease_margin=3, confirm_pause=3, time_for_one=2, time_to_end=0.5
)
"""A killed worker's tenants come back after 8 seconds at most."""

AS_DEPLOYED = Timing(budget=120, pause=0.5)

KILL_EVERY = 0.7
"""Seconds between two kills, on average."""

REST_WITHIN = 90.0
"""Seconds after the last kill in which every tenant must have come to rest."""

REGROUP = 0.2
"""Seconds between two looks at what the workers do."""

ENDED = {Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED}


class Worker(Child):
    def crash(self) -> None:
        """kill -9, and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def ask_to_end(self) -> None:
        self._process.terminate()

    def how_it_ended(self) -> int | None:
        return self._process.poll()


class Crew:
    """Worker processes; one that dies is replaced, as the next invocation would."""

    def __init__(
        self, folder: Path, given: Mapping[str, str], count: int, threads: int, timing: Timing
    ) -> None:
        self._folder = folder
        self._environment = dict(given)
        self._threads = threads
        self._timing = timing
        self._numbers = itertools.count(1)
        self.deaths: list[Death] = []
        self._workers = [self._start() for _ in range(count)]

    def kill_one(self, chosen: random.Random) -> None:
        """End one of them at once and replace it."""
        place = chosen.randrange(len(self._workers))
        victim = self._workers[place]
        if victim.running:
            victim.crash()
            self._bury(place, How.KILLED)

    def replace_timed_out(self) -> None:
        """Replace those whose invocation took too long. Raises `Failed` for any other end."""
        for place, worker in enumerate(self._workers):
            ended = worker.how_it_ended()
            if ended == -signal.SIGALRM:
                self._bury(place, How.OUT_OF_TIME)
            elif ended is not None:
                raise Failed(f"{worker.name} ended by itself: {worker.log.read_text()}")

    def end(self) -> None:
        """Let each finish its tick; end what is left."""
        for worker in self._workers:
            worker.ask_to_end()
        for worker in self._workers:
            worker.stop()

    def returned(self) -> dict[Claim, str]:
        """What became of every claim whose worker lived to know it."""
        found: dict[Claim, str] = {}
        for log in self._folder.glob("*.returned"):
            found |= read_returned(log.read_text())
        return found

    def _bury(self, place: int, how: How) -> None:
        self.deaths.append(Death(self._workers[place].name, time.monotonic(), how))
        self._workers[place] = self._start()

    def _start(self) -> Worker:
        name = f"worker-{next(self._numbers)}"
        orders = {
            "name": name,
            "log": str(self._folder / f"{name}.returned"),
            "threads": self._threads,
            "timing": asdict(self._timing),
        }
        command = [sys.executable, "-m", "tests.faults.worker", json.dumps(orders)]
        return Worker(name, command, self._folder / f"{name}.log", self._environment)


class Stage:
    """Tables with tenants, a provider and a crew."""

    def __init__(
        self, client: Any, settings: config.Settings, provider: Provider, crew: Crew
    ) -> None:
        self.provider = provider
        self.crew = crew
        self.connections = Connections(tables_of(client, settings))

    def rows(self, tenants: list[str]) -> dict[str, Grant]:
        """The grants as they stand."""
        found = {tenant: self.connections.grant(tenant) for tenant in tenants}
        return {tenant: grant for tenant, grant in found.items() if grant is not None}


@contextmanager
def staged(
    endpoint: str, tenants: list[str], provider: Provider, timing: Timing, *, expires_in: int
) -> Iterator[Stage]:
    """Every tenant due now, with an access token that lives ``expires_in`` seconds more."""
    client = session().create_client(
        "dynamodb",
        REGION,
        endpoint_url=endpoint,
        aws_access_key_id=NOBODY,
        aws_secret_access_key=NOBODY,
    )
    with serving(provider) as token_url, tempfile.TemporaryDirectory() as folder:
        tables = create_tables(client, f"processes-{time.monotonic_ns()}-")
        given = environment(tables, GOTO_TOKEN_URL=token_url)
        settings = config.load(given)
        now = int(time.time())
        seeds = (
            fleet.Seed(
                tenant, now, now + expires_in, now, f"access-of-{tenant}", provider.newest(tenant)
            )
            for tenant in tenants
        )
        fleet.write(client, settings, seeds)
        given |= {
            "TOKEN_RATE": "1000",
            "AWS_ENDPOINT_URL_DYNAMODB": endpoint,
            "AWS_ACCESS_KEY_ID": NOBODY,
            "AWS_SECRET_ACCESS_KEY": NOBODY,
            "AWS_DEFAULT_REGION": REGION,
        }
        crew = Crew(Path(folder), given, WORKERS, THREADS, timing)
        try:
            yield Stage(client, settings, provider, crew)
        finally:
            crew.end()


def kill_at_random(
    endpoint: str, seconds: float, *, wanted: int = 0, at_most: float = 0, seed: int | None = None
) -> Account:
    """Refresh with all workers while they are killed, for so many seconds; then let all come to
    rest. Goes on up to ``at_most`` seconds until ``wanted`` refreshes were answered."""
    tenants = [f"tenant-{number}" for number in range(TENANTS)]
    chosen = random.Random(seed)
    provider = Provider(tenants, LIFETIME)
    provider.delay = ANSWER_TAKES
    with staged(endpoint, tenants, provider, HURRIED, expires_in=LIFETIME) as stage:
        begun = time.monotonic()

        def enough() -> bool:
            passed = time.monotonic() - begun
            return passed >= seconds and (
                len(provider.presented()) >= wanted or passed >= max(seconds, at_most)
            )

        while not enough():
            time.sleep(chosen.expovariate(1 / KILL_EVERY))
            stage.crew.replace_timed_out()
            stage.crew.kill_one(chosen)
        provider.lifetime = CALM_LIFETIME
        until(lambda: _at_rest(stage, tenants), REST_WITHIN)
        stage.crew.end()
        return judge(
            Evidence(
                presented=provider.presented(),
                deaths=tuple(stage.crew.deaths),
                returned=stage.crew.returned(),
                rows=stage.rows(tenants),
                newest={tenant: provider.newest(tenant) for tenant in tenants},
                timing=HURRIED,
                threads=THREADS,
            )
        )


def until(done: Callable[[], bool], seconds: float) -> bool:
    """Wait for it, at most so long; whether it came."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if done():
            return True
        time.sleep(REGROUP)
    return False


def _at_rest(stage: Stage, tenants: list[str]) -> bool:
    """Whether nothing is due soon, and no claim is open."""
    stage.crew.replace_timed_out()
    soon = time.time() + CALM_LIFETIME / 4
    return all(
        row.status in ENDED
        or (row.inflight is None and row.next_refresh_at and row.next_refresh_at > soon)
        for tenant in tenants
        if (row := stage.connections.grant(tenant)) is not None
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.processes", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long workers are killed")
    parser.add_argument("--seed", type=int, default=None, help="chooses whom and when")
    given = parser.parse_args()
    print(f"{WORKERS} workers, {TENANTS} tenants, kill -9 for {given.seconds:.0f} s", flush=True)
    try:
        with dynamodb_local.running() as endpoint:
            account = kill_at_random(
                endpoint, given.seconds, wanted=ENOUGH, at_most=PATIENCE, seed=given.seed
            )
    except (Missing, Failed) as error:
        print(error, file=sys.stderr)
        return 1
    print(account.table())
    for sentence in account.wrong:
        print(f"  WRONG: {sentence}")
    if account.refreshes < ENOUGH:
        print(f"  Too few refreshes to say much: this machine did not do {ENOUGH:,}.")
    return 1 if account.wrong or account.refreshes < ENOUGH else 0


if __name__ == "__main__":
    sys.exit(main())
