"""What belongs to one process: which one it is, and its calls to AWS under way.

A fork inherits nothing of it (F32), and is made while no call is under way: OpenSSL's locks are
copied as they are, and one that another thread held would make the child's first connection wait
for ever (https://github.com/openssl/openssl/issues/19066).
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LONGEST_WAIT = 2
"""Seconds that a fork waits for calls to end: one that takes longer waits for the network, where
it holds none of those locks."""


class Process:
    """Names one process. ``inherited`` keeps what a fork brought along, untouched: to close or to
    free it could wait for a lock whose owner stayed in the parent."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.inherited: list[object] = []
        self._calls = self._forks = 0
        self._changed = threading.Condition()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """While AWS is being called, this process is not forked."""
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
        """Wait until no call is under way, and let none begin."""
        self._changed.acquire()
        self._forks += 1
        self._changed.wait_for(lambda: not self._calls, LONGEST_WAIT)

    def go_on(self) -> None:
        """Let calls begin."""
        self._forks -= 1
        self._changed.notify_all()
        self._changed.release()


_process = Process()


def process() -> Process:
    """The process that this code runs in: another object after each fork."""
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
