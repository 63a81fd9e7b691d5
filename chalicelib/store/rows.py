"""What the rows of `Tokens` and `Grants` look like: attributes to frozen values and back."""

from typing import Any

from chalicelib.model import Connection, Fresh, Grant, Inflight, Status

SCHEMA = 1
"""Version of the `Tokens` item that readers rely on."""

AS_ASKED = "#generation = :asked_generation AND #version = :asked_version"
"""The condition that protects a refresh token: nothing newer has been committed."""


def as_asked(row: Grant | Connection) -> dict[str, Any]:
    """The values of `AS_ASKED`: the row as it was when GoTo was asked, or when it was read."""
    return {"asked_generation": row.generation, "asked_version": row.version}


SETTLED = (
    "lease_until",
    "inflight",
    "outcome_unknown_since",
    "refused_since",
    "last_error",
)
"""Attributes that a commit of tokens clears: no claim is open, nothing is unknown any more."""


FACTS = (
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
)
"""Attributes of `Tokens` that are no secret."""

GRANT_FACTS = (
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
)
"""Attributes of `Grants` that are no secret."""

REFRESH_DATES = ("refresh_issued_at", "refresh_expires_at", "warned")
"""Attributes of `Grants` that go with a refresh token."""


def token_values(fresh: Fresh) -> dict[str, Any]:
    """Attributes of `Tokens` that a commit of tokens sets."""
    return {
        "access_token": fresh.access_token,
        "token_type": fresh.token_type,
        "issued_at": fresh.issued_at,
        "expires_at": fresh.expires_at,
        "refreshed_at": fresh.issued_at,
        "next_refresh_at": fresh.next_refresh_at,
        **known(scope=fresh.scope),
    }


def grant_values(fresh: Fresh) -> dict[str, Any]:
    """Attributes of `Grants` that a commit of tokens sets; a new refresh token resets warnings."""
    values: dict[str, Any] = {
        "failures": 0,
        "access_expires_at": fresh.expires_at,
        "next_refresh_at": fresh.next_refresh_at,
    }
    if fresh.refresh_token is not None:
        values["refresh_token"] = fresh.refresh_token
        values["refresh_issued_at"] = fresh.issued_at
        values["refresh_expires_at"] = fresh.refresh_expires_at
        values["warned"] = None
    return values


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
    )
