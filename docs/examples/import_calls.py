"""Imports the ended calls of tenants from GoTo into SQLite: each call, and each once.

    python import_calls.py STAGE DATABASE acme beta

Run it as often as you like, by a timer, and kill it at any moment. Needs ha-goto-tokens and
requests. ``GOTO_API_URL`` points it to a GoTo to practice on.

Why nothing is missed, and nothing doubled:
- A watermark for each tenant says up to when its calls were read. It moves in the transaction that
  stores the last page of a window, so a run that dies repeats that window.
- GoTo lists a call by its start, but only once it has ended, and some time later. So each run reads
  `OVERLAP` before the watermark again.
- A call's id is the key of its row: what is read twice is stored once.
- 401 and 403 are the auth class's. Everything else that fails leaves the watermark where it was.
"""

import json
import logging
import os
import random
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import requests

from ha_goto_tokens import TokenError, TokenReader
from ha_goto_tokens.requests_auth import GoToAuth

# All that this program knows of the API: check it against GoTo's reference before you rely on it.
PATH = "/call-events-report/v1/report-summaries"
ID, STARTED, NEXT = "conversationSpaceId", "callCreated", "nextPageMarker"
PAGE = 100

OVERLAP = timedelta(hours=24)
"""The longest call, and the longest that GoTo takes to list it. Later ones are missed."""

WINDOW = timedelta(days=1)
"""Read at a time: what a run that dies has to repeat."""

FIRST = timedelta(days=30)
"""How far the first run looks back from the day on which it is first asked for a tenant, connected
or not. GoTo keeps reports for about 13 months."""

DEADLINE = (3, 20)
"""Seconds to connect, and between two bytes of an answer."""

ATTEMPTS = 6
"""For one page, with a growing pause; then the tenant is left to the next run."""

PAUSE, LONGEST_PAUSE = 1.0, 60.0
"""Seconds before the second attempt, doubled each time. GoTo documents ten requests a second for an
API, then 429 without a time to wait."""

_TABLES = """
CREATE TABLE IF NOT EXISTS calls (tenant, id, started_at, body, PRIMARY KEY (tenant, id));
CREATE TABLE IF NOT EXISTS tenants (tenant PRIMARY KEY, account_key, read_until);
"""
_UPSERT = """
INSERT INTO calls VALUES (?, ?, ?, ?)
ON CONFLICT (tenant, id) DO UPDATE SET body = excluded.body
"""

log = logging.getLogger("import_calls")


class LeftForLater(Exception):
    """The tenant's calls could not be read to the end; the next run goes on where this one was."""


class Store:
    """The calls, and how far each tenant's were read."""

    def __init__(self, database: str) -> None:
        self._database = sqlite3.connect(database)
        self._database.executescript(_TABLES)

    def place(self, tenant: str, first: datetime) -> tuple[str | None, datetime]:
        """Whose calls these are, None where none were read, and until when they were.

        A tenant that is new is noted with ``first``: however long it takes until its calls can be
        read, that is from when on they are wanted.
        """
        row = (tenant, None, first.isoformat())
        self._database.execute("INSERT OR IGNORE INTO tenants VALUES (?, ?, ?)", row)
        self._database.commit()
        query = "SELECT account_key, read_until FROM tenants WHERE tenant = ?"
        account_key, read_until = self._database.execute(query, (tenant,)).fetchone()
        return account_key, datetime.fromisoformat(read_until)

    def keep(self, tenant: str, calls: list[dict[str, Any]]) -> None:
        """Store a page. A call that is known is brought up to date."""
        rows = [(tenant, call[ID], call[STARTED], json.dumps(call)) for call in calls]
        self._database.executemany(_UPSERT, rows)

    def count(self) -> int:
        """How many calls there are."""
        [number] = self._database.execute("SELECT count(*) FROM calls").fetchone()
        return int(number)

    def advance(self, tenant: str, account_key: str | None, until: datetime) -> None:
        """Move the watermark, with what was kept since: both or neither."""
        row = (tenant, account_key, until.isoformat())
        self._database.execute("INSERT OR REPLACE INTO tenants VALUES (?, ?, ?)", row)
        self._database.commit()

    def undo(self) -> None:
        """Forget what was kept since the watermark moved."""
        self._database.rollback()


@dataclass
class Importer:
    """``sleep`` takes seconds."""

    reader: TokenReader
    store: Store
    api: str = "https://api.goto.com"
    session: requests.Session = field(default_factory=requests.Session)
    sleep: Callable[[float], None] = time.sleep

    def run(self, tenants: list[str], now: datetime) -> tuple[int, int]:
        """Import what is new; how many calls that were, and how many tenants are left for later."""
        before, left = self.store.count(), 0
        for tenant in tenants:
            try:
                self._tenant(tenant, now)
            except TokenError as error:
                left += 1
                log.warning("%s", error)  # it names the tenant and whose turn it is, and no token
            except LeftForLater as reason:
                left += 1
                log.warning("%s: %s", tenant, reason)
            finally:
                self.store.undo()
        return self.store.count() - before, left

    def _tenant(self, tenant: str, now: datetime) -> None:
        """Read window by window up to now. Raises `TokenError`, `LeftForLater`."""
        owner, read_until = self.store.place(tenant, now - FIRST)
        account_key = self.reader.get(tenant).account_key
        if owner and owner != account_key:
            # Another account's calls would be mixed into this tenant's reports.
            raise LeftForLater("it is connected to another account than before; ask the rep")
        start = read_until - OVERLAP
        while start < now:
            end = min(start + WINDOW, now)
            for page in self._pages(tenant, account_key, start, end):
                self.store.keep(tenant, page)
            if end > read_until:
                self.store.advance(tenant, account_key, end)
            start = end

    def _pages(
        self, tenant: str, account_key: str | None, start: datetime, end: datetime
    ) -> Iterator[list[dict[str, Any]]]:
        query = {
            "accountKey": account_key,
            "startTime": start.isoformat(timespec="seconds"),
            "endTime": end.isoformat(timespec="seconds"),
            "pageSize": str(PAGE),
        }
        auth = GoToAuth(self.reader, tenant)
        marker = None
        while True:
            page = self._page(query | ({"pageMarker": marker} if marker else {}), auth)
            yield page["items"]
            marker = page.get(NEXT)
            if not marker:
                return

    def _page(self, query: dict[str, str | None], auth: GoToAuth) -> dict[str, Any]:
        """One page, however often it takes. Raises `TokenError`, `LeftForLater`."""
        why = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = min(PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE)
                self.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret
            try:
                url = self.api + PATH
                answer = self.session.get(url, params=query, auth=auth, timeout=DEADLINE)
                if answer.status_code == 200:
                    page: dict[str, Any] = answer.json()
                    return page
            except (requests.RequestException, ValueError) as error:
                why = f"GoTo's API: {type(error).__name__}"
                continue
            why = f"GoTo's API answered {answer.status_code}"
            if answer.status_code != 429 and answer.status_code < 500:
                # 403: the auth class has told the service; a person must act, not this program.
                break
        raise LeftForLater(why)


def main(arguments: list[str]) -> int:
    """Import the tenants named on the command line; 0 when each could be."""
    stage, database, *tenants = arguments
    api = os.environ.get("GOTO_API_URL", "https://api.goto.com")
    importer = Importer(TokenReader(stage), Store(database), api)
    now = datetime.now(timezone.utc)  # noqa: UP017 - Python 3.10 has no datetime.UTC
    new, left = importer.run(tenants, now)
    print(f"{new} new calls; {left} of {len(tenants)} tenants are left for the next run")  # noqa: T201
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
