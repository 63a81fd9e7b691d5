"""Use case: check a GoTo client that the customer has entered, and store it.

Runs in its own function, because the web role can neither store nor read a secret. The client never
appears in a log, an answer or an error.
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
    """The result. The web function learns nothing else."""

    STORED = "stored"
    REFUSED = "refused"
    SWAPPED = "swapped"
    REDIRECT_UNKNOWN = "redirect_unknown"
    UNCHECKED = "unchecked"
    LINK_DEAD = "link_dead"


def client_known(goto: GoToClient, client: ClientCredentials) -> bool | None:
    """Whether GoTo recognizes a client, by one token request with a made-up refresh token; None if
    the answer doesn't show it. Raises `ProviderUnreachable`."""
    made_up = oauth.refresh_form(secrets.token_urlsafe(32))
    return judge_client(goto.token(client, made_up))


def swapped(goto: GoToClient, client: ClientCredentials, client_auth: str) -> bool:
    """Whether GoTo recognizes a refused client once id and secret are swapped."""
    if not oauth.client_id_allowed(client.client_secret, client_auth):
        return False
    try:
        return bool(client_known(goto, ClientCredentials(client.client_secret, client.client_id)))
    except ProviderUnreachable:
        return False


def redirect_refused(goto: GoToClient, client_id: str, redirect_uri: str) -> bool:
    """Whether GoTo clearly says that a client has another redirect URI, at its authorize address
    without cookies. An unclear answer counts as no refusal: a sign-in will show it."""
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
        """Check ``client_id`` and ``client_secret`` at GoTo, store them, use ``link`` up. Stores
        nothing if GoTo refuses the ``redirect_uri``. ``entered_by``: email address of the person
        that HA's front named, if any.

        ``link`` is its text, not its row's key: reading the table must not be enough. Returns
        `Outcome.UNCHECKED` if AWS or GoTo fails; the tenant then has the whole client or nothing.
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
        recognized = client_known(self.goto, client)
        if recognized is None:
            return Outcome.UNCHECKED
        if not recognized:
            exchanged = swapped(self.goto, client, self.client_auth)
            return Outcome.SWAPPED if exchanged else Outcome.REFUSED
        uri = event.get("redirect_uri")  # the previous version sends none
        if uri and redirect_refused(self.goto, client.client_id, uri):
            return Outcome.REDIRECT_UNKNOWN
        return self._keep(link, client, event["browser"], event.get("entered_by"))

    def _keep(
        self, link: Link, client: ClientCredentials, browser: str, entered_by: str | None
    ) -> Outcome:
        """Store the secret first: nobody reads a version that no row names, but a tenant whose row
        names a missing secret could not connect."""
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
