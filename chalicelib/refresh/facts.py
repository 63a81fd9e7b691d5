"""Use case: compare the real GoTo with our assumptions, by harmless requests for one tenant.

Each fact shows what we and the sandbox assume beside what GoTo answered: statuses, error codes,
scopes, seconds. Never a token, a secret, or an account's key (S20).

Readers may invoke this function, so it asks GoTo only with a ticket of the rep's function (S21).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.links import FactsTickets
from chalicelib.errors import ClientGone, ProviderUnreachable
from chalicelib.goto.oauth import Answer
from chalicelib.goto.token_response import json_object
from chalicelib.models import ClientCredentials, Connection
from chalicelib.opaque import new_value, well_formed
from chalicelib.permissions import GoToAccount, Usable
from chalicelib.refresh.rate_limiter import Limiter
from chalicelib.untrusted_text import inert

LONGEST = 120
"""Characters of GoTo's text to show."""

ELSEWHERE = "https://redirect.invalid/"
"""A redirect URI that no client has (RFC 6761 6.4)."""

NOT_ASKED = (
    ("life of a code", "10 minutes at most"),
    ("what a Deny answers", "error=access_denied"),
    ("a second use of a rotated refresh token", "400 invalid_grant"),
    ("how often is too often", "10 requests a second; 429"),
)
"""What no harmless request can show: a person must sign in, or something would be used up."""

REQUESTS = 12
"""Most requests of one comparison: four to the token address, two to authorize, six to the API. One
look-up of accounts takes up to three."""


class Asked(Protocol):
    """The GoTo requests used here. The first two raise `ProviderUnreachable`; the others don't."""

    def token(self, client: ClientCredentials, form: dict[str, str]) -> Answer: ...

    def authorize(self, client_id: str, redirect_uri: str) -> Answer: ...

    def accounts(self, access_token: str) -> tuple[GoToAccount, ...] | None: ...

    def read_calls(self, access_token: str, account: str | None) -> Usable: ...


@dataclass(frozen=True, slots=True)
class Fact:
    """``agrees``: whether ``seen`` is as ``assumed``; None if unknown."""

    name: str
    assumed: str
    seen: str
    agrees: bool | None


