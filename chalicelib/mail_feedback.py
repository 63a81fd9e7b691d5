"""Use case: what became of a mail, kept in the tenant's journal."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from chalicelib.letters import Reader
from chalicelib.model import JournalEntry

if TYPE_CHECKING:
    from chalicelib.store.journal import Journal
    from chalicelib.store.tenants import Tenants

_ANSWERS = {
    "Bounce": ("mail_bounced", "A mail to {address} came back: it cannot be delivered."),
    "Reject": ("mail_bounced", "SES refused to send a mail to {address}."),
    "Complaint": ("mail_complained", "{address} has reported our mail as spam."),
}
"""SES's event types, as the journal tells of them."""


class MailFeedback:
    """A bounce or a complaint becomes a line of the journal, from which the rep is told."""

    def __init__(
        self, *, tenants: "Tenants", journal: "Journal", clock: Callable[[], float]
    ) -> None:
        self._tenants = tenants
        self._journal = journal
        self._clock = clock

    def note(self, detail: Mapping[str, Any]) -> None:
        """Take one event of SES's event publishing. A mail that is late only is no news, nor is one
        of an address that has been corrected since. Raises `DependencyUnavailable`."""
        kind, text = _ANSWERS.get(str(detail.get("eventType")), (None, ""))
        mail = detail.get("mail", {})
        tags, addresses = mail.get("tags", {}), mail.get("destination", [])
        if kind is None or tags.get("reader") != [Reader.ADMIN.value] or not tags.get("tenant"):
            return
        if detail.get("bounce", {}).get("bounceType") == "Transient":
            return
        tenant = self._tenants.get(tags["tenant"][0])
        if tenant is None or tenant.admin_email not in addresses:
            return
        told = text.format(address=tenant.admin_email)
        self._journal.append(JournalEntry(tenant.name, self._clock(), kind, "mail", told))
