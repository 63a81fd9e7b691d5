"""Decides which GoTo account a sign-in or a refresh serves (S03, S25, S26).

The pin is accepted in whatever order GoTo lists a person's accounts, a person with several chooses
by name, and an account belongs to one tenant unless a rep says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from chalicelib.dynamodb.accounts import AccountClaims, Holders
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.models import AuthorizationRequest, Reason, Tenant
from chalicelib.permissions import NO_CLAIM, Claim, Owner

OTHER = "it was to a GoTo account other than the confirmed one"
TAKEN = "its GoTo account belongs to another customer of hireanalytiX"
"""Why a refresh ends a connection: journal texts."""


def of_sign_in(
    tenant: Tenant | None, request: AuthorizationRequest, owner: Owner, *, pinned_only: bool
) -> Owner | Reason:
    """The owner with the account that a sign-in serves, or why it serves none. ``pinned_only``: it
    replaces a connection that the rep has not ended (S25)."""
    if tenant is None or request.link_series not in (None, tenant.link_series):
        return Reason.ENDED
    if tenant.pinned_account is not None:
        return _of_pin(tenant.pinned_account, owner)
    if pinned_only and tenant.unpinned:
        return Reason.ACCOUNT_NOT_CONFIRMED
    if request.account in owner.keys:
        return owner._replace(account=request.account)
    return Reason.ACCOUNT_TO_CHOOSE if len(owner.keys) > 1 else _only(owner)


def _of_pin(pin: str, owner: Owner) -> Owner | Reason:
    if pin in owner.keys:
        return owner._replace(account=pin)
    return Reason.OTHER_ACCOUNT if owner.keys else Reason.ACCOUNT_UNREADABLE


def _only(owner: Owner) -> Owner:
    return owner._replace(account=owner.keys[0] if len(owner.keys) == 1 else None)


class Serving(NamedTuple):
    """The account that a refresh serves; ``wrong``: why it may not."""

    owner: Owner
    claim: Claim
    wrong: str | None


@dataclass(frozen=True, kw_only=True)
class AccountRule:
    tenants: Tenants
    connections: Connections
    claims: AccountClaims

    def of_refresh(self, owner: Owner, tenant: Tenant) -> Serving:
        """Which of the person's accounts a living connection serves. None of several if the tenant
        has no pin: a rep must say which. Raises `DependencyUnavailable`."""
        pin = tenant.pinned_account
        if pin is not None and pin not in owner.keys:
            return Serving(owner, NO_CLAIM, OTHER)
        owner = owner._replace(account=pin) if pin else _only(owner)
        claim = self.claim(owner.account, tenant.name)
        return Serving(owner, claim or NO_CLAIM, None if claim else TAKEN)

    def claim(self, account: str | None, tenant: str) -> Claim | None:
        """How a tenant claims an account; None if the account is another tenant's (S26). It keeps
        an account that it holds or shares. It gets another only if nobody holds it, and then
        replaces any claim that is out of date. Raises `DependencyUnavailable`."""
        if account is None:
            return NO_CLAIM
        found = self.claims.get(account) or Holders(tenant)
        if tenant in found.names and self._holds(tenant, account):
            return Claim(account) if tenant == found.holder else NO_CLAIM
        if self._other(found, account, tenant) is not None:
            return None
        return Claim(account, found.holder, found.edition)

    def share(self, account: str, tenant: str) -> tuple[str, Claim] | None:
        """The other tenant that holds an account, and the claim by which this one shares it; None
        if no other holds it. Raises `DependencyUnavailable`."""
        found = self.claims.get(account) or Holders(tenant)
        holder = self._other(found, account, tenant)
        if holder is None:
            return None
        sharers = (*found.sharers, tenant)
        return holder, Claim(account, edition=found.edition, sharers=sharers)

    def other_holder(self, account: str, tenant: str) -> str | None:
        """Another tenant that holds the account, if any. Raises `DependencyUnavailable`."""
        return self._other(self.claims.get(account) or Holders(tenant), account, tenant)

    def _other(self, found: Holders, account: str, tenant: str) -> str | None:
        """Any other tenant that holds it: if the first has left, sharers still do."""
        others = (name for name in found.names if name != tenant)
        return next((name for name in others if self._holds(name, account)), None)

    def _holds(self, tenant: str, account: str) -> bool:
        """Whether the tenant is pinned to the account, or has no pin and its grant is for it."""
        current = self.tenants.get(tenant)
        if current is None or current.pinned_account is not None:
            return current is not None and current.pinned_account == account
        grant = self.connections.grant_summary(tenant)
        return grant is not None and grant.stands and grant.account_key == account
