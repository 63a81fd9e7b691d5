"""Eight worker processes at once: killed at random, with a slow provider, with one that fails.

`make processes` kills them for a whole minute; here it is as long as a few hundred refreshes take,
or a minute on a machine that is busy with other things.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from chalicelib.models import Connection, EndCause, Grant, Status
from tests.faults.ledger import Again, Death, Evidence, How, judge
from tests.faults.processes import (
    AS_DEPLOYED,
    CALM_LIFETIME,
    HURRIED,
    TENANTS,
    WORKERS,
    Stage,
    kill_at_random,
    staged,
    until,
)
from tests.faults.provider import Claim, Presented, Provider

SLOW = 12.0
"""Seconds that the slow provider takes: longer than the ten-second locks of others."""

TEN_MINUTES = 600

SHORTEST_BACKOFF = 5
"""Seconds, whatever the draw."""


def test_f02_f05_workers_killed_at_random_lose_only_what_was_between_answer_and_write(
    dynamodb_endpoint: str,
) -> None:
    """F01, F02, F05: no version asked twice but after a kill; every loss is one in the window."""
    account = kill_at_random(dynamodb_endpoint, 6, wanted=2 * TENANTS, at_most=60)
    print(f"\n{account.table()}")
    assert account.wrong == []
    assert account.deaths[How.KILLED] >= WORKERS / 2
    assert account.refreshes > TENANTS
    assert account.refreshes + len(account.lost) == sum(account.times_presented.values())


class Reader:
    """What an HA service sees, read over and over while something happens."""

    def __init__(self, stage: Stage, tenants: list[str]) -> None:
        self._stage = stage
        self._tenants = tenants
        self._stop = threading.Event()
        self.seen: list[tuple[float, Connection]] = []

    def read(self) -> None:
        while not self._stop.wait(0.1):
            for tenant in self._tenants:
                connection = self._stage.connections.get(tenant)
                assert connection is not None
                self.seen.append((time.time(), connection))

    @contextmanager
    def reading(self) -> Iterator[None]:
        thread = threading.Thread(target=self.read)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()

    def without_a_live_token(self) -> list[Connection]:
        return [
            connection
            for at, connection in self.seen
            if connection.access_token is None
            or connection.expires_at <= at
            or connection.status is not Status.CONNECTED
        ]


def test_f05_f06_a_provider_that_takes_12_seconds_is_asked_once(dynamodb_endpoint: str) -> None:
    """Eight processes tick all the while; readers have the live token from beginning to end."""
    tenants = [f"slow-{number}" for number in range(5)]
    provider = Provider(tenants, CALM_LIFETIME)
    provider.delay = SLOW
    begun = time.monotonic()
    with staged(dynamodb_endpoint, tenants, provider, AS_DEPLOYED, expires_in=TEN_MINUTES) as stage:
        reader = Reader(stage, tenants)
        with reader.reading():
            assert until(lambda: _versions(stage, tenants) == {2}, 4 * SLOW)
        rows = stage.rows(tenants)
    assert time.monotonic() - begun > SLOW
    assert sorted(note.claim.tenant for note in provider.presented()) == tenants
    assert {row.refresh_token for row in rows.values()} == {*map(provider.newest, tenants)}
    assert reader.without_a_live_token() == []
    assert {connection.version for _, connection in reader.seen} == {1, 2}
    assert len(reader.seen) > 100


def test_f08_readers_keep_the_live_token_while_the_provider_answers_503(
    dynamodb_endpoint: str,
) -> None:
    """F08: ten minutes are left on the token; each tenant's attempts back off."""
    tenants = [f"failing-{number}" for number in range(5)]
    provider = Provider(tenants, CALM_LIFETIME)
    provider.failing = 503
    with staged(dynamodb_endpoint, tenants, provider, AS_DEPLOYED, expires_in=TEN_MINUTES) as stage:
        reader = Reader(stage, tenants)
        with reader.reading():
            assert until(lambda: _failures(stage, tenants) > len(tenants), 8 * SHORTEST_BACKOFF)
        stage.crew.end()
        rows = stage.rows(tenants)
    for tenant in tenants:
        asked = [note.at for note in provider.presented() if note.claim.tenant == tenant]
        assert len(asked) == rows[tenant].failures >= 1
        assert all(after - before > SHORTEST_BACKOFF - 1 for before, after in pairwise(asked))
        assert (rows[tenant].status, rows[tenant].inflight) == (Status.CONNECTED, None)
    assert reader.without_a_live_token() == []
    assert {connection.version for _, connection in reader.seen} == {1}
    assert len(reader.seen) > 100


def _versions(stage: Stage, tenants: list[str]) -> set[int]:
    return {row.version for row in stage.rows(tenants).values()}


