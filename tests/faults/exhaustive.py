"""`make interleavings`: every interleaving of a few actors with a few faults, not a sample of them.

The real use cases run on tables in memory. Before each read and write an actor stops; from every
state that can be reached, every next step is tried: each actor going on, crashing, or meeting a
write that is lost or comes late, and time passing beyond a lease. States that are alike (rows,
GoTo, queue, clock, and what each actor has read) are visited once; the interleavings that lead
through them are counted.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

from chalicelib.durations import LEASE_MARGIN
from chalicelib.dynamodb.connections import Connections
from chalicelib.refresh.refresher import Refresher
from sandbox.goto.switches import Switches
from tests.faults.adversary import FUNCTION_TIME, TENANTS, Adversary, Worker
from tests.faults.invariants import Invariants
from tests.support.memory import MemoryDynamoDB

TENANT = TENANTS[0]

DEFAULTS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}
"""Of the environment, where no test has made one."""

WRITES = ("update_item", "transact_write_items", "put_item", "send")
"""Steps that change something, and whose answer may be lost or come late."""

JUMP = FUNCTION_TIME + LEASE_MARGIN + 1
"""Seconds that pass at once: beyond every lease, so that another actor may take the tenant."""

Action = tuple[str, ...]
"""What happens next: ``start KIND``, ``step NUMBER HOW``, ``land``, ``wait``."""


@dataclass(frozen=True)
class Bound:
    """``actors`` may each begin once, at any time; ``faults`` and ``waits`` at any time, too."""

    actors: tuple[str, ...]
    faults: int = 2
    waits: int = 1


@dataclass
class Found:
    """``violations``: the first runs that broke an invariant, with its words."""

    states: int = 0
    steps: int = 0
    interleavings: int = 0
    violations: list[tuple[tuple[Action, ...], str]] = field(default_factory=list)


class Stop(Exception):
    """Enough was found."""


class Search:
    """Visits every state within a bound, depth first. ``most``: violations after which it ends."""

    def __init__(self, adversary: Adversary, bound: Bound, most: int = 1) -> None:
        self._adversary = adversary
        self._bound = bound
        self._most = most
        self._paths: dict[int, int] = {}
        self._rows = _Rows()
        self._begin = _Snapshot(adversary)
        self._invariants = Invariants(adversary, (TENANT,))
        self.found = Found()

    def run(self) -> Found:
        try:
            self._replay(())
            self.found.interleavings = self._visit(())
        except Stop:
            pass
        finally:
            self._begin.restore()
        self.found.states = len(self._paths)
        return self.found

    def _visit(self, path: tuple[Action, ...]) -> int:
        """How many interleavings lead on from here to an end; every one of them is looked at."""
        key = self._key()
        if key in self._paths:
            return self._paths[key]
        total, actions = 0, self._actions()
        for number, action in enumerate(actions):
            if number:
                self._replay(path)
            self._apply(action)
            self.found.steps += 1
            broken = self._invariants.broken()
            after = (*path, action)
            if broken:
                self.found.violations.append((after, broken[0]))
                if len(self.found.violations) >= self._most:
                    raise Stop
                total += 1
                continue
            total += self._visit(after)
        self._paths[key] = max(1, total)
        return self._paths[key]

    def _replay(self, path: Sequence[Action]) -> None:
        """The state at the end of ``path``, as if nothing else had ever been tried."""
        self._begin.restore()
        self._workers: list[Worker | None] = []
        self._waiting = list(self._bound.actors)
        self._faults, self._waits = self._bound.faults, self._bound.waits
        for action in path:
            self._apply(action)
        self._invariants = Invariants(self._adversary, (TENANT,))
        self._invariants.broken()

    def _actions(self) -> list[Action]:
        found: list[Action] = [("start", kind) for kind in dict.fromkeys(self._waiting)]
        if not self._due():
            found = [action for action in found if action[1] != "refresh"]
        for number, worker in enumerate(self._workers):
            if worker is None or worker.body.dead:
                continue
            found.append(("step", str(number), "go"))
            if self._faults:
                found += [("step", str(number), how) for how in _faults_at(worker.at)]
        if self._adversary.late:
            found.append(("land",))
        if self._adversary.queue.messages and "rescue" not in self._running():
            found.append(("start", "rescue"))
        if self._waits and any(found):
            found.append(("wait",))
        return found

    def _running(self) -> list[str]:
        alive = (one for one in self._workers if one is not None and not one.body.dead)
        return [one.kind for one in alive]

    def _due(self) -> bool:
        at = self._adversary.row("grants", TENANT).get("next_refresh_at")
        return at is not None and at <= self._adversary.now

    def _apply(self, action: Action) -> None:
        match action:
            case ("start", kind):
                self._start(kind)
            case ("wait",):
                self._waits -= 1
                self._adversary.pass_time(JUMP)
            case ("land",):
                _land(self._adversary.late.pop(0))
            case ("step", number, how):
                worker = self._workers[int(number)]
                assert worker is not None
                self._faults -= how != "go"
                if how == "crash":
                    self._adversary.kill(worker)
                else:
                    self._adversary.step(worker, how)

    def _start(self, kind: str) -> None:
        adversary = self._adversary
        begin: dict[str, Callable[[], Worker | None]] = {
            "refresh": lambda: adversary.start_refresh(TENANT),
            "reconnect": lambda: adversary.begin_completion(TENANT, self._begin.request),
            "disconnect": lambda: adversary.start_disconnect(TENANT),
            "rescue": adversary.start_rescue,
        }
        due = adversary.row("grants", TENANT).get("next_refresh_at")
        worker = begin[kind]()
        if worker is not None:
            worker.kind = kind
            # When it began, and for which date: its time left and its claim depend on them.
            worker.seen = hash((worker.seen, worker.begun_at, due))
        if kind in self._waiting:
            self._waiting.remove(kind)
        self._workers.append(worker)

    def _key(self) -> int:
        """What the future depends on, and nothing else."""
        adversary = self._adversary
        alive = (one for one in self._workers if one is not None)
        return hash(
            (
                self._rows.digest(adversary.tables),
                adversary.now,
                tuple(adversary.queue.messages),
                frozenset(adversary.goto.grants.values()),
                frozenset(adversary.lost),
                frozenset(adversary.outlived),
                len(adversary.late),
                self._faults,
                self._waits,
                tuple(self._waiting),
                tuple(sorted((one.kind, one.at, one.body.dead, one.seen) for one in alive)),
            )
        )


class _Rows:
    """Digests of rows, each made once: a row is never changed in place."""

    MOST = 100_000

    def __init__(self) -> None:
        self._known: dict[int, tuple[dict[str, Any], int]] = {}

    def digest(self, tables: MemoryDynamoDB) -> int:
        if len(self._known) > self.MOST:
            self._known.clear()
        return hash(frozenset(self._of(name, item) for name, item in tables.rows()))

    def _of(self, table: str, item: dict[str, Any]) -> int:
        known = self._known.get(id(item))
        if known is None:
            shown = {**item}
            if "kind" in shown and "at" in shown:  # the random part of the journal's keys
                shown["at"] = {"S": shown["at"]["S"].split("#")[0]}
            known = item, hash((table, repr(sorted(shown.items()))))
            self._known[id(item)] = known
        return known[1]


class _Snapshot:
    """The state that every run begins in: connected, due, and an admin just back from GoTo."""

    def __init__(self, adversary: Adversary) -> None:
        self._adversary = adversary
        self.request = adversary.open_request(TENANT)
        at = adversary.row("grants", TENANT)["next_refresh_at"]
        self._now = max(adversary.now, float(at))
        self._tables = adversary.tables.snapshot()
        self._goto = adversary.goto.snapshot()

    def restore(self) -> None:
        adversary = self._adversary
        adversary.end()
        adversary.world.clock.now = self._now
        adversary.tables.restore(self._tables)
        adversary.goto.restore(self._goto)
        adversary.queue.messages.clear()
        adversary.world.completions.clear()
        adversary.late.clear()
        adversary.lost.clear()
        adversary.outlived.clear()
        adversary.double_claims.clear()


def _faults_at(at: str) -> tuple[str, ...]:
    if at in WRITES:
        return ("crash", "lose", "late")
    return ("crash", "lose") if at == "token" else ()


def _land(write: Callable[[], Any]) -> None:
    """A late write arrives; what its condition forbids, it does not do."""
    try:
        write()
    except Exception as error:
        if "ConditionalCheckFailed" not in repr(getattr(error, "response", error)):
            raise


@dataclass(frozen=True)
class Scenario:
    """What is searched. ``grace``: seconds for which GoTo still takes a replaced refresh token;
    ``late``: it replaces one late in its life, and forgives the use of an old one."""

    actors: tuple[str, ...]
    faults: int
    waits: int
    grace: int = 0
    late: bool = False

    def __str__(self) -> str:
        told = f"{', '.join(self.actors)}; {self.faults} faults, {self.waits} waits"
        return told + ", grace" * bool(self.grace) + ", late" * self.late

    @property
    def switches(self) -> Switches:
        """GoTo's rule. A short life makes the first refresh one that brings a new token."""
        if self.late:
            return Switches(rotation="late", refresh_token_lifetime=1_800)
        return Switches(rotation="always", rotation_grace=self.grace)


