"""The fleet's refresh functions: the tick with its reminders, and its lanes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chalicelib.aws.lambda_invoke import Payload
from chalicelib.bootstrap import tokens
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.durations import dead_after
from chalicelib.dynamodb.links import RemindersSent
from chalicelib.errors import DependencyUnavailable
from chalicelib.notify.reminders import Reminders
from chalicelib.refresh.accounts import Accounts
from chalicelib.refresh.rate_limiter import Limiter, RateLimiter
from chalicelib.refresh.refresher import Refresher
from chalicelib.refresh.response_changes import ResponseChanges, WatchedGoTo
from chalicelib.refresh.scheduler import Schedule


def response_changes(deployment: Deployment) -> ResponseChanges:
    """Notices new forms of GoTo's answers; one per invocation."""
    return ResponseChanges(
        provider=deployment.provider, clock=deployment.clock, report=deployment.report
    )


def schedule(
    deployment: Deployment,
    threads: int,
    time_left: Callable[[], float],
    met: set[str] | None = None,
) -> Schedule:
    """The fleet's refresh; one per invocation. ``time_left`` in seconds; ``met`` collects the forms
    of GoTo's answers."""

    def hand_over(lanes: Sequence[int], rate: float, wait: float) -> None:
        payload: Payload = {"lanes": list(lanes), "rate": rate, "wait": wait}
        deployment.invoke_later(deployment.settings.refresh_lane_function, payload)

    def refresher_for(rate: float, seconds: float, wait: float = 0.0) -> Refresher:
        until = deployment.monotonic() + seconds
        rate_limiter = RateLimiter(rate, until, deployment.monotonic, deployment.pause, wait)
        return refresher(deployment, rate_limiter, threads, time_left, met)

    return Schedule(
        connections=deployment.connections,
        provider=deployment.provider,
        fleet=deployment.fleet,
        rescue_queue=deployment.rescue_queue,
        refresher_for=refresher_for,
        run=deployment.threads(threads),
        hand_over=hand_over,
        cap=deployment.settings.token_rate,
        dead_after=dead_after(deployment.settings.refresh_share),
        clock=deployment.clock,
        report=deployment.report,
    )


def beat(deployment: Deployment) -> None:
    """Send a tick's heartbeat through the journal's stream; a missing one is noticed (F35)."""
    try:
        deployment.journal.beat(int(deployment.clock()))
    except DependencyUnavailable as error:
        deployment.report(error)


def reminders(deployment: Deployment) -> Reminders:
    return Reminders(
        fleet=deployment.fleet,
        connections=deployment.connections,
        sent=RemindersSent(deployment.tables),
        clock=deployment.clock,
        report=deployment.report,
    )


def refresher(
    deployment: Deployment,
    rate_limiter: Limiter,
    threads: int,
    time_left: Callable[[], float],
    met: set[str] | None = None,
) -> Refresher:
    """Refreshes one tenant at a time, with ``threads`` connections to GoTo."""
    goto = deployment.goto(connections=threads)
    if met is not None:
        goto = WatchedGoTo(goto, met)
    return Refresher(
        tenants=deployment.tenants,
        connections=deployment.connections,
        commits=tokens.commits(deployment),
        sign_ins=tokens.sign_ins(deployment, goto),
        prober=tokens.prober(deployment, goto, time_left),
        rescue_queue=deployment.rescue_queue,
        revoker=tokens.revoker(deployment, goto),
        accounts=Accounts(goto, deployment.clock, time_left, deployment.report),
        goto=goto,
        rate_limiter=rate_limiter,
        provider=deployment.provider,
        clock=deployment.clock,
        random=deployment.random,
        pause=deployment.pause,
        time_left=time_left,
        report=deployment.report,
    )
