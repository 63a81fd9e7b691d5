"""One item of the `Tokens` table as a frozen value. Nothing of DynamoDB's form goes beyond here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1
"""The item's version that this library reads. It changes only where readers must change."""

DEGRADED = "degraded"
DISCONNECTED = "disconnected"
REAUTHORIZATION_REQUIRED = "reauthorization_required"
CREDENTIALS_REJECTED = "credentials_rejected"
UNKNOWN = "unknown"
AWAITING = frozenset({"awaiting_credentials", "awaiting_authorization"})


class Unreadable(Exception):
    """An item that this library can't read. The message names no value but the schema's number."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A tenant's access token with its own expiry (epoch seconds), never a mix of two.

    ``version`` grows with every token of the tenant; `TokenReader.rejected` needs it. ``scope`` and
    ``account_key`` are None where GoTo did not tell them. ``usable``: whether GoTo's API last let
    the service in with this connection (`yes`, `scope_missing`, `forbidden`, `account_gone`,
    `unknown`), and ``usable_checked_at`` when that was; treat a word that you do not know like
    `unknown`.
    """

    value: str = field(repr=False)
    expires_at: int
    scope: str | None
    account_key: str | None
    version: int
    tenant: str
    token_type: str = "Bearer"  # noqa: S105 - the scheme's name
    usable: str = UNKNOWN
    usable_checked_at: int | None = None

    @property
    def authorization(self) -> str:
        """Value of the Authorization header (RFC 6750 2.1). It holds the token."""
        return f"Bearer {self.value}"


@dataclass(frozen=True, slots=True)
class Item:
    """What stands in the table for a tenant; ``token`` None where it holds none."""

    tenant: str
    status: str
    version: int
    token: AccessToken | None


def read(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    """An item in DynamoDB's form. Raises `Unreadable`.

    Attributes that this library does not know are ignored: the service may add some.
    """
    schema = _number(attributes, "schema")
    if schema != SCHEMA:
        raise Unreadable(f"the item has schema {schema}, this library reads schema {SCHEMA}")
    tenant, status = _text(attributes, "tenant"), _text(attributes, "status")
    version = _number(attributes, "version")
    if tenant is None or status is None or version is None:
        raise Unreadable("the item has no tenant, status or version")
    return Item(tenant, status, version, _token(attributes, tenant, version))


def _token(
    attributes: Mapping[str, Mapping[str, Any]], tenant: str, version: int
) -> AccessToken | None:
    value, expires_at = _text(attributes, "access_token"), _number(attributes, "expires_at")
    if not value or expires_at is None:
        return None
    return AccessToken(
        value,
        expires_at,
        _text(attributes, "scope"),
        _text(attributes, "account_key"),
        version,
        tenant,
        _text(attributes, "token_type") or "Bearer",
        _text(attributes, "usable") or UNKNOWN,
        _number(attributes, "usable_checked_at"),
    )


def _text(attributes: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    value = attributes.get(name, {}).get("S")
    return value if isinstance(value, str) else None


def _number(attributes: Mapping[str, Mapping[str, Any]], name: str) -> int | None:
    value = attributes.get(name, {}).get("N")
    try:
        return None if value is None else int(value)
    except ValueError:
        return None
