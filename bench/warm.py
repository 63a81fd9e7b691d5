"""Warm latency: the pages through Chalice's handler, divided by their table calls alone.

    .venv/bin/python -m bench.warm [--rounds 100]

The tables are in DynamoDB Local, with 5 ms added to each call, as on AWS. The floor repeats the
handler's calls with the bare client; a refused conditional write takes as long as a success.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from moto import mock_aws

import app as entry
from bench.table import Row, told
from chalicelib.connect.authorize import MOST_STARTS_A_DAY
from chalicelib.durations import DAY
from sandbox import dynamodb_local
from tests.support.aws import REGION, create_tables, session
from tests.support.site import PAGE, Answered, Site
from tests.support.world import World

LATENCY = 0.005
"""Seconds added to each table call."""

GOAL = 1.25

Call = tuple[str, dict[str, Any]]


class Calls:
    """Records the calls to the tables, in order, and slows them."""

    def __init__(self, client: Any) -> None:
        self.made: list[Call] = []
        client.meta.events.register("provide-client-params.dynamodb.*", self._note)
        client.meta.events.register("before-send.dynamodb.*", _slowly)

    def _note(self, params: dict[str, Any], model: Any, **_context: object) -> None:
        self.made.append((model.name, params))


def main() -> int:
    """Measure and print; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="of each; default: 100")
    rounds = parser.parse_args().rounds
    with dynamodb_local.running() as endpoint:
        return told(rows(endpoint, rounds))


def rows(endpoint: str, rounds: int) -> list[Row]:
    """Each request's ratio of medians, with both p99."""
    with mock_aws():
        client, bare = (
            session().create_client("dynamodb", REGION, endpoint_url=endpoint) for _ in range(2)
        )
        tables = create_tables(client, "warm-")
        calls = Calls(client)
        bare.meta.events.register("before-send.dynamodb.*", _slowly)
        site = _site(World(client, tables))
        taken: dict[str, tuple[list[float], list[float]]] = {}
        for number in range(rounds + 5):
            for name, send in _requests(site).items():
                calls.made.clear()
                ours = _seconds(send)
                floor = _seconds(lambda: _replay(bare, calls.made))
                if number >= 5:  # the first few also load modules
                    pair = taken.setdefault(name, ([], []))
                    pair[0].append(ours)
                    pair[1].append(floor)
    return [_row(name, *pair) for name, pair in taken.items()]


def _site(world: World) -> Site:
    os.environ.update(world.environment)
    vars(entry)["deployment"] = lambda: world.deployment
    site = Site(world)
    site.open(world.add_tenant())
    return site


def _requests(site: Site) -> dict[str, Callable[[], object]]:
    """One admin's requests, in order. Preparation happens outside the measured time."""
    # Stay under the limit of starts a day: the floor's repetition counts each once more.
    site.world.clock.pass_(2 * DAY // MOST_STARTS_A_DAY + 1)
    csrf = site.csrf()
    came: dict[str, str] = {}

    def start() -> None:
        answer = site.post(PAGE, {"csrf": csrf}, sec_fetch_site="same-origin")
        _redirected(answer)
        came["location"] = answer.headers["location"]

    def callback() -> None:
        state = came["location"].split("&state=")[1].split("&")[0]
        _redirected(site.get(f"{PAGE}?{urlencode({'state': state, 'code': 'c'})}"))
        site.world.completions.clear()

    return {
        "page": lambda: site.get(PAGE),
        "start": start,
        "callback": callback,
        "status": lambda: site.get(f"{PAGE}status"),
    }


def _redirected(answer: Answered) -> None:
    if answer.status != 303:
        raise SystemExit(f"answered {answer.status}: this measures something else")


def _replay(client: Any, made: list[Call]) -> None:
    for name, params in made:
        try:
            client._make_api_call(name, params)
        except ClientError:
            continue


def _slowly(**_context: object) -> None:
    time.sleep(LATENCY)


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _row(name: str, ours: list[float], floor: list[float]) -> Row:
    middle = statistics.median(ours), statistics.median(floor)
    slow = (statistics.quantiles(each, n=100)[98] * 1e3 for each in (ours, floor))
    shown = "{:.1f} ms, {:.1f} ms; p99 {:.1f} ms, {:.1f} ms".format(
        *(each * 1e3 for each in middle), *slow
    )
    return Row(f"warm: {name}", middle[0] / middle[1], GOAL, shown)


if __name__ == "__main__":
    sys.exit(main())
