"""A scheduler that hates us: real use cases, stopped, crashed and delayed between any two steps.

Every worker is a greenlet. Whenever it would touch a table, GoTo or the rescue queue it stops at a
gate, and goes on only when and how the adversary says. Tables are in memory, the clock stands
still unless it is moved; so a run is the same each time it is played.
"""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from greenlet import getcurrent, greenlet

from chalicelib.bootstrap import complete, refresh
from chalicelib.config import Settings
from chalicelib.durations import CONFIRM_PAUSE, LEASE_MARGIN
from chalicelib.dynamodb import expressions
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.provider_health import ProviderRow
from chalicelib.dynamodb.table import tables_of
from chalicelib.errors import DependencyUnavailable
from chalicelib.models import Due, Grant
from chalicelib.refresh.refresher import Refresher
from sandbox.goto.switches import Switches
from tests.faults.gates import GatedClient, GatedGoTo, GatedQueue, OpenSecretStore
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.world import TESTER, World, reason_of

FUNCTION_TIME = 120
"""Seconds that a worker's function has."""

LONGEST_LIFE = FUNCTION_TIME + LEASE_MARGIN + CONFIRM_PAUSE - 60
"""Seconds after which no worker lives any more: far beyond its lease, but not beyond the pause in
which a refusal is confirmed."""

TENANTS = ("acme", "beta")

MOST_PLAIN = 10_000
"""Rows that are kept as plain values; one is read many times."""


class Killed(BaseException):
    """The worker's process ends here."""


@dataclass
class Worker:
    """One running use case. ``holds``: tokens that GoTo gave it and no table has yet. ``overtook``:
    it claimed what another had whose lease was over, and who lived."""

    name: str
    tenant: str
    begun_at: float
    body: greenlet
    kind: str = ""
    at: str = ""
    claimed: Grant | None = None
    stood_at_claim: tuple[int, int] | None = None
    lease_until: float = 0.0
    overtook: bool = False
    asked: int = 0
    answered: int = 0
    holds: set[str] = field(default_factory=set)
    seen: int = 0
    outcome: object = None


def _healthy(settings: Settings, memory: Any) -> ProviderRow:
    """GoTo as a large fleet finds it, where others get tokens all the time. A refusal is then
    confirmed at the first occasion, which is the hardest for what is searched here."""
    provider = ProviderRow(tables_of(memory, settings))
    provider.add(0, 0, 0, 0, given_at=2**40)
    return provider


