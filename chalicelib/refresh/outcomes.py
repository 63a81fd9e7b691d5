"""What a refresh can come to. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """What a refresh came to."""

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
    """What became of one due tenant. ``seconds_left``: what its access token had left when it was
    taken, negative for a dead one; None where there was none to keep alive."""

    outcome: Outcome
    seconds_left: int | None = None


ENDINGS = (Outcome.GRANT_REFUSED, Outcome.EXPIRED, Outcome.CLIENT_REFUSED, Outcome.OTHER_ACCOUNT)
"""Those after which a person must act. A grant that has come to its own end says nothing about
GoTo as a whole, so `EXPIRED` is told apart."""
