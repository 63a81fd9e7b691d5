"""Refreshes a second, and the cost of each: the product against a bare loop of the same calls.

    .venv/bin/python -m bench.refresh [--tenants 300] [--rounds 3]

The floor repeats the product's recorded calls to the tables, Secrets Manager and GoTo in a bare
loop, with the same libraries and as many threads. Both use a stand-in server on the loopback
interface, which runs in its own process.
"""

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import requests
from botocore.config import Config
from moto import mock_aws

from bench.table import Row, told
from chalicelib.bootstrap import deployment, refresh
from chalicelib.config import load
from chalicelib.models import Due
from chalicelib.refresh.outcomes import Outcome
from chalicelib.refresh.rate_limiter import RateLimiter
from tests.support.aws import REGION, create_tables, session
from tests.support.memory import MemoryDynamoDB
from tests.support.world import World

LEAST_THROUGHPUT = 0.9
MOST_CPU = 1.2

Call = tuple[Any, str, dict[str, Any]]
"""A client, an operation and its parameters."""


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=300, help="in each turn; default: 300")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each; default: 3")
    options = parser.parse_args()
    return told(rows(options.tenants, options.rounds))


def rows(
    tenants: int,
    rounds: int,
    delays: Sequence[float] = (0.02, 0.15),
    threads: Sequence[int] = (16, 64),
) -> list[Row]:
    """Throughput and CPU for each delay (GoTo's, in seconds) and number of threads."""
    found = []
    for delay in delays:
        for number in threads:
            with _stand_in(delay) as (environment, due_at):
                found += _compare(environment, due_at, tenants, rounds, number, delay)
    return found


def _compare(
    environment: dict[str, str],
    due_at: int,
    tenants: int,
    rounds: int,
    threads: int,
    delay: float,
) -> list[Row]:
    dues = [Due(f"t{number}", due_at) for number in range(tenants)]
    wall: dict[str, list[float]] = {"product": [], "floor": []}
    cpu: dict[str, list[float]] = {"product": [], "floor": []}
    for number in range(rounds + 1):
        product = Product(environment, threads)
        product.warm(due_at)
        _note(wall, cpu, "product", partial(product.refresh, dues), number)
        _note(wall, cpu, "floor", product.repeat, number)
    middle = {name: statistics.median(each) for name, each in wall.items()}
    used = {name: statistics.median(each) / tenants * 1e3 for name, each in cpu.items()}
    of = f"{delay * 1e3:.0f} ms, {threads} threads"
    rates = {name: tenants / each for name, each in middle.items()}
    return [
        Row(
            f"refresh: floor's rate to ours, {of}",
            rates["floor"] / rates["product"],
            1 / LEAST_THROUGHPUT,
            f"{rates['product']:.0f}/s, {rates['floor']:.0f}/s",
        ),
        Row(
            f"refresh: CPU, {of}",
            used["product"] / used["floor"],
            MOST_CPU,
            f"{used['product']:.2f} ms, {used['floor']:.2f} ms",
            {"cpu_ms": round(used["product"], 2)},
        ),
    ]


def _note(
    wall: dict[str, list[float]],
    cpu: dict[str, list[float]],
    name: str,
    act: Callable[[], None],
    number: int,
) -> None:
    begun, used = time.perf_counter(), time.process_time()
    act()
    if number:  # the first turn also loads modules
        wall[name].append(time.perf_counter() - begun)
        cpu[name].append(time.process_time() - used)


