"""Use case: check a GoTo client that the customer has entered, and keep it.

Runs in a function of its own: the web role hands the secret over and can neither store nor read
one. What is given here is never logged and never part of an answer or an error.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chalicelib import opaque
from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.links import IntakeTables, Links
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.goto import oauth
from chalicelib.goto.oauth import GoToClient
from chalicelib.goto.token_response import judge_client
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import ClientCredentials, Link, LinkKind


class Outcome(StrEnum):
    """What came of it; all that the web function learns."""

    STORED = "stored"
    REFUSED = "refused"
    SWAPPED = "swapped"
    REDIRECT_UNKNOWN = "redirect_unknown"
    UNCHECKED = "unchecked"
    LINK_DEAD = "link_dead"


def client_known(goto: GoToClient, client: ClientCredentials) -> bool | None:
    """Whether GoTo knows a client; None: it can't tell. Raises `ProviderUnreachable`.

    One token request with a refresh token that nobody has ever issued.
    """
    made_up = oauth.refresh_form(secrets.token_urlsafe(32))
    return judge_client(goto.token(client, made_up))


def swapped(goto: GoToClient, client: ClientCredentials, client_auth: str) -> bool:
    """Whether a client that GoTo refuses is one that it knows, with id and secret swapped."""
    if not oauth.client_id_allowed(client.client_secret, client_auth):
        return False
    try:
        return bool(client_known(goto, ClientCredentials(client.client_secret, client.client_id)))
    except ProviderUnreachable:
        return False


def redirect_refused(goto: GoToClient, client_id: str, redirect_uri: str) -> bool:
    """Whether GoTo clearly says that a client has another redirect URI.

    Its authorize address is asked as a browser without cookies would. Whatever is no clear no
    counts as none: a sign-in will show it.
    """
    try:
        return oauth.is_redirect_refusal(goto.authorize(client_id, redirect_uri))
    except ProviderUnreachable:
        return False


@dataclass(frozen=True, kw_only=True)
class CredentialIntake:
    links: Links
    tables: IntakeTables
    connections: Connections
    secret_store: SecretStore
    goto: GoToClient
    client_auth: str
    clock: Callable[[], float]

    def take(self, event: Mapping[str, str]) -> Outcome:
        """Check ``client_id`` and ``client_secret`` at GoTo, store them, spend ``link``. With a
        ``redirect_uri``, only if GoTo does not say that the client has another one. ``entered_by``
        is the email address of a person whom HA's front named, if it did.

        The link comes as its text, not as the key of its row: who can read the table has no links.
        Never raises for what AWS or GoTo does: nothing is stored then, or it is stored whole.
        """
        try:
            return self._take(event)
        except (DependencyUnavailable, ProviderUnreachable):
            return Outcome.UNCHECKED

    def _take(self, event: Mapping[str, str]) -> Outcome:
        link = self.links.get(opaque.digest(event["link"]))
        if link is None or not link.usable(self.clock(), LinkKind.INTAKE):
            return Outcome.LINK_DEAD
        client = ClientCredentials(event["client_id"], event["client_secret"])
        allowed = oauth.client_id_allowed(client.client_id, self.client_auth)
        if not allowed or not oauth.client_value_allowed(client.client_secret):
            return Outcome.REFUSED
        known = client_known(self.goto, client)
        if known is None:
            return Outcome.UNCHECKED
        if not known:
            exchanged = swapped(self.goto, client, self.client_auth)
            return Outcome.SWAPPED if exchanged else Outcome.REFUSED
        uri = event.get("redirect_uri")  # the version before gives none
        if uri and redirect_refused(self.goto, client.client_id, uri):
            return Outcome.REDIRECT_UNKNOWN
        return self._keep(link, client, event["browser"], event.get("entered_by"))

    def _keep(
        self, link: Link, client: ClientCredentials, browser: str, entered_by: str | None
    ) -> Outcome:
        """Vault first: a version that no row names is never read, a row without its secret would be
        a tenant that cannot connect."""
        version = self.secret_store.store(link.tenant, client)
        who, kind = entered_by or "the customer", Kind.CREDENTIALS_RECEIVED
        text = f"{entered_by or 'The customer'} entered the GoTo client id and secret; GoTo accepts"
        entry = JournalEntry(link.tenant, self.clock(), kind, who, f"{text} them.")
        try:
            self.tables.switch_client(link, browser, client.client_id, version, entry)
        except Conflict:
            return Outcome.LINK_DEAD
        now = int(self.clock())
        self.connections.retry_rejected(link.tenant, client.client_id, now)
        return Outcome.STORED