SMALL = (
    Scenario(("refresh", "refresh"), faults=0, waits=1, grace=600),
    Scenario(("refresh", "refresh"), faults=1, waits=1, late=True),
    Scenario(("refresh", "refresh"), faults=1, waits=1),
    Scenario(("refresh", "reconnect"), faults=1, waits=0),
    Scenario(("refresh", "disconnect"), faults=0, waits=0),
)
"""For the suite: seconds. First those that find the seeded faults soonest."""

LARGE = (
    Scenario(("refresh", "disconnect"), faults=2, waits=0),
    Scenario(("refresh", "reconnect"), faults=2, waits=0),
    Scenario(("refresh", "refresh", "reconnect"), faults=1, waits=0),
    Scenario(("refresh", "refresh", "refresh"), faults=1, waits=1),
    Scenario(("refresh", "refresh", "disconnect"), faults=0, waits=0),
    Scenario(("refresh", "refresh"), faults=2, waits=1),
    Scenario(("refresh", "refresh"), faults=2, waits=1, grace=600),
    Scenario(("refresh", "refresh"), faults=2, waits=1, late=True),
)
"""What `make interleavings` searches, in less than ten minutes on two cores; the longest first, so
that both end at about the same time."""

SHORT = SMALL[:1]
"""What `--short` searches, in a second."""


