"""The `refresh_now` function: one tenant's refresh, and a rep's comparison of GoTo's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.bootstrap import tokens
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.bootstrap.refresh import refresher
from chalicelib.dynamodb.links import FactsTickets
from chalicelib.refresh.facts import REQUESTS, Facts, ticketed
from chalicelib.refresh.on_demand import OnDemand, OnDemandLimiter


def facts(deployment: Deployment) -> Facts:
    """Compares GoTo's answers with what we assume, when a rep asks."""
    return Facts(
        tickets=FactsTickets(deployment.tables),
        connections=deployment.connections,
        secret_store=deployment.secret_store,
        goto=deployment.goto(connections=1),
        limiter=_demand_limiter(deployment, REQUESTS),
        scope=deployment.settings.scope,
        clock=deployment.clock,
    )


def facts_asked(deployment: Deployment, event: object) -> dict[str, Any] | None:
    """The facts for an ``event`` with a ticket of the rep's function; None without a valid one."""
    ticket = ticketed(event)
    return facts(deployment).of(*ticket) if ticket else None


def on_demand(deployment: Deployment, time_left: Callable[[], float]) -> OnDemand:
    """One tenant's refresh, for one of HA's services; one per invocation."""
    goto, limiter = deployment.goto(connections=1), _demand_limiter(deployment)
    return OnDemand(
        prober=tokens.prober(deployment, goto, time_left),
        limiter=limiter,
        connections=deployment.connections,
        provider=deployment.provider,
        refresher=refresher(deployment, limiter, 1, time_left),
        clock=deployment.clock,
    )


def _demand_limiter(deployment: Deployment, slots: int = 1) -> OnDemandLimiter:
    return OnDemandLimiter(
        provider=deployment.provider,
        cap=deployment.settings.token_rate,
        clock=deployment.clock,
        slots=slots,
    )
