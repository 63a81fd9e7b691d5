"""Use cases of the rep: tenants and their GoTo clients.

All input is checked before anything is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace

from chalicelib import untrusted_text
from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.config import Settings
from chalicelib.connect.client_check import client_known, redirect_refused, swapped
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import (
    AccountTaken,
    ClientRefused,
    Conflict,
    GoToSilent,
    InvalidInput,
    NotReady,
    ProviderUnreachable,
)
from chalicelib.goto.oauth import GoToClient, client_id_allowed, client_value_allowed
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import DETAILS, Actor, ClientCredentials, Tenant, TenantDetails
from chalicelib.opaque import new_value
from chalicelib.permissions import NO_CLAIM, Claim
from chalicelib.tokens.account_rule import AccountRule

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RESERVED = re.compile(
    r"(www|mail|webmail|mx|ns|dns|smtps?|imaps?|pop|s?ftp|vpn|sip|owa|api|app|sso|cdn|static)[0-9]?"
    r"|(ip6-)?(localhost|loopback)[0-9]?|local|localdomain|broadcasthost|host|root|gateway|proxy"
    r"|postmaster|hostmaster|webmaster|abuse|noreply|security|secure|admin|auth|oauth|oauth2|oidc"
    r"|login|signin|account|accounts|portal|billing|status|support|help|docs|blog|test|staging"
    r"|autodiscover|lyncdiscover|autoconfig|mta-sts|wpad|isatap|hireanalytix|ha|goto|jive"
    r"|[0-9]+|0x[0-9a-f]+|..--.*"
)
"""Names that browsers, mail programs, DNS or people could take for something other than a customer:
the company's own site and servers, hosts that programs look up unasked (autodiscover, mta-sts,
wpad), numbers, and encoded names (RFC 5891 4.2.3.1), which can look like another customer's."""


_REFUSED = "GoTo does not accept this client id with this client secret."
_SWAPPED = (
    "Client id and secret are swapped: GoTo accepts them the other way round. Nothing was stored;"
    " enter the client id first."
)


def check_name(name: str) -> None:
    """A tenant's name becomes part of a host name (RFC 1123 label). Raises `InvalidInput`."""
    if not _NAME.fullmatch(name):
        raise InvalidInput("A tenant's name is a DNS label: a-z, 0-9 and inner hyphens.")


def reserved(name: str) -> str | None:
    """Why a new tenant can't have a name, as a sentence, or None. Existing tenants keep theirs."""
    if not _RESERVED.fullmatch(name):
        return None
    return f"The name {name!r} is reserved: choose another, such as the customer's company name."


def _display_name_fault(display_name: str) -> str | None:
    sized = display_name.strip() and len(display_name) <= 100
    if sized and untrusted_text.printable(display_name):
        return None
    return "The display name must have 1 to 100 printable characters."


_FAULTS: dict[str, Callable[[str], str | None]] = {
    "display_name": _display_name_fault,
    "admin_email": untrusted_text.address_fault,
    "also_email": untrusted_text.address_fault,
}
"""For each field of `TenantDetails`: its fault as one sentence, or None."""

_MAY_GO = tuple(each.name for each in fields(TenantDetails) if each.default is None)
"""Optional fields of `TenantDetails`: they can be cleared."""

ADDRESSES = ("admin_email", "also_email")
"""Fields of `TenantDetails` that links are mailed to."""


def check_details(details: Mapping[str, str | None]) -> None:
    """Check fields of `TenantDetails`, in their order. Raises `InvalidInput`."""
    for name in DETAILS:
        value = details.get(name)
        if value is not None and (fault := _FAULTS[name](value)):
            raise InvalidInput(fault)


def check_client(client: ClientCredentials, client_auth: str) -> None:
    """Raises `InvalidInput` for a client that no token request could carry."""
    for label, value in (("client id", client.client_id), ("client secret", client.client_secret)):
        if not client_value_allowed(value):
            raise InvalidInput(f"The {label} must be printable ASCII, without spaces around.")
    if not client_id_allowed(client.client_id, client_auth):
        raise InvalidInput("A client id cannot hold a colon (RFC 7617).")


