"""Use case of the rep: take over tenants that another program has kept alive until now.

A line is one tenant, imported once, and whole or not at all. Its digest tells a repeated line from
another tenant with that name. The first refresh shows whether its token is alive.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from typing import Any

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.config import Settings
from chalicelib.durations import REFRESH_TOKEN_LIFETIME
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.tenants import TenantImports, Tenants
from chalicelib.errors import AccountTaken, Conflict, InvalidInput, TenantExists
from chalicelib.goto.oauth import LONGEST_VALUE, client_value_allowed
from chalicelib.goto.token_response import refresh_token_expiry
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import DETAILS, Actor, ClientCredentials, Status, Tenant, TenantDetails
from chalicelib.rep.onboarding import (
    check_account,
    check_client,
    check_details,
    check_name,
    reserved,
)
from chalicelib.tokens.account_rule import AccountRule

MOST_LINES = 1_000
"""Lines per check; they easily fit one invocation's payload and time."""

MOST_AT_ONCE = 25
"""Lines per import; each takes a call to Secrets Manager and a transaction."""

_REQUIRED_DETAILS = tuple(each.name for each in fields(TenantDetails) if each.default is MISSING)

_FIELDS = ("client_id", "client_secret", "refresh_token")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, numbered as in an editor. ``account_key``: the GoTo account to pin, if known."""

    number: int
    tenant: str
    details: TenantDetails
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    account_key: str | None = None

    @property
    def digest(self) -> str:
        """The SHA-256 that identifies a repeated line."""
        values = [self.tenant, self.client_id, self.client_secret, self.refresh_token]
        values += [self.account_key] if self.account_key else []
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class LineResult:
    """``error`` None: nothing is wrong with the line; ``done``: its tenant is imported."""

    line: int
    tenant: str
    error: str | None = None
    done: bool = False

    def to_dict(self) -> dict[str, Any]:
        return {"line": self.line, "tenant": self.tenant, "error": self.error, "done": self.done}


def read(given: Mapping[str, Any]) -> Line:
    """Read a line as the rep's program sends it. Raises `InvalidInput`."""
    _require(given, ("tenant", *_REQUIRED_DETAILS, *_FIELDS))
    number = given.get("line")
    if not isinstance(number, int):
        raise InvalidInput("line is missing.")
    account = given.get("account_key")
    if account is not None and not isinstance(account, str):
        raise InvalidInput("account_key must be text.")
    values = (given[name] for name in _FIELDS)
    line = Line(number, given["tenant"], read_details(given), *values)
    return replace(line, account_key=account or None)


def read_details(given: Mapping[str, Any]) -> TenantDetails:
    """The fields of `TenantDetails` in a command or a line. Raises `InvalidInput`."""
    _require(given, _REQUIRED_DETAILS)
    _require(given, tuple(name for name in DETAILS if given.get(name)))
    return TenantDetails(**{name: given[name] for name in DETAILS if given.get(name)})


def _require(given: Mapping[str, Any], names: Sequence[str]) -> None:
    """Raises `InvalidInput` unless each of them is there and is text."""
    for name in names:
        if not isinstance(given.get(name), str) or not given[name]:
            raise InvalidInput(f"{name} is missing.")


