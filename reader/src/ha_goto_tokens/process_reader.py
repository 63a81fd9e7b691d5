"""The reader of one process: uses its memory first, then the table, then the service.

It calls the service's `refresh_now` only if the table can't answer. It returns a token only if that
is alive at the latest time that it can be now (`clock`).
"""

import logging
import math
from collections.abc import Callable
from concurrent.futures import Future

from ha_goto_tokens import aws, item
from ha_goto_tokens.aws import LONGEST_MINIMUM, Answer, RefreshClient
from ha_goto_tokens.clock import Clock
from ha_goto_tokens.errors import (
    NotConnected,
    ReauthorizationRequired,
    Refreshing,
    TokenError,
    Unavailable,
)
from ha_goto_tokens.item import AccessToken, Item
from ha_goto_tokens.memory import Hold, Known, Memory
from ha_goto_tokens.process import process
from ha_goto_tokens.table import Found, OutOfReach, Table

RETRY_TABLE = 5
"""Seconds between attempts to reach the table while it is out of reach."""

LONGEST_READ = 15
"""Seconds that such an attempt may take; meanwhile other callers get the remembered token."""

REPORT_PAUSE = 300
"""Seconds between two reports of a tenant's 403s."""

LOOKED_BEFORE = 60
"""Seconds until the next report, if the service had checked just before the 403 and so did not
check again."""

log = logging.getLogger("ha_goto_tokens")