def check_account(account: str, settings: Settings) -> None:
    """Raises `InvalidInput` for a malformed account key, or if this deployment reads no accounts:
    then no sign-in could match it."""
    if untrusted_text.account_key(account) is None:
        raise InvalidInput(
            "The account key must be 1 to 64 letters and digits, as GoTo writes it: 4000000001."
        )
    if settings.api_url is None:
        raise InvalidInput("No account can be pinned here: the parameter GoToApiUrl is not set.")


@dataclass(frozen=True, kw_only=True)
class Onboarding:
    settings: Settings
    tenants: Tenants
    connections: Connections
    secret_store: SecretStore
    goto: GoToClient
    rule: AccountRule
    clock: Callable[[], float]

    def add_tenant(
        self, name: str, details: TenantDetails, by: Actor, account: str | None = None
    ) -> Tenant:
        """Add a customer. If ``account`` is set, only that GoTo account can connect it.

        Raises `InvalidInput`, `TenantExists`, `AccountTaken`, `DependencyUnavailable`.
        """
        check_name(name)
        refused = reserved(name)
        if refused:
            raise InvalidInput(refused)
        check_details(asdict(details))
        redirect_uri = self.settings.redirect_uri(name)
        tenant = Tenant(**asdict(details), name=name, redirect_uri=redirect_uri)
        text, claim = "Tenant added.", NO_CLAIM
        if account is not None:
            tenant = replace(tenant, pinned_account=account)
            claim = self._claim(account, name)
            text += f" Only GoTo account {account} can connect."
        with self._claiming(account, name):
            self.tenants.add(tenant, self._entry(name, Kind.TENANT_ADDED, by, text), claim)
        return tenant

    def _claim(self, account: str, name: str) -> Claim:
        """Raises `InvalidInput`, `AccountTaken`, `DependencyUnavailable`."""
        check_account(account, self.settings)
        claim = self.rule.claim(account, name)
        if claim is None:
            raise self._taken(account, name)
        return claim

    def _taken(self, account: str, name: str) -> AccountTaken:
        return AccountTaken(account, self.rule.other_holder(account, name) or "another", name)

    @contextmanager
    def _claiming(self, account: str | None, name: str) -> Iterator[None]:
        try:
            yield
        except Conflict:  # another tenant claimed it after we looked
            raise self._taken(account or "", name) from None

    def change_tenant(self, name: str, changes: Mapping[str, str], by: Actor) -> Tenant:
        """Change fields of `TenantDetails`; an empty value clears an optional one.

        A changed address revokes all links: the old recipient may be a stranger or have left.
        Raises `InvalidInput`, `UnknownTenant`, `DependencyUnavailable`.
        """
        details = {
            each: value or None if each in _MAY_GO else value for each, value in changes.items()
        }
        check_details(details)
        if not details:
            words = ", ".join(each.replace("_", " ") for each in DETAILS)
            raise InvalidInput(f"Say what to change: {words}.")
        before = self.tenants.known(name)
        for each, value in details.items():
            if value is None and getattr(before, each) is None:
                raise InvalidInput(f"{name} has no {each.replace('_', ' ')} to remove.")
        what = " and ".join(
            each.replace("_", " ") + (" (removed)" if value is None else "")
            for each, value in details.items()
        )
        readdressed = bool(set(ADDRESSES) & set(details))
        if readdressed:
            text = f"Changed: {what}. All existing links were revoked."
            entry = self._entry(name, Kind.ADDRESS_CHANGED, by, text)
        else:
            entry = self._entry(name, Kind.TENANT_CHANGED, by, f"Changed: {what}.")
        self.tenants.change(name, details, entry, ends_links=readdressed)
        return self.tenants.known(name)

    def check_client(self, name: str, client_id: str, client_secret: str) -> None:
        """Ask GoTo whether it recognizes a client, before a tenant gets it.

        Raises `InvalidInput`, `UnknownTenant`, `ClientRefused`, `GoToSilent`,
        `DependencyUnavailable`.
        """
        client = ClientCredentials(client_id, client_secret)
        check_client(client, self.settings.client_auth)
        self.tenants.known(name)
        try:
            recognized = client_known(self.goto, client)
        except ProviderUnreachable:
            recognized = None
        if recognized is None:
            raise GoToSilent("GoTo could not be asked just now, so nothing was stored.")
        if not recognized:
            turned = swapped(self.goto, client, self.settings.client_auth)
            raise ClientRefused(_SWAPPED if turned else _REFUSED)

    def check_connectable(self, name: str, *, anyway: bool) -> None:
        """Refuse to invite an admin whose sign-in can't succeed. ``anyway``: don't ask GoTo about
        the redirect URI.

        Raises `UnknownTenant`, `NotReady`, `DependencyUnavailable`.
        """
        tenant = self.tenants.known(name)
        if tenant.client_id is None:
            raise NotReady(
                f"{name} has no GoTo client yet, so the link would lead nowhere. Send the form for"
                f" it instead: ha-goto intake send {name}"
            )
        if not anyway and redirect_refused(self.goto, tenant.client_id, tenant.redirect_uri):
            raise NotReady(
                f"GoTo says that the client of {name} has another redirect URI. Ask the customer to"
                f" enter this one in GoTo's developer portal, byte for byte: {tenant.redirect_uri}"
                f" Then run the same command again. To send the link anyway: link send {name}"
                " --anyway"
            )

    def look_at_goto(self) -> str | None:
        """What is wrong with GoTo's token endpoint, if anything; asks as a made-up client. Raises
        `ProviderUnreachable`."""
        recognized = client_known(self.goto, ClientCredentials("doctor", new_value()))
        return None if recognized is False else "It does not answer as an OAuth server does."

    def set_credentials(self, name: str, client_id: str, client_secret: str, by: Actor) -> None:
        """Store a GoTo client and switch the tenant to it in one write.

        An existing connection keeps its own client until the admin reconnects.
        Raises `InvalidInput`, `UnknownTenant`, `DependencyUnavailable`.
        """
        client = ClientCredentials(client_id, client_secret)
        check_client(client, self.settings.client_auth)
        self.tenants.known(name)
        version = self.secret_store.store(name, client)
        entry = self._entry(name, Kind.CREDENTIALS_SET, by, "GoTo client id and secret entered.")
        self.tenants.switch_client(name, client_id, version, entry)
        self.connections.retry_rejected(name, client_id, int(self.clock()))

    def set_pin(self, name: str, account: str, by: Actor) -> None:
        """Confirm the tenant's GoTo account: only sign-ins with it pass (S25).

        Raises `InvalidInput`, `UnknownTenant`, `AccountTaken`, `DependencyUnavailable`.
        """
        self.tenants.known(name)
        claim = self._claim(account, name)
        text = f"The GoTo account was confirmed: {account}. Only this one can connect."
        with self._claiming(account, name):
            self.tenants.pin(name, account, claim, self._entry(name, Kind.PIN_SET, by, text))

    def share_pin(self, name: str, account: str, by: Actor) -> None:
        """Like `set_pin`, for an account that another tenant rightly has too (S26).

        Raises `InvalidInput`, `UnknownTenant`, `AccountTaken` if its holders just changed,
        `DependencyUnavailable`.
        """
        check_account(account, self.settings)
        shared = self.rule.share(account, name)
        if shared is None:
            raise InvalidInput(f"No other tenant has this account: pin set {name} instead.")
        holder, claim = shared
        text = f"GoTo account {account} may connect, although tenant {holder} has it as well."
        with self._claiming(account, name):
            self.tenants.pin(name, account, claim, self._entry(name, Kind.PIN_SHARED, by, text))

    def lift_pin(self, name: str, by: Actor) -> None:
        """Let the next authorization pin another GoTo account (S03). Revokes all links: the pin
        may have kept out someone who holds one.

        Raises `UnknownTenant`, `DependencyUnavailable`.
        """
        text = "The next sign-in may be with another GoTo account. All existing links were revoked."
        self.tenants.lift_pin(name, self._entry(name, Kind.PIN_LIFTED, by, text))

    def _entry(self, name: str, kind: Kind, by: Actor, text: str) -> JournalEntry:
        return JournalEntry(name, self.clock(), kind, by.who, text, by.reference)
