"""Use case: what the journal says, told to those who must know.

Driven by the `Journal` table's stream, so nothing is announced that did not happen. Every entry
becomes an event on the bus; a request for a fresh link becomes a mail to the registered admin.
"""

from typing import TYPE_CHECKING

from chalicelib.model import PROVIDER, Caller, JournalEntry
from chalicelib.texts import FRESH_LINK_MAIL, FRESH_LINK_SUBJECT

if TYPE_CHECKING:
    from chalicelib.bus import Bus
    from chalicelib.fleet import FleetCounts
    from chalicelib.invitations import Invitations
    from chalicelib.mail import Mail
    from chalicelib.store.tenants import Tenants


class Announcer:
    def __init__(
        self,
        *,
        tenants: "Tenants",
        fleet: "FleetCounts",
        invitations: "Invitations",
        mail: "Mail",
        bus: "Bus",
    ) -> None:
        self._tenants = tenants
        self._fleet = fleet
        self._invitations = invitations
        self._mail = mail
        self._bus = bus

    def announce(self, entry: JournalEntry) -> None:
        """Tell of one entry. Raises `DependencyUnavailable`; the stream then offers it again."""
        if entry.tenant != PROVIDER:
            self._fleet.note(entry)
        if entry.kind == "link_requested":
            self._mail_fresh_link(entry.tenant)
        self._bus.publish(entry)

    def _mail_fresh_link(self, name: str) -> None:
        tenant = self._tenants.get(name)
        if tenant is None:
            return
        url = self._invitations.create_link(name, by=Caller("the service"))
        text = FRESH_LINK_MAIL.format(name=tenant.display_name, url=url)
        self._mail.send(tenant.admin_email, FRESH_LINK_SUBJECT, text)
