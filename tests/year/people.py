"""The people of a year: admins who answer mails or do not, reps who look once a day."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from math import exp, log
from typing import TYPE_CHECKING

from chalicelib.durations import DAY
from chalicelib.errors import DependencyUnavailable, VisitorError
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Reason, Status
from chalicelib.notify.email_templates import Message, Reader
from chalicelib.permissions import GoToAccount
from tests.year.figures import Cause
from tests.year.goto import Person
from tests.year.troubles import HOUR, Trouble

if TYPE_CHECKING:
    from tests.year.year import Year

ANSWERS = 0.4
"""The probability that an admin acts on a mail."""

SOONEST, LATEST = HOUR, 4 * DAY
"""Until they do; as often within the first ten hours as after."""

WRONG_ACCOUNT, FORWARDED = 0.05, 0.05
"""Shares of sign-ins that begin with somebody else's account, or in a colleague's browser."""

PHONED = 0.3
"""The probability that a rep reaches somebody on a day, of those who have had all reminders."""

PHONES_AFTER = 8 * DAY

A_YEAR = {"revokes": 0.15, "loses the role": 0.15, "leaves": 0.15, "makes a new secret": 0.1}
"""What a customer's people do, so often in a year."""

KEEPS_AWAY = {Trouble.DOWN, Trouble.ABSENT, Trouble.TABLES_DOWN}
"""In these no sign-in can even begin."""


