"""A year of a fleet in minutes: the real use cases and the real store, GoTo's rules in process.

`make simulate` runs it for each of the three rotation behaviours that GoTo may have, with crashes,
outages and refusals, and says what became of every tenant. Nothing here decides what the product
decides: it injects, watches and counts.
"""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from moto import mock_aws

from chalicelib.durations import DAY
from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.lifecycle import EndCause
from chalicelib.models import ClientCredentials, Grant, NewTokens, Revocation, Status
from chalicelib.permissions import GoToAccount, Usable
from sandbox.goto import rules
from sandbox.goto.switches import Rotation, Switches
from tests.faults.report import Life, Report
from tests.faults.spans import Spans, cut, length, union, without
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.stubs import START, account_of
from tests.support.world import TESTER, World

HOUR = 3_600
YEAR_DAYS = 365

CATCH_UP = 1_200
"""Seconds after an outage that are counted to it: the longest backoff and a few ticks."""

LIFETIME = 3_600
"""Seconds an access token lives."""


class Killed(BaseException):
    """The process ends here: nothing can catch it but the loop that starts the next one."""


@dataclass(frozen=True, slots=True)
class Odds:
    """What goes wrong, as shares of refreshes and of commits, and in seconds."""

    crash: float = 0.01
    broken: float = 0.02
    timeout: float = 0.01
    refused_write: float = 0.01
    provider_outages: tuple[tuple[int, int], ...] = ()
    own_outages: tuple[tuple[int, int], ...] = ()

    def down(self, at: float) -> bool:
        return any(begin <= at < end for begin, end in self.provider_outages)

    def asleep(self, at: float) -> bool:
        return any(begin <= at < end for begin, end in self.own_outages)


def year_of_trouble(days: int) -> Odds:
    """Two outages of GoTo of six hours, one of our own of a day, spread over the time."""
    begin = int(START)
    first, second, own = (begin + int(days * DAY * part) for part in (0.22, 0.71, 0.47))
    return Odds(
        provider_outages=((first, first + 6 * HOUR), (second, second + 6 * HOUR)),
        own_outages=((own, own + 24 * HOUR),),
    )


class Provider:
    """GoTo by its rules, with what the odds put between it and the worker."""

    def __init__(self, year: "Year", rotation: Rotation) -> None:
        self._year = year
        self._switches = Switches(rotation=rotation)
        self._grants: dict[str, rules.Grant] = {}
        self._owners: dict[str, str] = {}
        self._issued = 0
        self.revoked: list[str] = []

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer:
        year = self._year
        year.counts["requests"] += 1
        now = year.world.clock.now
        if year.odds.down(now):
            raise ProviderUnreachable("no connection", sent=False)
        if form["grant_type"] == "authorization_code":
            return self._open(client, now)
        life = year.lives[client.client_id.removeprefix("id-")]
        return year.between(life, lambda: self._refresh(client, form["refresh_token"], now))

    def revoke(self, client: ClientCredentials, token: str) -> Revocation:
        self.revoked.append(token)
        return Revocation.DONE

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...]:
        return (GoToAccount(account_of(self._owners[access_token])),)

    def read_calls(self, access_token: str, account: str | None) -> Usable:
        return Usable.YES

    def usable(self, client_id: str, token: str | None, now: float) -> bool:
        """Whether GoTo would accept this refresh token."""
        grant = self._grants[client_id]
        held = grant.token(token or "")
        if held is None or grant.revoked:
            return False
        return not held.is_expired(now) and not held.is_retired(now, 0)

    def _open(self, client: ClientCredentials, now: float) -> Answer:
        grant = rules.Grant(client.client_id, client.client_id, "admin", "all", ())
        grant = rules.open_grant(grant, self._new_id(), now, self._switches)
        self._grants[client.client_id] = grant
        return self._tokens(client, grant.tokens[-1].id)

    def _refresh(self, client: ClientCredentials, token: str, now: float) -> Answer:
        before = self._grants[client.client_id]
        outcome = rules.refresh(before, token, now, self._switches, self._new_id)
        self._grants[client.client_id] = outcome.grant
        if outcome.refusal is not None:
            error = {"error": outcome.refusal.error}
            return Answer(400, json.dumps(error).encode())
        self._year.rotating = outcome.new is not None
        return self._tokens(client, outcome.new.id if outcome.new else None)

    def _tokens(self, client: ClientCredentials, refresh_token: str | None) -> Answer:
        self._issued += 1
        self._owners[f"access-{self._issued}"] = client.client_id
        body = {"access_token": f"access-{self._issued}", "expires_in": LIFETIME}
        if refresh_token:
            body["refresh_token"] = refresh_token
        return Answer(200, json.dumps(body).encode())

    def _new_id(self) -> str:
        self._issued += 1
        return f"refresh-{self._issued}"