@dataclass(frozen=True, kw_only=True)
class Facts:
    """``limiter`` gives all `REQUESTS` slots at once. ``scope``: what this service requests; None
    requests all of the client's."""

    tickets: FactsTickets
    connections: Connections
    secret_store: SecretStore
    goto: Asked
    limiter: Limiter
    scope: str | None
    clock: Callable[[], float]

    def of(self, tenant: str, ticket: str) -> dict[str, Any] | None:
        """The facts, or why GoTo was not asked: no connection, or no requests left for now. None
        if the ticket is not valid for the tenant. Raises `DependencyUnavailable`."""
        if not self.tickets.spend(tenant, ticket, int(self.clock())):
            return None
        if not self.limiter.acquire():
            return {"outcome": "later", "facts": []}
        connection, grant = self.connections.get(tenant), self.connections.grant_summary(tenant)
        if connection is None or connection.access_token is None or grant is None:
            return {"outcome": "not_connected", "facts": []}
        try:
            client = self.secret_store.credentials(tenant, grant.secret_version)
        except ClientGone:
            return {"outcome": "not_connected", "facts": []}
        facts = [
            *self._token_endpoint(client),
            *self._authorize(client.client_id),
            *self._api(connection, connection.access_token),
            _life("life of an access token", 3_600, connection.expires_at, connection.refreshed_at),
            self._granted(connection.scope),
            *(Fact(name, assumed, "not asked: it would take a person", None)
              for name, assumed in NOT_ASKED),
        ]  # fmt: skip
        return {"outcome": "asked", "facts": [asdict(fact) for fact in facts]}

    def _token_endpoint(self, client: ClientCredentials) -> list[Fact]:
        refresh = {"grant_type": "refresh_token", "refresh_token": new_value()}
        exchange = {
            "grant_type": "authorization_code",
            "code": new_value(),
            "redirect_uri": ELSEWHERE,
            "code_verifier": new_value(),
        }
        nobody = ClientCredentials(new_value(), new_value())
        stranger = ClientCredentials(client.client_id, new_value())
        return [
            self._asked(
                "a client that nobody has",
                "401 invalid_client: client not found",
                lambda: self.goto.token(nobody, refresh),
            ),
            self._asked(
                "the client with a wrong secret",
                "401 invalid_client: client not found",
                lambda: self.goto.token(stranger, refresh),
            ),
            self._asked(
                "a refresh token that nobody has",
                "400 invalid_grant: refresh.token.revoked",
                lambda: self.goto.token(client, refresh),
            ),
            self._asked(
                "a code that nobody has",
                "400 invalid_grant",
                lambda: self.goto.token(client, exchange),
                words=False,
            ),
        ]

    def _authorize(self, client_id: str) -> list[Fact]:
        return [
            self._asked(
                "a redirect URI that the client has not",
                "400, on a page of GoTo's own",
                lambda: self.goto.authorize(client_id, ELSEWHERE),
                page=True,
            ),
            self._asked(
                "a client that nobody has, at authorize",
                "400, on a page of GoTo's own",
                lambda: self.goto.authorize(new_value(), ELSEWHERE),
                page=True,
            ),
        ]

    def _asked(
        self,
        name: str,
        assumed: str,
        ask: Callable[[], Answer],
        *,
        page: bool = False,
        words: bool = True,
    ) -> Fact:
        """``page``: the answer is a page for people, so compare only its status. ``words``: compare
        the error's description, too."""
        try:
            answer = ask()
        except ProviderUnreachable as error:
            return Fact(name, assumed, f"no answer ({error})", None)
        seen = f"{answer.status}, on a page of GoTo's own" if page else _error(answer, words)
        return Fact(name, assumed, seen, seen == assumed)

    def _api(self, connection: Connection, token: str) -> list[Fact]:
        accounts = self.goto.accounts(token)
        listed = "not readable" if accounts is None else f"{len(accounts)} readable"
        named = [account.name for account in accounts or ()]
        several = len(named) > 1
        keys = [account.key for account in accounts or ()]
        usable = self.goto.read_calls(token, connection.account_key)
        strange = self.goto.accounts(new_value())
        return [
            Fact("accounts of the person", "1 readable", listed, listed == "1 readable"),
            Fact(
                "order of several accounts",
                "as GoTo lists them",
                ("by key" if keys == sorted(keys) else "not by key") if several else "only one",
                None,
            ),
            Fact(
                "names of several accounts",
                "readable",
                ("readable" if all(named) else "not readable") if several else "only one",
                all(named) if several else None,
            ),
            Fact("call reports", "allowed", str(usable), usable is Usable.YES),
            Fact(
                "an access token that nobody has",
                "reads nothing",
                "reads nothing" if strange is None else "reads accounts",
                strange is None,
            ),
        ]

    def _granted(self, granted: str | None) -> Fact:
        name, assumed = "scope that was granted", "as asked"
        if granted is None:
            return Fact(name, assumed, "GoTo does not say", None)
        if self.scope is None:
            return Fact(name, assumed, f"{_short(granted)} (all of the client was asked for)", None)
        wanted, got = set(self.scope.split()), set(granted.split())
        differing = [
            *(f"without {scope}" for scope in sorted(wanted - got)),
            *(f"also {scope}" for scope in sorted(got - wanted)),
        ]
        return Fact(name, assumed, _short(", ".join(differing)) or assumed, not differing)


def ticketed(event: object) -> tuple[str, str] | None:
    """The tenant and ticket in a payload; None if it has none."""
    payload = event if isinstance(event, Mapping) else {}
    tenant, ticket = payload.get("facts_of"), payload.get("ticket")
    if isinstance(tenant, str) and isinstance(ticket, str) and well_formed(ticket):
        return tenant, ticket
    return None


def _life(name: str, assumed: int, ends: int, began: int) -> Fact:
    """Compare a lifetime, in seconds; up to 60 of difference still agree."""
    life = ends - began
    return Fact(name, f"{assumed} s", f"{life} s", abs(life - assumed) <= 60)


def _error(answer: Answer, words: bool) -> str:
    """Status, code and description of an OAuth error; otherwise only the names of the members."""
    fields = json_object(answer.body)
    error, description = fields.get("error"), fields.get("error_description")
    if not isinstance(error, str):
        members = ", ".join(sorted(map(str, fields))) or "no JSON object"
        return _short(f"{answer.status} without an error: {members}")
    suffix = f": {description}" if words and isinstance(description, str) and description else ""
    return _short(f"{answer.status} {error}{suffix}")


def _short(text: str) -> str:
    return inert(text[:LONGEST])
