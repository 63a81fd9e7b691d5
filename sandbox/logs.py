"""Follows the functions' logs and makes them readable."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from chalicelib.untrusted_text import inert
from sandbox.ministack import MiniStack

_FRAME = ("START RequestId:", "END RequestId:", "REPORT RequestId:", "INIT_START")
_KNOWN = frozenset(
    "level location message timestamp service cold_start function_name function_memory_size "
    "function_arn function_request_id xray_trace_id exception exception_name stack_trace "
    "sampling_rate taskName".split()
)


_LOOK_BACK_MS = 30_000
"""An event may appear a little after its own time; older ones are not requested again."""


class Follower:
    """Reads what the functions have logged since its creation."""

    def __init__(self, cloud: MiniStack, functions: Mapping[str, str]) -> None:
        """`functions` maps the name to show to the function's name in the cloud."""
        self._cloud = cloud
        self._groups = {f"/aws/lambda/{name}": shown for shown, name in functions.items()}
        self._begun = int(time.time() * 1000)
        self._seen: set[tuple[str, int, str]] = set()

    def new_lines(self) -> list[str]:
        """Readable lines since the last call, oldest first."""
        since = max(self._begun, int(time.time() * 1000) - _LOOK_BACK_MS)
        found: list[tuple[int, str]] = []
        seen: set[tuple[str, int, str]] = set()
        for group, shown in self._groups.items():
            for event in self._events(group, since):
                # MiniStack gives its events no id.
                identity = (event["logStreamName"], event["timestamp"], event["message"])
                seen.add(identity)
                text = readable(event["message"])
                if identity not in self._seen and text:
                    at = time.strftime("%H:%M:%S", time.localtime(event["timestamp"] / 1000))
                    found.append((event["timestamp"], f"{at}  {shown:<13} {text}"))
        self._seen = seen
        return [line for _, line in sorted(found, key=lambda pair: pair[0])]

    def _events(self, group: str, since: int) -> Iterator[Any]:
        logs = self._cloud.logs
        try:
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, startTime=since
            ):
                yield from page["events"]
        except logs.exceptions.ResourceNotFoundException:
            return  # A group appears with its function's first call.


def readable(message: str) -> str:
    """One log event as a line; empty if it is of no use to a person. No value can control the
    terminal, end the line, or fake another line (S30)."""
    message = message.strip()
    if message.startswith(_FRAME):
        return ""
    try:
        entry = json.loads(message)
    except ValueError:
        return "\n".join(map(inert, message.split("\n")))
    if not isinstance(entry, dict) or "_aws" in entry:
        return ""
    parts = [str(entry.get("level", "INFO")), str(entry.get("message", ""))]
    parts += [f"{name}={value}" for name, value in entry.items() if name not in _KNOWN]
    if "exception" in entry:
        parts.append(f"({str(entry['exception']).strip().splitlines()[-1]})")
    return inert(" ".join(parts))
