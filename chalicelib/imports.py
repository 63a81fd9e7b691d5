"""Use case of the rep: take over tenants that another program kept alive until now.

A line is one tenant, taken over whole or not at all, and once: the digest of what it holds tells a
repeated line from another tenant of that name. The first refresh shows whether its token lives.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from chalicelib.errors import Conflict, InvalidInput, TenantExists
from chalicelib.model import Caller, JournalEntry, Status, Tenant
from chalicelib.oauth import (
    LONGEST_VALUE,
    ClientCredentials,
    client_value_allowed,
    refresh_token_expiry,
)
from chalicelib.onboard import check_address, check_client, check_display_name, check_name
from chalicelib.pool import Run
from chalicelib.times import REFRESH_TOKEN_LIFETIME

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.adoption import Adoption
    from chalicelib.store.connections import Connections
    from chalicelib.store.tenants import Tenants
    from chalicelib.vault import Vault

MOST_LINES = 1_000
"""Lines in one check; what one invocation's payload and time easily hold."""

MOST_AT_ONCE = 25
"""Lines in one take-over: each of them is a call to Secrets Manager and a transaction."""

_FIELDS = (
    "tenant",
    "display_name",
    "admin_email",
    "client_id",
    "client_secret",
    "refresh_token",
)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file, numbered as an editor shows it."""

    number: int
    tenant: str
    display_name: str
    admin_email: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 by which the same line is known again."""
        kept = [self.tenant, self.client_id, self.client_secret, self.refresh_token]
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Told:
    """What is said of a line; ``error`` None: nothing against it; ``done``: it is taken over."""

    line: int
    tenant: str
    error: str | None = None
    done: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"line": self.line, "tenant": self.tenant, "error": self.error, "done": self.done}


def read(given: Mapping[str, Any]) -> Line:
    """A line as the rep's program sends it. Raises `InvalidInput`."""
    missing = [name for name in _FIELDS if not isinstance(given.get(name), str) or not given[name]]
    if missing:
        raise InvalidInput(f"{missing[0]} is missing.")
    number = given.get("line")
    if not isinstance(number, int):
        raise InvalidInput("line is missing.")
    return Line(number, *(given[name] for name in _FIELDS))


class Imports:
    """``run`` applies a piece of work to every line of a batch."""

    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        connections: "Connections",
        adoption: "Adoption",
        vault: "Vault",
        run: Run,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._connections = connections
        self._adoption = adoption
        self._vault = vault
        self._run = run
        self._clock = clock

    def check(self, given: Sequence[Mapping[str, Any]]) -> list[Told]:
        """What is wrong with each line, if anything, and which are done already. Writes nothing.

        Raises `InvalidInput` where it is not about a single line, `DependencyUnavailable`.
        """
        if not 0 < len(given) <= MOST_LINES:
            raise InvalidInput(f"An import is checked in batches of 1 to {MOST_LINES} lines.")
        told = [self._check(values) for values in given]
        names = sorted({line.tenant for line in told if line.error is None})
        taken: dict[str, str | None] = {}
        for start in range(0, len(names), 100):
            taken |= self._tenants.names_taken(names[start : start + 100])
        return [
            _against(line, read(values), taken) if line.error is None else line
            for line, values in zip(told, given, strict=True)
        ]

    def take_over(self, given: Sequence[Mapping[str, Any]], by: Caller) -> list[Told]:
        """Take over every line, or none where one of them is wrong.

        Raises `InvalidInput`; `DependencyUnavailable`: some may be done, the same again goes on.
        """
        if len(given) > MOST_AT_ONCE:
            raise InvalidInput(f"At most {MOST_AT_ONCE} lines are taken over at once.")
        told = self.check(given)
        if any(line.error for line in told):
            return told
        open_ = [read(values) for values, line in zip(given, told, strict=True) if not line.done]
        done = {line.line: line for line in self._run(lambda line: self._adopt(line, by), open_)}
        return [done.get(line.line, line) for line in told]

    def _check(self, values: Mapping[str, Any]) -> Told:
        number, name = values.get("line"), values.get("tenant")
        where = number if isinstance(number, int) else 0
        who = name if isinstance(name, str) else ""
        try:
            line = read(values)
            check_name(line.tenant)
            check_display_name(line.display_name)
            check_address(line.admin_email)
            client = ClientCredentials(line.client_id, line.client_secret)
            check_client(client, self._settings.client_auth)
            _check_token(line.refresh_token)
        except InvalidInput as error:
            return Told(where, who, str(error))
        return Told(where, who)

    def _adopt(self, line: Line, by: Caller) -> Told:
        """Vault first: a version that no row names is never read."""
        now = int(self._clock())
        client = ClientCredentials(line.client_id, line.client_secret)
        tenant = Tenant(
            line.tenant,
            line.display_name,
            line.admin_email,
            self._settings.redirect_uri(line.tenant),
            client_id=line.client_id,
            secret_version=self._vault.store(line.tenant, client),
            imported=line.digest,
        )
        text = "Imported with its refresh token; the first refresh shows whether that is alive."
        entry = JournalEntry(
            line.tenant, self._clock(), "imported", by.who, text, by.reference, Status.DEGRADED
        )
        ends = refresh_token_expiry(line.refresh_token, now, REFRESH_TOKEN_LIFETIME)
        before = self._connections.grant_facts(line.tenant)
        try:
            self._adoption.adopt(tenant, before, line.refresh_token, entry, ends=ends)
        except Conflict:
            taken = self._tenants.names_taken([line.tenant])
            changed = "It has changed meanwhile; import it again."
            return _against(Told(line.number, line.tenant, changed), line, taken)
        return Told(line.number, line.tenant, done=True)


def _check_token(token: str) -> None:
    if not client_value_allowed(token):
        raise InvalidInput(
            f"The refresh token must be printable ASCII, {LONGEST_VALUE} characters at most,"
            " without spaces around."
        )


def _against(told: Told, line: Line, taken: Mapping[str, str | None]) -> Told:
    """A name that is taken: by this very line, or by somebody else."""
    if line.tenant not in taken:
        return told
    if taken[line.tenant] == line.digest:
        return Told(told.line, told.tenant, done=True)
    return Told(told.line, told.tenant, str(TenantExists(told.tenant)))
