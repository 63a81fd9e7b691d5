"""Checks of a stage from the rep's machine: its pages, its clock; and one-line JSON."""

import http.client
import json
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from cli.service import Service, Stopped

CLOCK_ERROR = 30
"""Seconds that two clocks may differ; the service refuses commands signed over 60 s off."""

TIMEOUT = 10

PROGRAM = "ha-goto"
"""Also our User-Agent: firewalls block requests without one (AWS WAF's NoUserAgent_HEADER)."""

OWN_ANSWER = (401, {"processing": False})
"""The service's answer without an opened link; nothing else on that host answers this."""

LONGEST_ANSWER = 1_000
"""Bytes to read of an answer."""


def examine(service: Service) -> list[dict[str, Any]]:
    """All findings: the function, the pages, the clock, then the service's own."""
    begun = time.time()
    try:
        answer = service.ask("doctor")
    except Stopped as stopped:
        advice = "Log in to AWS, choose the right region and stage, or ask the operator."
        return [_finding("rep_command", str(stopped), advice)]
    ended = time.time()
    apart = max(begun - answer.need("at"), answer["at"] - ended, 0)
    clock = f"This machine's clock is {apart:.0f} s off." if apart > CLOCK_ERROR else ""
    return [
        _finding("rep_command", "", ""),
        _pages(answer["page_url"]),
        _finding("clock", clock, "Set this machine's clock by NTP."),
        *answer.need("findings"),
    ]


def one_line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def _finding(name: str, told: str, advice: str) -> dict[str, Any]:
    return {"name": name, "well": not told, "told": told, "advice": advice if told else ""}


def _pages(url: str | None) -> dict[str, Any]:
    if url is None:
        note = "Nothing to ask yet: there is no tenant, and so no host."
        return _finding("pages", "", "") | {"told": note}
    advice = (
        "Does this host's DNS lead to the front, is its certificate valid, and does it forward"
        " /admin/settings/activities* to the service?"
    )
    return _finding("pages", page_fault(url), advice)


def page_fault(url: str) -> str:
    """What is wrong with an address, or empty. Follows no redirect, sends no cookie."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    try:
        if address.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT, context=context
            )
        else:  # a stage on this machine: .localhost is loopback (RFC 6761 6.3)
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        headers = {"Host": address.netloc, "User-Agent": PROGRAM}
        connection.request("GET", address.path, headers=headers)
        answer = connection.getresponse()
        status, body = answer.status, answer.read(LONGEST_ANSWER)
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer ({type(error).__name__})."
    return "" if is_own(status, body) else f"{url} answers {status}, and not as the service does."


def is_own(status: int, body: bytes) -> bool:
    """Whether the service itself answered, and not something in front of it."""
    try:
        return (status, json.loads(body)) == OWN_ANSWER
    except ValueError:
        return False
