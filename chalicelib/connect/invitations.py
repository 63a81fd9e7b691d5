"""Use cases: links for the customer's people, made, mailed and revoked.

A link is known to nobody but those who are given it; the table holds its digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib import opaque
from chalicelib.config import Settings
from chalicelib.durations import INTAKE_LIFETIME, LINK_LIFETIME
from chalicelib.dynamodb.journal import Journal
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Actor, Link, LinkKind, Tenant

_LIFETIMES = {LinkKind.CONNECT: LINK_LIFETIME, LinkKind.INTAKE: INTAKE_LIFETIME}


@dataclass(frozen=True, kw_only=True)
class Invitations:
    settings: Settings
    tenants: Tenants
    links: Links
    journal: Journal
    clock: Callable[[], float]

    def create_link(self, name: str, by: Actor) -> str:
        """Make a fresh link for the tenant's admin and return its address, known nowhere else.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        entry = self._entry(name, Kind.LINK_CREATED, by, "A connect link was made.")
        return self._link(LinkKind.CONNECT, self.tenants.known(name), entry)

    def create_intake_link(self, name: str, by: Actor) -> str:
        """Make a one-time link at which the customer enters client id and secret; its address.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        text = "A one-time link for entering the GoTo client was made."
        entry = self._entry(name, Kind.INTAKE_CREATED, by, text)
        return self._link(LinkKind.INTAKE, self.tenants.known(name), entry)

    def expiry(self, kind: LinkKind) -> int:
        """Until when a link that is made now works, in epoch seconds."""
        return int(self.clock()) + _LIFETIMES[kind]

    def link_for_mail(self, tenant: Tenant, kind: LinkKind) -> str:
        """The address of a fresh link that an entry of the journal has been asking for; it is void
        if links have been revoked since ``tenant`` was read. Raises `DependencyUnavailable`."""
        return self._link(kind, tenant, None)

    def send_link(self, name: str, by: Actor) -> Tenant:
        """Have a fresh link made and mailed to the admin, from the journal's entry.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        return self._ask(name, Kind.LINK_SENT, "A connect link is mailed to the admin.", by)

    def send_intake_link(self, name: str, by: Actor) -> Tenant:
        """The same for a link of the credential intake."""
        text = "A one-time link for entering the GoTo client is mailed to the admin."
        return self._ask(name, Kind.INTAKE_SENT, text, by)

    def revoke_links(self, name: str, by: Actor) -> None:
        """Make every link void that the tenant has been given so far.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        entry = self._entry(name, Kind.LINKS_REVOKED, by, "All links given so far were revoked.")
        self.tenants.revoke_links(name, entry)

    def _link(self, kind: LinkKind, tenant: Tenant, entry: JournalEntry | None) -> str:
        value = opaque.new_value()
        link = Link(
            opaque.digest(value),
            tenant.name,
            self.expiry(kind),
            kind=kind,
            series=tenant.link_series,
        )
        self.links.add(link, entry)
        return f"{self.settings.origin(tenant.name)}/{kind}/{value}"

    def _ask(self, name: str, kind: Kind, text: str, by: Actor) -> Tenant:
        tenant = self.tenants.known(name)
        self.journal.append(self._entry(name, kind, by, text))
        return tenant

    def _entry(self, name: str, kind: Kind, by: Actor, text: str) -> JournalEntry:
        return JournalEntry(name, self.clock(), kind, by.who, text, by.reference)
