"""`TokenReader` returns a tenant's live access token, or raises why there is none (`errors`).

Services use it from any thread, event loop or forked process. The current process's `ProcessReader`
does the work.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ha_goto_tokens import aws
from ha_goto_tokens.aws import LONGEST_MINIMUM
from ha_goto_tokens.clock import Clock
from ha_goto_tokens.errors import TokenError
from ha_goto_tokens.item import AccessToken
from ha_goto_tokens.process import process
from ha_goto_tokens.process_reader import ProcessReader
from ha_goto_tokens.table import Table

CLOCK_ERROR = 300
"""Seconds by which this machine's clock may be wrong, until AWS has answered. (AWS rejects
signatures that are five minutes off.)"""

CACHED_FOR = 30
"""Seconds for which a token is served without reading the table: the longest that a rep's
`disconnect` can go unnoticed."""

STALE_IF_ERROR = 1_200
"""Further seconds for which it is served while the table is out of reach (F31), as in RFC 5861. A
`disconnect` can go unnoticed for that much longer."""

MIN_VALID = 60
"""Seconds that a token must still live, unless the caller asks for more or less."""

LONGEST_NAME = 63
"""Characters of a tenant's name, which is a DNS label."""

AT_ONCE = 4
"""Refreshes that a batch requests in parallel; the service runs ten for all readers together."""


class TokenReader:
    """Reads the tokens of one deployment. Make one, and share it between threads, event loops and
    forked processes."""

    def __init__(
        self,
        stage: str | None = None,
        *,
        table: str | None = None,
        refresh_function: str | None = None,
        clock_error: int = CLOCK_ERROR,
        cached_for: int = CACHED_FOR,
        stale_if_error: int = STALE_IF_ERROR,
        dynamodb: Any = None,
        lambda_client: Any = None,
        ssm: Any = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Give either ``stage``, to look up the names that its reader-access stack published, or
        ``table`` and ``refresh_function`` (names or ARNs).

        ``clock_error``, ``cached_for`` and ``stale_if_error`` are seconds. ``dynamodb`` and
        ``lambda_client`` are boto3 clients, or functions that make one: a client itself is refused
        in a process forked later. ``clock`` returns epoch seconds. Raises `ValueError`, and
        `Unavailable` if the stage can't be looked up.
        """
        if (stage is None) == (table is None):
            raise ValueError("give a stage, or the table's name")
        if not 0 <= clock_error < LONGEST_MINIMUM:
            raise ValueError(f"clock_error must be 0 to {LONGEST_MINIMUM - 1} seconds")
        self._names = aws.names(stage, ssm) if stage else aws.Names(table or "", refresh_function)
        self._given = (dynamodb, lambda_client, process())
        self._clock = Clock(clock_error, clock, monotonic)
        self._cached_for = cached_for
        self._stale_if_error = stale_if_error
        self._sleep = sleep
        self._reader = self._new_reader()
        self._reader.table.connect()

    def get(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """A token that lives ``min_valid_seconds`` more (0 to 1800), or else the best one alive.

        Raises `NotConnected`, `ReauthorizationRequired`, `Refreshing`, `Unavailable`; `ValueError`
        for invalid arguments.
        """
        token = self.cached(tenant, min_valid_seconds)
        while token is None:
            _check(tenant)
            found = self._here().get(tenant, min_valid_seconds)
            if not self.is_rejected(found):
                return found
            # Another caller rejected it while we were reading.
            token = self.cached(tenant, min_valid_seconds)
        return token

    def begin(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> Future[AccessToken]:
        """For `AsyncTokenReader`: fetch the token in one of this reader's own threads."""
        _check(tenant)
        return self._here().begin(tenant, min_valid_seconds)

    def cached(self, tenant: str, min_valid_seconds: int = MIN_VALID) -> AccessToken | None:
        """The token from memory, without a call; None if a call is needed. Raises `ValueError`."""
        if not 0 <= min_valid_seconds <= LONGEST_MINIMUM:
            raise ValueError(f"min_valid_seconds must be 0 to {LONGEST_MINIMUM}")
        return self._here().cached(tenant, min_valid_seconds)

    def rejected(self, token: AccessToken, min_valid_seconds: int = MIN_VALID) -> AccessToken:
        """Report that GoTo answered 401 to this token, and get a newer one.

        This reader never serves it again. However many callers report it, on however many machines,
        it causes at most one refresh. Raises what `get` raises.
        """
        self.reject(token)
        return self.get(token.tenant, min_valid_seconds)

    def reject(self, token: AccessToken) -> None:
        """Never serve this token again. Does not ask for a newer one."""
        self._here().memory.reject(token)

    def is_rejected(self, token: AccessToken) -> bool:
        """Whether a caller has reported that GoTo rejects this token."""
        return token.version <= self._here().memory.of(token.tenant).rejected

    def forbidden(self, token: AccessToken) -> AccessToken:
        """Report that GoTo answered 403 to this token: the service checks what the connection may
        still do. Returns the token with the result in ``usable``.

        This never refreshes the token. Reports within five minutes count as one. Raises no
        `TokenError`: if a report fails, a later 403 is reported.
        """
        return self._here().forbidden(token)

    def get_many(
        self, tenants: Iterable[str], min_valid_seconds: int = MIN_VALID
    ) -> dict[str, AccessToken | TokenError]:
        """Each tenant's token or error. Reads 100 tenants at a time, and asks for necessary
        refreshes four at a time. Raises only `ValueError`."""
        here, wanted = self._here(), list(dict.fromkeys(tenants))
        found: dict[str, AccessToken | TokenError] = {}
        for tenant in wanted:
            _check(tenant)
            token = self.cached(tenant, min_valid_seconds)
            if token is not None:
                found[tenant] = token
        dead = []
        left = [tenant for tenant in wanted if tenant not in found]
        for tenant, stored in here.table.items(left).items():
            answer = here.settled(tenant, stored, min_valid_seconds)
            if answer is None:
                dead.append(tenant)
            else:
                found[tenant] = answer
        if dead:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                answers = pool.map(lambda name: self._or_error(name, min_valid_seconds), dead)
                found.update(zip(dead, answers, strict=True))
        return {tenant: found[tenant] for tenant in wanted}

    def _here(self) -> ProcessReader:
        """This process's reader: a forked process gets a new one (F32)."""
        reader, here = self._reader, process()
        if reader.process is here:
            return reader
        with here.lock:
            if self._reader.process is not here:
                here.inherited.append(self._reader)
                self._reader = self._new_reader()
            return self._reader

    def _new_reader(self) -> ProcessReader:
        dynamodb, lambda_client, given_in = self._given
        reads = aws.Client("dynamodb", dynamodb, given_in)
        invokes = aws.Client("lambda", lambda_client, given_in)
        return ProcessReader(
            table=Table(reads, self._names.table, self._clock, self._sleep),
            refresh=aws.RefreshClient(invokes, self._names.refresh_function),
            clock=self._clock,
            cached_for=self._cached_for,
            stale_if_error=self._stale_if_error,
        )

    def _or_error(self, tenant: str, minimum: int) -> AccessToken | TokenError:
        try:
            return self.get(tenant, minimum)
        except TokenError as error:
            return error


def _check(tenant: str) -> None:
    if not isinstance(tenant, str) or not 0 < len(tenant) <= LONGEST_NAME:
        raise ValueError(f"a tenant is a name of 1 to {LONGEST_NAME} characters")
