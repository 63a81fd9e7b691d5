"""What the rows of `Tokens` and `Grants` look like: attributes to frozen values and back."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeVar

from chalicelib.connection_state import GrantSummary
from chalicelib.models import Connection, EndCause, Grant, Inflight, NewTokens, Status
from chalicelib.permissions import Usable

SCHEMA = 1
"""Version of the `Tokens` item that readers rely on."""

UNCHANGED = "#generation = :asked_generation AND #version = :asked_version"
"""The condition that protects a refresh token: nothing newer has been committed."""


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
"""Attributes that a commit of tokens clears: no claim is open, nothing is unknown any more."""


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
"""Attributes of `Tokens` that go where its token may not be served on."""

REFRESH_DATES = ("refresh_issued_at", "refresh_expires_at", "warned")
"""Attributes of `Grants` that go with a refresh token."""


Name = TypeVar("Name", bound=StrEnum)


def named(names: type[Name], stored: str, otherwise: Name) -> Name:
    """A stored name; ``otherwise`` for one that a newer version wrote before it was rolled back."""
    return names(stored) if stored in names.__members__.values() else otherwise


def token_values(new_tokens: NewTokens) -> dict[str, Any]:
    """Attributes of `Tokens` that a commit of tokens sets."""
    if not new_tokens.access_token:  # what is served stays, with its own end
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
    """What was given; the rest keeps its stored value."""
    return {name: value for name, value in values.items() if value is not None}


def connection(values: dict[str, Any]) -> Connection:
    """A row of `Tokens`."""
    return Connection(
        tenant=values["tenant"],
        status=Status(values["status"]),
        generation=values["generation"],
        version=values["version"],
        access_token=values.get("access_token"),
        scope=values.get("scope"),
        expires_at=values.get("expires_at", 0),
        refreshed_at=values.get("refreshed_at", 0),
        connected_at=values.get("connected_at", 0),
        reconnect_by=values.get("reconnect_by"),
        next_refresh_at=values.get("next_refresh_at"),
        principal=values.get("principal"),
        sequence=values.get("sequence"),
        account_key=values.get("account_key"),
        usable=Usable(values.get("usable", Usable.UNKNOWN)),
        usable_checked_at=values.get("usable_checked_at", 0),
        usable_doubt=Usable(values["usable_doubt"]) if "usable_doubt" in values else None,
    )


def grant(values: dict[str, Any]) -> Grant:
    """A row of `Grants`."""
    inflight = values.get("inflight")
    return Grant(
        tenant=values["tenant"],
        status=Status(values["status"]),
        generation=values["generation"],
        version=values["version"],
        client_id=values["client_id"],
        secret_version=values["secret_version"],
        fence=values["fence"],
        sequence=values["sequence"],
        refresh_token=values.get("refresh_token"),
        refresh_issued_at=values.get("refresh_issued_at", 0),
        refresh_expires_at=values.get("refresh_expires_at", 0),
        access_expires_at=values.get("access_expires_at", 0),
        lease_until=values.get("lease_until", 0),
        inflight=Inflight(**inflight) if inflight else None,
        outcome_unknown_since=values.get("outcome_unknown_since"),
        refused_since=values.get("refused_since"),
        failures=values.get("failures", 0),
        next_refresh_at=values.get("next_refresh_at"),
        last_error=values.get("last_error"),
        warned=values.get("warned"),
        account_key=values.get("account_key"),
        restored=bool(values.get("restored", False)),
        ended_by=named(EndCause, values["ended_by"], EndCause.REFUSED)
        if "ended_by" in values
        else None,
        told_stuck=bool(values.get("told_stuck", False)),
        probe_at=values.get("probe_at", 0),
    )
