"""One worker process of the process runs: the product's own adapters and use cases, tick by tick.

Ends by itself when it is asked to (SIGTERM, after the tick in hand), and as a function does when
an invocation's time is over: at once, whatever it was doing. Everything that differs from the
deployed product stands in `_Traced` and `_shorten`.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from chalicelib import refresh, tokens
from chalicelib.deadline import DeadlineAdapter
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto import GoTo
from chalicelib.model import Due, Grant, JournalEntry
from chalicelib.refresh import Outcome, Refresher
from chalicelib.services import Services
from chalicelib.store.connections import Connections
from chalicelib.times import CONFIRM_PAUSE, LEASE_MARGIN, TIME_FOR_ONE, TIME_TO_END
from tests.faults.provider import CLAIM_HEADER, Claim
from tests.support.fleet import Secrets

_held: ContextVar[Claim | None] = ContextVar("_held", default=None)
"""The claim under which the thread at hand works."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: an invocation's time, the pause between two of them, and, where leases must end
    within the run, what stands in for the product's constants of the same names."""

    budget: float
    pause: float
    lease_margin: int = LEASE_MARGIN
    confirm_pause: int = CONFIRM_PAUSE
    time_for_one: float = TIME_FOR_ONE
    time_to_end: float = TIME_TO_END


class Returned:
    """What became of each claim whose worker lived to know it: a line each, kept by the kernel
    as soon as it is written, so that a killed worker's lines are all there."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, claim: Claim, outcome: Outcome) -> None:
        os.write(self._file, f"{claim} {outcome}\n".encode())


def read_returned(text: str) -> dict[Claim, str]:
    """The outcomes that a `Returned` kept, by claim."""
    lines = (line.rsplit(" ", 1) for line in text.splitlines())
    return {Claim.read(claim): outcome for claim, outcome in lines}


class _Traced(Services):
    """The product's services, with the claim noted at each step."""

    def __init__(self, worker: str, returned: Returned) -> None:
        self._worker = worker
        self._returned = returned

    def _refresher(
        self,
        threads: int,
        time_left: Callable[[], float],
        rate: float,
        seconds: float,
        wait: float = 0.0,
    ) -> Refresher:
        refresher = super()._refresher(threads, time_left, rate, seconds, wait)
        once = refresher.refresh

        def traced(due: Due, note: JournalEntry | None = None) -> Outcome:
            _held.set(None)
            outcome = once(due, note)
            claim = _held.get()
            if claim is not None:
                self._returned.note(claim, outcome)
            return outcome

        refresher.refresh = traced  # type: ignore[method-assign]  # the schedule calls it so
        return refresher

    @cached_property
    def _connections(self) -> Connections:
        connections = super()._connections
        once = connections.claim

        def traced(due: Due, now: int, lease_until: int) -> Grant | None:
            grant = once(due, now, lease_until)
            if grant is not None:
                numbers = (grant.generation, grant.version, grant.fence)
                _held.set(Claim(self._worker, grant.tenant, *numbers))
            return grant

        connections.claim = traced  # type: ignore[method-assign]
        return connections

    def _goto(self, connections: int, ask_deadline: float | None = None) -> GoTo:
        goto = super()._goto(connections, ask_deadline)
        goto._outbound._session.mount("http://", _Tagging(pool_maxsize=connections, max_retries=0))
        return goto

    @cached_property
    def _vault(self) -> Any:
        return Secrets()

    @cached_property
    def _rescue_queue(self) -> Any:
        return _NoQueue()


class _NoQueue:
    """DynamoDB takes every write in these runs: what is to be rescued all the same is lost, and
    the account will show it."""

    def send(self, message: str) -> None:
        raise DependencyUnavailable("sqs", "there is no queue here")

    def pending(self) -> int:
        return 0


class _Tagging(DeadlineAdapter):
    """The product's transport; each request says under which claim it is sent."""

    def send(self, request: Any, *arguments: Any, **options: Any) -> Any:
        request.headers[CLAIM_HEADER] = str(_held.get())
        return super().send(request, *arguments, **options)


def _shorten(timing: Timing) -> None:
    for module, constant, seconds in (
        (refresh, "LEASE_MARGIN", timing.lease_margin),
        (refresh, "CONFIRM_PAUSE", timing.confirm_pause),
        (refresh, "TIME_FOR_ONE", timing.time_for_one),
        (refresh, "TIME_TO_ASK", timing.time_for_one * 0.75),
        (tokens, "TIME_TO_END", timing.time_to_end),
        (tokens, "TIME_TO_COMMIT", timing.time_to_end),
    ):
        assert hasattr(module, constant)
        setattr(module, constant, seconds)


def _left(ends: float) -> float:
    return ends - time.monotonic()


def main(name: str, log: str, threads: int, timing: Timing) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _shorten(timing)
    services = _Traced(name, Returned(log))
    while not stop.is_set():
        ends = time.monotonic() + timing.budget
        signal.setitimer(signal.ITIMER_REAL, timing.budget)  # unhandled, its signal ends us
        services.schedule(threads, partial(_left, ends)).tick()
        signal.setitimer(signal.ITIMER_REAL, 0)
        stop.wait(timing.pause)


if __name__ == "__main__":
    orders = json.loads(sys.argv[1])
    main(orders["name"], orders["log"], orders["threads"], Timing(**orders["timing"]))
