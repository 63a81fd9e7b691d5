"""The console: the switches as they stand, the failures still to come, rates, and the log.

Thread-safe. The log holds times, counts and SHA-256 prefixes, never a code, token or secret.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.goto.state import digest
from sandbox.goto.switches import Failure, Switches

# The list is bounded so that a long run does not eat the machine; the counts are not.
LOG_LENGTH = 10_000
_PREFIX = 16


def fingerprint(value: str | None) -> str | None:
    """Return the first 16 hex digits of the value's SHA-256, or None for no value."""
    return digest(value)[:_PREFIX] if value else None


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One request to the token endpoint. `status` 0: the connection was closed unanswered.

    `issued` is the fingerprint of the refresh token that was issued, also where a failure kept
    the answer from arriving; `injected` tells that a failure was at work.
    """

    time: float
    grant_type: str | None
    client_id: str | None
    presented: str | None
    status: int
    issued: str | None = None
    injected: bool = False


class Console:
    """What may be turned and read while the sandbox runs; `clock` gives epoch seconds."""

    def __init__(self, switches: Switches, clock: Callable[[], float]) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._switches = switches
        self._clock = clock
        self._recent: dict[str, deque[float]] = {}
        self._log: deque[TokenRequest] = deque(maxlen=LOG_LENGTH)
        self._counts: dict[str, Counter[str]] = {"grant_type": Counter(), "status": Counter()}

    @property
    def switches(self) -> Switches:
        with self._lock:
            return self._switches

    def turn(self, /, **changes: object) -> Switches:
        """Turn switches, all or none; raises `SwitchError`. Returns how they stand now."""
        with self._lock:
            self._switches = self._switches.changed(**changes)
            if "fail_next" in changes:
                self._released.clear()
            return self._switches

    def next_failure(self, grant_type: str | None) -> Failure | None:
        """Take the first failure that is for this kind of request off `fail_next`, if any."""
        with self._lock:
            waiting = list(self._switches.fail_next)
            for failure in waiting:
                if failure.grant_type in (None, grant_type):
                    waiting.remove(failure)
                    self._switches = self._switches.changed(fail_next=waiting)
                    return failure
            return None

    def hold(self, seconds: float) -> bool:
        """Keep an answer back for so long, or until `release`, which may have come first: True."""
        return self._released.wait(seconds)

    def release(self) -> None:
        """Hold no answer back any more, until `fail_next` is turned again."""
        self._released.set()

    def is_too_many(self, api: str) -> bool:
        """Count a request to this API; True when it goes beyond `rate_per_second`."""
        now = self._clock()
        with self._lock:
            limit = self._switches.rate_per_second
            if limit is None:
                return False
            recent = self._recent.setdefault(api, deque())
            while recent and recent[0] <= now - 1:
                recent.popleft()
            if len(recent) >= limit:
                return True
            recent.append(now)
            return False

    def note(self, request: TokenRequest) -> None:
        with self._lock:
            self._log.append(request)
            self._counts["grant_type"][request.grant_type or "none"] += 1
            self._counts["status"][str(request.status)] += 1

    def log(self) -> dict[str, object]:
        """Return counts since the start and the latest token requests, oldest first."""
        with self._lock:
            return {
                "token_requests": self._counts["status"].total(),
                "by_grant_type": dict(self._counts["grant_type"]),
                "by_status": dict(self._counts["status"]),
                "requests": [dataclasses.asdict(request) for request in self._log],
            }
