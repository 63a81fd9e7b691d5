"""`TokenReader`: a tenant's live access token, or the answer whose turn it is.

What the table holds decides first; the service's `refresh_now` is asked only where it must be; a
token is never handed out that may be dead by a clock that is wrong within ``clock_error``.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ha_goto_tokens import aws, demand, item
from ha_goto_tokens.demand import LONGEST_MINIMUM, Answer, Demand
from ha_goto_tokens.errors import (
    NotConnected,
    ReauthorizationRequired,
    Refreshing,
    TokenError,
    Unavailable,
)
from ha_goto_tokens.flights import Flights
from ha_goto_tokens.item import AccessToken, Item
from ha_goto_tokens.table import Table

CLOCK_ERROR = 300
"""Seconds by which this machine's clock and the service's may differ (AWS signs within 5 min)."""

CACHED_FOR = 30
"""Seconds for which a token is served without reading the table: the longest that a rep's
`disconnect` goes unnoticed."""

MIN_VALID = 60
"""Seconds for which a token is alive at least, unless its user asks for more or less."""

LONGEST_NAME = 63
"""Characters of a tenant's name: it is a DNS label."""

AT_ONCE = 4
"""Refreshes that one batch asks for at a time; the service runs ten for all readers together."""

log = logging.getLogger("ha_goto_tokens")


@dataclass(frozen=True, slots=True)
class _Kept:
    """A cached token: from when until when it may be served, by this machine's clock."""

    token: AccessToken
    since: float
    until: float
    certain_until: float


@dataclass(frozen=True, slots=True)
class _Held:
    """The service's word to ask again later; it stands for the version it was given for."""

    answer: Answer
    version: int
    since: float

    def seconds(self, now: float) -> int:
        """What is left of the pause; 0 also where the clock has jumped back."""
        if now < self.since:
            return 0
        return max(0, math.ceil(self.since + self.answer.retry_after - now))


