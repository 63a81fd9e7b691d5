"""What a rep's own machine can tell of a stage: its pages, its clock; and one-line JSON."""

import http.client
import json
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from rep.service import Service, Stopped

CLOCK_ERROR = 60
"""Seconds by which two clocks may differ; AWS itself refuses more than five minutes."""

TIMEOUT = 10


def examine(service: Service) -> list[dict[str, Any]]:
    """Every finding: the function, the pages, the clocks, then what the service finds itself."""
    begun = time.time()
    try:
        answer = service.ask("doctor")
    except Stopped as stopped:
        advice = "Log in to AWS, choose the right region and stage, or ask the operator."
        return [_finding("rep_command", str(stopped), advice)]
    ended = time.time()
    apart = max(begun - answer["at"], answer["at"] - ended, 0)
    clock = f"This machine's clock is {apart:.0f} s off." if apart > CLOCK_ERROR else ""
    return [
        _finding("rep_command", "", ""),
        _finding(
            "pages",
            _page(answer["health_url"]),
            "Does DNS of the tenants' domain lead to the gateway, and is its certificate valid?",
        ),
        _finding("clock", clock, "Set this machine's clock by NTP."),
        *answer["findings"],
    ]


def one_line(row: dict[str, Any]) -> str:
    return json.dumps(row, sort_keys=True)


def _finding(name: str, told: str, advice: str) -> dict[str, Any]:
    return {"name": name, "well": not told, "told": told, "advice": advice if told else ""}


def _page(url: str) -> str:
    """What is wrong with an address, if anything. Follows nothing, sends nothing."""
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
        connection.request("GET", address.path, headers={"Host": address.netloc})
        status = connection.getresponse().status
        connection.close()
    except (OSError, http.client.HTTPException) as error:
        return f"{url} does not answer ({type(error).__name__})."
    return "" if status == 200 else f"{url} answers {status}."
