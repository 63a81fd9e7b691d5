"""What a refresh can come to. Pure."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one due tenant."""

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


ENDINGS = (Outcome.GRANT_REFUSED, Outcome.EXPIRED, Outcome.CLIENT_REFUSED, Outcome.OTHER_ACCOUNT)
"""Those after which a person must act. A grant that has come to its own end says nothing about
GoTo as a whole, so `EXPIRED` is told apart."""
