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
    OTHER_ACCOUNT = "other_account"
    CLIENT_REFUSED = "client_refused"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    FORGOTTEN = "forgotten"
    NOT_TAKEN = "not_taken"
    OUT_OF_TIME = "out_of_time"
    STORE_FAILED = "store_failed"
    UNEXPECTED = "unexpected"
