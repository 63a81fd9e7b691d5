"""Use case: announce journal entries to people and systems.

Driven by the `Journal` table's stream, so it announces only what happened and loses nothing. Every
entry becomes an event on the bus; some become mails (`letters`). A mail that SES does not take
waits in its own queue and delays nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile

from chalicelib.connect.invitations import Invitations
from chalicelib.durations import DAY, TOLD_WITHIN
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.links import SentMails
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import DependencyUnavailable, MailRefused
from chalicelib.journal_entries import BEGINNINGS, ENDS_LINKS, REMINDERS, JournalEntry, Kind
from chalicelib.models import PROVIDER, STREAM, Tenant
from chalicelib.notify.email_templates import Letter, Reader, kind_told, letters, told, write
from chalicelib.notify.eventbridge import Bus
from chalicelib.notify.fleet_counts import FleetCounts
from chalicelib.notify.ses import Mail
from chalicelib.notify.waiting_mails import WaitingMails

FLEET_NAME = "all customers"


@dataclass(frozen=True, kw_only=True)
class Announcer:
    """``rep_mail``: the reps' address, if any. ``answered``: whether somebody reads replies."""

    rep_mail: str | None
    tenants: Tenants
    fleet: FleetCounts
    invitations: Invitations
    sent_mails: SentMails
    mail: Mail
    waiting: WaitingMails
    bus: Bus
    journal: Journal
    report: Callable[[Exception], None]
    clock: Callable[[], float]
    answered: bool = False

    def announce(self, entry: JournalEntry, key: str) -> int:
        """Announce one entry; returns how many of its mails SES did not take. They wait (F34).

        ``key``: the entry's own in the journal, which identifies a repetition. An entry older than
        a day is not announced: a stream keeps no record that long, so it came from a backup (F35).
        Raises `DependencyUnavailable`; the stream then delivers it again, and mails already sent
        are skipped. Statistics come last and delay nothing (F30).
        """
        unsent = 0
        if entry.tenant != STREAM and self.clock() - entry.at <= TOLD_WITHIN:
            unsent = self._mails(entry, key)
            if unsent:
                self.waiting.add(key)
            self.bus.publish(entry, key)
        self._count(entry)
        return unsent

    def _count(self, entry: JournalEntry) -> None:
        """On failure the tenant's row is outdated until its next entry, which re-reads all."""
        try:
            if entry.tenant == STREAM:
                self.fleet.heard(int(entry.text))
            elif entry.tenant != PROVIDER:
                self.fleet.note(entry)
        except DependencyUnavailable as error:
            self.report(error)

    def send_waiting(self, key: str) -> int:
        """Retry an entry's waiting mails; returns how many SES still does not take. Raises
        `DependencyUnavailable`."""
        entry = self.journal.get(key)
        return self._mails(entry, key) if entry else 0

    def _mails(self, entry: JournalEntry, key: str) -> int:
        tenant = None if entry.tenant == PROVIDER else self.tenants.get(entry.tenant)
        if entry.kind in REMINDERS and not self.fleet.has_ended(entry.tenant):
            return 0  # it has recovered since
        due = letters(entry)
        if due and tenant is not None:
            later_kinds = self._later(entry)
            if not later_kinds.isdisjoint(BEGINNINGS):
                return 0  # another customer has this name now
            if not later_kinds.isdisjoint(ENDS_LINKS):  # its contacts may have changed (S14)
                due = {reader: due[reader] for reader in due if reader is Reader.REP}
        sent = [self._once(key, reader, letter, entry, tenant) for reader, letter in due.items()]
        return sent.count(False)

    def _later(self, entry: JournalEntry) -> set[str]:
        """The kinds of later entries: a mail may have waited for hours."""
        history = self.journal.history(entry.tenant)
        return {each.kind for each in takewhile(lambda each: each.at > entry.at, history)}

    def _once(
        self,
        key: str,
        reader: Reader,
        letter: Letter,
        entry: JournalEntry,
        tenant: Tenant | None,
    ) -> bool:
        """Send one mail, then note it: better twice than lost. False if SES did not take it."""
        address = self._address(reader, tenant)
        if address is None or (tenant is None and entry.tenant != PROVIDER):
            return True  # no reader, or the tenant was removed since
        occasion = f"{_occasion(letter, entry, tenant, key)}#{reader}"
        sent_mails = self.sent_mails.told(occasion)
        if key in sent_mails or len(sent_mails) >= (letter.most_a_day or 1):
            return True
        message = write(
            letter,
            name=tenant.display_name if tenant else FLEET_NAME,
            tenant=entry.tenant,
            text=told(entry, reader),
            link=self._link(letter, tenant),
            reader=reader,
            answered=self.answered,
        )
        try:
            self.mail.send(address, message, tenant=entry.tenant, reader=reader)
        except MailRefused as error:
            # No retry: SES would refuse this mail or recipient again.
            self.report(error)
            self._note_refusal(reader, tenant)
        except DependencyUnavailable as error:
            self.report(error)
            return False
        self.sent_mails.note(occasion, (*sent_mails, key), int(self.clock()))
        return True

    def _address(self, reader: Reader, tenant: Tenant | None) -> str | None:
        if reader is Reader.REP:
            return self.rep_mail
        if tenant is None:
            return None
        return tenant.admin_email if reader is Reader.ADMIN else tenant.also_email

    def _note_refusal(self, reader: Reader, tenant: Tenant | None) -> None:
        if reader is Reader.ADMIN and tenant is not None:
            text = f"A mail to {tenant.admin_email} was refused before it was sent."
            try:
                self.journal.append(
                    JournalEntry(tenant.name, self.clock(), Kind.MAIL_BOUNCED, "mail", text)
                )
            except DependencyUnavailable as error:
                self.report(error)  # the history delays no mail (F30)

    def _link(self, letter: Letter, tenant: Tenant | None) -> str | None:
        if letter.link is None or tenant is None:
            return None
        return self.invitations.link_for_mail(tenant, letter.link)


def _occasion(letter: Letter, entry: JournalEntry, tenant: Tenant | None, key: str) -> str:
    """The key for counting mails: tenant, letter and day; the entry alone if there is no limit.

    A new link series restarts the count: the rep ended the earlier state, or another customer has
    the name now, and what follows must be mailed.
    """
    if letter.most_a_day is None:
        return key
    series = tenant.link_series if tenant else 0
    return f"{entry.tenant}#{series}#{kind_told(entry)}#{int(entry.at) // DAY}"