def _failures(stage: Stage, tenants: list[str]) -> int:
    return sum(row.failures for row in stage.rows(tenants).values())


CLAIM = Claim("worker-1", "acme", generation=1, version=1, fence=1)
NEXT_CLAIM = replace(CLAIM, worker="worker-2", fence=2)
ROW = Grant("acme", Status.CONNECTED, 1, 2, "client", "secret", fence=1, refresh_token="new")
ENDED = replace(
    ROW,
    status=Status.REAUTHORIZATION_REQUIRED,
    version=1,
    fence=3,
    refresh_token="old",
    ended_by=EndCause.RESPONSE_LOST,
)
HELD_TWICE = {"acme": replace(ROW, fence=2)}
KILLED = Death("worker-1", 11.0, How.KILLED)
ASKED = Presented(10.0, CLAIM, "old", issued="new")
REFUSED = Presented(20.0, NEXT_CLAIM, "old", refused="invalid_grant")
CONFIRMED = Presented(24.0, replace(NEXT_CLAIM, fence=3), "old", refused="invalid_grant")
CONFIRMED_TWICE = replace(CONFIRMED, at=30.0, claim=replace(NEXT_CLAIM, fence=4))

GOOD = Evidence(
    presented=[ASKED],
    deaths=[],
    returned={CLAIM: "refreshed"},
    rows={"acme": ROW},
    newest={"acme": "new"},
    timing=HURRIED,
    threads=1,
)
LOST = replace(
    GOOD,
    presented=[ASKED, REFUSED, CONFIRMED],
    deaths=[KILLED],
    returned={NEXT_CLAIM: "unconfirmed", CONFIRMED.claim: "grant_refused"},
    rows={"acme": ENDED},
)


def test_the_ledger_accepts_what_is_right() -> None:
    assert judge(GOOD).wrong == []
    given_back = replace(GOOD, returned={**GOOD.returned, NEXT_CLAIM: "internal"}, rows=HELD_TWICE)
    account = judge(given_back)
    assert (account.wrong, account.claims_given_back) == ([], 1)
    account = judge(LOST)
    assert account.wrong == []
    assert account.lost == {"acme": 1.0}
    assert account.again == {Again.AFTER_DEATH: 1, Again.CONFIRMING: 1}
    assert account.times_presented == {3: 1}


@pytest.mark.parametrize(
    ("evidence", "sentence"),
    [
        pytest.param(
            replace(GOOD, presented=[ASKED, replace(ASKED, claim=NEXT_CLAIM, at=10.5)]),
            "asked again without a reason",
            id="two workers asked with the same version",
        ),
        pytest.param(
            replace(LOST, deaths=[replace(KILLED, at=19.0)]),
            "lost outside the window",
            id="the death came after the function's time",
        ),
        pytest.param(
            replace(LOST, returned={**LOST.returned, CLAIM: "transient"}),
            "lost outside the window",
            id="the worker had lived to see its claim's end",
        ),
        pytest.param(
            replace(LOST, deaths=[replace(KILLED, worker="worker-3")]),
            "lost outside the window",
            id="another worker died",
        ),
        pytest.param(
            replace(LOST, rows={"acme": replace(ENDED, ended_by=EndCause.REFUSED)}),
            "lost and is not flagged",
            id="ended for another reason",
        ),
        pytest.param(
            replace(GOOD, rows={"acme": replace(ROW, status=ENDED.status)}),
            "ended though its refresh token is the newest",
            id="ended for nothing",
        ),
        pytest.param(
            replace(GOOD, rows={"acme": replace(ROW, version=4)}),
            "1 refresh tokens issued, 3 stored",
            id="more stored than issued",
        ),
        pytest.param(
            replace(GOOD, presented=[ASKED, replace(ASKED, claim=replace(NEXT_CLAIM, fence=1))]),
            "fence 1 was held by 2 workers",
            id="a fence that did not grow",
        ),
        pytest.param(
            replace(GOOD, returned={**GOOD.returned, NEXT_CLAIM: "refreshed"}, rows=HELD_TWICE),
            "ended as refreshed without a request",
            id="a success that nobody asked for",
        ),
        pytest.param(
            replace(GOOD, rows={"acme": replace(ROW, fence=9)}),
            "8 claims vanished",
            id="more claims than deaths explain",
        ),
        pytest.param(
            replace(LOST, presented=[*LOST.presented, CONFIRMED_TWICE]),
            "asked again without a reason",
            id="confirmed twice",
        ),
    ],
)
def test_the_ledger_finds_what_must_not_be(evidence: Evidence, sentence: str) -> None:
    assert sentence in "\n".join(judge(evidence).wrong)
