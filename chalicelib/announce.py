"""Use case: what the journal says, told to those who must know.

Driven by the `Journal` table's stream, so nothing is announced that did not happen, and nothing
that happened is lost. Every entry becomes an event on the bus; some become mails (`letters`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib.errors import MailRefused
from chalicelib.letters import Letter, Reader, letters, write
from chalicelib.model import PROVIDER, JournalEntry, Tenant
from chalicelib.times import DAY

if TYPE_CHECKING:
    from chalicelib.bus import Bus
    from chalicelib.fleet import FleetCounts
    from chalicelib.invitations import Invitations
    from chalicelib.mail import Mail
    from chalicelib.store.journal import Journal
    from chalicelib.store.sent import Sent
    from chalicelib.store.tenants import Tenants

FLEET_NAME = "all customers"


class Announcer:
    """``rep_mail``: where the reps read; None where nobody does."""

    def __init__(
        self,
        *,
        rep_mail: str | None,
        tenants: "Tenants",
        fleet: "FleetCounts",
        invitations: "Invitations",
        sent: "Sent",
        mail: "Mail",
        bus: "Bus",
        journal: "Journal",
        report: Callable[[Exception], None],
        clock: Callable[[], float],
    ) -> None:
        self._rep_mail = rep_mail
        self._tenants = tenants
        self._fleet = fleet
        self._invitations = invitations
        self._sent = sent
        self._mail = mail
        self._bus = bus
        self._journal = journal
        self._report = report
        self._clock = clock

    def announce(self, entry: JournalEntry, key: str) -> None:
        """Tell of one entry. ``key``: its own in the journal, by which a repetition is known.

        Raises `DependencyUnavailable`; the stream then offers it again, and what was told already
        is not told twice.
        """
        tenant = None
        if entry.tenant != PROVIDER:
            self._fleet.note(entry)
            tenant = self._tenants.get(entry.tenant)
        for reader, letter in letters(entry).items():
            self._once(
                f"{self._occasion(letter, entry, key)}#{reader}", reader, letter, entry, tenant
            )
        self._bus.publish(entry, key)

    def _once(
        self,
        occasion: str,
        reader: Reader,
        letter: Letter,
        entry: JournalEntry,
        tenant: Tenant | None,
    ) -> None:
        """Noted only once SES has taken it: a mail is rather sent twice than lost."""
        admin = tenant.admin_email if tenant else None
        address = self._rep_mail if reader is Reader.REP else admin
        if address is None or (tenant is None and entry.tenant != PROVIDER):
            return  # nobody to tell, or the tenant has been removed since
        if self._sent.known(occasion):
            return
        message = write(
            letter,
            name=tenant.display_name if tenant else FLEET_NAME,
            tenant=entry.tenant,
            text=entry.text,
            link=self._link(letter, entry.tenant),
        )
        try:
            self._mail.send(address, message, tenant=entry.tenant, reader=reader)
        except MailRefused as error:
            # Not to be repeated: it would hold up everybody's mails behind it.
            self._report(error)
            self._note_refusal(reader, tenant)
        self._sent.note(occasion, int(self._clock()))

    def _note_refusal(self, reader: Reader, tenant: Tenant | None) -> None:
        if reader is Reader.ADMIN and tenant is not None:
            text = f"A mail to {tenant.admin_email} was refused before it was sent."
            self._journal.append(
                JournalEntry(tenant.name, self._clock(), "mail_bounced", "mail", text)
            )

    def _link(self, letter: Letter, tenant: str) -> str | None:
        if letter.link is None:
            return None
        return self._invitations.link_for_mail(tenant, letter.link)

    def _occasion(self, letter: Letter, entry: JournalEntry, key: str) -> str:
        return f"{entry.tenant}#{entry.kind}#{int(entry.at) // DAY}" if letter.daily else key