@dataclass(frozen=True, kw_only=True)
class BulkImport:
    """``run`` applies a function to every line of a batch."""

    settings: Settings
    tenants: Tenants
    connections: Connections
    tenant_imports: TenantImports
    secret_store: SecretStore
    rule: AccountRule
    run: Callable[[Callable[[Line], LineResult], Iterable[Line]], Iterable[LineResult]]
    clock: Callable[[], float]

    def check(self, given: Sequence[Mapping[str, Any]]) -> list[LineResult]:
        """What is wrong with each line, and which are imported already. Writes nothing.

        Raises `InvalidInput` if the batch is empty or too large, `DependencyUnavailable`.
        """
        if not 0 < len(given) <= MOST_LINES:
            raise InvalidInput(f"An import is checked in batches of 1 to {MOST_LINES} lines.")
        results = [self._check(values) for values in given]
        names = sorted({line.tenant for line in results if line.error is None})
        taken: dict[str, str | None] = {}
        for start in range(0, len(names), 100):
            taken |= self.tenants.names_taken(names[start : start + 100])
        checked = [
            _against(line, read(values), taken) if line.error is None else line
            for line, values in zip(results, given, strict=True)
        ]
        wanted = _accounts(given, checked)
        return [self._against_account(line, wanted) for line in checked]

    def _against_account(self, told: LineResult, wanted: Mapping[int, str]) -> LineResult:
        """Reject another tenant's GoTo account, or one that two lines of the batch name (S26)."""
        account = wanted.get(told.line)
        if account is None:
            return told
        if list(wanted.values()).count(account) > 1:
            return replace(told, error=f"Two lines name GoTo account {account}.")
        holder = self.rule.other_holder(account, told.tenant)
        error = str(AccountTaken(account, holder, told.tenant)) if holder else None
        return replace(told, error=error)

    def take_over(self, given: Sequence[Mapping[str, Any]], by: Actor) -> list[LineResult]:
        """Import every line, or none if one is wrong.

        Raises `InvalidInput`; `DependencyUnavailable`: repeat the call for the lines not yet done.
        """
        if len(given) > MOST_AT_ONCE:
            raise InvalidInput(f"At most {MOST_AT_ONCE} lines are taken over at once.")
        results = self.check(given)
        if any(line.error for line in results):
            return results
        lines = [read(values) for values, line in zip(given, results, strict=True) if not line.done]
        done = {line.line: line for line in self.run(lambda line: self._import(line, by), lines)}
        return [done.get(line.line, line) for line in results]

    def _check(self, values: Mapping[str, Any]) -> LineResult:
        number, name = values.get("line"), values.get("tenant")
        where = number if isinstance(number, int) else 0
        who = name if isinstance(name, str) else ""
        try:
            line = read(values)
            check_name(line.tenant)
            check_details(asdict(line.details))
            client = ClientCredentials(line.client_id, line.client_secret)
            check_client(client, self.settings.client_auth)
            _check_token(line.refresh_token)
            if line.account_key:
                check_account(line.account_key, self.settings)
        except InvalidInput as error:
            return LineResult(where, who, str(error))
        return LineResult(where, who)

    def _import(self, line: Line, by: Actor) -> LineResult:
        """Secret first: nobody reads a secret's version until a row names it."""
        now = int(self.clock())
        client = ClientCredentials(line.client_id, line.client_secret)
        tenant = Tenant(
            **asdict(line.details),
            name=line.tenant,
            redirect_uri=self.settings.redirect_uri(line.tenant),
            client_id=line.client_id,
            secret_version=self.secret_store.store(line.tenant, client),
            imported=line.digest,
            pinned_account=line.account_key,
        )
        text = "Imported with its refresh token; the first refresh shows whether that is alive."
        if line.account_key:
            text += f" Only GoTo account {line.account_key} can connect."
        entry = JournalEntry(
            line.tenant, self.clock(), Kind.IMPORTED, by.who, text, by.reference, Status.DEGRADED
        )
        ends = refresh_token_expiry(line.refresh_token, now, REFRESH_TOKEN_LIFETIME)
        before = self.connections.grant_summary(line.tenant)
        claim = self.rule.claim(line.account_key, line.tenant)
        changed = LineResult(
            line.number, line.tenant, "It changed in the meantime; import it again."
        )
        if claim is None:
            return changed
        try:
            self.tenant_imports.import_tenant(
                tenant, before, line.refresh_token, entry, ends=ends, claim=claim
            )
        except Conflict:
            taken = self.tenants.names_taken([line.tenant])
            return _against(changed, line, taken)
        return LineResult(line.number, line.tenant, done=True)


def _accounts(given: Sequence[Mapping[str, Any]], told: Sequence[LineResult]) -> dict[int, str]:
    """The account keys of valid lines that are not imported yet, by line number."""
    pending = {line.line for line in told if line.error is None and not line.done}
    named = {values.get("line"): values.get("account_key") for values in given}
    return {number: str(key) for number, key in named.items() if key and number in pending}


def _check_token(token: str) -> None:
    if not client_value_allowed(token):
        raise InvalidInput(
            f"The refresh token must be printable ASCII, {LONGEST_VALUE} characters at most,"
            " without spaces around."
        )


def _against(told: LineResult, line: Line, taken: Mapping[str, str | None]) -> LineResult:
    """Reject a reserved or taken name; one that this very line has taken is done."""
    if line.tenant not in taken:
        return replace(told, error=told.error or reserved(line.tenant))
    if taken[line.tenant] == line.digest:
        return LineResult(told.line, told.tenant, done=True)
    return LineResult(told.line, told.tenant, str(TenantExists(told.tenant)))