class Adversary:
    """Two connected tenants, and full control over everything that happens to their workers.

    ``connections`` and ``refresher`` may be broken ones: seeded faults.
    """

    def __init__(
        self,
        switches: Switches,
        connections: type[Connections] = Connections,
        refresher: type[Refresher] = Refresher,
    ) -> None:
        self._refresher = refresher
        self._hub = getcurrent()
        self._names = itertools.count(1)
        self.workers: dict[str, Worker] = {}
        self._plain: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        self.late: list[Callable[[], object]] = []
        self.lost: set[str] = set()
        self.outlived: set[tuple[str, int]] = set()
        self.double_claims: list[str] = []
        memory = MemoryDynamoDB()
        self.tables = memory
        self.world = World(GatedClient(memory, self), create_tables(memory, "t-"))
        self.goto = GatedGoTo(self, switches)
        self.queue = GatedQueue(self)
        self.world.stand_in(
            secret_store=OpenSecretStore({name: f"id-{name}" for name in TENANTS}),
            goto=lambda connections, ask_deadline=None: self.goto,
            rescue_queue=self.queue,
            connections=self._watched(connections),
            provider=_healthy(self.world.settings, memory),
            # The world's own takes from a time that all workers would share.
            pause=lambda seconds: None,
        )
        self.links = {name: self.world.add_tenant(name) for name in TENANTS}
        for name in TENANTS:
            self.world.connect(self.links[name])

    def _watched(self, kind: type[Connections]) -> Connections:
        connections = kind(self.world.tables)
        claim = connections.claim

        def claimed(due: Due, now: int, lease_until: int) -> Grant | None:
            grant = claim(due, now, lease_until)
            worker = self.running()
            if grant is not None and worker is not None:
                worker.overtook = any(
                    self.now > one.lease_until for one in self._claimed(due.tenant)
                )
                worker.claimed, worker.lease_until = grant, lease_until
                row = self.row("grants", due.tenant)
                worker.stood_at_claim = row["generation"], row["version"]
            return grant

        vars(connections).update(claim=claimed)
        return connections

    @property
    def now(self) -> float:
        return self.world.clock.now

    def running(self) -> Worker | None:
        """The worker whose code is being run, if any."""
        return getattr(getcurrent(), "worker", None)

    def gate(self, at: str) -> str:
        """Stop here until the adversary says how it goes on; outside of workers it just does."""
        worker = self.running()
        if worker is None:
            return "go"
        worker.at = at
        how: str = self._hub.switch()
        return how

    def read(self, at: str, answer: str) -> None:
        """Note what the running worker has read: with it alone two workers would go on alike."""
        worker = self.running()
        if worker is not None:
            worker.seen = hash((worker.seen, at, self.now, answer))

    def asks(self, worker: Worker) -> None:
        """Note a token request, and whether another worker may be asking the same."""
        worker.asked += 1
        mine = worker.claimed
        for other in self.workers.values():
            theirs = other.claimed
            if other is worker or mine is None or theirs is None:
                continue
            same = (theirs.tenant, theirs.generation, theirs.version) == (
                mine.tenant,
                mine.generation,
                mine.version,
            )
            if same and other.lease_until > self.now:
                self.double_claims.append(f"{worker.name} and {other.name}: {mine.tenant}")

    def start_refresh(self, tenant: str) -> Worker | None:
        """A worker that found the tenant in the due index, whether due yet or not."""
        at = self.row("grants", tenant).get("next_refresh_at")
        if at is None:
            return None
        due = Due(tenant, at)
        time_left = self._time_left()
        use_case = refresh.refresher(self.world.deployment, _Unhurried(), 1, time_left)
        parts = {part.name: getattr(use_case, part.name) for part in fields(use_case)}
        use_case = self._refresher(**parts)  # perhaps one with a seeded fault
        return self._begin(tenant, lambda: use_case.refresh(due).outcome)

    def start_reconnect(self, tenant: str) -> Worker:
        """An admin came back from GoTo with a code; its completion runs."""
        return self.begin_completion(tenant, self.open_request(tenant))

    def open_request(self, tenant: str) -> str:
        """An admin comes back from GoTo with a code; returns the request's key."""
        visitor = self.world.browser(self.links[tenant])
        self.world.come_back(visitor, state=self.world.start(visitor)["state"], code="a-code")
        return self.world.completions.pop()

    def begin_completion(self, tenant: str, key: str) -> Worker:
        """The completion of a request runs."""
        completion = complete.completion(self.world.deployment, self._time_left())
        return self._begin(tenant, lambda: reason_of(completion.run(key)))

    def _time_left(self) -> Callable[[], float]:
        deadline = self.now + FUNCTION_TIME
        return lambda: deadline - self.now

    def start_rescue(self) -> Worker | None:
        """The queue delivers its oldest message; it leaves when it was committed."""
        if not self.queue.messages:
            return None
        message = self.queue.messages[0]
        content = json.loads(message)
        tenant = (content.get("asked") or content.get("request"))["tenant"]
        commit = self.world.rescuer().commit

        def deliver() -> object:
            outcome = commit(message)
            if message in self.queue.messages:
                self.queue.messages.remove(message)
            return outcome

        return self._begin(tenant, deliver)

    def start_disconnect(self, tenant: str) -> Worker:
        """A rep ends the connection, and waits until GoTo has heard."""
        disconnecting = self.world.desk().disconnecting
        return self._begin(tenant, lambda: disconnecting.disconnect(tenant, TESTER))

    def step(self, worker: Worker, how: str = "go") -> None:
        """Let a worker do what it stands before, in that manner, up to its next gate."""
        worker.seen = hash((worker.seen, worker.at, how, self.now))
        if worker.claimed and self.now > worker.lease_until:
            self.outlived.add((worker.tenant, worker.claimed.generation))
        self._resume(worker, lambda: worker.body.switch(how))

    def kill(self, worker: Worker) -> None:
        """Its process ends; what it held and no table or queue has is gone."""
        self._resume(worker, lambda: worker.body.throw(Killed))
        self._forget(worker, died=True)

    def pass_time(self, seconds: float) -> None:
        """Move the clock; who has outlived every limit is dead."""
        self.world.clock.pass_(seconds)
        for worker in list(self.workers.values()):
            if self.now - worker.begun_at >= LONGEST_LIFE:
                self.kill(worker)

    def row(self, table: str, tenant: str) -> dict[str, Any]:
        """A row as it stands, past every gate."""
        item = self.tables.row(getattr(self.world.settings, f"{table}_table"), tenant)
        if len(self._plain) > MOST_PLAIN:
            self._plain.clear()
        if id(item) not in self._plain:
            self._plain[id(item)] = item, expressions.plain(item)
        return self._plain[id(item)][1]

    def successors(self, stored: str) -> set[str]:
        """Tokens of the same authorization that may still be committed in place of this one."""
        family = self.goto.family(stored)
        held = self.held(self.goto.owners[stored])
        return {token for token in held if token and self.goto.family(token) == family}

    def held(self, tenant: str) -> set[str]:
        """Refresh tokens that a living worker or the rescue queue may still commit."""
        by_workers = {
            token
            for worker in self.workers.values()
            if worker.tenant == tenant
            for token in worker.holds
        }
        messages = (json.loads(message) for message in self.queue.messages)
        return by_workers | {
            content["fresh"]["refresh_token"]
            for content in messages
            if (content.get("asked") or content["request"])["tenant"] == tenant
        }

    def family_revoked(self, tenant: str) -> None:
        """A used-up token was shown again, and GoTo has ended the authorization for it.

        A worker that outlives its lease brings that about, and Lambda lets none: that much is
        granted, for that authorization only. Any other way to here is a fault.
        """
        worker = self.running()
        late = any(self.now > one.lease_until for one in self._claimed(tenant))
        overtook = worker is not None and worker.overtook
        generation = self.row("grants", tenant)["generation"]
        if late or overtook or (tenant, generation) in self.outlived:
            self.lost.add(tenant)

    def _claimed(self, tenant: str) -> list[Worker]:
        workers = self.workers.values()
        return [worker for worker in workers if worker.claimed and worker.tenant == tenant]

    def last_status(self, tenant: str) -> str | None:
        """The state that the journal told of last."""
        table = self.world.settings.journal_table
        found = self.tables.query(
            TableName=table,
            KeyConditionExpression="tenant = :tenant",
            ExpressionAttributeValues={":tenant": {"S": tenant}},
            ScanIndexForward=False,
        )
        told = (row["status"]["S"] for row in found["Items"] if "status" in row)
        return next(told, None)

    def end(self) -> None:
        """Let no greenlet outlive its test."""
        for worker in list(self.workers.values()):
            self.kill(worker)

    def _begin(self, tenant: str, work: Callable[[], object]) -> Worker:
        name = f"worker-{next(self._names)}"
        worker = Worker(name, tenant, self.now, None)

        def run() -> None:
            try:
                worker.outcome = work()
            except Killed:
                worker.outcome = Killed
            except DependencyUnavailable as error:
                worker.outcome = error

        worker.body = greenlet(run, self._hub)
        worker.body.worker = worker
        self.workers[name] = worker
        self._resume(worker, worker.body.switch)
        return worker

    def _resume(self, worker: Worker, resume: Callable[[], object]) -> None:
        resume()
        if worker.body.dead:
            self._forget(worker, died=worker.outcome is Killed)

    def _forget(self, worker: Worker, *, died: bool) -> None:
        self.workers.pop(worker.name, None)
        stored = self.row("grants", worker.tenant).get("refresh_token")
        gone = worker.holds - self.held(worker.tenant) - {stored}
        if gone and (died or str(worker.outcome) == "lost"):
            self.lost.add(worker.tenant)


class _Unhurried:
    def acquire(self) -> bool:
        return True

    def slow_down(self) -> None:
        return None
