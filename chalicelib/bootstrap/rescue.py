"""The `rescue` function: commits answers from the rescue queue."""

from __future__ import annotations

from chalicelib.bootstrap import tokens
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.tokens.rescue import Rescue


def rescue(deployment: Deployment) -> Rescue:
    """One per invocation."""
    goto = deployment.goto(connections=1)
    return Rescue(
        commits=tokens.commits(deployment),
        settle=tokens.sign_ins(deployment, goto).settle,
        requests=deployment.requests,
        rescue_queue=deployment.rescue_queue,
        revoker=tokens.revoker(deployment, goto),
        clock=deployment.clock,
    )
