"""Use cases of the rep: tenants and their GoTo clients.

Input is checked as a whole before anything is written.
"""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from chalicelib.credentials import client_known
from chalicelib.errors import ClientRefused, GoToSilent, InvalidInput, ProviderUnreachable
from chalicelib.links import new_value
from chalicelib.model import Caller, JournalEntry, Tenant
from chalicelib.oauth import ClientCredentials, client_id_allowed, client_value_allowed

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.goto import GoTo
    from chalicelib.store.connections import Connections
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]{1,253}\.[^@\s<>,;\".]{2,}")


def check_name(name: str) -> None:
    """A tenant's name becomes part of a host name (RFC 1123 label). Raises `InvalidInput`."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("A tenant's name is a DNS label: a-z, 0-9 and inner hyphens.")


def check_address(address: str) -> None:
    """Raises `InvalidInput` for what is no mail address, or more than one."""
    if not address.isascii() or not _ADDRESS.fullmatch(address):
        raise InvalidInput("The admin's mail address is not an address.")


def check_display_name(display_name: str) -> None:
    """Raises `InvalidInput` for a name that no page could show."""
    if not 0 < len(display_name) <= 100 or not display_name.isprintable():
        raise InvalidInput("The display name must have 1 to 100 printable characters.")


def check_client(client: ClientCredentials, client_auth: str) -> None:
    """Raises `InvalidInput` for a client that no token request could carry."""
    for label, value in (("client id", client.client_id), ("client secret", client.client_secret)):
        if not client_value_allowed(value):
            raise InvalidInput(f"The {label} must be printable ASCII, without spaces around.")
    if not client_id_allowed(client.client_id, client_auth):
        raise InvalidInput("A client id cannot hold a colon (RFC 7617).")


class Onboarding:
    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        connections: "Connections",
        vault: "Vault",
        goto: "GoTo",
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._connections = connections
        self._vault = vault
        self._goto = goto
        self._clock = clock

    def add_tenant(self, name: str, display_name: str, admin_email: str, by: Caller) -> Tenant:
        """Add a customer; ``name`` becomes part of a host name.

        Raises `InvalidInput`, `TenantExists`, `DependencyUnavailable`.
        """
        check_name(name)
        check_address(admin_email)
        check_display_name(display_name)
        tenant = Tenant(name, display_name, admin_email, self._settings.redirect_uri(name))
        self._tenants.add(tenant, self._entry(name, "tenant_added", by, "Tenant added."))
        return tenant

    def change_tenant(
        self, name: str, display_name: str | None, admin_email: str | None, by: Caller
    ) -> Tenant:
        """Correct what the customer is called, or who is mailed; None leaves it.

        Raises `InvalidInput`, `UnknownTenant`, `DependencyUnavailable`.
        """
        setting: dict[str, str | int | None] = {}
        if display_name is not None:
            check_display_name(display_name)
            setting["display_name"] = display_name
        if admin_email is not None:
            check_address(admin_email)
            setting["admin_email"] = admin_email
        if not setting:
            raise InvalidInput("Say what to change: the name or the admin's address.")
        what = " and ".join(word.replace("_", " ") for word in setting)
        kind = "tenant_changed" if admin_email is None else "address_changed"
        entry = self._entry(name, kind, by, f"Changed: {what}.")
        self._tenants.change(name, setting, entry)
        return self._tenants.known(name)

    def check_client(self, name: str, client_id: str, client_secret: str) -> None:
        """Ask GoTo whether it knows a client that is to be a tenant's.

        Raises `InvalidInput`, `UnknownTenant`, `ClientRefused`, `GoToSilent`,
        `DependencyUnavailable`.
        """
        client = ClientCredentials(client_id, client_secret)
        check_client(client, self._settings.client_auth)
        self._tenants.known(name)
        try:
            known = client_known(self._goto, client)
        except ProviderUnreachable:
            known = None
        if known is None:
            raise GoToSilent("GoTo could not be asked just now, so nothing was stored.")
        if not known:
            raise ClientRefused("GoTo does not accept this client id with this client secret.")

    def look_at_goto(self) -> str | None:
        """What is wrong with GoTo's token endpoint, if anything, by a client that nobody has.

        Raises `ProviderUnreachable`.
        """
        known = client_known(self._goto, ClientCredentials("doctor", new_value()))
        return None if known is False else "It does not answer as an OAuth server does."

    def set_credentials(self, name: str, client_id: str, client_secret: str, by: Caller) -> None:
        """Store a GoTo client and switch the tenant to it in one write.

        A connection made with another client goes on with that one until the admin connects again.
        Raises `InvalidInput`, `UnknownTenant`, `DependencyUnavailable`.
        """
        client = ClientCredentials(client_id, client_secret)
        check_client(client, self._settings.client_auth)
        self._tenants.known(name)
        version = self._vault.store(name, client)
        entry = self._entry(name, "credentials_set", by, "GoTo client id and secret entered.")
        self._tenants.switch_client(name, client_id, version, entry)
        self._connections.retry_rejected(name, client_id, int(self._clock()))

    def lift_pin(self, name: str, by: Caller) -> None:
        """Let the next authorization pin another GoTo account (S03).

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        text = "The next sign-in may be with another GoTo account."
        entry = self._entry(name, "pin_lifted", by, text)
        self._tenants.change(name, {"pinned_account": None}, entry)

    def _entry(self, name: str, kind: str, by: Caller, text: str) -> JournalEntry:
        return JournalEntry(name, self._clock(), kind, by.who, text, by.reference)
