"""A total deadline for a request of `requests`, headers included.

Its timeouts count from byte to byte: a server that drips one now and then is never late. Here the
socket of the request in hand is shut down when its time is over (S17, F14).
"""

import contextlib
import heapq
import itertools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

_current = threading.local()


class Watch:
    """The time that one thread's request has; cuts its socket when that is over.

    ``over``: it was cut. ``sent``: the whole request had gone out, so the server may have acted.
    """

    def __init__(self, seconds: float) -> None:
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self.over = False
        self.sent = False
        self.done = False
        self._until = time.monotonic() + seconds

    def start(self) -> None:
        _watchman.add(self._until, self)

    def stop(self) -> None:
        with self._lock:
            self.done = True
            self._socket = None

    def take(self, connected: socket.socket | None) -> None:
        with self._lock:
            self._socket = connected
            self.sent = True
            over = self.over
        if over:
            self.cut()

    def cut(self) -> None:
        with self._lock:
            self.over = not self.done
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it may have ended by itself just now
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watchman:
    """One thread that keeps the time of all requests, as long as there are any.

    A timer for each would be a thread for each, and starting one waits for the interpreter's lock.
    """

    def __init__(self) -> None:
        self._watches: list[tuple[float, int, Watch]] = []
        self._numbers = itertools.count()
        self._earlier = threading.Condition()
        self._awake = False

    def add(self, until: float, watching: Watch) -> None:
        with self._earlier:
            heapq.heappush(self._watches, (until, next(self._numbers), watching))
            if not self._awake:
                self._awake = True
                threading.Thread(target=self._run, name="deadlines", daemon=True).start()
            elif self._watches[0][2] is watching:
                self._earlier.notify()

    def _run(self) -> None:
        with self._earlier:
            while self._watches:
                until, _, watching = self._watches[0]
                left = until - time.monotonic()
                if left > 0 and not watching.done:
                    self._earlier.wait(left)
                    continue
                heapq.heappop(self._watches)
                if not watching.done:
                    watching.cut()
            self._awake = False


_watchman = _Watchman()


@contextmanager
def watch(seconds: float) -> Iterator[Watch]:
    """Cut this thread's request after ``seconds``."""
    watching = Watch(seconds)
    _current.watch = watching
    watching.start()
    try:
        yield watching
    finally:
        watching.stop()
        _current.watch = None


class _Plain(HTTPConnection):
    def getresponse(self) -> Any:
        _hand_over(self.sock)
        return super().getresponse()


class _Tls(HTTPSConnection):
    def getresponse(self) -> Any:
        _hand_over(self.sock)
        return super().getresponse()


def _hand_over(connected: socket.socket | None) -> None:
    watching = getattr(_current, "watch", None)
    if watching is not None:
        watching.take(connected)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


class DeadlineAdapter(HTTPAdapter):
    """Transport whose requests obey `watch`."""

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
