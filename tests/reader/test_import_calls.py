"""The example importer over a simulated month of faults: each call is imported, none twice."""

import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from docs.examples import import_calls
from docs.examples.import_calls import ID, NEXT, STARTED, Importer, Store
from ha_goto_tokens.testing import FakeTokenReader

START = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
TENANTS = ["acme", "beta", "gamma"]
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


class Killed(BaseException):
    """The importer's process ends here."""


@dataclass(frozen=True)
class Call:
    tenant: str
    id: str
    started: datetime
    listed: datetime


@dataclass
class Month:
    """GoTo's report API, the tenants' calls, and a clock that the importer's pauses move."""

    dice: random.Random = field(default_factory=lambda: random.Random(24))
    now: datetime = START
    calm: bool = False
    reader: FakeTokenReader = field(default_factory=FakeTokenReader)
    met: Counter[str] = field(default_factory=Counter)
    dead: set[str] = field(default_factory=set)
    without_scope: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        number = itertools.count(1)
        self.calls = [self._call(tenant, next(number)) for tenant in TENANTS for _ in range(1_000)]
        for tenant in TENANTS:
            self.connect(tenant)

    def connect(self, tenant: str) -> None:
        self.reader.connect(tenant, account_key=f"account-of-{tenant}")

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.reader.pass_(seconds)

    def answer(self, token: str, query: dict[str, str]) -> tuple[int, Any]:
        tenant = token.rpartition("-of-")[2]
        fault = "" if self.calm else self._fault(token)
        if fault:
            self.met[fault] += 1
        if token in self.dead:
            older = self.dice.random() < 0.5
            self.met["dead token"] += 1
            return (403, {"int_err_code": "InvalidToken"}) if older else (401, {})
        if tenant in self.without_scope:
            self.met["403"] += 1
            return 403, {"errorCode": "AUTHZ_INSUFFICIENT_SCOPE"}
        if fault in ("429", "500"):
            return int(fault), "<html>"
        assert query["accountKey"] == f"account-of-{tenant}"
        return 200, self._page(tenant, query)

    def _fault(self, token: str) -> str:
        drawn = self.dice.random()
        if drawn < 0.002:
            self.met["killed"] += 1
            raise Killed
        if drawn < 0.02:
            self.met["no connection"] += 1
            raise requests.ConnectionError("reset")
        if drawn < 0.03:
            self.dead.add(token)
            return "revoked"
        return "429" if drawn < 0.1 else "500" if drawn < 0.13 else ""

    def _page(self, tenant: str, query: dict[str, str]) -> dict[str, Any]:
        start, end = (datetime.fromisoformat(query[name]) for name in ("startTime", "endTime"))
        listed = sorted(
            (call.started, call.id)
            for call in self.calls
            if call.tenant == tenant and start <= call.started < end and call.listed <= self.now
        )
        first, size = int(query.get("pageMarker", 0)), int(query["pageSize"])
        items = [
            {ID: name, STARTED: at.isoformat(), "seen": self.now.isoformat()}
            for at, name in listed[first : first + size]
        ]
        more = {NEXT: str(first + size)} if first + size < len(listed) else {}
        return {"items": items, **more}

    def _call(self, tenant: str, number: int) -> Call:
        """It lasts up to four hours, and is listed up to six hours after its end."""
        started = START + self.dice.random() * timedelta(days=DAYS)
        listed = started + self.dice.random() * 4 * HOUR + self.dice.random() * 6 * HOUR
        return Call(tenant, f"call-{number}", started, listed)


class Transport(HTTPAdapter):
    """Carries a request to the month, without a network."""

    def __init__(self, month: Month) -> None:
        super().__init__()
        self.month = month

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.month.pass_(0.2)
        parts = urlsplit(str(request.url))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        token = request.headers["Authorization"].removeprefix("Bearer ")
        status, body = self.month.answer(token, query)
        answer = requests.Response()
        answer.status_code, answer.request, answer.url = status, request, str(request.url)
        answer._content = (body if isinstance(body, str) else json.dumps(body)).encode()
        answer.connection = self
        return answer


def importer(month: Month, database: Path) -> Importer:
    """A new process: all that it knows is in the database."""
    session = requests.Session()
    session.mount("https://", Transport(month))
    store = Store(str(database))
    return Importer(month.reader, store, session=session, sleep=month.pass_)


