"""Use case: check a GoTo client that the customer has entered, and keep it.

Runs in a function of its own: the web role hands the secret over and can neither store nor read
one. What is given here is never logged and never part of an answer or an error.
"""

import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

from chalicelib import links, oauth
from chalicelib.errors import Conflict, DependencyUnavailable, ProviderUnreachable
from chalicelib.model import JournalEntry, Link, LinkKind

if TYPE_CHECKING:
    from chalicelib.goto import GoTo
    from chalicelib.store.connections import Connections
    from chalicelib.store.intake import IntakeTables
    from chalicelib.store.links import Links
    from chalicelib.vault import Vault


class Outcome(StrEnum):
    """What came of it; all that the web function learns."""

    STORED = "stored"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
    LINK_DEAD = "link_dead"


def client_known(goto: "GoTo", client: oauth.ClientCredentials) -> bool | None:
    """Whether GoTo knows a client; None: it can't tell. Raises `ProviderUnreachable`.

    One token request with a refresh token that nobody has ever issued.
    """
    made_up = oauth.refresh_form(secrets.token_urlsafe(32))
    return oauth.judge_client(goto.token(client, made_up))


class CredentialIntake:
    def __init__(
        self,
        *,
        links: "Links",
        tables: "IntakeTables",
        connections: "Connections",
        vault: "Vault",
        goto: "GoTo",
        client_auth: str,
        clock: Callable[[], float],
    ) -> None:
        self._links = links
        self._tables = tables
        self._connections = connections
        self._vault = vault
        self._goto = goto
        self._client_auth = client_auth
        self._clock = clock

    def take(self, event: Mapping[str, str]) -> Outcome:
        """Check ``client_id`` and ``client_secret`` at GoTo, store them, spend ``link``.

        The link comes as its text, not as the key of its row: who can read the table has no links.
        Never raises for what AWS or GoTo does: nothing is stored then, or it is stored whole.
        """
        try:
            return self._take(event)
        except (DependencyUnavailable, ProviderUnreachable):
            return Outcome.UNCHECKED

    def _take(self, event: Mapping[str, str]) -> Outcome:
        link = self._links.get(links.digest(event["link"]))
        if link is None or not link.usable(self._clock(), LinkKind.INTAKE):
            return Outcome.LINK_DEAD
        client = oauth.ClientCredentials(event["client_id"], event["client_secret"])
        known = self._known(client)
        if known is None:
            return Outcome.UNCHECKED
        return self._keep(link, client, event["browser"]) if known else Outcome.REFUSED

    def _known(self, client: oauth.ClientCredentials) -> bool | None:
        allowed = oauth.client_id_allowed(client.client_id, self._client_auth)
        if not allowed or not oauth.client_value_allowed(client.client_secret):
            return False
        return client_known(self._goto, client)

    def _keep(self, link: Link, client: oauth.ClientCredentials, browser: str) -> Outcome:
        """Vault first: a version that no row names is never read, a row without its secret would be
        a tenant that cannot connect."""
        version = self._vault.store(link.tenant, client)
        text = "The customer entered the GoTo client id and secret; GoTo accepts them."
        entry = JournalEntry(
            link.tenant, self._clock(), "credentials_received", "the customer", text
        )
        try:
            self._tables.switch_client(link, browser, client.client_id, version, entry)
        except Conflict:
            return Outcome.LINK_DEAD
        now = int(self._clock())
        self._connections.retry_rejected(link.tenant, client.client_id, now)
        return Outcome.STORED
