"""The outcomes of a refresh. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    REFRESHED = "refreshed"
    RESCUED = "rescued"
    LOST = "lost"
    TRANSIENT = "transient"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    WAITING = "waiting"
    UNCONFIRMED = "unconfirmed"
    GRANT_REFUSED = "grant_refused"
    EXPIRED = "expired"
    OTHER_ACCOUNT = "other_account"
    CLIENT_REFUSED = "client_refused"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    FORGOTTEN = "forgotten"
    NOT_TAKEN = "not_taken"
    OUT_OF_TIME = "out_of_time"
    STORE_FAILED = "store_failed"
    UNEXPECTED = "unexpected"


@dataclass(frozen=True, slots=True)
class Refreshed:
    """The result for one due tenant. ``seconds_left``: its access token's remaining life when a
    worker claimed it, negative if expired; None if there was none to keep alive."""

    outcome: Outcome
    seconds_left: int | None = None


ENDINGS = (Outcome.GRANT_REFUSED, Outcome.EXPIRED, Outcome.CLIENT_REFUSED, Outcome.OTHER_ACCOUNT)
"""Outcomes after which a person must act. `EXPIRED` is separate from `GRANT_REFUSED` because a
grant's own end says nothing about GoTo as a whole."""