def hostile(month: Month, hour: int) -> None:
    """What happens to tenants, GoTo and AWS in the course of a month, by the hour."""
    events: dict[int, Any] = {
        100: month.reader.go_away,
        101: month.reader.come_back,
        150: lambda: month.reader.disconnect("gamma"),
        150 + 50: lambda: month.connect("gamma"),
        260: lambda: month.reader.end("acme"),
        260 + 72: lambda: month.connect("acme"),
        400: lambda: month.without_scope.add("beta"),
        400 + 30: lambda: month.without_scope.discard("beta"),
        500: lambda: month.reader.kill("beta"),
        500 + 3: lambda: month.connect("beta"),
    }
    events.get(hour, lambda: None)()


def test_a_month_of_faults_loses_no_call_and_doubles_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    month, database = Month(), tmp_path / "calls.sqlite"
    imported, left = 0, 0
    for hour in range(24 * DAYS):
        hostile(month, hour)
        if hour % 2:
            continue
        at = START + hour * HOUR
        month.pass_(max(0.0, (at - month.now).total_seconds()))
        running = importer(month, database)
        before = running.store.count()
        try:
            left += running.run(TENANTS, month.now)[1]
        except Killed:
            running.store.undo()
        imported += running.store.count() - before
    month.calm = True
    month.pass_(24 * 3600.0)
    last = importer(month, database)
    new, undone = last.run(TENANTS, month.now)
    imported += new
    assert undone == 0
    found = last.store._database.execute("SELECT tenant, id, started_at FROM calls").fetchall()
    made = {(call.tenant, call.id, call.started.isoformat()) for call in month.calls}
    assert len(found) == len(made) == imported == len(month.calls)
    assert set(found) == made
    faults = {"429", "500", "no connection", "revoked", "dead token", "403", "killed"}
    assert set(month.met) == faults
    reported = [asked for asked in month.reader.asked if "forbidden_version" in asked]
    assert {asked["tenant"] for asked in reported} == {"beta"}
    with capsys.disabled():
        print(f"\n{imported} of {len(made)} calls; {left} times left for later; {dict(month.met)}")


def test_calls_of_another_account_are_not_mixed_in(tmp_path: Path) -> None:
    month = Month(calm=True)
    month.pass_(24 * 3600.0)
    running = importer(month, tmp_path / "calls.sqlite")
    assert running.run(["acme"], month.now)[0] > 0
    month.reader.connect("acme", account_key="another")
    month.pass_(3600.0)
    assert running.run(["acme"], month.now) == (0, 1)


def test_a_known_call_is_brought_up_to_date(tmp_path: Path) -> None:
    month = Month(calm=True)
    month.pass_(24 * 3600.0)
    running = importer(month, tmp_path / "calls.sqlite")
    bodies = []
    for _ in range(2):
        running.run(["acme"], month.now)
        query = "SELECT body FROM calls ORDER BY started_at"
        bodies.append(json.loads(running.store._database.execute(query).fetchone()[0])["seen"])
        month.pass_(60.0)
    assert bodies[0] < bodies[1]


def test_what_never_works_is_left_for_the_next_run(tmp_path: Path) -> None:
    month = Month()
    month.dice.random = lambda: 0.05  # type: ignore[method-assign]  # 429 whenever it is asked
    running = importer(month, tmp_path / "calls.sqlite")
    assert running.run(["acme"], month.now) == (0, 1)
    assert month.met == {"429": import_calls.ATTEMPTS}
    noted = month.now - import_calls.FIRST
    assert running.store.place("acme", month.now)[0] is None
    assert abs(running.store.place("acme", month.now)[1] - noted) < HOUR


def test_calls_of_months_without_a_token_are_read_once_there_is_one(tmp_path: Path) -> None:
    """A customer whose admin lost the role before the first run, and came back after 40 days."""
    month = Month(calm=True)
    month.pass_(24 * 3600.0)
    month.without_scope.add("acme")
    running = importer(month, tmp_path / "calls.sqlite")
    assert running.run(["acme"], month.now) == (0, 1)
    month.pass_(40 * 24 * 3600.0)
    month.without_scope.discard("acme")
    month.connect("acme")
    assert running.run(["acme"], month.now) == (1_000, 0)


def test_the_program_names_a_stage_a_database_and_tenants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    month = Month(calm=True)
    stages: list[str] = []

    def make(stage: str) -> FakeTokenReader:
        stages.append(stage)
        return month.reader

    class Session(requests.Session):
        def __init__(self) -> None:
            super().__init__()
            self.mount("https://", Transport(month))

    monkeypatch.setattr(import_calls, "TokenReader", make)
    monkeypatch.setattr(requests, "Session", Session)
    database = str(tmp_path / "calls.sqlite")
    assert import_calls.main(["main", database, "nobody"]) == 1
    assert stages == ["main"]
    assert "0 new calls; 1 of 1 tenants are left" in capsys.readouterr().out
