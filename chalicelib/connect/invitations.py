"""Use cases: make, mail and revoke a customer's links. The table holds only a link's digest."""

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
        """Make a fresh connect link and return its address, which is stored nowhere. Raises
        `UnknownTenant`, `DependencyUnavailable`."""
        entry = self._entry(name, Kind.LINK_CREATED, by, "A connect link was created.")
        return self._link(LinkKind.CONNECT, self.tenants.known(name), entry)

    def create_intake_link(self, name: str, by: Actor) -> str:
        """Make a one-time intake link and return its address, which is stored nowhere. Raises
        `UnknownTenant`, `DependencyUnavailable`."""
        text = "A one-time link for entering the GoTo client was created."
        entry = self._entry(name, Kind.INTAKE_CREATED, by, text)
        return self._link(LinkKind.INTAKE, self.tenants.known(name), entry)

    def expiry(self, kind: LinkKind) -> int:
        """When a link that is made now expires, in epoch seconds."""
        return int(self.clock()) + _LIFETIMES[kind]

    def link_for_mail(self, tenant: Tenant, kind: LinkKind) -> str:
        """Make the link that a journal entry asked for and return its address. It is void if links
        were revoked after ``tenant`` was read. Raises `DependencyUnavailable`."""
        return self._link(kind, tenant, None)

    def send_link(self, name: str, by: Actor) -> Tenant:
        """Write a journal entry that has a fresh connect link mailed to the admin. Raises
        `UnknownTenant`, `DependencyUnavailable`."""
        return self._ask(name, Kind.LINK_SENT, "A connect link is mailed to the admin.", by)

    def send_intake_link(self, name: str, by: Actor) -> Tenant:
        """Like `send_link`, for an intake link."""
        text = "A one-time link for entering the GoTo client is mailed to the admin."
        return self._ask(name, Kind.INTAKE_SENT, text, by)

    def revoke_links(self, name: str, by: Actor) -> None:
        """Revoke all of the tenant's links. Raises `UnknownTenant`, `DependencyUnavailable`."""
        entry = self._entry(name, Kind.LINKS_REVOKED, by, "All existing links were revoked.")
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
