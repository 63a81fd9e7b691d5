"""A service of HA in the small: how many calls each user of a tenant had, from GoTo's API.

    python call_reports.py STAGE acme beta

Needs ha-goto-tokens and requests. ``GOTO_API_URL`` points it to a GoTo to practise on.
"""

import os
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any, TextIO

import requests

from ha_goto_tokens import NotConnected, ReauthorizationRequired, TokenError, TokenReader
from ha_goto_tokens.requests_auth import GoToAuth

PATH = "/call-reports/v1/reports/user-activity"
PAGE = 100
DEADLINE = (3, 20)
"""Seconds to connect, and between two bytes of an answer."""


def user_activity(
    api: str, auth: GoToAuth, start: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    """Each user's calls in the period, page by page. Raises `TokenError`, `RequestException`."""
    period = {
        "startTime": start.isoformat(timespec="seconds"),
        "endTime": end.isoformat(timespec="seconds"),
    }
    page = 0
    while True:
        query = period | {"page": str(page), "pageSize": str(PAGE)}
        answer = requests.get(api + PATH, params=query, auth=auth, timeout=DEADLINE)
        answer.raise_for_status()
        items = answer.json()["items"]
        yield from items
        if len(items) < PAGE:
            return
        page += 1


def report(reader: TokenReader, api: str, tenants: list[str], now: datetime, out: TextIO) -> int:
    """Write one line a user of the last day; returns how many tenants could not be reported."""
    missed = 0
    for tenant in tenants:
        try:
            for user in user_activity(api, GoToAuth(reader, tenant), now - timedelta(days=1), now):
                calls = user["dataValues"]
                print(tenant, user["userName"], calls["volume"], "calls", file=out)
        except (NotConnected, ReauthorizationRequired) as error:
            missed += 1
            print(f"Put aside until a person acts. {error}", file=out)
        except TokenError as error:
            missed += 1
            print(f"Next time. {error}", file=out)
        except requests.RequestException as error:
            missed += 1
            print(f"{tenant}: GoTo's API: {type(error).__name__}", file=out)
    return missed


def main(arguments: list[str]) -> int:
    """Report the tenants named on the command line; 0 when each could be."""
    stage, *tenants = arguments
    api = os.environ.get("GOTO_API_URL", "https://api.goto.com")
    now = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.10 has no datetime.UTC
    return 1 if report(TokenReader(stage), api, tenants, now, sys.stdout) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
