"""Gives tokens up at GoTo (RFC 7009): the one place for what must not live on (S22, F36)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import ClientGone, DependencyUnavailable
from chalicelib.goto.oauth import GoToClient
from chalicelib.models import ClientCredentials, NewTokens, Revocation, Tenant


@dataclass(frozen=True, kw_only=True)
class Revoker:
    tenants: Tenants
    secret_store: SecretStore
    goto: GoToClient
    clock: Callable[[], float]
    report: Callable[[Exception], None]

    def revoke(self, tenant: str, client_id: str, token: str, ends_at: int) -> Revocation:
        """Give a token up, as the client that it was issued to.

        Anything but GoTo's own word is `LATER`, until ``ends_at`` (epoch seconds), when the token
        ends by itself. Raises `DependencyUnavailable`: GoTo could not be asked. A client that is
        gone with its tenant is gone for ever.
        """
        try:
            client = self.client_in(self.tenants.get(tenant), tenant, client_id)
        except ClientGone:
            if self._ended(ends_at) or self.tenants.without_client(tenant):
                return Revocation.REFUSED
            raise
        return self.revoke_as(client, token, ends_at)

    def revoke_as(self, client: ClientCredentials, token: str, ends_at: int) -> Revocation:
        """The same with the client in hand. Never raises."""
        told = self.goto.revoke(client, token)
        return Revocation.ENDED if told is Revocation.LATER and self._ended(ends_at) else told

    def attempt(self, tenant: str, client_id: str, token: str, ends_at: int) -> Revocation:
        """`revoke` that never raises: what could not be asked is `LATER`."""
        try:
            return self.revoke(tenant, client_id, token, ends_at)
        except DependencyUnavailable as error:
            self.report(error)
            return Revocation.LATER

    def client_of(self, tenant: str, client_id: str) -> ClientCredentials:
        """The newest secret of a client. Raises `DependencyUnavailable`, `ClientGone`."""
        return self.client_in(self.tenants.get(tenant), tenant, client_id)

    def client_in(self, current: Tenant | None, tenant: str, client_id: str) -> ClientCredentials:
        """The same where the tenant has been read: it may have another client by now."""
        if current is not None and current.client_id == client_id and current.secret_version:
            return self.secret_store.credentials(tenant, current.secret_version)
        return self.secret_store.newest_of(tenant, client_id)

    def _ended(self, ends_at: int) -> bool:
        return ends_at <= self.clock()


def given_up(new_tokens: NewTokens) -> tuple[str, int]:
    """What to revoke of new tokens, and when it ends by itself: a refresh token takes its access
    tokens with it (RFC 7009 2.1)."""
    if new_tokens.refresh_token is None:
        return new_tokens.access_token, new_tokens.expires_at
    return new_tokens.refresh_token, new_tokens.refresh_expires_at or 0
