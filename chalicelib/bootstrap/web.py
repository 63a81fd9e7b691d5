"""The web function: the admin's pages, and the customer's form for the GoTo client."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from chalice.app import Request

from chalicelib.bootstrap.deployment import Deployment, namespace
from chalicelib.connect.authorize import AdminVisit
from chalicelib.connect.client_check import Outcome
from chalicelib.connect.client_form import IntakeVisit
from chalicelib.connect.visitors import Door
from chalicelib.durations import INTAKE_TIMEOUT
from chalicelib.dynamodb.accounts import Choices
from chalicelib.tokens.request_outcomes import CONNECT_FAILED
from chalicelib.web.views import Views


def door(deployment: Deployment) -> Door:
    """Decides who may open the pages."""
    return Door(
        settings=deployment.settings,
        tenants=deployment.tenants,
        links=deployment.links,
        keys=lambda: deployment.visitor_keys(),  # noqa: PLW0108 - made when a token comes
        clock=deployment.clock,
    )


def admin_visit(deployment: Deployment) -> AdminVisit:
    """The admin's pages. The code exchange runs in `complete`, invoked with the request's key."""
    complete = deployment.settings.complete_function
    return AdminVisit(
        settings=deployment.settings,
        door=door(deployment),
        tenants=deployment.tenants,
        links=deployment.links,
        requests=deployment.requests,
        choices=Choices(deployment.tables),
        connections=deployment.connections,
        journal=deployment.journal,
        start_completion=lambda key: deployment.invoke_later(complete, {"request": key}),
        count_failed=partial(deployment.write_metrics, namespace(deployment), CONNECT_FAILED),
        clock=deployment.clock,
    )


def intake_visit(deployment: Deployment) -> IntakeVisit:
    """The customer's form. The secret goes to the `intake` function, which checks and stores it."""

    def take(payload: Mapping[str, str]) -> Outcome:
        intake = deployment.settings.intake_function
        return Outcome(deployment.invoke_now(intake, payload, INTAKE_TIMEOUT)["outcome"])

    return IntakeVisit(
        settings=deployment.settings,
        door=door(deployment),
        tenants=deployment.tenants,
        links=deployment.links,
        take=take,
        clock=deployment.clock,
    )


def views(deployment: Deployment, request: Request) -> Views:
    return Views(
        request=request,
        settings=deployment.settings,
        door=door(deployment),
        visit=admin_visit(deployment),
        intake_visit=intake_visit(deployment),
    )