class Product:
    """One invocation's refresher, and a record of its calls."""

    def __init__(self, environment: dict[str, str], threads: int) -> None:
        self._threads = threads
        self._settings = load(environment)
        self._web = requests.Session()
        self._web.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=threads))
        self._calls: dict[str, list[Call]] = defaultdict(list)
        made: dict[str, Any] = {}

        def aws(service: str, read_timeout: int = 0, attempts: int = 0) -> Any:
            if service not in made:
                made[service] = session().create_client(
                    service,
                    REGION,
                    endpoint_url=environment["ENDPOINT"],
                    config=Config(max_pool_connections=threads),
                )
            return made[service]

        live = replace(deployment.live(load(environment)), client=aws)
        rate_limiter = RateLimiter(1e6, math.inf, time.monotonic, time.sleep)
        self._refresher = refresh.refresher(live, rate_limiter, threads, lambda: 600.0)
        for client in (aws("dynamodb"), aws("secretsmanager")):
            client.meta.events.register("provide-client-params.*", self._recorder(client))

    def _recorder(self, client: Any) -> Callable[..., None]:
        def record(params: dict[str, Any], model: Any, **_context: object) -> None:
            self._calls[_tenant(params)].append((client, model.name, params))

        return record

    def warm(self, due_at: int) -> None:
        """Open all connections of product and floor, as a worker has after its first second."""
        self.refresh([Due(f"warm{number}", due_at) for number in range(2 * self._threads)])
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(lambda _: self._ask(), range(2 * self._threads)))
        self._calls.clear()

    def refresh(self, dues: list[Due]) -> None:
        """Refresh all of them, in this invocation's threads."""
        with ThreadPoolExecutor(self._threads) as pool:
            outcomes = {done.outcome for done in pool.map(self._refresher.refresh, dues)}
        if outcomes != {Outcome.REFRESHED}:
            raise SystemExit(f"this measures something else: {outcomes}")

    def repeat(self) -> None:
        """Repeat the same calls, for each tenant in their order."""
        calls = [list(made) for made in self._calls.values()]  # repeating records again
        with ThreadPoolExecutor(self._threads) as pool:
            list(pool.map(self._again, calls))

    def _again(self, made: list[Call]) -> None:
        for client, name, params in made:
            if name == "TransactWriteItems":  # it commits what GoTo just answered
                self._ask()
            client._make_api_call(name, params)

    def _ask(self) -> None:
        answer = self._web.post(
            self._settings.token_url,
            data={"grant_type": "refresh_token", "refresh_token": "x" * 1_000},
            headers={"Authorization": "Basic aWQ6c2VjcmV0", "Accept": "application/json"},
            timeout=(5, 20),
            allow_redirects=False,
        )
        json.loads(answer.content)


def _tenant(params: dict[str, Any]) -> str:
    if "SecretId" in params:
        return str(params["SecretId"]).rpartition("/")[2]
    if "Key" in params:
        return str(params["Key"]["tenant"]["S"])
    [first, *_] = [action["Update"] for action in params["TransactItems"] if "Update" in action]
    return str(first["Key"]["tenant"]["S"])


@contextmanager
def _stand_in(delay: float) -> Iterator[tuple[dict[str, str], int]]:
    """Run the stand-in with a connected tenant's rows; yields its settings and its due time."""
    with mock_aws():
        memory: Any = MemoryDynamoDB()
        world = World(memory, create_tables(memory, ""))
        world.connect(world.add_tenant("t0"))
        grants, tenants = world.settings.grants_table, world.settings.tenants_table
        due_at = int(time.time()) - 5
        every = {
            table: next(row for row in world.everything()[table] if row["tenant"]["S"] == "t0")
            for table in (grants, tenants)
        }
        every[grants] |= {
            "next_refresh_at": {"N": str(due_at)},
            "access_expires_at": {"N": str(due_at + 600)},
        }
        version = every[grants]["secret_version"]["S"]
        stored = world.secret_store._client.get_secret_value(
            SecretId=f"{world.settings.secret_prefix}t0", VersionId=version
        )
        answer = {"access_token": "x" * 1_000, "expires_in": 3_600, "token_type": "Bearer"}
        secret = {"SecretString": stored["SecretString"], "VersionId": version}
        environment = dict(world.environment)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        file.write_text(json.dumps({"tables": every, "secret": secret, "answer": answer}))
        command = [sys.executable, "-m", "bench.stub_server", str(file), str(delay)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                assert process.stdout is not None  # noqa: S101 - it was asked for
                endpoint = f"http://127.0.0.1:{int(process.stdout.readline())}"
                environment |= {"ENDPOINT": endpoint, "GOTO_TOKEN_URL": f"{endpoint}/token"}
                yield environment, due_at
            finally:
                process.terminate()


if __name__ == "__main__":
    sys.exit(main())
