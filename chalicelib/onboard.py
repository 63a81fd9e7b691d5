"""Use cases of the rep: tenants, their GoTo clients, links.

Input is checked as a whole before anything is written.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib import links
from chalicelib.errors import InvalidInput, UnknownTenant
from chalicelib.model import JournalEntry, Link, Tenant
from chalicelib.oauth import ClientCredentials, client_id_allowed, client_value_allowed

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.connections import Connections
    from chalicelib.store.links import Links
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

LINK_LIFETIME = 90 * 86_400
"""Seconds for which an emailed link serves."""

INTAKE_LIFETIME = 14 * 86_400
"""Seconds for which a link of the credential intake serves, once."""

CONNECT_PATH = "/connect/"
INTAKE_PATH = "/intake/"

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,253}\.[^@\s<>,;\".]{2,}")


class Onboarding:
    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        links: "Links",
        connections: "Connections",
        vault: "Vault",
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._links = links
        self._connections = connections
        self._vault = vault
        self._clock = clock

    def add_tenant(self, name: str, display_name: str, admin_email: str, by: str) -> Tenant:
        """Add a customer; ``name`` becomes part of a host name (RFC 1123 label).

        Raises `InvalidInput`, `TenantExists`, `DependencyUnavailable`.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput("A tenant's name is a DNS label: a-z, 0-9 and inner hyphens.")
        if not _ADDRESS.fullmatch(admin_email):
            raise InvalidInput("The admin's mail address is not an address.")
        if not 0 < len(display_name) <= 100 or not display_name.isprintable():
            raise InvalidInput("The display name must have 1 to 100 printable characters.")
        tenant = Tenant(name, display_name, admin_email, self._settings.redirect_uri(name))
        self._tenants.add(tenant, self._entry(name, "tenant_added", by, "Tenant added."))
        return tenant

    def set_credentials(self, name: str, client_id: str, client_secret: str, by: str) -> None:
        """Store a GoTo client and switch the tenant to it in one write.

        A connection made with another client goes on with that one until the admin connects again.
        Raises `InvalidInput`, `UnknownTenant`, `DependencyUnavailable`.
        """
        for label, value in (("client id", client_id), ("client secret", client_secret)):
            if not client_value_allowed(value):
                raise InvalidInput(f"The {label} must be printable ASCII, without spaces around.")
        if not client_id_allowed(client_id, self._settings.client_auth):
            raise InvalidInput("A client id cannot hold a colon (RFC 7617).")
        self._known(name)
        version = self._vault.store(name, ClientCredentials(client_id, client_secret))
        entry = self._entry(name, "credentials_set", by, "GoTo client id and secret entered.")
        self._tenants.switch_client(name, client_id, version, entry)
        self._connections.retry_rejected(name, int(self._clock()))

    def create_link(self, name: str, by: str) -> str:
        """Make a fresh link for the tenant's admin and return its address, known nowhere else.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        tenant = self._known(name)
        value = links.new_value()
        link = Link(links.digest(value), tenant.name, int(self._clock()) + LINK_LIFETIME)
        self._links.add(link, self._entry(name, "link_created", by, "A connect link was made."))
        return self._settings.origin(tenant.name) + CONNECT_PATH + value

    def create_intake_link(self, name: str, by: str) -> str:
        """Make a one-time link at which the customer enters client id and secret; its address.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        tenant = self._known(name)
        value = links.new_value()
        expires_at = int(self._clock()) + INTAKE_LIFETIME
        link = Link(links.digest(value), tenant.name, expires_at, kind="intake")
        text = "A one-time link for entering the GoTo client was made."
        self._links.add(link, self._entry(name, "intake_created", by, text))
        return self._settings.origin(tenant.name) + INTAKE_PATH + value

    def _known(self, name: str) -> Tenant:
        tenant = self._tenants.get(name)
        if tenant is None:
            raise UnknownTenant(f"There is no tenant {name!r}.")
        return tenant

    def _entry(self, name: str, kind: str, by: str, text: str) -> JournalEntry:
        return JournalEntry(name, self._clock(), kind, by or "a rep", text)