class TokenReader:
    """Reads the tokens of one deployment. Safe to share between threads; make one a process."""

    def __init__(
        self,
        stage: str | None = None,
        *,
        table: str | None = None,
        refresh_function: str | None = None,
        clock_error: int = CLOCK_ERROR,
        cached_for: int = CACHED_FOR,
        dynamodb: Any = None,
        lambda_client: Any = None,
        ssm: Any = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``stage`` looks the names up where the reader-access stack has published them; or give
        ``table`` and ``refresh_function`` (names or ARNs).

        ``clock_error`` and ``cached_for`` are seconds. The clients are boto3's; ``clock`` gives
        epoch seconds. Raises `ValueError`, and botocore's errors where a stage can't be looked up.
        """
        if (stage is None) == (table is None):
            raise ValueError("give a stage, or the table's name")
        if not 0 <= clock_error < LONGEST_MINIMUM:
            raise ValueError(f"clock_error must be 0 to {LONGEST_MINIMUM - 1} seconds")
        names = aws.names(stage, ssm) if stage else aws.Names(table or "", refresh_function)
        self._table = Table(dynamodb or aws.client("dynamodb"), names.table, sleep)
        self._lambda = lambda_client
        self._demand = Demand(self._lambda_client, names.refresh_function)
        self._clock_error = clock_error
        self._cached_for = cached_for
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._held: dict[str, _Held] = {}
        self._rejected: dict[str, int] = {}
        self._flights: Flights[AccessToken] = Flights()

    def get(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """A token that lives for ``min_valid_seconds`` more (0 to 1800), or the best that lives.

        Raises `NotConnected`, `ReauthorizationRequired`, `Refreshing`, `Unavailable`; `ValueError`
        for arguments that make no sense.
        """
        token = self.cached(tenant, min_valid_seconds)
        while token is None:
            found = self._flights.share(
                (tenant, min_valid_seconds), lambda: self._fetch(tenant, min_valid_seconds)
            )
            if found.version > self._rejected.get(tenant, 0):
                return found
            # It was rejected while it was on its way to us.
            token = self.cached(tenant, min_valid_seconds)
        return token

    def cached(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken | None:
        """The token as far as it is known without asking anybody; None where it is not.

        Raises `ValueError`.
        """
        if not 0 <= min_valid_seconds <= LONGEST_MINIMUM:
            raise ValueError(f"min_valid_seconds must be 0 to {LONGEST_MINIMUM}")
        kept = self._kept.get(tenant)
        if kept is None:
            return None
        now = self._clock()
        if kept.since <= now < kept.until and now + min_valid_seconds < kept.certain_until:
            return kept.token
        return None

    def rejected(self, token: AccessToken, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """GoTo answered 401 to this token: it is never served again here; returns a newer one.

        However many callers say so, on however many machines, at most one refresh comes of it.
        Raises as `get` does.
        """
        with self._lock:
            worst = max(token.version, self._rejected.get(token.tenant, 0))
            self._rejected[token.tenant] = worst
            kept = self._kept.get(token.tenant)
            if kept is not None and kept.token.version <= worst:
                del self._kept[token.tenant]
        return self.get(token.tenant, min_valid_seconds)

    def get_many(
        self, tenants: Iterable[str], min_valid_seconds: int = MIN_VALID
    ) -> dict[str, AccessToken | TokenError]:
        """Tokens of many tenants, each with its token or its error; read 100 at a time.

        What has to be refreshed is asked for four at a time. Raises `ValueError` only.
        """
        wanted = list(dict.fromkeys(tenants))
        found: dict[str, AccessToken | TokenError] = {}
        for tenant in wanted:
            _check(tenant)
            token = self.cached(tenant, min_valid_seconds)
            if token is not None:
                found[tenant] = token
        dead = []
        left = [tenant for tenant in wanted if tenant not in found]
        for tenant, stored in self._table.items(left).items():
            answer = self._settled(tenant, stored, min_valid_seconds)
            if answer is None:
                dead.append(tenant)
            else:
                found[tenant] = answer
        if dead:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = pool.map(lambda name: self._or_error(name, min_valid_seconds), dead)
                found.update(zip(dead, answers, strict=True))
        return {tenant: found[tenant] for tenant in wanted}

    def _settled(
        self, tenant: str, stored: Item | TokenError | None, minimum: int
    ) -> AccessToken | TokenError | None:
        """What the table alone answers for a tenant of a batch; None where the service must."""
        if isinstance(stored, TokenError):
            return stored
        try:
            return self._from_table(tenant, stored, minimum)
        except TokenError as error:
            return error

    def _or_error(self, tenant: str, minimum: int) -> AccessToken | TokenError:
        try:
            return self.get(tenant, minimum)
        except TokenError as error:
            return error

    def _fetch(self, tenant: str, minimum: int) -> AccessToken:
        """Read, and ask the service where the table alone can't answer."""
        _check(tenant)
        # Another flight may have landed between this caller's look and its own.
        token = self.cached(tenant, minimum)
        if token is not None:
            return token
        stored = self._table.item(tenant, consistent=tenant in self._rejected)
        token = self._from_table(tenant, stored, minimum)
        if token is None and stored is not None:
            token = self._from_service(stored, minimum)
        if token is None:
            raise _not_connected(tenant)
        return token

    def _from_table(self, tenant: str, stored: Item | None, minimum: int) -> AccessToken | None:
        """The token, where it lives; None where the service may have a better one.

        Raises `NotConnected`, `ReauthorizationRequired` where it can't.
        """
        if stored is None or stored.status == item.DISCONNECTED:
            self._forget(tenant)
            raise _not_connected(tenant)
        if self._lives(stored, minimum) and stored.status != item.DEGRADED:
            return self._keep(stored)
        ended = _ENDED.get(stored.status)
        if ended is None:
            return None
        if self._lives(stored, 0):
            return self._less_than_asked(stored, stored.status)
        raise ended(tenant)

    def _from_service(self, stored: Item, minimum: int) -> AccessToken | None:
        """The token after asking `refresh_now`, unless it has said a moment ago to wait."""
        held = self._held.get(stored.tenant)
        if held is not None and held.version == stored.version:
            left = held.seconds(self._clock())
            if left:
                return self._hindered(stored, held.answer, left)
        answer = self._demand.ask(stored.tenant, self._wish(stored, minimum))
        fresh = self._table.item(stored.tenant, consistent=True)
        if fresh is None or fresh.status == item.DISCONNECTED:
            self._forget(stored.tenant)
            raise _not_connected(stored.tenant)
        if self._confirmed(fresh, answer):
            if not self._lives(fresh, minimum):
                log.warning(
                    "tenant %s: the service says that this token lives; this machine's clock gives"
                    " it less life than asked for",
                    stored.tenant,
                )
            return self._keep(fresh)
        if self._lives(fresh, minimum) and fresh.version > stored.version:
            return self._keep(fresh)
        self._held[stored.tenant] = _Held(answer, fresh.version, self._clock())
        if self._lives(fresh, 0):
            return self._less_than_asked(fresh, answer.detail)
        return self._hindered(fresh, answer, answer.retry_after)

    def _wish(self, stored: Item, minimum: int) -> dict[str, int]:
        if stored.version <= self._rejected.get(stored.tenant, 0):
            return {"rejected_version": stored.version}
        return {"min_valid_seconds": min(minimum + self._clock_error, LONGEST_MINIMUM)}

    def _hindered(self, stored: Item, answer: Answer, seconds: int) -> AccessToken:
        """No better token is to be had for some ``seconds``: the living one, or why there is none.

        Raises `TokenError`.
        """
        if stored.token is not None and self._lives(stored, 0):
            return stored.token
        ended = _ENDED.get(stored.status) or _ENDED.get(answer.outcome)
        if ended is not None:
            raise ended(stored.tenant)
        again = f"Ask again in {seconds} s."
        if answer.outcome == demand.IN_PROGRESS:
            happened = "The token is being refreshed."
            raise Refreshing(stored.tenant, happened, again, retry_after=seconds)
        happened = f"The token is dead and could not be refreshed ({answer.detail})."
        if answer.outcome in (demand.REFRESHED, demand.ALIVE):
            happened = "The service says that the token lives, but the table holds none."
        raise Unavailable(stored.tenant, happened, again, retry_after=seconds)

    def _confirmed(self, fresh: Item, answer: Answer) -> bool:
        """Whether the service itself, by its own clock, has just found this token alive."""
        return (
            answer.outcome in (demand.REFRESHED, demand.ALIVE)
            and fresh.token is not None
            and answer.version is not None
            and fresh.version >= answer.version
            and fresh.version > self._rejected.get(fresh.tenant, 0)
        )

    def _lives(self, stored: Item, minimum: int) -> bool:
        """Whether the token lives that long even if this clock is slow by ``clock_error``."""
        if stored.token is None or stored.version <= self._rejected.get(stored.tenant, 0):
            return False
        return self._clock() + minimum + self._clock_error < stored.token.expires_at

    def _less_than_asked(self, stored: Item, why: str) -> AccessToken | None:
        log.warning(
            "tenant %s: served a token that lives and could not be refreshed (%s)",
            stored.tenant,
            why,
        )
        return stored.token

    def _keep(self, stored: Item) -> AccessToken | None:
        token, now = stored.token, self._clock()
        if token is None:
            return None
        certain_until = token.expires_at - self._clock_error
        kept = _Kept(token, now, now + self._cached_for, certain_until)
        with self._lock:
            before = self._kept.get(token.tenant)
            newer = before is not None and before.token.version > token.version
            if not newer and token.version > self._rejected.get(token.tenant, 0):
                self._kept[token.tenant] = kept
        return token

    def _forget(self, tenant: str) -> None:
        with self._lock:
            self._kept.pop(tenant, None)

    def _lambda_client(self) -> Any:
        with self._lock:
            if self._lambda is None:
                self._lambda = aws.client("lambda")
            return self._lambda


def _check(tenant: str) -> None:
    if not isinstance(tenant, str) or not 0 < len(tenant) <= LONGEST_NAME:
        raise ValueError(f"a tenant is a name of 1 to {LONGEST_NAME} characters")


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
        "The rep asks the customer for the client's secret and enters it anew.",
        whose_turn="rep",
    )


_ENDED: dict[str, Callable[[str], TokenError]] = {
    item.REAUTHORIZATION_REQUIRED: _reauthorization_required,
    item.CREDENTIALS_REJECTED: _credentials_rejected,
    demand.NOT_CONNECTED: _not_connected,
    **dict.fromkeys(item.AWAITING, _not_connected),
}
"""States of the table and outcomes of `refresh_now` that only a person can end."""
