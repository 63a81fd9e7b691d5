"""What one process remembers: each tenant's last read token, and the reads under way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from ha_goto_tokens.item import AccessToken

AT_ONCE = 32
"""Reads that asyncio tasks can have under way at a time."""


@dataclass(frozen=True, slots=True)
class Hold:
    """The service's answer to ask again later, and the version it applies to."""

    answer: Any
    version: int
    until: float


@dataclass(frozen=True, slots=True)
class Known:
    """What a process knows about a tenant. Times are monotonic.

    ``token``: the last one read, which may be served until ``fresh_until`` without reading again.
    Versions up to ``rejected`` are never served again. No 403 is reported before ``report_after``.
    """

    token: AccessToken | None = None
    fresh_until: float = 0.0
    rejected: int = 0
    hold: Hold | None = None
    report_after: float = 0.0


NOTHING = Known()


class Memory:
    """The memory of one process. ``down_since``: when the table went out of reach; ``retry_at``:
    when to try it again (both monotonic)."""

    def __init__(self) -> None:
        self.known: dict[str, Known] = {}
        self.down_since: float | None = None
        self.retry_at = 0.0
        self._lock = threading.Lock()
        self._flights: dict[Hashable, Future[AccessToken]] = {}
        self._pool: ThreadPoolExecutor | None = None

    def of(self, tenant: str) -> Known:
        return self.known.get(tenant, NOTHING)

    def change(self, tenant: str, **changed: Any) -> None:
        """Replace parts of what is known about a tenant."""
        with self._lock:
            self.known[tenant] = replace(self.of(tenant), **changed)

    def forget(self, tenant: str) -> None:
        """Stop serving the tenant's token."""
        if tenant in self.known:
            self.change(tenant, token=None)

    def keep(self, token: AccessToken, fresh_until: float) -> None:
        """Remember a token, unless a newer one is known or this one was rejected."""
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
            newer = known.token if known.token and known.token.version > worst else None
            self.known[token.tenant] = replace(known, token=newer, rejected=worst)

    def may_report(self, tenant: str, now: float, pause: float) -> bool:
        """Whether to report a 403 now; a caller that gets True must report it."""
        with self._lock:
            known = self.of(tenant)
            if now < known.report_after:
                return False
            self.known[tenant] = replace(known, report_after=now + pause)
            return True

    def share(self, key: Hashable, work: Callable[[], AccessToken]) -> AccessToken:
        """The result of ``work``, or of the work already under way for this key."""
        while True:
            flight, leads = self._enter(key)
            if leads:
                self._fly(key, flight, work)
            try:
                return flight.result()
            except CancelledError:
                continue  # the working thread was interrupted (Ctrl-C): this caller goes on

    def begin(self, key: Hashable, work: Callable[[], AccessToken]) -> Future[AccessToken]:
        """Like `share`, but ``work`` runs in one of this memory's own threads.

        Nothing else runs there, so no loop's or service's threads can hold it up.
        """
        flight, leads = self._enter(key)
        if leads:
            try:
                self._threads().submit(self._fly, key, flight, work)
            except RuntimeError as error:  # the interpreter is shutting down
                self._land(key)
                flight.set_exception(error)
        return flight

    def _enter(self, key: Hashable) -> tuple[Future[AccessToken], bool]:
        """The flight for this key, and whether the caller must run it."""
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
