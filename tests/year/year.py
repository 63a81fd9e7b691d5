"""A year of a fleet in minutes: the real use cases and the real store between a GoTo, an AWS and
people that behave as they might.

Nothing here decides what the product decides: it injects, watches and counts.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from moto import mock_aws

from chalicelib.bootstrap import notify, refresh
from chalicelib.durations import DAY
from chalicelib.dynamodb import expressions, journal, rows
from chalicelib.errors import DependencyUnavailable
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import PROVIDER, STREAM, EndCause, Grant, Reason, Status
from chalicelib.notify.email_templates import Message, Reader
from chalicelib.notify.metrics import Metrics
from chalicelib.permissions import GoToAccount
from chalicelib.refresh.outcomes import Outcome
from tests.support.aws import create_tables
from tests.support.stubs import START
from tests.support.world import World
from tests.year.calls import Calls
from tests.year.cloud import Queue, Tables
from tests.year.figures import WAITING_CALLS, Cause, Figures, Life
from tests.year.goto import BEHAVIORS, LIFETIME, GoTo, Killed, Person
from tests.year.imports import Imports
from tests.year.people import People
from tests.year.troubles import HOUR, MINUTE, Trouble, at, drawn
from tests.year.words import Words

IMPORTS_EVERY = 6 * HOUR
IMPORT_SLOTS = 12
"""Stretches of five minutes that one import of all customers takes."""

IMPORTER_KILLED = 1e-4
"""The share of the importer's requests in which its process ends."""

MAILS_AGAIN = 15 * MINUTE
BOUNCES_AFTER = MINUTE
DEPLOYED_EVERY = (4 * DAY, 10 * DAY)

CALM_LIFETIME = 6 * LIFETIME
CALM_STEP = 5 * MINUTE
AHEAD = 8 * HOUR
"""While nothing goes wrong, GoTo's access tokens live six hours here, and a tick comes every five
minutes, so that a year takes minutes. So many seconds before anything does, and after it, tokens
live the hour that GoTo gives them, and a tick comes each minute."""

REFUSED = {Outcome.UNCONFIRMED, Outcome.GRANT_REFUSED, Outcome.CLIENT_REFUSED}

FIRST_WEEKS = 28 * DAY
"""In which all customers connect for the first time."""

PARTNERED = 4
"""Customers of each forty that one partner looks after."""

Progress = Callable[[float], None]


