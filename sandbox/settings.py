"""Settings of the local cloud: the only place that reads them from the environment.

Without any, the local cloud is self-contained; with `GOTO_*` it connects to another OAuth server.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from chalicelib.config import VisitorIdentity
from chalicelib.permissions import SCOPE_NEEDED, SCOPE_READ
from sandbox.processes import free_port

DEFAULT_PORT = 8000
_NEEDED = ("GOTO_AUTHORIZE_URL", "GOTO_TOKEN_URL", "GOTO_CLIENT_ID", "GOTO_CLIENT_SECRET")
_NOT_ALONE = (*_NEEDED, "GOTO_REVOKE_URL", "GOTO_API_URL")


class BadSettings(Exception):
    """The environment is invalid; the message is one sentence for the person who typed it."""


@dataclass(frozen=True)
class Provider:
    """Addresses of an OAuth server; empty if it has none."""

    authorize_url: str
    token_url: str
    revoke_url: str
    api_url: str


@dataclass(frozen=True)
class Client:
    """The product's OAuth client there."""

    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Ports:
    """Ports of the three servers, all on the loopback interface."""

    edge: int
    goto: int
    aws: int

    @classmethod
    def free(cls) -> Self:
        """Three free ports."""
        return cls(free_port(), free_port(), free_port())


@dataclass(frozen=True)
class Settings:
    """Settings of one local cloud; without `provider`, it starts the sandbox's GoTo."""

    ports: Ports
    provider: Provider | None = None
    client: Client | None = None
    issuer: str = ""
    client_auth: str = "raw"
    scope: str = SCOPE_READ
    needed_scopes: str = SCOPE_NEEDED
    login_origins: str | None = None
    visitor_identity: VisitorIdentity = VisitorIdentity.OFF


def load(environment: Mapping[str, str]) -> Settings:
    """Read and check the settings; raises `BadSettings`."""
    client_auth = environment.get("GOTO_CLIENT_AUTH") or "raw"
    if client_auth not in ("raw", "rfc6749"):
        raise BadSettings("GOTO_CLIENT_AUTH must be raw or rfc6749.")
    provider, client = _provider(environment)
    # From another server we request all the client's scopes, unless GOTO_SCOPE is set.
    scope = "" if provider else SCOPE_READ
    return Settings(
        ports=_ports(environment.get("PORT") or str(DEFAULT_PORT)),
        provider=provider,
        client=client,
        issuer=environment.get("GOTO_ISSUER", ""),
        client_auth=client_auth,
        scope=environment.get("GOTO_SCOPE", scope).strip(),
        needed_scopes="" if provider else SCOPE_NEEDED,
        login_origins=environment.get("GOTO_LOGIN_ORIGINS"),
        visitor_identity=_visitor_identity(environment.get("VISITOR_IDENTITY") or "off"),
    )


def _visitor_identity(text: str) -> VisitorIdentity:
    if text not in list(VisitorIdentity):
        raise BadSettings("VISITOR_IDENTITY must be off, optional or required.")
    return VisitorIdentity(text)


def _ports(text: str) -> Ports:
    port = int(text) if text.isascii() and text.isdigit() else 0
    if not 1024 <= port <= 65533:
        raise BadSettings(f"PORT must be a number from 1024 to 65533, not {text!r}.")
    return Ports(edge=port, goto=port + 1, aws=port + 2)


def _provider(environment: Mapping[str, str]) -> tuple[Provider, Client] | tuple[None, None]:
    if not any(environment.get(name) for name in _NOT_ALONE):
        return None, None
    missing = [name for name in _NEEDED if not environment.get(name)]
    if missing:
        raise BadSettings(f"To connect to another server, set {' and '.join(missing)} as well.")
    provider = Provider(
        authorize_url=environment["GOTO_AUTHORIZE_URL"],
        token_url=environment["GOTO_TOKEN_URL"],
        revoke_url=environment.get("GOTO_REVOKE_URL", ""),
        api_url=environment.get("GOTO_API_URL", ""),
    )
    return provider, Client(environment["GOTO_CLIENT_ID"], environment["GOTO_CLIENT_SECRET"])
