"""What a rep's own machine can tell of a stage: its pages, its clock; and one-line JSON."""

import http.client
import json
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from cli.service import Service, Stopped

CLOCK_ERROR = 30
"""Seconds by which two clocks may differ; the service refuses commands signed by one that is more
than 60 off."""

TIMEOUT = 10

PROGRAM = "ha-goto"
"""Firewalls turn away those who do not say what they are (AWS WAF's NoUserAgent_HEADER)."""

OWN_ANSWER = (401, {"processing": False})
"""What the service answers to one who has opened no link: nothing else on that host says so."""

LONGEST_ANSWER = 1_000
"""Bytes that are read of it."""


def examine(service: Service) -> list[dict[str, Any]]:
    """Every finding: the function, the pages, the clocks, then what the service finds itself."""
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
        told = "Nothing to ask yet: there is no tenant, and so no host."
        return _finding("pages", "", "") | {"told": told}
    advice = (
        "Does this host's DNS lead to the front, is its certificate valid, and does it forward"
        " /admin/settings/activities* to the service?"
    )
    return _finding("pages", page_fault(url), advice)


def page_fault(url: str) -> str:
    """What is wrong with an address, if anything. Follows nothing, sends no cookie."""
    address = urlsplit(url)
    host, port = address.hostname or "", address.port
    try:
        if address.scheme == "https":
            context = ssl.create_default_context()
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=TIMEOUT, context=context
            )
        else:  # a stage on this machine: names under .localhost are it (RFC 6761 6.3)
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
    """Whether an answer is the service's own, and not another's on the way."""
    try:
        return (status, json.loads(body)) == OWN_ANSWER
    except ValueError:
        return False
