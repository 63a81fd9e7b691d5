"""Concurrent calls for the same thing become one: the first does the work, all get its outcome."""

import threading
from collections.abc import Callable, Hashable
from concurrent.futures import CancelledError, Future
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Flights(Generic[Result]):
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Hashable, Future[Result]] = {}

    def share(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """The outcome of ``work``, or of the one already under way for this key."""
        while True:
            with self._lock:
                under_way = self._open.get(key)
                if under_way is None:
                    mine = self._open[key] = Future()
            if under_way is None:
                return self._lead(key, mine, work)
            try:
                return under_way.result()
            except CancelledError:
                continue  # its thread was interrupted (Ctrl-C): that is not this caller's end

    def _lead(self, key: Hashable, mine: Future[Result], work: Callable[[], Result]) -> Result:
        try:
            result = work()
        except Exception as error:
            self._land(key)
            mine.set_exception(error)
            raise
        except BaseException:
            self._land(key)
            mine.cancel()
            raise
        self._land(key)
        mine.set_result(result)
        return result

    def _land(self, key: Hashable) -> None:
        with self._lock:
            del self._open[key]
