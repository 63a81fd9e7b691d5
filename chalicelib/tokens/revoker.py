"""Revokes tokens at GoTo (RFC 7009); nothing else does (S22, F36)."""

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
        """Revoke a token, as the client that it was issued to. Anything but GoTo's own answer is
        `LATER`, until the token ends at ``ends_at`` (epoch seconds). If the client was removed
        with its tenant: `REFUSED`. Raises `DependencyUnavailable` if GoTo can't be asked."""
        try:
            client = self.client_in(self.tenants.get(tenant), tenant, client_id)
        except ClientGone:
            if self._ended(ends_at) or self.tenants.without_client(tenant):
                return Revocation.REFUSED
            raise
        return self.revoke_as(client, token, ends_at)

    def revoke_as(self, client: ClientCredentials, token: str, ends_at: int) -> Revocation:
        """`revoke` with a client already read. Never raises."""
        answer = self.goto.revoke(client, token)
        return Revocation.ENDED if answer is Revocation.LATER and self._ended(ends_at) else answer

    def attempt(self, tenant: str, client_id: str, token: str, ends_at: int) -> Revocation:
        """`revoke` that never raises: `LATER` if GoTo can't be asked."""
        try:
            return self.revoke(tenant, client_id, token, ends_at)
        except DependencyUnavailable as error:
            self.report(error)
            return Revocation.LATER

    def client_of(self, tenant: str, client_id: str) -> ClientCredentials:
        """A client with its newest secret. Raises `DependencyUnavailable`, `ClientGone`."""
        return self.client_in(self.tenants.get(tenant), tenant, client_id)

    def client_in(self, current: Tenant | None, tenant: str, client_id: str) -> ClientCredentials:
        """`client_of` for a tenant already read, which may have another client by now."""
        if current is not None and current.client_id == client_id and current.secret_version:
            return self.secret_store.credentials(tenant, current.secret_version)
        return self.secret_store.newest_of(tenant, client_id)

    def _ended(self, ends_at: int) -> bool:
        return ends_at <= self.clock()


def given_up(new_tokens: NewTokens) -> tuple[str, int]:
    """The token to revoke, and its own end (epoch seconds). Revoking a refresh token also revokes
    its access tokens (RFC 7009 2.1)."""
    if new_tokens.refresh_token is None:
        return new_tokens.access_token, new_tokens.expires_at
    return new_tokens.refresh_token, new_tokens.refresh_expires_at or 0
