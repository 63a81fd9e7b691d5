"""Identifies the current process, and counts its calls to AWS under way.

A fork inherits nothing of this (F32), and waits until no call is under way: it copies OpenSSL's
locks as they are, and one that another thread holds would block the child's first connection
forever (https://github.com/openssl/openssl/issues/19066).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT = 2
"""Seconds that a fork waits for calls to end. A call that takes longer is waiting for the network,
where it holds none of those locks."""


class Process:
    """Identifies one process. ``inherited`` keeps what a fork brought along, untouched: closing or
    freeing it could wait for a lock whose owner stayed in the parent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inherited: list[object] = []
        self._calls = self._forks = 0
        self._changed = threading.Condition()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Around a call to AWS: keeps this process from being forked meanwhile."""
        with self._changed:
            self._changed.wait_for(lambda: not self._forks)
            self._calls += 1
        try:
            yield
        finally:
            with self._changed:
                self._calls -= 1
                self._changed.notify_all()

    def hold(self) -> None:
        """Let no call begin, and wait up to `LONGEST_WAIT` for those under way."""
        self._changed.acquire()
        self._forks += 1
        self._changed.wait_for(lambda: not self._calls, LONGEST_WAIT)

    def go_on(self) -> None:
        """Let calls begin again."""
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()


_process = Process()


def process() -> Process:
    """The process that this code runs in: a new object after each fork."""
    return _process


def _hold() -> None:
    _process.hold()


def _go_on() -> None:
    _process.go_on()


def _forked() -> None:
    global _process  # noqa: PLW0603 - the one thing that is new in a forked process
    _process = Process()


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(before=_hold, after_in_parent=_go_on, after_in_child=_forked)
