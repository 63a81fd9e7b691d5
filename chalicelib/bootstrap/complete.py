"""The `complete` function: finishes an authorization request."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.bootstrap import tokens
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.connect.complete import Completion


def completion(deployment: Deployment, time_left: Callable[[], float]) -> Completion:
    """One per invocation; ``time_left`` in seconds."""
    goto = deployment.goto(connections=1)
    return Completion(
        requests=deployment.requests,
        sign_ins=tokens.sign_ins(deployment, goto),
        prober=tokens.prober(deployment, goto, time_left),
        rescue_queue=deployment.rescue_queue,
        secret_store=deployment.secret_store,
        goto=goto,
        revoker=tokens.revoker(deployment, goto),
        clock=deployment.clock,
        pause=deployment.pause,
        time_left=time_left,
        report=deployment.report,
    )
