"""Reads which GoTo account new tokens belong to (S25).

This runs between GoTo's answer and its commit, so no failure here may cost the tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from chalicelib.durations import ACCOUNTS_IN_VAIN, TIME_TO_READ_ACCOUNT
from chalicelib.goto.oauth import GoToClient
from chalicelib.goto.token_response import TokenSet
from chalicelib.permissions import Owner


@dataclass(eq=False)
class Accounts:
    """One invocation's look-ups. ``time_left`` and ``in_vain`` (without a result) in seconds."""

    goto: GoToClient
    clock: Callable[[], float]
    time_left: Callable[[], float]
    report: Callable[[Exception], None]
    in_vain: float = field(default=0.0, init=False)

    def owner_of(self, tokens: TokenSet) -> Owner | None:
        """The owner of ``tokens``; None if GoTo's accounts can't be read now. Never raises."""
        try:
            if self.time_left() < TIME_TO_READ_ACCOUNT or self.in_vain >= ACCOUNTS_IN_VAIN:
                return None
            begun = self.clock()
            accounts = self.goto.accounts(tokens.access_token)
            if accounts:
                return Owner.of(accounts, tokens.principal)
            self.in_vain += self.clock() - begun
        except Exception as error:  # noqa: BLE001 - the tokens in hand may be the only valid ones
            self.report(error)
        return None
