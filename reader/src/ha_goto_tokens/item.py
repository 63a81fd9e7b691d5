"""Parses an item of the `Tokens` table, in DynamoDB's format, into a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = 1
"""The item schema that this library reads. It changes only if readers must change."""

DEGRADED = "degraded"
DISCONNECTED = "disconnected"
REAUTHORIZATION_REQUIRED = "reauthorization_required"
CREDENTIALS_REJECTED = "credentials_rejected"
UNKNOWN = "unknown"
AWAITING = frozenset({"awaiting_credentials", "awaiting_authorization"})


class Unreadable(Exception):
    """This library can't read the item. The message contains no value but the schema's number."""


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A tenant's access token with its own expiry (epoch seconds), never that of another token.

    ``version`` grows with each of the tenant's tokens; `TokenReader.rejected` needs it. ``scope``
    and ``account_key`` are None if GoTo did not send them. ``usable``: whether GoTo's API last
    accepted this connection (`yes`, `scope_missing`, `forbidden`, `account_gone`, `unknown`). Treat
    any other word like `unknown`. ``usable_checked_at``: when that was checked (epoch seconds).
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
        """The Authorization header's value (RFC 6750 2.1). It contains the token."""
        return f"Bearer {self.value}"


@dataclass(frozen=True, slots=True)
class Item:
    """A tenant's item in the table; ``token`` is None if it holds none."""

    tenant: str
    status: str
    version: int
    token: AccessToken | None


def read(attributes: Mapping[str, Mapping[str, Any]]) -> Item:
    """Parse an item in DynamoDB's format. Raises `Unreadable`.

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