class ProcessReader:
    """``cached_for`` and ``stale_if_error`` are seconds; see `TokenReader`."""

    def __init__(
        self,
        *,
        table: Table,
        refresh: RefreshClient,
        clock: Clock,
        cached_for: float,
        stale_if_error: float,
    ) -> None:
        self.process = process()
        self.memory = Memory()
        self.table = table
        self._refresh = refresh
        self._clock = clock
        self._cached_for = cached_for
        self._stale_if_error = stale_if_error

    def cached(self, tenant: str, minimum: int) -> AccessToken | None:
        """The remembered token; None if the table or the service must be asked."""
        known = self.memory.known.get(tenant)
        if known is None or known.token is None:
            return None
        now = self._clock.monotonic()
        if now < known.fresh_until and self._clock.steady():
            lives = self._clock.latest() + minimum < known.token.expires_at
            return known.token if lives else None
        return self._stale(known) if now < self.memory.retry_at else None

    def get(self, tenant: str, minimum: int) -> AccessToken:
        """The token; callers that ask at the same time share one read. Raises `TokenError`."""
        return self.memory.share((tenant, minimum), lambda: self._fetch(tenant, minimum))

    def begin(self, tenant: str, minimum: int) -> Future[AccessToken]:
        """Like `get`, in one of the memory's threads."""
        return self.memory.begin((tenant, minimum), lambda: self._fetch(tenant, minimum))

    def settled(self, tenant: str, stored: Found, minimum: int) -> AccessToken | TokenError | None:
        """The table's answer for one tenant of a batch; None if the service must be asked."""
        try:
            if isinstance(stored, OutOfReach):
                return self._ride_through(tenant, stored)
            if isinstance(stored, TokenError):
                return stored
            return self._from_table(tenant, stored, minimum)
        except TokenError as error:
            return error

    def forbidden(self, token: AccessToken) -> AccessToken:
        """Report a 403, at most once in a while; the token as the table describes it afterwards."""
        tenant, now = token.tenant, self._clock.monotonic()
        begun = self._clock.latest() - self._clock.error()
        if self.memory.may_report(tenant, now, REPORT_PAUSE):
            answer = self._refresh.ask(tenant, {"forbidden_version": token.version})
            self._read_again(tenant)
            checked_at = self._described(token).usable_checked_at or 0
            if answer.outcome == aws.LATER:
                self.memory.change(tenant, report_after=now + answer.pause)
            elif answer.outcome == aws.ALIVE and checked_at < int(begun):
                self.memory.change(tenant, report_after=now + LOOKED_BEFORE)
        return self._described(token)

    def _described(self, token: AccessToken) -> AccessToken:
        """The same token, as last read from the table."""
        found = self.memory.of(token.tenant).token
        return found if found and found.version == token.version else token

    def _fetch(self, tenant: str, minimum: int) -> AccessToken:
        """Read the table, and ask the service if that is not enough. Raises `TokenError`."""
        # Another flight may have landed since this caller looked.
        token = self.cached(tenant, minimum)
        if token is not None:
            return token
        if self.memory.down_since is not None:
            self.memory.retry_at = self._clock.monotonic() + LONGEST_READ
        try:
            consistent = self.memory.of(tenant).rejected > 0
            stored = self.table.item(tenant, consistent=consistent)
            token = self._from_table(tenant, stored, minimum)
            if token is None and stored is not None:
                token = self._from_service(stored, minimum)
        except OutOfReach as error:
            return self._ride_through(tenant, error)
        if token is None:
            raise _not_connected(tenant)
        return token

    def _from_table(self, tenant: str, stored: Item | None, minimum: int) -> AccessToken | None:
        """The token if it is alive; None if the service may have a better one.

        Raises `NotConnected` or `ReauthorizationRequired` if only a person can help.
        """
        self._reached()
        if stored is None or stored.status == item.DISCONNECTED:
            self.memory.forget(tenant)
            raise _not_connected(tenant)
        if self._lives(stored, minimum) and stored.status != item.DEGRADED:
            return self._keep(stored, self._cached_for)
        ended = _ENDED.get(stored.status)
        if ended is None:
            return None
        if self._lives(stored, 0):
            return self._less_than_asked(stored, stored.status)
        raise ended(tenant)

    def _from_service(self, stored: Item, minimum: int) -> AccessToken | None:
        """The token after asking `refresh_now`; does not ask while its last answer said to wait."""
        tenant, now = stored.tenant, self._clock.monotonic()
        hold = self.memory.of(tenant).hold
        if hold is not None and hold.version == stored.version and now < hold.until:
            return self._hindered(stored, hold.answer, math.ceil(hold.until - now))
        answer = self._refresh.ask(tenant, self._wish(stored, minimum))
        fresh = self.table.item(tenant, consistent=True)
        if fresh is None or fresh.status == item.DISCONNECTED:
            self.memory.forget(tenant)
            raise _not_connected(tenant)
        lives = self._lives(fresh, minimum)
        if self._confirmed(fresh, answer):
            if not lives:
                log.warning(
                    "tenant %s: the service says that this token lives; this machine's clock gives"
                    " it less life than asked for",
                    tenant,
                )
            return self._keep(fresh, self._cached_for)
        if lives and fresh.version > stored.version:
            return self._keep(fresh, self._cached_for)
        until = self._clock.monotonic() + answer.pause
        self.memory.change(tenant, hold=Hold(answer, fresh.version, until))
        if self._lives(fresh, 0):
            return self._less_than_asked(fresh, answer.detail)
        return self._hindered(fresh, answer, answer.pause)

    def _wish(self, stored: Item, minimum: int) -> dict[str, int]:
        if stored.version <= self.memory.of(stored.tenant).rejected:
            return {"rejected_version": stored.version}
        return {"min_valid_seconds": min(minimum + math.ceil(self._clock.error()), LONGEST_MINIMUM)}

    def _hindered(self, stored: Item, answer: Answer, seconds: int) -> AccessToken | None:
        """The living token, since no better one comes for ``seconds``; else raises `TokenError`."""
        if self._lives(stored, 0):
            return self._keep(stored, 0)
        ended = _ENDED.get(stored.status) or _ENDED.get(answer.outcome)
        if ended is not None:
            raise ended(stored.tenant)
        again = f"Ask again in {seconds} s."
        if answer.outcome == aws.IN_PROGRESS:
            happened = "The token is being refreshed."
            raise Refreshing(stored.tenant, happened, again, retry_after=seconds)
        happened = f"The token is dead and could not be refreshed ({answer.detail})."
        if answer.outcome in (aws.REFRESHED, aws.ALIVE):
            happened = "The service says that the token lives, but the table holds none."
        raise Unavailable(stored.tenant, happened, again, retry_after=seconds)

    def _confirmed(self, fresh: Item, answer: Answer) -> bool:
        """Whether the service has just found this token alive, by its own clock."""
        return (
            answer.outcome in (aws.REFRESHED, aws.ALIVE)
            and fresh.token is not None
            and answer.version is not None
            and fresh.version >= answer.version
            and fresh.version > self.memory.of(fresh.tenant).rejected
        )

    def _lives(self, stored: Item, minimum: int) -> bool:
        """Whether the token lives ``minimum`` seconds more, even at the latest possible time."""
        if stored.token is None or self._rejects(stored):
            return False
        return self._clock.latest() + minimum < stored.token.expires_at

    def _rejects(self, stored: Item) -> bool:
        return stored.version <= self.memory.of(stored.tenant).rejected

    def _less_than_asked(self, stored: Item, why: str) -> AccessToken | None:
        log.warning(
            "tenant %s: served a token that lives and could not be refreshed (%s)",
            stored.tenant,
            why,
        )
        return self._keep(stored, 0)

    def _keep(self, stored: Item, seconds: float) -> AccessToken | None:
        """Remember the token, and serve it for ``seconds`` without reading again."""
        if stored.token is not None:
            self.memory.keep(stored.token, self._clock.monotonic() + seconds)
        return stored.token

    def _read_again(self, tenant: str) -> None:
        """Update what is remembered about a tenant's token from the table."""
        try:
            stored = self.table.item(tenant, consistent=True)
            self._from_table(tenant, stored, 0)
        except TokenError:
            return  # the next `get` will raise it

    def _ride_through(self, tenant: str, error: OutOfReach) -> AccessToken:
        """The token last read, for use while the table is out of reach. Raises `Unavailable`."""
        now = self._clock.monotonic()
        self.memory.retry_at = now + RETRY_TABLE
        if self.memory.down_since is None:
            self.memory.down_since = now
            log.warning(
                "%s Tokens that were read before are served for %s s more, while they live.",
                error.happened,
                self._stale_if_error,
            )
        token = self._stale(self.memory.of(tenant))
        if token is None:
            raise Unavailable(*error.args, retry_after=error.retry_after)
        return token

    def _stale(self, known: Known) -> AccessToken | None:
        """The token last read, if it is alive and was read recently enough."""
        if known.token is None or self._clock.latest() >= known.token.expires_at:
            return None
        in_time = self._clock.monotonic() < known.fresh_until + self._stale_if_error
        return known.token if in_time else None

    def _reached(self) -> None:
        if self.memory.down_since is not None:
            log.info("The table answers again.")
            self.memory.down_since, self.memory.retry_at = None, 0.0


def _not_connected(tenant: str) -> NotConnected:
    return NotConnected(
        tenant,
        "There is no connection to GoTo.",
        "The rep sends the tenant's admin a link to connect.",
    )


def _reauthorization_required(tenant: str) -> ReauthorizationRequired:
    return ReauthorizationRequired(
        tenant,
        "GoTo has ended the connection.",
        "The tenant's admin opens the emailed link and presses Get Access Token.",
    )


def _credentials_rejected(tenant: str) -> ReauthorizationRequired:
    return ReauthorizationRequired(
        tenant,
        "GoTo has refused the tenant's client id and secret.",
        "The rep asks the customer for the client's secret and enters it again.",
        whose_turn="rep",
    )


_ENDED: dict[str, Callable[[str], TokenError]] = {
    item.REAUTHORIZATION_REQUIRED: _reauthorization_required,
    item.CREDENTIALS_REJECTED: _credentials_rejected,
    aws.NOT_CONNECTED: _not_connected,
    **dict.fromkeys(item.AWAITING, _not_connected),
}
"""Table states and `refresh_now` outcomes that only a person can end."""
