"""What one process knows: of each tenant the token last read, and the calls under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ha_goto_tokens.item import AccessToken

AT_ONCE = 32
"""Reads that asyncio tasks have under way at a time."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The service's word to ask again later, for the version it was given for."""

    answer: Any
    version: int
    until: float


@dataclass(frozen=True, slots=True)
class Known:
    """What a process knows of a tenant. Times are of the monotonic clock.

    ``token`` was read last; it may be served until ``fresh_until`` without reading again. No
    version up to ``rejected`` is served again. Before ``report_after`` no further 403 is reported.
    """

    token: AccessToken | None = None
    fresh_until: float = 0.0
    rejected: int = 0
    hold: Hold | None = None
    report_after: float = 0.0


NOTHING = Known()


class Memory:
    """The memory of one process. ``down_since``: when the table went out of reach; ``retry_at``:
    when to try it again."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.down_since: float | None = None
        self.retry_at = 0.0
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[AccessToken]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def of(self, tenant: str) -> Known:
        """What is known of a tenant."""
        return self.known.get(tenant, NOTHING)

    def change(self, tenant: str, **changed: Any) -> None:
        """Replace some of what is known of a tenant."""
        with self._lock:
            self.known[tenant] = replace(self.of(tenant), **changed)

    def forget(self, tenant: str) -> None:
        """The token is not for use any more."""
        if tenant in self.known:
            self.change(tenant, token=None)

    def keep(self, token: AccessToken, fresh_until: float) -> None:
        """Remember a token, unless a newer one is known or this one has been rejected."""
        with self._lock:
            known = self.of(token.tenant)
            before = known.token.version if known.token else 0
            if token.version <= known.rejected or token.version < before:
                return
            if token.version == before:
                fresh_until = max(fresh_until, known.fresh_until)
            self.known[token.tenant] = replace(known, token=token, fresh_until=fresh_until)

    def reject(self, token: AccessToken) -> None:
        """Never serve this version again, nor an older one."""
        with self._lock:
            known = self.of(token.tenant)
            worst = max(token.version, known.rejected)
            kept = known.token if known.token and known.token.version > worst else None
            self.known[token.tenant] = replace(known, token=kept, rejected=worst)

    def may_report(self, tenant: str, now: float, pause: float) -> bool:
        """Whether a 403 is to be reported now; the caller that hears True reports it."""
        with self._lock:
            known = self.of(tenant)
            if now < known.report_after:
                return False
            self.known[tenant] = replace(known, report_after=now + pause)
            return True

    def share(self, key: Hashable, work: Callable[[], AccessToken]) -> AccessToken:
        """The outcome of ``work``, or of the one already under way for this key."""
        while True:
            flight, leads = self._enter(key)
            if leads:
                self._fly(key, flight, work)
            try:
                return flight.result()
            except CancelledError:
                continue  # its thread was interrupted (Ctrl-C): that is not this caller's end

    def begin(self, key: Hashable, work: Callable[[], AccessToken]) -> Future[AccessToken]:
        """As `share`, but ``work`` is done in a thread of this memory's own.

        Only such work runs there, and it waits for no other: no loop's and no service's threads
        can be in its way.
        """
        flight, leads = self._enter(key)
        if leads:
            try:
                self._threads().submit(self._fly, key, flight, work)
            except RuntimeError as error:  # the interpreter is on its way out
                self._land(key)
                flight.set_exception(error)
        return flight

    def _enter(self, key: Hashable) -> tuple[Future[AccessToken], bool]:
        """The flight for this key, and whether it is the caller who is to fly it."""
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None:
                return flight, False
            flight = self._flights[key] = Future()
            return flight, True

    def _fly(
        self, key: Hashable, flight: Future[AccessToken], work: Callable[[], AccessToken]
    ) -> None:
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is raised to each who waits
            self._land(key)
            flight.set_exception(error)
        except BaseException:
            self._land(key)
            flight.cancel()
            raise
        else:
            self._land(key)
            flight.set_result(result)

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._flights[key]

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ha-goto-tokens")
            return self._pool