class Year:
    """One fleet's year. ``shard`` tells fleets of one seed apart."""

    def __init__(self, tenants: int, days: int, seed: int, shard: int = 0) -> None:
        self._dice = random.Random(f"{seed} {shard}")
        self.begin, self.end = START, START + days * DAY
        self.windows = drawn(START, days, self._dice)
        self.troubles: frozenset[Trouble] = frozenset()
        self.figures = Figures()
        self.lives: dict[str, Life] = {}
        self.admins: dict[str, Person] = {}
        self.accounts: dict[str, GoToAccount] = {}
        self.addresses: dict[str, str] = {}
        self._unread: list[dict[str, Any]] = []
        self._waiting: list[str] = []
        self._entry: JournalEntry | None = None
        self._sent: dict[tuple[str, int], int] = {}
        self._ended_now: list[str] = []
        self._calm_until = START
        self._failed = False
        self._minutes_until = START
        self._passed: float = MINUTE
        self.tables = Tables()
        self.tables.throttles = self._throttles
        self.world = World(self.tables, create_tables(self.tables, ""))
        self.queue = self.world.rescue_queue = Queue(self.world.clock)
        self.world.stand_in(rescue_queue=self.queue)
        self.world.random = self._dice.random
        self.calls = Calls(f"{seed} {shard}", START)
        self.goto = GoTo(
            clock=self.world.clock,
            dice=self._dice,
            calls=self.calls,
            lifetime=self._lifetime,
            troubles=lambda: self.troubles,
            lost=self._lost,
            refused=self._client_refused,
            refuse_writes=partial(setattr, self.tables, "refuses"),
            die_after_write=partial(setattr, self.tables, "dies_after_write", True),
        )
        self.world.goto = self.goto  # type: ignore[assignment]  # stands in for the adapter
        self.people = People(self, self._dice)
        self.words = Words(self.figures, self.windows, self.world.clock)
        self.imports = Imports(self.world, self._report)
        itself: Any = self  # stands in for the adapters
        self._announcer = replace(
            notify.announcer(self.world.deployment),
            rep_mail="reps@ha.example",
            mail=itself,
            waiting=itself,
            bus=itself,
        )
        self._metrics = Metrics(self._measured)
        self.tables.watch(self.world.settings.tokens_table, self._tokens_written)
        self.tables.watch(self.world.settings.journal_table, self._unread.append)
        self._add(tenants, shard)

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self.world.clock.now

    def person(self, tenant: str) -> Person:
        """Who is the tenant's admin now."""
        return self.admins[tenant]

    def run(self, progress: Progress = lambda share: None) -> Figures:
        """Live through it, then two calm days to let what is open end."""
        begun, last = self.now, self.end + 2 * DAY
        deployed = begun + self._dice.uniform(*DEPLOYED_EVERY)
        while self.now < last:
            self._passed = CALM_STEP if self._is_calm() and not self._under_way() else MINUTE
            self.world.clock.pass_(self._passed)
            if self.now >= deployed:
                self.goto.dies = True
                deployed += self._dice.uniform(*DEPLOYED_EVERY)
            self._minute()
            if self._every(DAY):
                progress((self.now - begun) / (last - begun))
        self._import_all()
        return self._counted()

    # --- What happens to a tenant

    def hurt(
        self, tenant: str, cause: Cause, told_as: str | None, *, at_once: bool = False
    ) -> bool:
        """Something happens that a person must mend; False where that is so already.

        ``told_as``: the cause under which the first word of it is counted. ``at_once``: no token is
        usable from now on, whatever it has left to live.
        """
        life = self.lives[tenant]
        if life.hurt is not None:
            return False
        life.hurt, life.dead_at_once = (cause, self.now), at_once
        self.figures.counts[f"ends: {cause}"] += 1
        if told_as is not None:
            self.words.wait_for(tenant, told_as)
        return True

    def recovered(self, tenant: str) -> None:
        """A person has mended it, or came before anything broke."""
        life = self.lives[tenant]
        life.connected_last = self.now
        self.words.over(tenant)
        if life.hurt is None:
            self.figures.counts["reconnects before anything broke"] += 1
            return
        cause, since = life.hurt
        if cause in (Cause.PROCESS, Cause.WIRE) and not life.told_of_loss:
            self.figures.counts["losses mended before they were seen"] += 1
        life.told_of_loss = False
        life.mended.setdefault(cause, []).append((since, self.now))
        if life.dead_at_once:
            life.dead.append((since, self.now))
        life.hurt = None
        self.figures.counts["reconnects"] += 1
        self.figures.reconnect_days.append(self.now - since)

    def bounced(self, tenant: str) -> None:
        """SES tells, a minute later, that the admin's mail came back."""
        detail = {
            "eventType": "Bounce",
            "bounce": {"bounceType": "Permanent"},
            "mail": {
                "tags": {"tenant": [tenant], "reader": [Reader.ADMIN.value]},
                "destination": [self.addresses[tenant]],
            },
        }
        self.words.wait_for(f"mail {tenant}", "mail refused")
        self.people.agenda.add(self.now + BOUNCES_AFTER, partial(self._note_bounce, detail))

    def _note_bounce(self, detail: Mapping[str, Any]) -> None:
        if self.troubles & {Trouble.ABSENT, Trouble.TABLES_DOWN}:  # Lambda tries it again for hours
            self.people.agenda.add(self.now + HOUR, partial(self._note_bounce, detail))
            return
        with suppress(DependencyUnavailable):
            notify.mail_feedback(self.world.deployment).note(detail)

    # --- What the announcer takes for SES, SQS and EventBridge

    def send(self, recipient: str, message: Message, *, tenant: str, reader: Reader) -> None:
        """SES: a mail is sent. Raises `DependencyUnavailable`."""
        if Trouble.MAIL_DOWN in self.troubles:
            raise DependencyUnavailable("ses", "TooManyRequestsException")
        entry = self._entry
        assert entry is not None
        self.words.mailed(entry)
        if reader is Reader.ADMIN:
            month = int((self.now - self.begin) // (30 * DAY))
            self._sent[tenant, month] = self._sent.get((tenant, month), 0) + 1
            if entry.kind == Kind.RECONNECT_SOON:
                self._warned(entry.tenant)
        if entry.tenant != PROVIDER:
            self.people.mailed(reader, entry, message)

    def add(self, key: str) -> None:
        """SQS: an entry waits whose mail SES did not take."""
        self._waiting.append(key)

    def publish(self, entry: JournalEntry, key: str) -> None:
        """EventBridge."""
        self.figures.counts["events"] += 1

    # --- A step of the clock

    def _under_way(self) -> bool:
        """Whether anything is open that minutes matter to."""
        waiting = self._unread or self._waiting or self.queue.messages
        return bool(self.words.pending or waiting or self._failed or self.now < self._minutes_until)

    def _every(self, seconds: float) -> bool:
        """Whether a moment of the clock that comes so often has come with this step."""
        return self.now % seconds < self._passed

    def _is_calm(self) -> bool:
        """Whether nothing goes wrong, nor will or did for hours."""
        if self._calm_until <= self.now:
            ends = (each.begin - AHEAD for each in self.windows if each.end + AHEAD > self.now)
            self._calm_until = min(ends, default=self.end)
        return self.now < self._calm_until

    def _lifetime(self, client_id: str) -> int:
        tenant = client_id.removeprefix("id-")
        calm = self._is_calm() and self.people.leaves_alone(tenant, self.now, AHEAD)
        life = self.lives.get(tenant)
        return CALM_LIFETIME if calm and life and life.hurt is None else LIFETIME

    def _minute(self) -> None:
        self.troubles = at(self.windows, self.now)
        self.goto.calm = self.now >= self.end
        self.tables.down = Trouble.TABLES_DOWN in self.troubles
        absent = Trouble.ABSENT in self.troubles
        if not absent:
            self._tick()
            rescued = self.queue.offer(self.world.rescuer().commit)
            self.figures.counts["rescued"] += rescued
            self._announce()
        self._look_at_ended()
        self.people.agenda.run(self.now)
        self._import()
        if self._every(DAY):
            self.tables.forget(self.now)
            self.words.forget()
            if not absent:
                self.people.look_at_list()
        if self._every(CALM_STEP) or self.words.near_trouble():
            self.words.look_at_alarms()

    def _tick(self) -> None:
        world = self.world
        world.time_left = 120.0
        self.tables.refuses, self.tables.dies_after_write = 0, False
        self._failed = True
        try:
            report = world.schedule().tick()
            refresh.beat(world.deployment)
            refresh.reminders(world.deployment).send()
            self._metrics.tick(report, 1.0)
            self.figures.counts["refreshes"] += report.outcomes[Outcome.REFRESHED]
            if report.outcomes.keys() & REFUSED:
                self._minutes_until = self.now + HOUR  # GoTo's health is counted by the minute
            self._failed = False
        except (Killed, DependencyUnavailable):
            self.figures.counts["ticks that failed"] += 1
        self.tables.refuses, self.tables.dies_after_write = 0, False
        of_lambda = {"Invocations": 1.0, "Errors": float(self._failed)}
        self.words.measured(self._passed, of_lambda, "RefreshTick")

    def _announce(self) -> None:
        if Trouble.STREAM_SILENT in self.troubles:
            return
        age = 0.0
        while self._unread:
            entry = self._entry = journal.read(self._unread[0])
            age = max(age, self.now - entry.at) if entry.tenant != STREAM else age
            try:
                unsent = self._announcer.announce(entry, journal.key(self._unread[0]))
            except DependencyUnavailable:
                break
            self._metrics.mails(unsent)
            del self._unread[0]
        self.words.measured(self._passed, {"IteratorAge": age * 1_000}, "Announce")
        if self._waiting and self._every(MAILS_AGAIN):
            self._send_waiting()

    def _send_waiting(self) -> None:
        keys, self._waiting = self._waiting, []
        for key in keys:
            try:
                self._entry = self.world.journal.get(key)
                unsent = self._announcer.send_waiting(key)
            except DependencyUnavailable:
                unsent = 1
            self._metrics.mails(unsent)
            if unsent:
                self._waiting.append(key)

    def _import(self) -> None:
        """One after the other: an importer is not at all customers at the same moment."""
        slot = int(self.now % IMPORTS_EVERY // CALM_STEP)
        if slot >= IMPORT_SLOTS or not self._every(CALM_STEP):
            return
        self.figures.counts["imports"] += 1
        try:
            _, left = self.imports.run(list(self.lives)[slot::IMPORT_SLOTS])
        except Killed:
            self.figures.counts["imports killed"] += 1
            return
        self.figures.counts["tenants left for the next import"] += left

    def _import_all(self) -> None:
        """Once more, for those who reconnected after the last import."""
        for tenant in self.lives:
            with suppress(Killed):
                self.imports.run([tenant])

    # --- What befalls it

    def _throttles(self) -> bool:
        return Trouble.TABLES_BUSY in self.troubles and self._dice.random() < 0.2

    def _report(self, token: str, query: dict[str, str]) -> tuple[int, Any]:
        if self._dice.random() < IMPORTER_KILLED:
            raise Killed
        status, body = self.goto.report(token, query)
        if status == 403:
            self._met_by_reader(query["accountKey"])
        return status, body

    def _met_by_reader(self, account: str) -> None:
        """The importer's reader tells the service at once; from here on it counts."""
        [tenant] = [name for name, mine in self.accounts.items() if mine.key == account]
        if tenant in self.words.pending:
            self.words.wait_for(f"reader {tenant}", "role lost, met by a reader")

    def _client_refused(self, client_id: str) -> None:
        tenant = client_id.removeprefix("id-")
        if tenant in self.words.pending:
            self.words.wait_for(f"client {tenant}", "client refused")

    def _lost(self, client_id: str, how: str) -> None:
        cause = Cause.WIRE if how == "lost on the wire" else Cause.PROCESS
        self.hurt(client_id.removeprefix("id-"), cause, None)

    # --- What is seen

    def _measured(self, values: Mapping[str, float]) -> None:
        self.words.measured(self._passed, values)

    def _tokens_written(self, row: Mapping[str, Any]) -> None:
        """A tenant's readers find another row."""
        tenant, status = row["tenant"]["S"], row["status"]["S"]
        life = self.lives.get(tenant)
        if life is None:
            return
        until = float(row.get("expires_at", {"N": "0"})["N"])
        if status in (Status.CONNECTED, Status.DEGRADED) and until > life.covered_until:
            if self.now > life.covered_until:
                life.dead.append((life.covered_until, self.now))
            life.covered_until = until
        before, life.status = life.status, status
        if status == before:
            return
        if status in (Status.REAUTHORIZATION_REQUIRED, Status.CREDENTIALS_REJECTED):
            self._ended_now.append(tenant)
        elif status == Status.CONNECTED and before != Status.DEGRADED and life.hurt:
            self.recovered(tenant)

    def _look_at_ended(self) -> None:
        """Why connections have ended, once their whole transaction is written."""
        for tenant in self._ended_now:
            row = self.tables.row(self.world.settings.grants_table, tenant)
            self._ended(tenant, rows.grant(expressions.plain(row)))
        self._ended_now.clear()

    def _ended(self, tenant: str, grant: Grant) -> None:
        self.figures.counts[f"ended: {grant.ended_by}"] += 1
        self.lives[tenant].told_of_loss = grant.ended_by is EndCause.RESPONSE_LOST
        if self.lives[tenant].hurt is not None:
            return
        if grant.ended_by is EndCause.EXPIRED or grant.refresh_expires_at <= self.now:
            self.hurt(tenant, Cause.MONTH, None)
        else:
            self.figures.counts["reconnects asked for without a cause"] += 1
            self.figures.faults.append(f"{tenant} was ended by {grant.ended_by} for nothing")

    def _warned(self, tenant: str) -> None:
        """An admin is told that the grant is about to end."""
        self.figures.counts["warnings of GoTo's 30 days"] += 1
        renewed = self.goto.behaviors[f"id-{tenant}"] in ("late", "always")
        if renewed and self.lives[tenant].hurt is None:
            self.figures.counts["reconnects asked for without a cause"] += 1

    # --- Beginning and end

    def _add(self, tenants: int, shard: int) -> None:
        """Customers; they connect for the first time in the first weeks, as they come."""
        weeks = min(FIRST_WEEKS, (self.end - self.begin) / 4)
        for number in range(tenants):
            tenant = f"t{shard}-{number}"
            account = GoToAccount(f"{4_000_000_001 + number}", f"{tenant} Ltd")
            self.accounts[tenant], self.addresses[tenant] = account, f"admin@{tenant}.example"
            self.admins[tenant] = self._admin_of(number, account)
            client = f"id-{tenant}"
            self.goto.secrets[client] = f"secret-{tenant}+/="
            self.goto.behaviors[client] = tuple(BEHAVIORS)[number % len(BEHAVIORS)]
            link = self.world.add_tenant(tenant)
            comes = self.begin + self._dice.uniform(0, weeks)
            self.people.agenda.add(comes, partial(self._connect_first, tenant, link))

    def _connect_first(self, tenant: str, link: str) -> None:
        """Those who come in a bad hour come again."""
        try:
            reason = self.people.sign_in(tenant, link, self.admins[tenant])
        except DependencyUnavailable:
            reason = Reason.INTERNAL
        if reason is not None:
            self.people.agenda.add(self.now + HOUR, partial(self._connect_first, tenant, link))
            return
        self.lives[tenant] = Life(self.now, self.now, self.now + LIFETIME)
        self.people.plan(tenant, self.now, self.end)

    def _admin_of(self, number: int, account: GoToAccount) -> Person:
        group, place = divmod(number, 10 * PARTNERED)
        if place >= PARTNERED:
            return Person(f"admin+0@{account.key}.example", (account,))
        email, first = f"partner-{group}@partner.example", number - place
        keys = [f"{4_000_000_001 + first + each}" for each in range(PARTNERED)]
        partner = Person(email, tuple(GoToAccount(key) for key in keys))
        return self.goto.people.setdefault(email, partner)

    def _counted(self) -> Figures:
        figures, end = self.figures, self.end
        for tenant, life in self.lives.items():
            if life.covered_until < end:
                life.dead.append((life.covered_until, end))
            if life.hurt is not None and life.dead_at_once:
                life.dead.append((life.hurt[1], end))
            figures.live(life, self.windows, self.begin, end)
            self._count_calls(tenant, life)
            if life.hurt is None and life.status != Status.CONNECTED:
                figures.counts["tenants lost for good"] += 1
                figures.faults.append(f"{tenant} is {life.status}")
        self.words.count(end)
        figures.counts += self.goto.counts
        figures.counts["operations of DynamoDB"] = self.tables.operations
        figures.counts["least requests"] = int(self.goto.lives_needed)
        figures.mails = sorted(self._sent.values())
        return figures

    def _count_calls(self, tenant: str, life: Life) -> None:
        account, stored = self.accounts[tenant].key, self.imports.first_seen(tenant)
        made = list(self.calls.between(account, life.connected_at, self.end))
        counts, strip = self.figures.counts, self.figures.strips[-1]
        counts["calls made"] += len(made)
        foreign = [name for name in stored if not name.startswith(f"{account}/")]
        counts["calls of another customer"] += len(foreign)
        missing = sum(call.id not in stored for call in made)
        counts["calls missing" if life.hurt is None else WAITING_CALLS] += missing
        for call in made:
            if stored.get(call.id, 0.0) - call.listed > DAY:
                why = self.figures.why(
                    strip, call.listed - self.begin, stored[call.id] - self.begin
                )
                counts[f"calls late by more than a day: {why}"] += 1
        counts["calls twice"] += self.imports.twice(tenant)


def live(
    tenants: int, days: int, seed: int, shard: int = 0, progress: Progress = lambda share: None
) -> Figures:
    """Run one fleet's year; needs no network and no files."""
    with mock_aws():
        return Year(tenants, days, seed, shard).run(progress)
