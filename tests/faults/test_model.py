"""The protocol against an adversary: any order of steps, crashes, delays and lost answers.

A fault is seeded into the real code, and the same search must find it. Others need an order of
steps that chance meets too seldom: `test_interleavings` finds them all, by trying every order.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from chalicelib.dynamodb.connections import Connections
from sandbox.goto.switches import Switches
from tests.faults.adversary import TENANTS, Adversary, Worker
from tests.faults.invariants import Invariants
from tests.faults.seeded import WithoutTheVersion

HOWS = ("go", "go", "go", "lose", "refuse", "unsent")
"""What becomes of a step: done, done but its answer lost, refused, or (at GoTo) never arrived."""

PLACES = ("token", "token", "transact_write_items", "send", "update_item", "end", "end")
"""Where a worker is let run to; none stands before the end, so that it is reached."""

MOST_STEPS = 60
"""No use case takes more: one that does never ends."""


class Protocol(RuleBasedStateMachine):
    """Every way in which workers, admins, the queue and time may interleave."""

    connections: type[Connections] = Connections

    @initialize(
        rotation=st.sampled_from(["late", "always"]),
        lifetime=st.sampled_from([4_000, 2_592_000]),
        grace=st.sampled_from([0, 600]),
    )
    def deploy(self, rotation: Any, lifetime: int, grace: int) -> None:
        switches = Switches(
            rotation=rotation, refresh_token_lifetime=lifetime, rotation_grace=grace
        )
        self.adversary = Adversary(switches, self.connections)
        self.watched = Invariants(self.adversary)

    @rule(tenant=st.sampled_from((TENANTS[0], *TENANTS)))
    def refresh(self, tenant: str) -> None:
        if len(self.adversary.workers) < 4:
            self.adversary.start_refresh(tenant)

    @rule(tenant=st.sampled_from(TENANTS), wanted=st.integers(0, 3))
    def reconnect(self, tenant: str, wanted: int) -> None:
        """Rarer than refreshes, as it is."""
        if wanted == 0 and len(self.adversary.workers) < 4:
            self.adversary.start_reconnect(tenant)

    @precondition(lambda self: self.adversary.queue.messages)
    @rule()
    def deliver(self) -> None:
        self.adversary.start_rescue()

    @precondition(lambda self: self.adversary.workers)
    @rule(which=st.integers(0, 3), place=st.sampled_from(PLACES), how=st.sampled_from(HOWS))
    def go_on(self, which: int, place: str, how: str) -> None:
        """Let one work until it stands before such a step, then do that in such a manner."""
        self._work(self._one(which), place, how)

    @precondition(lambda self: len(self.adversary.workers) < 3)
    @rule(tenant=st.sampled_from(TENANTS), place=st.sampled_from(PLACES), how=st.sampled_from(HOWS))
    def overtake(self, tenant: str, place: str, how: str) -> None:
        """One has GoTo's answer and stalls, its lease ends, and the next one takes the tenant."""
        for upto, manner in (("transact_write_items", None), (place, how)):
            worker = self.adversary.start_refresh(tenant)
            if worker is not None:
                self._work(worker, upto, manner)
            if manner is None:
                self.adversary.pass_time(421)

    @precondition(lambda self: self.adversary.workers)
    @rule(which=st.integers(0, 3), wanted=st.integers(0, 2))
    def kill(self, which: int, wanted: int) -> None:
        if wanted == 0:
            self.adversary.kill(self._one(which))

    @rule(seconds=st.sampled_from([1, 421, 421, 421, 720, 2_400]))
    def wait(self, seconds: int) -> None:
        """A moment, a lease, a lease and a confirmation, the pause between refreshes."""
        self.adversary.pass_time(seconds)

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "watched"):
            assert self.watched.broken() == []

    def teardown(self) -> None:
        if hasattr(self, "adversary"):
            self.adversary.end()

    def _one(self, which: int) -> Worker:
        workers = list(self.adversary.workers.values())
        return workers[which % len(workers)]

    def _work(self, worker: Worker, place: str, how: str | None) -> None:
        """Up to a place, and past it in some manner if one is named; or to the end."""
        for _ in range(MOST_STEPS):
            if worker.name not in self.adversary.workers:
                return
            if worker.at == place:
                if how is not None:
                    self.adversary.step(worker, how)
                return
            self.adversary.step(worker)
        raise AssertionError(f"{worker.name} does not end")


SEARCH = settings(
    max_examples=400,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

BROKEN = r"\d+: "
"""An invariant's number, before its words."""

HUNT = settings(SEARCH, max_examples=3_000, phases=[Phase.generate], report_multiple_bugs=False)


def test_f05_f06_f07_the_protocol_holds_whatever_happens() -> None:
    """F01-F07, F10, F24, invariants 1-6."""
    run_state_machine_as_test(Protocol, settings=SEARCH)


def test_the_search_finds_a_seeded_fault() -> None:
    """By an invariant that does not hold, not by an error of the search's own."""
    broken = type("Broken", (Protocol,), {"connections": WithoutTheVersion})
    with pytest.raises(AssertionError, match=BROKEN):
        run_state_machine_as_test(broken, settings=HUNT)
