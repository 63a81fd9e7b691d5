"""Use case: record in the tenant's journal what happened to a mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.notify.email_templates import Reader

_ANSWERS = {
    "Bounce": (Kind.MAIL_BOUNCED, "A mail to {address} bounced: it cannot be delivered."),
    "Reject": (Kind.MAIL_BOUNCED, "SES refused to send a mail to {address}."),
    "Complaint": (Kind.MAIL_COMPLAINED, "{address} has reported our mail as spam."),
}
"""SES's event types, with the journal's kind and text."""


@dataclass(frozen=True, kw_only=True)
class MailFeedback:
    """Turns a bounce or complaint into a journal entry, which is then mailed to the rep."""

    tenants: Tenants
    journal: Journal
    clock: Callable[[], float]

    def note(self, detail: Mapping[str, Any]) -> None:
        """Handle one event of SES's event publishing. Ignores mails that are only late, and
        addresses that have been corrected since. Raises `DependencyUnavailable`."""
        kind, text = _ANSWERS.get(str(detail.get("eventType")), (None, ""))
        mail = detail.get("mail", {})
        tags, addresses = mail.get("tags", {}), mail.get("destination", [])
        if kind is None or tags.get("reader") != [Reader.ADMIN.value] or not tags.get("tenant"):
            return
        if detail.get("bounce", {}).get("bounceType") == "Transient":
            return
        tenant = self.tenants.get(tags["tenant"][0])
        if tenant is None or tenant.admin_email not in addresses:
            return
        entry_text = text.format(address=tenant.admin_email)
        self.journal.append(JournalEntry(tenant.name, self.clock(), kind, "mail", entry_text))
