"""What every function that handles tokens shares: committing, revoking and probing them."""

from __future__ import annotations

from collections.abc import Callable

from chalicelib.bootstrap.deployment import Deployment
from chalicelib.dynamodb.accounts import AccountClaims, Choices, Usability
from chalicelib.goto.oauth import GoToClient
from chalicelib.tokens.account_rule import AccountRule
from chalicelib.tokens.choices import SignIns
from chalicelib.tokens.commit import Commits
from chalicelib.tokens.probe import Gap, Prober
from chalicelib.tokens.revoker import Revoker


def commits(deployment: Deployment) -> Commits:
    """Commits the tokens that GoTo gave."""
    return Commits(
        connections=deployment.connections,
        tenants=deployment.tenants,
        rule=account_rule(deployment),
        clock=deployment.clock,
        refresh_share=deployment.settings.refresh_share,
        accounts=deployment.reads_accounts,
        needed_scopes=deployment.settings.needed_scopes,
    )


def account_rule(deployment: Deployment) -> AccountRule:
    """Decides which GoTo account serves a tenant."""
    return AccountRule(
        tenants=deployment.tenants,
        connections=deployment.connections,
        claims=AccountClaims(deployment.tables),
    )


def sign_ins(deployment: Deployment, goto: GoToClient) -> SignIns:
    """Settles sign-ins; ``goto`` is the invocation's client."""
    return SignIns(
        commits=commits(deployment),
        choices=Choices(deployment.tables),
        requests=deployment.requests,
        revoker=revoker(deployment, goto),
        clock=deployment.clock,
    )


def revoker(deployment: Deployment, goto: GoToClient) -> Revoker:
    """Revokes tokens at GoTo; ``goto`` is the invocation's client."""
    return Revoker(
        tenants=deployment.tenants,
        secret_store=deployment.secret_store,
        goto=goto,
        clock=deployment.clock,
        report=deployment.report,
    )


def prober(deployment: Deployment, goto: GoToClient, time_left: Callable[[], float]) -> Prober:
    """Checks whether connections can read anything; ``goto`` is the invocation's client."""
    return Prober(
        connections=deployment.connections,
        usability=Usability(deployment.tables),
        goto=goto,
        needed_scopes=deployment.settings.needed_scopes,
        clock=deployment.clock,
        random=deployment.random,
        time_left=time_left,
        report=deployment.report,
        gap=Gap(deployment.monotonic),
    )
