"""Outgoing HTTPS requests, limited in time and size, without redirects (S17).

Returns complete answers unjudged; anything else is `ProviderUnreachable`.

The timeouts of `requests` restart with each byte, so a server that sends one now and then is never
late. A request therefore also has a total deadline, which shuts its socket down (S17, F14).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from chalicelib.durations import OUTBOUND_CONNECT_TIMEOUT, OUTBOUND_READ_TIMEOUT
from chalicelib.errors import ProviderUnreachable
from chalicelib.goto.oauth import NOTICES, Answer

_current = threading.local()


class Watch:
    """Deadline of one thread's request; shuts its socket down when time is up.

    ``over``: time was up. ``sent``: the whole request was sent, so the server may have acted.
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
                with contextlib.suppress(OSError):  # it may just have closed by itself
                    self._socket.shutdown(socket.SHUT_RDWR)


class _Watchman:
    """One thread that enforces all requests' deadlines, as long as there are any.

    A timer per request would be a thread per request, and starting one waits for Python's lock.
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


LARGEST_ANSWER = 256 * 1024
"""Bytes; a token answer has about 4,000. Twice two tokens of the longest kept size (F28)."""

logging.getLogger("urllib3").setLevel(logging.CRITICAL)
"""Its warnings have whole addresses and answers' headers, which may hold a rep's proof (S20)."""


class Outbound:
    """One invocation's connections; idle ones would not survive a frozen Lambda."""

    def __init__(self, connections: int) -> None:
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, no .netrc that would replace our credentials
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=connections, max_retries=0)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        seconds: float,
        form: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send once, within ``seconds`` in all. Raises `ProviderUnreachable`."""
        if seconds <= 0:
            raise ProviderUnreachable("no time left", sent=False)
        connect, read = OUTBOUND_CONNECT_TIMEOUT, OUTBOUND_READ_TIMEOUT
        with watch(seconds) as watching:
            try:
                with self._session.request(
                    method,
                    url,
                    data=form,
                    headers=headers,
                    timeout=(min(connect, seconds), min(read, seconds)),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    wait = response.headers.get("Retry-After")
                    notices = tuple(name for name in NOTICES if name in response.headers)
                    answer = Answer(response.status_code, _body(response), wait, notices)
            except (requests.RequestException, OSError) as error:
                raise ProviderUnreachable(_reason(error, watching), sent=watching.sent) from None
        if watching.over and not _has_length(response):  # a cut body looks complete
            raise ProviderUnreachable("answer too slow", sent=True)
        return answer


def _has_length(response: requests.Response) -> bool:
    """Whether a cut body would have raised an error, so that this one is complete."""
    framing = response.headers.get("Transfer-Encoding", "").lower()
    return "Content-Length" in response.headers or "chunked" in framing


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(8_192):
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise ProviderUnreachable("answer too large", sent=True)
    return bytes(body)


def _reason(error: Exception, watching: Watch) -> str:
    if watching.over:
        return "answer too slow"
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failed"
    if isinstance(error, requests.Timeout):
        return "no answer in time" if watching.sent else "no connection in time"
    return "connection broken" if watching.sent else "no connection"
