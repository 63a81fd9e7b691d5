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
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from chalicelib.bootstrap import deployment
from chalicelib.bootstrap import refresh as bootstrap
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.durations import CONFIRM_PAUSE, LEASE_MARGIN, TIME_FOR_ONE, TIME_TO_END
from chalicelib.dynamodb.connections import Connections
from chalicelib.errors import DependencyUnavailable
from chalicelib.goto.client import GoTo
from chalicelib.goto.http import DeadlineAdapter
from chalicelib.goto.oauth import GoToClient
from chalicelib.models import Due, Grant
from chalicelib.refresh import failure_decisions, refresher, setback
from chalicelib.refresh.outcomes import Outcome, Refreshed
from chalicelib.refresh.refresher import Refresher
from chalicelib.tokens import commit
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


class _Connections(Connections):
    """Notes the claim that the thread works under."""

    worker = ""

    def claim(self, due: Due, now: int, lease_until: int) -> Grant | None:
        grant = super().claim(due, now, lease_until)
        if grant is not None:
            numbers = (grant.generation, grant.version, grant.fence)
            _held.set(Claim(self.worker, grant.tenant, *numbers))
        return grant


def _deployed(worker: str) -> Deployment:
    """The product's deployment, with the claim noted at each step."""
    live = deployment.live()

    def goto(connections: int, ask_deadline: float | None = None) -> GoToClient:
        made = live.goto(connections, ask_deadline)
        assert isinstance(made, GoTo)
        tagging = _Tagging(pool_maxsize=connections, max_retries=0)
        made._outbound._session.mount("http://", tagging)
        return made

    traced = replace(live, goto=goto)
    connections = _Connections(traced.tables)
    connections.worker = worker
    vars(traced).update(connections=connections, secret_store=Secrets(), rescue_queue=_NoQueue())
    return traced


def _traced(once: Callable[..., Refresher], returned: Returned) -> Callable[..., Refresher]:
    """Refreshers whose outcomes are noted, each for the claim it held."""

    def made(*arguments: float, **named: float) -> Refresher:
        refresher = once(*arguments, **named)
        refresh = refresher.refresh

        def noted(due: Due, *rest: Any, **options: Any) -> Refreshed:
            _held.set(None)
            refreshed = refresh(due, *rest, **options)
            claim = _held.get()
            if claim is not None:
                returned.note(claim, refreshed.outcome)
            return refreshed

        vars(refresher).update(refresh=noted)
        return refresher

    return made


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
        (refresher, "LEASE_MARGIN", timing.lease_margin),
        (failure_decisions, "CONFIRM_PAUSE", timing.confirm_pause),
        (failure_decisions, "CONFIRM_ALONE", timing.confirm_pause),
        (setback, "CONFIRM_PAUSE", timing.confirm_pause),
        (refresher, "TIME_FOR_ONE", timing.time_for_one),
        (refresher, "TIME_TO_ASK", timing.time_for_one * 0.75),
        (commit, "TIME_TO_END", timing.time_to_end),
        (commit, "TIME_TO_COMMIT", timing.time_to_end),
    ):
        assert hasattr(module, constant)
        setattr(module, constant, seconds)


def _left(ends: float) -> float:
    return ends - time.monotonic()


def main(name: str, log: str, threads: int, timing: Timing) -> None:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _shorten(timing)
    ours, returned = _deployed(name), Returned(log)
    while not stop.is_set():
        ends = time.monotonic() + timing.budget
        signal.setitimer(signal.ITIMER_REAL, timing.budget)  # unhandled, its signal ends us
        schedule = bootstrap.schedule(ours, threads, partial(_left, ends))
        traced = _traced(schedule.refresher_for, returned)
        replace(schedule, refresher_for=traced).tick()
        signal.setitimer(signal.ITIMER_REAL, 0)
        stop.wait(timing.pause)


if __name__ == "__main__":
    orders = json.loads(sys.argv[1])
    main(orders["name"], orders["log"], orders["threads"], Timing(**orders["timing"]))