class Year:
    """One fleet under one rule. ``rotating``: the answer under way brings a new refresh token."""

    def __init__(self, rotation: Rotation, tenants: int, days: int, seed: int) -> None:
        self._random = random.Random(f"{seed} {rotation}")
        self.rotation = rotation
        self.days = days
        self.seed = seed
        self.odds = year_of_trouble(days)
        self.counts: Counter[str] = Counter()
        self.rotating = False
        self._refusals = 0
        self._dies_after_write = False
        self._calm = False
        client = MemoryDynamoDB()
        self.world = World(client, create_tables(client, f"{rotation}-"))
        self.provider = Provider(self, rotation)
        self.world.goto = self.provider  # type: ignore[assignment]  # stands in for the adapter
        self.world.random = self._random.random
        self.lives: dict[str, Life] = {}
        for number in range(tenants):
            self._connect_first(f"tenant-{number}")
        self._watch()

    def run(self, progress: Callable[[float], None] = lambda share: None) -> Report:
        """Live through it, then a quiet day to let what is open end."""
        begin, end = self.world.clock.now, START + self.days * DAY
        while self.world.clock.now < end + 2 * DAY:
            self._calm = self.world.clock.now >= end
            self.world.clock.pass_(60)
            self._minute()
            if int(self.world.clock.now / 60) % 1_440 == 0:
                progress(min(1.0, (self.world.clock.now - begin) / (end - begin)))
        return self._report(end)

    def between(self, life: Life, process: Callable[[], Answer]) -> Answer:
        """What happens to one refresh request on its way."""
        odds, dice = self.odds, 1.0 if self._calm else self._random.random()
        self.rotating = False
        if dice < odds.crash:
            self.counts["crashes"] += 1
            self._crash(self._random.choice(("claimed", "answered", "written")), life, process)
        elif dice < odds.crash + odds.broken:
            self.counts["5xx"] += 1
            return Answer(self._random.choice((500, 502, 503, 504)), b"<html>")
        elif dice < odds.crash + odds.broken + odds.timeout:
            self.counts["timeouts"] += 1
            if self._random.random() < 0.5:
                process()
                self._lost("lost_on_the_wire", life)
            raise ProviderUnreachable("no answer in time", sent=True)
        answer = process()
        if not self._calm and self._random.random() < odds.refused_write:
            self.counts["refused_writes"] += 1
            self._refusals = self._random.choice((1, 1, 2, 3, 6, 9))
        return answer

    def _crash(self, step: str, life: Life, process: Callable[[], Answer]) -> None:
        if step == "claimed":
            raise Killed
        if step == "answered":
            process()
            self._lost("lost_with_the_process", life)
            raise Killed
        self._dies_after_write = True

    def _lost(self, how: str, life: Life) -> None:
        """The only valid refresh token has just gone: from here on the grant is dead."""
        if self.rotating:
            self.counts[how] += 1
            life.unusable_since = self.world.clock.now

    def _watch(self) -> None:
        """See every commit as the tables take it, and refuse some."""
        connections = self.world.connections
        refresh, failure, end, connect = (
            connections.commit_refresh,
            connections.commit_failure,
            connections.commit_end,
            connections.commit_connect,
        )

        def commit_refresh(asked: Grant, new_tokens: NewTokens, **named: Any) -> None:
            if self._refusals:
                self._refusals -= 1
                raise DependencyUnavailable("dynamodb", "ThrottlingException")
            refresh(asked, new_tokens, **named)
            self.counts["refreshes"] += 1
            self._alive(asked.tenant, new_tokens.expires_at)
            self._heard(asked.tenant, [entry.kind for entry in named["entries"]], named["warned"])
            if self._dies_after_write:
                self._dies_after_write = False
                raise Killed

        def commit_failure(asked: Grant, status: Status, **named: Any) -> None:
            failure(asked, status, **named)
            kinds = [entry.kind for entry in named.get("entries", ())]
            self._heard(asked.tenant, kinds, named.get("warned"))

        def commit_end(asked: Grant, status: Status, **named: Any) -> None:
            end(asked, status, **named)
            if status is Status.REAUTHORIZATION_REQUIRED:
                self._asked_for(asked.tenant, named["cause"])

        def commit_connect(
            request: Any, before: Grant | None, new_tokens: NewTokens, **named: Any
        ) -> None:
            connect(request, before, new_tokens, **named)
            self._alive(request.tenant, new_tokens.expires_at)

        vars(connections).update(commit_refresh=commit_refresh)
        vars(connections).update(commit_failure=commit_failure)
        vars(connections).update(commit_end=commit_end)
        vars(connections).update(commit_connect=commit_connect)

    def _alive(self, tenant: str, until: float) -> None:
        life, now = self.lives[tenant], self.world.clock.now
        if now > life.covered_until:
            life.dead.append((life.covered_until, now))
        life.covered_until = max(life.covered_until, until)

    def _heard(self, tenant: str, kinds: list[str], days: int | None) -> None:
        """The admin reads a warning; half act on the first one, the rest on the second."""
        life = self.lives[tenant]
        if "reconnect_soon" in kinds and days is not None:
            self.counts[f"warned_{days}_days"] += 1
            life.warned.add(days)
            if days == 2 or self._random.random() < 0.5:
                self._will_reconnect(life)

    def _asked_for(self, tenant: str, why: EndCause) -> None:
        self.counts["reconnects_asked"] += 1
        self.counts[
            "flagged_response_lost" if why is EndCause.RESPONSE_LOST else "asked_otherwise"
        ] += 1
        life = self.lives[tenant]
        # Told while the token still lives; what matters is how long it is dead.
        life.unusable_since = life.unusable_since or self.world.clock.now
        self._will_reconnect(life)

    def _will_reconnect(self, life: Life) -> None:
        life.reconnect_at = self.world.clock.now + self._random.uniform(1, 12) * HOUR

    def _minute(self) -> None:
        now = self.world.clock.now
        if not self.odds.asleep(now):
            self.world.time_left = 120.0
            self._refusals = 0
            self._dies_after_write = False
            with suppress(Killed):
                self.world.schedule().tick()
            self._deliver()
        if int(now / 60) % 10 == 0:
            self._admins(now)

    def _deliver(self) -> None:
        """The rescue function's turn; some deliveries fail, and come again."""
        queue = self.world.rescue_queue
        if queue.messages and self._random.random() < 0.3:
            before = len(queue.messages)
            with suppress(DependencyUnavailable):
                self.world.rescue()
            self.counts["rescued"] += before - len(queue.messages)

    def _admins(self, now: float) -> None:
        for tenant, life in self.lives.items():
            if life.reconnect_at is not None and life.reconnect_at <= now:
                if self.odds.down(now) or self.odds.asleep(now):
                    continue
                life.reconnect_at = None
                life.warned.clear()
                self.counts["reconnects"] += 1
                link = self.world.invitations.create_link(tenant, TESTER)
                self.world.connect(link.rsplit("/", 1)[1])
                if life.unusable_since is not None:
                    life.grant_dead.append((life.unusable_since, now))
                    life.unusable_since = None

    def _connect_first(self, tenant: str) -> None:
        """Spread over the first day, as customers come."""
        self.world.clock.now = START + self._random.uniform(0, HOUR)
        self.world.connect(self.world.add_tenant(tenant))
        self.lives[tenant] = Life(self.world.clock.now + LIFETIME)
        self.world.clock.now = START + HOUR

    def _report(self, end: float) -> Report:
        self._end_of_the_dead(end)
        seconds = dict.fromkeys(("raw_dead", "own", "provider", "grant", "dead"), 0.0)
        outages = _with_catch_up(self.odds.provider_outages)
        own = _with_catch_up(self.odds.own_outages)
        excused = 0.0
        daily = [0.0] * (self.days + 1)
        for life in self.lives.values():
            for gap in cut(life.dead, START, end):
                seconds["raw_dead"] += gap[1] - gap[0]
                _spread(daily, gap)
                rest = [gap]
                for name, windows in (
                    ("own", own),
                    ("provider", outages),
                    ("grant", life.grant_dead),
                ):
                    left = without(rest, windows)
                    seconds[name] += length(rest) - length(left)
                    rest = left
                seconds["dead"] += length(rest)
            excused += length(union([*own, *outages, *life.grant_dead]))
        seconds["possible"] = len(self.lives) * (end - START) - excused
        self.counts["lost_for_good"] = sum(
            self.world.grant(tenant).status is not Status.CONNECTED for tenant in self.lives
        )
        self.counts["announced"] = sum(
            kind == {"S": Status.REAUTHORIZATION_REQUIRED} for kind in self._journal_kinds()
        )
        self.counts["least_requests"] = len(self.lives) * int(self.days * DAY / LIFETIME)
        total = len(self.lives) * DAY
        return Report(
            self.rotation,
            len(self.lives),
            self.days,
            self.seed,
            dict(self.counts),
            seconds,
            [1 - dead / total for dead in daily[: self.days]],
        )

    def _journal_kinds(self) -> Iterator[Any]:
        table = self.world.settings.journal_table
        rows = self.world.dynamodb.scan(TableName=table)["Items"]
        return (row["kind"] for row in rows)

    def _end_of_the_dead(self, end: float) -> None:
        for life in self.lives.values():
            if life.covered_until < end:
                life.dead.append((life.covered_until, end))
            if life.unusable_since is not None:
                life.grant_dead.append((life.unusable_since, end))


def _with_catch_up(outages: tuple[tuple[int, int], ...]) -> "Spans":
    return [(begin, over + CATCH_UP) for begin, over in outages]


def _spread(daily: list[float], gap: tuple[float, float]) -> None:
    first, last = gap
    for day in range(int((first - START) // DAY), int((last - START) // DAY) + 1):
        begin = START + day * DAY
        if day < len(daily):
            daily[day] += max(0.0, min(last, begin + DAY) - max(first, begin))


def simulate(
    rotation: Rotation,
    tenants: int,
    days: int,
    seed: int,
    progress: Callable[[float], None] = lambda share: None,
) -> Report:
    """Run one year; needs no network and no files."""
    with mock_aws():
        return Year(rotation, tenants, days, seed).run(progress)
