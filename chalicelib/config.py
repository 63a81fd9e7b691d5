"""Settings of one deployment. The only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from chalicelib.errors import Misconfigured
from chalicelib.permissions import SCOPE_NEEDED, SCOPE_READ
from chalicelib.untrusted_text import address_fault

PAGE_PATH = "/admin/settings/activities/"
"""Path of the settings page and of the redirect URI. The final slash is part of it."""

STATUS_PATH = PAGE_PATH + "status"
"""The settings page polls this."""

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class VisitorIdentity(StrEnum):
    """Whether HA's front names the visitor: never (*off*), sometimes (*optional*), or always, and a
    link alone opens nothing (*required*)."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that differ between stages. ``tenant_origin`` may hold ``{tenant}``.

    ``revoke_url``, ``api_url`` and ``admin_url`` (for account names) are None for an OAuth server
    without such an endpoint. ``token_rate``: refreshes a second, over the whole deployment.
    ``refresh_share``: the share of a token's life after which its refresh is due.
    ``support_email``: where customers write, by default ``rep_mail``. ``scope`` None requests all
    of a client's scopes, needed only with other OAuth servers than GoTo's; a grant without
    ``needed_scopes`` is useless. ``visitor_key``: the secret with the keys that HA's front signs
    visitor tokens with.
    """

    stage: str
    tenant_origin: str
    authorize_url: str
    token_url: str
    revoke_url: str | None
    api_url: str | None
    admin_url: str | None
    issuer: str | None
    client_auth: str
    scope: str | None
    needed_scopes: tuple[str, ...]
    login_origins: tuple[str, ...]
    mail_from: str
    rep_mail: str | None
    support_email: str | None
    mail_configuration: str | None
    secret_prefix: str
    secret_key: str
    tokens_table: str
    tenants_table: str
    links_table: str
    requests_table: str
    grants_table: str
    journal_table: str
    bus: str
    rescue_queue: str
    mails_waiting: str | None
    token_rate: int
    refresh_share: float
    complete_function: str | None
    refresh_lane_function: str | None
    intake_function: str | None
    refresh_now_function: str | None
    fleet_table: str
    visitor_identity: VisitorIdentity
    visitor_key: str | None

    def origin(self, tenant: str) -> str:
        """Scheme, host and port under which a tenant's admin sees this service."""
        return self.tenant_origin.replace("{tenant}", tenant)

    @property
    def one_host(self) -> bool:
        """Whether all tenants have the same origin."""
        return "{tenant}" not in self.tenant_origin

    def redirect_uri(self, tenant: str) -> str:
        """The redirect URI, byte for byte as the customer registers it at GoTo (S07)."""
        return self.origin(tenant) + PAGE_PATH

    def is_origin(self, origin: str, tenant: str | None) -> bool:
        """Whether an origin is the tenant's own; for None, whether any tenant may have it."""
        if tenant is not None:
            return origin == self.origin(tenant)
        before, _, after = self.tenant_origin.partition("{tenant}")
        label = "" if self.one_host else "[a-z0-9-]+"
        return re.fullmatch(re.escape(before) + label + re.escape(after), origin) is not None

    def status_url(self, tenant: str) -> str:
        """The settings page polls this. Without a link it answers 401; it never writes."""
        return self.origin(tenant) + STATUS_PATH


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read and check the settings. Raises `Misconfigured` when one is missing or would let a token
    travel in the clear."""
    env = os.environ if environment is None else environment
    settings = Settings(
        stage=_need(env, "STAGE"),
        tenant_origin=_https(env, "TENANT_ORIGIN").rstrip("/"),
        authorize_url=_https(env, "GOTO_AUTHORIZE_URL"),
        token_url=_https(env, "GOTO_TOKEN_URL"),
        revoke_url=_https_or_none(env, "GOTO_REVOKE_URL"),
        api_url=(_https_or_none(env, "GOTO_API_URL") or "").rstrip("/") or None,
        admin_url=(_https_or_none(env, "GOTO_ADMIN_URL") or "").rstrip("/") or None,
        issuer=env.get("GOTO_ISSUER") or None,
        client_auth=env.get("GOTO_CLIENT_AUTH") or "raw",
        scope=env.get("GOTO_SCOPE", SCOPE_READ) or None,
        needed_scopes=tuple(env.get("NEEDED_SCOPES", SCOPE_NEEDED).split()),
        login_origins=tuple(env.get("GOTO_LOGIN_ORIGINS", "").split()),
        mail_from=_address(env, "MAIL_FROM"),
        rep_mail=_address_or_none(env, "REP_MAIL"),
        support_email=_address_or_none(env, "SUPPORT_EMAIL") or _address_or_none(env, "REP_MAIL"),
        mail_configuration=env.get("MAIL_CONFIGURATION") or None,
        secret_prefix=f"ha-goto/{_need(env, 'STAGE')}/",
        secret_key=_need(env, "SECRETS_KEY"),
        tokens_table=_need(env, "TOKENS_TABLE"),
        tenants_table=_need(env, "TENANTS_TABLE"),
        links_table=_need(env, "LINKS_TABLE"),
        requests_table=_need(env, "AUTHORIZATION_REQUESTS_TABLE"),
        grants_table=_need(env, "GRANTS_TABLE"),
        journal_table=_need(env, "JOURNAL_TABLE"),
        bus=_need(env, "BUS"),
        rescue_queue=_need(env, "RESCUE_QUEUE"),
        mails_waiting=env.get("MAILS_WAITING") or None,
        token_rate=_positive(env, "TOKEN_RATE", "10"),
        refresh_share=_share(env, "REFRESH_SHARE", "33"),
        complete_function=env.get("COMPLETE_FUNCTION") or None,
        refresh_lane_function=env.get("REFRESH_LANE_FUNCTION") or None,
        intake_function=env.get("INTAKE_FUNCTION") or None,
        refresh_now_function=env.get("REFRESH_NOW_FUNCTION") or None,
        fleet_table=_need(env, "FLEET_TABLE"),
        visitor_identity=_visitor_identity(env),
        visitor_key=env.get("VISITOR_KEY") or None,
    )
    if settings.client_auth not in ("raw", "rfc6749"):
        raise Misconfigured("GOTO_CLIENT_AUTH must be raw or rfc6749")
    if settings.visitor_identity is not VisitorIdentity.OFF and settings.visitor_key is None:
        raise Misconfigured("VISITOR_KEY is not set")
    return settings


def _visitor_identity(env: Mapping[str, str]) -> VisitorIdentity:
    try:
        return VisitorIdentity(env.get("VISITOR_IDENTITY") or VisitorIdentity.OFF)
    except ValueError:
        raise Misconfigured("VISITOR_IDENTITY must be off, optional or required") from None


def _need(env: Mapping[str, str], name: str) -> str:
    value = env.get(name)
    if not value:
        raise Misconfigured(f"{name} is not set")
    return value


def _positive(env: Mapping[str, str], name: str, otherwise: str) -> int:
    value = env.get(name) or otherwise
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 100_000:
        raise Misconfigured(f"{name} must be a whole number from 1 to 100000")
    return int(value)


def _share(env: Mapping[str, str], name: str, otherwise: str) -> float:
    """Read a percentage as a share."""
    value = env.get(name) or otherwise
    if not value.isascii() or not value.isdigit() or not 10 <= int(value) <= 67:
        raise Misconfigured(f"{name} must be a whole number from 10 to 67, in percent")
    return int(value) / 100


def _address(env: Mapping[str, str], name: str) -> str:
    value = _need(env, name)
    if address_fault(value):
        raise Misconfigured(f"{name} is not an email address")
    return value


def _address_or_none(env: Mapping[str, str], name: str) -> str | None:
    return _address(env, name) if env.get(name) else None


def _https_or_none(env: Mapping[str, str], name: str) -> str | None:
    return _https(env, name) if env.get(name) else None


def _https(env: Mapping[str, str], name: str) -> str:
    """An https address, or http on the loopback interface (S17)."""
    value = _need(env, name)
    parts = urlsplit(value)
    host = parts.hostname or ""
    local = host in _LOOPBACK or host.endswith(".localhost")
    if parts.scheme == "https" or (parts.scheme == "http" and local):
        return value
    raise Misconfigured(f"{name} must be https (http only on the loopback interface)")