class Agenda:
    """What happens when. Things of the same moment happen in the order in which they were added."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def add(self, at: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._waiting, (at, next(self._number), action))

    def run(self, now: float) -> None:
        """Everything that is due."""
        while self._waiting and self._waiting[0][0] <= now:
            heapq.heappop(self._waiting)[2]()


class People:
    """Customers' admins and HA's reps. They know what they read in mails and lists, and no more."""

    def __init__(self, year: Year, dice: random.Random) -> None:
        self._year = year
        self._dice = dice
        self._planned: dict[str, list[float]] = {}
        self.agenda = Agenda()

    def plan(self, tenant: str, begin: float, end: float) -> None:
        """What a customer's people will do of themselves."""
        actions = {
            "revokes": self._revoke,
            "loses the role": self._lose_role,
            "leaves": self._leave,
            "makes a new secret": self._make_secret,
        }
        for name, often in A_YEAR.items():
            at = begin
            while (at := at + self._dice.expovariate(often / (365 * DAY))) < end:
                self._planned.setdefault(tenant, []).append(at)
                self.agenda.add(at, lambda act=actions[name]: act(tenant))  # type: ignore[misc]

    def leaves_alone(self, tenant: str, now: float, seconds: float) -> bool:
        """Whether nobody at the customer's does anything of themselves for so long either way."""
        return all(abs(at - now) > seconds for at in self._planned.get(tenant, ()))

    def mailed(self, reader: Reader, entry: JournalEntry, message: Message) -> None:
        """Somebody has a mail."""
        if reader is Reader.REP:
            self._rep_reads(entry)
        elif self._year.person(entry.tenant).left:
            self._year.bounced(entry.tenant)
        elif (link := _link(message)) and self._dice.random() < ANSWERS:
            hours = exp(self._dice.uniform(log(SOONEST), log(LATEST)))
            written = self._year.now
            self.agenda.add(written + hours, lambda: self._answers(entry.tenant, link, written))

    def look_at_list(self) -> None:
        """What a rep does each morning: those who have not come back get a call."""
        year = self._year
        try:
            answer = year.world.rep("tenant_list", state=Status.REAUTHORIZATION_REQUIRED)
        except DependencyUnavailable:
            return
        for row in answer.get("tenants", ()):
            waited = year.now - row["since"]
            if waited > PHONES_AFTER and self._dice.random() < PHONED:
                year.figures.counts["customers that a rep phoned"] += 1
                self._phone(row["tenant"])

    def sign_in(self, tenant: str, link: str, person: Person) -> Reason | None:
        """Somebody goes the whole way with a link; how it ended. Raises `VisitorError`,
        `DependencyUnavailable`."""
        year, world = self._year, self._year.world
        year.goto.people[person.email] = person
        visitor = world.browser(link)
        state = world.start(visitor)["state"]
        world.come_back(visitor, state=state, code=person.email)
        reasons = world.complete()
        if reasons == [Reason.ACCOUNT_TO_CHOOSE]:
            world.choose(visitor, year.accounts[tenant].key)
            reasons = world.complete()
        return reasons[-1] if reasons else Reason.SUPERSEDED

    def _answers(self, tenant: str, link: str, written: float) -> None:
        """An admin opens the link and does what the page says, unless it is done already."""
        year, person = self._year, self._year.person(tenant)
        life = year.lives[tenant]
        if person.left or life.connected_last > written:
            return
        if not person.administers:
            person.administers = True  # they ask whoever can give them the role back
        self._come(tenant, link, person)

    def _come(self, tenant: str, link: str, person: Person) -> None:
        year = self._year
        later = year.now + self._dice.uniform(HOUR, 4 * HOUR)
        if KEEPS_AWAY & year.troubles:
            self.agenda.add(later, lambda: self._come(tenant, link, person))
            return
        astray = self._dice.random()
        try:
            if astray < WRONG_ACCOUNT + FORWARDED:
                wrong = self._somebody(tenant) if astray < WRONG_ACCOUNT else _colleague(tenant)
                if self.sign_in(tenant, link, wrong) is None:
                    year.figures.faults.append(f"{tenant} was connected with another account")
                year.figures.counts["sign-ins with a wrong account, refused"] += 1
            reason = self.sign_in(tenant, link, person)
        except VisitorError:
            year.figures.counts["links that had run out"] += 1
            self._phone(tenant)
            return
        except DependencyUnavailable:
            reason = Reason.INTERNAL
        if reason is None:
            year.recovered(tenant)
        else:
            year.figures.counts[f"sign-ins that ended {reason}"] += 1
            self.agenda.add(later, lambda: self._come(tenant, link, person))

    def _rep_reads(self, entry: JournalEntry) -> None:
        soon = self._year.now + self._dice.uniform(0.2, 3) * DAY
        if entry.status is Status.CREDENTIALS_REJECTED:
            self.agenda.add(soon, lambda: self._enter_secret(entry.tenant))
        elif entry.kind == Kind.MAIL_BOUNCED:
            self.agenda.add(soon, lambda: self._find_successor(entry.tenant))

    def _enter_secret(self, tenant: str) -> None:
        year, client = self._year, f"id-{tenant}"
        secret = year.goto.secrets[client]
        if self._command("credentials_set", tenant, client_id=client, client_secret=secret):
            self.agenda.add(year.now + HOUR, lambda: self._phone(tenant))

    def _find_successor(self, tenant: str) -> None:
        year, before = self._year, self._year.person(tenant)
        if not before.left:
            return
        number = int(before.email.partition("+")[2].partition("@")[0] or 0) + 1
        email = f"admin+{number}@{tenant}.example"
        year.admins[tenant] = Person(email, (year.accounts[tenant],))
        if self._command("tenant_change", tenant, admin_email=email):
            year.addresses[tenant] = email
            self._phone(tenant)

    def _phone(self, tenant: str) -> None:
        """A new link, and somebody who promised to open it within a day."""
        year = self._year
        link = self._command("link_create", tenant)
        if link:
            value = str(link["url"]).rsplit("/", 1)[1]
            at = year.now + self._dice.uniform(HOUR, DAY)
            written = year.now
            self.agenda.add(at, lambda: self._answers(tenant, value, written))

    def _command(self, command: str, tenant: str, **arguments: str) -> dict[str, object] | None:
        """One of the rep's commands; tried again the next day where AWS did not do its part."""
        answer = self._year.world.rep(command, tenant=tenant, **arguments)
        if answer["ok"]:
            return dict(answer)
        self._year.figures.counts[f"rep's {command} refused: {answer['kind']}"] += 1
        return None

    def _somebody(self, tenant: str) -> Person:
        others = [name for name in self._year.admins if name != tenant]
        other = self._year.person(self._dice.choice(others))
        mine = self._year.accounts[tenant].key
        related = any(mine == account.key for account in other.accounts)
        return _colleague(tenant) if related else other

    def _revoke(self, tenant: str) -> None:
        if self._year.hurt(tenant, Cause.CUSTOMER, "revoked", at_once=True):
            self._year.goto.withdraw(f"id-{tenant}")

    def _lose_role(self, tenant: str) -> None:
        """A partner keeps the role: it is a customer's own people who take it from one another."""
        if self._own_admin_hurt(tenant, "role lost"):
            self._year.person(tenant).administers = False

    def _leave(self, tenant: str) -> None:
        """Half of them are deleted at GoTo, with what they allowed."""
        if self._own_admin_hurt(tenant, None):
            self._year.person(tenant).left = True
            if self._dice.random() < 0.5:
                self._year.goto.withdraw(f"id-{tenant}")

    def _own_admin_hurt(self, tenant: str, told_as: str | None) -> bool:
        year = self._year
        alone = len(year.person(tenant).accounts) == 1
        return alone and year.hurt(tenant, Cause.CUSTOMER, told_as, at_once=True)

    def _make_secret(self, tenant: str) -> None:
        if self._year.hurt(tenant, Cause.CUSTOMER, "secret made anew"):
            self._year.goto.secrets[f"id-{tenant}"] = f"newer-{self._year.now:.0f}"


def _link(message: Message) -> str | None:
    lines = [line for line in message.text.splitlines() if line.startswith("http")]
    return lines[0].rsplit("/", 1)[1] if lines and "/connect/" in lines[0] else None


def _colleague(tenant: str) -> Person:
    """Somebody who got the link forwarded, with an account that is no customer's."""
    return Person(f"colleague@{tenant}.example", (GoToAccount("4999999999", "Somebody else"),))
