"""The rows of `Tokens` and `Grants`: converts attributes to frozen values and back."""

from __future__ import annotations

from dataclasses import fields
from enum import StrEnum
from typing import Any, TypeVar

from chalicelib.connection_state import GrantSummary
from chalicelib.dynamodb.expressions import Plain
from chalicelib.models import Connection, EndCause, Grant, Inflight, NewTokens, Status
from chalicelib.permissions import Usable

SCHEMA = 1
"""Version of the `Tokens` item that readers rely on."""

UNCHANGED = "#generation = :asked_generation AND #version = :asked_version"
"""The condition that protects a refresh token: nothing newer was committed."""


def unchanged_since(row: GrantSummary | Connection) -> dict[str, Any]:
    """The values of `UNCHANGED`: the row as it was when GoTo was asked, or when it was read."""
    return {"asked_generation": row.generation, "asked_version": row.version}


SETTLED = (
    "lease_until",
    "inflight",
    "outcome_unknown_since",
    "refused_since",
    "last_error",
    "restored",
    "ended_by",
    "told_stuck",
)
"""Attributes of `Grants` that a commit of tokens clears: no claim is open, nothing is unknown."""

NON_SECRET = (
    "tenant",
    "status",
    "generation",
    "version",
    "scope",
    "expires_at",
    "refreshed_at",
    "connected_at",
    "reconnect_by",
    "next_refresh_at",
    "principal",
    "account_key",
    "usable",
    "usable_checked_at",
    "usable_doubt",
)
"""Attributes of `Tokens` that are no secret."""

GRANT_NON_SECRET = (
    "tenant",
    "status",
    "generation",
    "version",
    "client_id",
    "secret_version",
    "fence",
    "sequence",
    "lease_until",
    "refresh_expires_at",
    "failures",
    "next_refresh_at",
    "last_error",
    "account_key",
    "ended_by",
)
"""Attributes of `Grants` that are no secret."""

OF_A_TOKEN = (
    "access_token",
    "expires_at",
    "account_key",
    "principal",
    "sequence",
    "usable",
    "usable_checked_at",
    "usable_doubt",
)
"""Attributes of `Tokens` that are removed when its token may no longer be served."""

REFRESH_DATES = ("refresh_issued_at", "refresh_expires_at", "warned")
"""Attributes of `Grants` that are removed with its refresh token."""

Name = TypeVar("Name", bound=StrEnum)
Row = TypeVar("Row")


def named(names: type[Name], stored: str, otherwise: Name) -> Name:
    """A stored name; ``otherwise`` if unknown, as when a newer release was rolled back."""
    return names(stored) if stored in names.__members__.values() else otherwise


def token_values(new_tokens: NewTokens) -> dict[str, Any]:
    """Attributes of `Tokens` that a commit of tokens sets."""
    if not new_tokens.access_token:  # readers keep the current token and its expiry
        return {"next_refresh_at": new_tokens.next_refresh_at}
    return {
        "access_token": new_tokens.access_token,
        "token_type": new_tokens.token_type,
        "issued_at": new_tokens.issued_at,
        "expires_at": new_tokens.expires_at,
        "refreshed_at": new_tokens.issued_at,
        "next_refresh_at": new_tokens.next_refresh_at,
        **known(scope=new_tokens.scope),
    }


def grant_values(new_tokens: NewTokens) -> dict[str, Any]:
    """Attributes of `Grants` that a commit of tokens sets; a new refresh token resets warnings."""
    values: dict[str, Any] = {"failures": 0, "next_refresh_at": new_tokens.next_refresh_at}
    if new_tokens.access_token:
        values["access_expires_at"] = new_tokens.expires_at
    if new_tokens.refresh_token is not None:
        values["refresh_token"] = new_tokens.refresh_token
        values["refresh_issued_at"] = new_tokens.issued_at
        values["warned"] = None
    return values | known(refresh_expires_at=new_tokens.refresh_expires_at)


def known(**values: Any) -> dict[str, Any]:
    """The values that are not None; the other attributes keep their stored values."""
    return {name: value for name, value in values.items() if value is not None}


def connection(values: dict[str, Any]) -> Connection:
    doubt = values.get("usable_doubt")
    return from_row(
        Connection,
        values,
        status=Status(values["status"]),
        usable=Usable(values.get("usable", Usable.UNKNOWN)),
        usable_doubt=None if doubt is None else Usable(doubt),
    )


def grant(values: dict[str, Any]) -> Grant:
    inflight, ended_by = values.get("inflight"), values.get("ended_by")
    return from_row(
        Grant,
        values,
        status=Status(values["status"]),
        fence=values["fence"],
        sequence=values["sequence"],
        inflight=None if inflight is None else Inflight(**inflight),
        ended_by=None if ended_by is None else named(EndCause, ended_by, EndCause.REFUSED),
    )


def from_row(kind: type[Row], values: Plain, /, **read: Any) -> Row:
    """Build a ``kind`` from a row. Fields in ``read`` override the row's attributes; a field in
    neither keeps its default."""
    of_it: Any = kind  # any dataclass: there is no type for them
    names = of_it.__dataclass_fields__
    return kind(**{name: value for name, value in values.items() if name in names} | read)


def to_row(value: Any, *without: str) -> dict[str, Any]:
    """The attributes of a dataclass value, except the fields ``without``."""
    names = (each.name for each in fields(value))
    return {name: getattr(value, name) for name in names if name not in without}
