"""Use cases: links for the customer's people, made, mailed and revoked.

A link is known to nobody but those who are given it; the table holds its digest.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib import links
from chalicelib.model import Caller, JournalEntry, Link, LinkKind, Tenant
from chalicelib.times import INTAKE_LIFETIME, LINK_LIFETIME

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.journal import Journal
    from chalicelib.store.links import Links
    from chalicelib.store.tenants import Tenants

_LIFETIMES = {LinkKind.CONNECT: LINK_LIFETIME, LinkKind.INTAKE: INTAKE_LIFETIME}

LINK_WANTED = "link_sent"
INTAKE_WANTED = "intake_sent"
"""Kinds of journal entries upon which a link is made and mailed."""


class Invitations:
    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        links: "Links",
        journal: "Journal",
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._links = links
        self._journal = journal
        self._clock = clock

    def create_link(self, name: str, by: Caller) -> str:
        """Make a fresh link for the tenant's admin and return its address, known nowhere else.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        entry = self._entry(name, "link_created", by, "A connect link was made.")
        return self._link(LinkKind.CONNECT, self._tenants.known(name), entry)

    def create_intake_link(self, name: str, by: Caller) -> str:
        """Make a one-time link at which the customer enters client id and secret; its address.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        text = "A one-time link for entering the GoTo client was made."
        entry = self._entry(name, "intake_created", by, text)
        return self._link(LinkKind.INTAKE, self._tenants.known(name), entry)

    def link_for_mail(self, name: str, kind: LinkKind) -> str:
        """The address of a fresh link that an entry of the journal has been asking for.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        return self._link(kind, self._tenants.known(name), None)

    def send_link(self, name: str, by: Caller) -> Tenant:
        """Have a fresh link made and mailed to the admin, from the journal's entry.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        return self._ask(name, LINK_WANTED, "A connect link is mailed to the admin.", by)

    def send_intake_link(self, name: str, by: Caller) -> Tenant:
        """The same for a link of the credential intake."""
        text = "A one-time link for entering the GoTo client is mailed to the admin."
        return self._ask(name, INTAKE_WANTED, text, by)

    def revoke_links(self, name: str, by: Caller) -> None:
        """Make every link void that the tenant has been given so far.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        entry = self._entry(name, "links_revoked", by, "All links given so far were revoked.")
        self._tenants.revoke_links(name, entry)

    def _link(self, kind: LinkKind, tenant: Tenant, entry: JournalEntry | None) -> str:
        value = links.new_value()
        link = Link(
            links.digest(value),
            tenant.name,
            int(self._clock()) + _LIFETIMES[kind],
            kind=kind,
            series=tenant.link_series,
        )
        self._links.add(link, entry)
        return f"{self._settings.origin(tenant.name)}/{kind}/{value}"

    def _ask(self, name: str, kind: str, text: str, by: Caller) -> Tenant:
        tenant = self._tenants.known(name)
        self._journal.append(self._entry(name, kind, by, text))
        return tenant

    def _entry(self, name: str, kind: str, by: Caller, text: str) -> JournalEntry:
        return JournalEntry(name, self._clock(), kind, by.who, text, by.reference)