def searched(
    scenario: Scenario,
    connections: type[Connections] = Connections,
    refresher: type[Refresher] = Refresher,
) -> Found:
    """Search one scenario; ``connections`` and ``refresher`` may be broken ones."""
    sys.setrecursionlimit(10_000)
    adversary = Adversary(scenario.switches, connections, refresher)
    bound = Bound(scenario.actors, scenario.faults, scenario.waits)
    return Search(adversary, bound).run()


def main() -> int:
    """Search the large scenarios, two at a time, and say what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.exhaustive")
    parser.add_argument("--short", action="store_true", help="a scenario that takes a second")
    scenarios = SHORT if parser.parse_args().short else LARGE
    begun, broken, total = time.monotonic(), 0, 0
    with ProcessPoolExecutor(max_workers=2) as pool:
        searches = {pool.submit(searched, scenario): scenario for scenario in scenarios}
        for ended in as_completed(searches):
            found = ended.result()
            broken += len(found.violations)
            total += found.interleavings
            print(
                f"{searches[ended]!s:51} {found.interleavings:>13,} interleavings,"
                f" {found.states:>6,} states, {len(found.violations)} violations",
                flush=True,
            )
            for path, words in found.violations:
                print("   ", words, path)
    took = time.monotonic() - begun
    print(f"{total:,} interleavings, {broken} violations, {took:.0f} seconds")
    return 1 if broken else 0


if __name__ == "__main__":
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
    sys.exit(main())
