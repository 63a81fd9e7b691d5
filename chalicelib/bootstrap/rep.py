"""The `rep_command` function: the use cases behind a rep's commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.bootstrap import tokens
from chalicelib.bootstrap.deployment import Deployment
from chalicelib.bootstrap.notify import invitations
from chalicelib.durations import CHECK_DEADLINE, REFRESH_TIMEOUT
from chalicelib.dynamodb.connections import DUE_INDEX
from chalicelib.dynamodb.links import FactsTickets, Proofs
from chalicelib.dynamodb.provider_health import ENDING_INDEX, FleetIndexes
from chalicelib.dynamodb.tenants import Disconnections, TenantImports
from chalicelib.goto.http import Outbound
from chalicelib.rep import commands, health_check
from chalicelib.rep.bulk_import import BulkImport
from chalicelib.rep.caller_identity import CallerIdentity
from chalicelib.rep.commands import Desk
from chalicelib.rep.disconnect_and_remove import Disconnecting
from chalicelib.rep.health_check import Doctor, Part
from chalicelib.rep.manual_refresh import ManualRefresh
from chalicelib.rep.onboarding import Onboarding
from chalicelib.rep.reports import Overview
from chalicelib.rep.retrying import Retrying

IMPORT_THREADS = 8
"""Tenants imported at a time."""


def run(
    deployment: Deployment, event: Mapping[str, Any], reference: str, arn: str
) -> commands.Answer:
    """Run one command. ``reference``: the invocation's; ``arn``: the function's own."""
    return commands.run(
        desk(deployment),
        event,
        lambda: caller_identity(deployment).identify(event, reference, arn),
    )


def desk(deployment: Deployment) -> Desk:
    refreshing, tenants = manual_refresh(deployment), onboarding(deployment)
    return Desk(
        onboarding=tenants,
        invitations=invitations(deployment),
        disconnecting=Disconnecting(
            tenants=deployment.tenants,
            connections=deployment.connections,
            disconnections=Disconnections(deployment.tables),
            secret_store=deployment.secret_store,
            rescue_queue=deployment.rescue_queue,
            revoke_now=refreshing.revoke,
            clock=deployment.clock,
        ),
        overview=overview(deployment),
        bulk_import=bulk_import(deployment),
        retrying=Retrying(
            tenants=deployment.tenants,
            connections=deployment.connections,
            fleet=deployment.fleet,
            clock=deployment.clock,
        ),
        refresh=refreshing.refresh,
        facts=refreshing.facts,
        doctor=doctor(deployment, tenants),
    )


def caller_identity(deployment: Deployment) -> CallerIdentity:
    return CallerIdentity(
        endpoint=deployment.client("sts").meta.endpoint_url,
        outbound=Outbound(connections=1),
        proofs=Proofs(deployment.tables),
        clock=deployment.clock,
    )


def onboarding(deployment: Deployment) -> Onboarding:
    return Onboarding(
        settings=deployment.settings,
        tenants=deployment.tenants,
        connections=deployment.connections,
        secret_store=deployment.secret_store,
        goto=deployment.goto(connections=1, ask_deadline=CHECK_DEADLINE),
        rule=tokens.account_rule(deployment),
        clock=deployment.clock,
    )


def manual_refresh(deployment: Deployment) -> ManualRefresh:
    def ask(payload: Mapping[str, Any]) -> dict[str, Any]:
        refresh_now = deployment.settings.refresh_now_function
        return deployment.invoke_now(refresh_now, payload, REFRESH_TIMEOUT)

    return ManualRefresh(
        tenants=deployment.tenants,
        tickets=FactsTickets(deployment.tables),
        connections=deployment.connections,
        ask=ask,
        clock=deployment.clock,
    )


def bulk_import(deployment: Deployment) -> BulkImport:
    return BulkImport(
        settings=deployment.settings,
        tenants=deployment.tenants,
        connections=deployment.connections,
        tenant_imports=TenantImports(deployment.tables),
        secret_store=deployment.secret_store,
        rule=tokens.account_rule(deployment),
        run=deployment.threads(IMPORT_THREADS),
        clock=deployment.clock,
    )


def overview(deployment: Deployment) -> Overview:
    return Overview(
        tenants=deployment.tenants,
        connections=deployment.connections,
        journal=deployment.journal,
        fleet=deployment.fleet,
        fleet_indexes=FleetIndexes(deployment.tables),
        provider=deployment.provider,
        accounts=deployment.reads_accounts,
        needed_scopes=deployment.settings.needed_scopes,
        clock=deployment.clock,
    )


def doctor(deployment: Deployment, tenants: Onboarding) -> Doctor:
    return Doctor(
        parts=_parts(deployment, tenants),
        settings=deployment.settings,
        tenants=deployment.tenants,
        clock=deployment.clock,
    )


def _parts(deployment: Deployment, tenants: Onboarding) -> list[Part]:
    settings, report = deployment.settings, overview(deployment)
    return [
        Part(
            "GoTo",
            tenants.look_at_goto,
            "Is GoTo down (status.goto.com)? Are the endpoints in the parameters right?",
        ),
        Part(
            "schedule",
            report.look_at_ticks,
            "Is RefreshTick's schedule rule enabled, and does its log show errors?",
        ),
        Part(
            "refreshes",
            report.look_at_overdue,
            "If GoTo answers: raise TokenRate, or check RefreshLane's log.",
        ),
        Part(
            "table Grants",
            lambda: health_check.indexes(
                deployment.dynamodb, settings.grants_table, (DUE_INDEX, ENDING_INDEX)
            ),
            f"Deploy the stack again; nothing is refreshed without its index `{DUE_INDEX}`.",
        ),
        Part(
            "scopes",
            report.look_at_scopes,
            "Set GoToScope to what HA reads, and ask these admins to press Get Access Token.",
        ),
        Part(
            "secrets' key",
            lambda: health_check.key(deployment.client("kms"), settings.secret_key),
            "Enable the key, or cancel its deletion, in KMS at once.",
        ),
        Part(
            "journal's stream",
            report.look_at_stream,
            "Is the event source mapping of Announce enabled, and does its log show errors?",
        ),
        Part(
            "mail",
            lambda: health_check.sender(deployment.client("sesv2"), settings.mail_from),
            "Verify the sender's domain in SES.",
        ),
        Part(
            "mail account",
            lambda: health_check.mail_account(deployment.client("sesv2")),
            "Ask AWS for production access to SES in this region, or see its reputation page.",
        ),
    ]
