"""The life of a grant, and of GoTo as a whole, as values. Pure.

A grant's life:

    idle --due--> claimed --tokens--> idle
                  claimed --no clear answer, or its worker died--> unknown --due--> claimed
                  claimed --refused--> refused once --due, minutes later--> claimed
                  claimed --refused again while GoTo is well--> ended
                  claimed --anything but tokens, past the refresh token's own end--> ended
    ended --connect, new secret, `ha-goto retry`--> idle
    ended --7 days--> forgotten: its refresh token is deleted
    any --disconnect, another account--> revoking --GoTo has said so--> forgotten

Only a commit of tokens clears *unknown* and *refused once*. `models.Grant.phase` reads the phase
off a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a grant is in its life; the first that fits."""

    REVOKING = "revoking"
    FORGOTTEN = "forgotten"
    ENDED = "ended"
    CLAIMED = "claimed"
    REFUSED_ONCE = "refused_once"
    UNKNOWN = "unknown"
    IDLE = "idle"


class EndCause(StrEnum):
    """Why a grant ended. Stored: never rename one."""

    REFUSED = "refused"
    CLIENT_REFUSED = "client_refused"
    RESPONSE_LOST = "response_lost"
    RESTORED = "restored"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Inflight:
    """Mark of a claim whose outcome is not yet known."""

    fence: int
    version: int
    claimed_at: int


@dataclass(frozen=True, slots=True)
class Provider:
    """The `#provider` row: GoTo as a whole, as the fleet's requests find it.

    ``asked``, ``failed``, ``refused`` and ``limited`` (429) count since the last turn. The trends
    are in thousandths of a request and fade from turn to turn; ``rate`` is in thousandths of a
    request a second, None for the cap. ``tokens_given_at``: when a batch last ended in which GoTo
    gave somebody tokens. ``ticked_at``: when the last tick came to its end.
    """

    turn: int = 0
    turned_at: int = 0
    asked: int = 0
    failed: int = 0
    refused: int = 0
    limited: int = 0
    tokens_given_at: int = 0
    ticked_at: int = 0
    trend_asked: int = 0
    trend_failed: int = 0
    trend_refused: int = 0
    open_since: int | None = None
    rate: int | None = None
