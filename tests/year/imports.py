"""HA's own part in a year: the example importer, through the reader, by the reader's contract."""

import io
import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter

from chalicelib.errors import DependencyUnavailable
from docs.examples.import_calls import Importer, Store
from tests.reader.service import Invoked, reader_of
from tests.support.world import World
from tests.year.goto import Killed

Report = Callable[[str, dict[str, str]], tuple[int, Any]]
"""GoTo's report of calls: takes a token and a query, gives status and body. May raise `Killed`."""

_FIRST_SEEN = """
CREATE TABLE seen (tenant, id, at);
CREATE TRIGGER first AFTER INSERT ON calls BEGIN
    INSERT INTO seen VALUES (new.tenant, new.id, now());
END;
"""

_TWICE = """
SELECT count(*) FROM (SELECT id FROM calls WHERE tenant = ? GROUP BY id HAVING count(*) > 1)
"""


class Imports:
    """What the importer has stored, and when each call was first in its books."""

    def __init__(self, world: World, report: Report) -> None:
        self._clock = world.clock
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _Api(report))
        store = Store(":memory:")
        self._books = store._database
        self._books.create_function("now", 0, world.clock)
        self._books.executescript(_FIRST_SEEN)
        reader = reader_of(world, _Lambda(world), cached_for=0, sleep=_at_once)
        self._importer = Importer(reader, store, session=session, sleep=_at_once)

    def run(self, tenants: Iterable[str]) -> tuple[int, int]:
        """How many calls are new, and how many tenants are left for later. Raises `Killed`; what
        was committed before stays."""
        return self._importer.run(sorted(tenants), datetime.fromtimestamp(self._clock(), UTC))

    def first_seen(self, tenant: str) -> dict[str, float]:
        """A tenant's calls by id, and when each was stored."""
        rows = self._books.execute("SELECT id, at FROM seen WHERE tenant = ?", (tenant,))
        return dict(rows.fetchall())

    def twice(self, tenant: str) -> int:
        """How many calls stand in a tenant's books more than once."""
        return int(self._books.execute(_TWICE, (tenant,)).fetchone()[0])


def _at_once(seconds: float) -> None:
    """Pauses take no time here."""


class _Lambda(Invoked):
    """An invocation that fails is told so."""

    def invoke(self, **arguments: Any) -> dict[str, Any]:
        self.world.time_left = 120.0
        try:
            return super().invoke(**arguments)
        except (DependencyUnavailable, Killed):
            return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": io.BytesIO(b"{}")}


class _Api(HTTPAdapter):
    """Carries the importer's requests to GoTo's report, without a network."""

    def __init__(self, report: Report) -> None:
        super().__init__()
        self._report = report

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        wanted = parse_qs(urlsplit(str(request.url)).query)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        status, body = self._report(token, {name: values[0] for name, values in wanted.items()})
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = status, request, str(request.url)
        answer._content = json.dumps(body).encode()
        answer.connection = self
        return answer
