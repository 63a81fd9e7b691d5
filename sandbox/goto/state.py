"""What the sandbox GoTo remembers: users, clients, consents, codes, grants and access tokens.

Thread-safe, in memory, and in one JSON file (mode 0600, written atomically) when a path is given.
Secrets and codes are kept as SHA-256 and tokens as their ids: only the signing key, the session
key and the practise users' passwords stand in the file as they are.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import json
import os
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from sandbox.goto import token_rules
from sandbox.goto.token_rules import Grant, RefreshToken

SCHEMA = 1
# Used codes are kept this long past their end (seconds), so that a replay is still recognised.
_CODE_MEMORY = 86_400

# What the customer's client asks for: the boxes Admin Center and GoToConnect of GoTo's portal.
DEFAULT_SCOPE = (
    "identity: cr.v1.read call-events.v1.events.read call-history.v1.notifications.manage"
    " users.v1.read users.v1.lines.read voice-admin.v1.read messaging.v1.send"
)
DEFAULT_NAME = "hireanalytiX"


class StateError(Exception):
    """The state file cannot be read or written, or a client or user cannot be registered."""


def digest(value: str) -> str:
    """Return the SHA-256 of a secret value in hex: what is kept and logged in its place."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Membership:
    """What a person may do in one account: without `admin` or `licensed`, nothing can be read."""

    key: str
    admin: bool = True
    licensed: bool = True


@dataclass(frozen=True, slots=True)
class User:
    """Someone who can log in. The password is no secret: the pages show it.

    `account_key` is the account of a person who has only one; `memberships` of any other. A person
    who was removed from every account has `account_key` empty.
    """

    email: str
    account_key: str
    password: str = "practice"
    memberships: tuple[Membership, ...] = ()

    @property
    def key(self) -> str:
        """The user's own number, as `sub` and the identity answer name them."""
        return str(int(digest(self.email)[:15], 16))

    @property
    def accounts(self) -> tuple[Membership, ...]:
        """The person's accounts, in the order in which they were added."""
        if self.memberships or not self.account_key:
            return self.memberships
        return (Membership(self.account_key),)

    def member_of(self, account: str) -> bool:
        return any(one.key == account for one in self.accounts)


ACCOUNT_NAMES = {
    "4000000001": "Acme Analytics",
    "4000000002": "Rival Ltd",
    "4000000003": "Partner IT Services",
    "4000000004": "Beta Dental",
    "4000000005": "Gamma Logistics",
}

PRACTISE_USERS = (
    User("admin@acme.example", "4000000001"),
    User("owner@rival.example", "4000000002"),
    User(
        "partner@it.example",
        "4000000003",
        memberships=tuple(map(Membership, ("4000000003", "4000000004", "4000000005"))),
    ),
)


@dataclass(frozen=True, slots=True)
class Client:
    """A registered OAuth client. Build it with `Client.new`, which hashes the secret."""

    client_id: str
    secret_digest: str
    redirect_uris: tuple[str, ...]
    scope: str = DEFAULT_SCOPE
    name: str = DEFAULT_NAME

    @classmethod
    def new(
        cls,
        client_id: str,
        client_secret: str,
        redirect_uris: Sequence[str],
        scope: str = DEFAULT_SCOPE,
        name: str = DEFAULT_NAME,
    ) -> Client:
        """Return a client; raises `StateError` for what GoTo's portal would not take."""
        if not client_id or not client_id.isprintable() or ":" in client_id:
            raise StateError("a client id is printable text without a colon")
        if not client_secret:
            raise StateError("a client secret must not be empty")
        if not redirect_uris:
            raise StateError("a client needs at least one redirect URI")
        for uri in redirect_uris:
            if not token_rules.is_allowed_redirect_uri(uri):
                raise StateError(f"not a redirect URI (https, or http on localhost): {uri!r}")
        words = " ".join(scope.split())
        return cls(client_id, digest(client_secret), tuple(redirect_uris), words, name)

    def has_secret(self, client_secret: str) -> bool:
        return hmac.compare_digest(self.secret_digest, digest(client_secret))


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code, by its SHA-256. `grant_id` is what its first use made."""

    digest: str
    client_id: str
    email: str
    redirect_uri: str
    scope: str
    expires_at: float
    code_challenge: str | None = None
    used: bool = False
    replayed: bool = False
    grant_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token by its id (`jti`), kept until it expires (epoch seconds)."""

    id: str
    grant_id: str
    expires_at: float
    revoked: bool = False


class State:
    """Everything remembered. Read and write inside `changing()` where two steps belong together.

    `path`: the file to keep it in, or None for memory alone. Users and clients given are added
    to those that the file holds, and replace them where the email or client id is the same.
    `key`: sign with this one (RSA, 2048 bits) where the file has none; making one takes time.
    """

    def __init__(
        self,
        path: Path | None = None,
        users: Iterable[User] = (),
        clients: Iterable[Client] = (),
        key: RSAKey | None = None,
    ) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self.users: dict[str, User] = {user.email: user for user in PRACTISE_USERS}
        self.account_names: dict[str, str] = dict(ACCOUNT_NAMES)
        self.clients: dict[str, Client] = {}
        self.consents: dict[tuple[str, str], frozenset[str]] = {}
        self.codes: dict[str, Code] = {}
        self.grants: dict[str, Grant] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self._families: dict[str, str] = {}
        self._key = key
        self.session_key = secrets.token_hex(32)
        if path is not None and path.exists():
            self._load(path)
        with self.changing():
            self.users |= {user.email: user for user in users}
            self.clients |= {client.client_id: client for client in clients}

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; save when the outermost block ends, also after an exception."""
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    self._save()

    def signing_key(self) -> RSAKey:
        """Return the one 2048-bit RSA key, made at the first call if there is none."""
        with self._lock:
            if self._key is None:
                with self.changing():
                    self._key = RSAKey.generate_key(2048, auto_kid=True)
            return self._key

    def add_client(self, client: Client) -> None:
        with self.changing():
            self.clients[client.client_id] = client

    def tick_boxes(self, client_id: str, scope: str) -> None:
        """Change a client's scopes, as its owner does with the boxes of GoTo's portal."""
        with self.changing():
            client = self.clients[client_id]
            self.clients[client_id] = replace(client, scope=" ".join(scope.split()))

    def put_user(self, user: User) -> None:
        """Add a person, or change what one may do."""
        with self.changing():
            self.users[user.email] = user

    def name_account(self, key: str, name: str) -> None:
        with self.changing():
            self.account_names[key] = name

    def add_consent(self, email: str, client_id: str, scope: str) -> None:
        """Remember that the user allowed the client these scopes, and those of before."""
        with self.changing():
            before = self.consents.get((email, client_id), frozenset())
            self.consents[email, client_id] = before | set(scope.split())

    def has_consent(self, email: str, client_id: str, scope: str) -> bool:
        with self._lock:
            return set(scope.split()) <= self.consents.get((email, client_id), frozenset())

    def add_code(self, code: Code, now: float) -> None:
        with self.changing():
            stale = [
                old.digest for old in self.codes.values() if old.expires_at + _CODE_MEMORY < now
            ]
            for name in stale:
                del self.codes[name]
            self.codes[code.digest] = code

    def take_code(self, value: str, client_id: str, now: float) -> Code | None:
        """Use a code up for its client and return it; None when it is not good.

        Whatever comes of the token request, the code is spent. A second use revokes the grant
        that the first one made (RFC 6749 4.1.2).
        """
        with self.changing():
            code = self.codes.get(digest(value))
            if code is None or code.client_id != client_id:
                return None
            if code.used:
                self.codes[code.digest] = replace(code, replayed=True)
                if code.grant_id is not None:
                    self.put_grant(token_rules.revoke(self.grants[code.grant_id]))
                return None
            self.codes[code.digest] = replace(code, used=True)
            return code if now < code.expires_at else None

    def put_grant(self, grant: Grant) -> None:
        with self.changing():
            self.grants[grant.id] = grant
            self._families |= {token.id: grant.id for token in grant.tokens}

    def grant_of(self, refresh_token_id: str) -> Grant | None:
        """Return the grant whose family the refresh token belongs to."""
        with self._lock:
            grant_id = self._families.get(refresh_token_id)
            return None if grant_id is None else self.grants[grant_id]

    def add_access_token(self, token: AccessToken, now: float) -> None:
        with self.changing():
            for old in [one for one in self.access_tokens.values() if one.expires_at <= now]:
                del self.access_tokens[old.id]
            self.access_tokens[token.id] = token

    def revoke_user(self, email: str) -> int:
        """Revoke every grant of the user; return how many were alive."""
        with self.changing():
            alive = [one for one in self.grants.values() if one.email == email and not one.revoked]
            for grant in alive:
                self.put_grant(token_rules.revoke(grant))
            return len(alive)

    def _save(self) -> None:
        if self._path is None:
            return
        text = json.dumps(self._as_json(), indent=1)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # mkstemp makes the file 0600; the name changes only once the content is on the disk.
            handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=".goto-")
            temporary = Path(name)
            try:
                with os.fdopen(handle, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self._path)
            except BaseException:
                temporary.unlink()
                raise
        except OSError as error:
            raise StateError(f"cannot write {self._path}: {error.strerror}") from error

    def _as_json(self) -> dict[str, Any]:
        def rows(values: Iterable[Any]) -> list[dict[str, Any]]:
            return [dataclasses.asdict(value) for value in values]

        return {
            "schema": SCHEMA,
            "session_key": self.session_key,
            "signing_key": None if self._key is None else self._key.as_dict(private=True),
            "users": rows(self.users.values()),
            "account_names": self.account_names,
            "clients": rows(self.clients.values()),
            "consents": [[*pair, *sorted(scopes)] for pair, scopes in self.consents.items()],
            "codes": rows(self.codes.values()),
            "grants": rows(self.grants.values()),
            "access_tokens": rows(self.access_tokens.values()),
        }

    def _load(self, path: Path) -> None:
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found["schema"] != SCHEMA:
                raise ValueError(found["schema"])
            self.session_key = found["session_key"]
            if found["signing_key"] is not None:
                self._key = RSAKey.import_key(found["signing_key"])
            self.users |= {row["email"]: _user(row) for row in found["users"]}
            self.account_names |= found.get("account_names", {})
            for row in found["clients"]:
                client = Client(**{**row, "redirect_uris": tuple(row["redirect_uris"])})
                self.clients[client.client_id] = client
            for email, client_id, *scopes in found["consents"]:
                self.consents[email, client_id] = frozenset(scopes)
            self.codes = {row["digest"]: Code(**row) for row in found["codes"]}
            for row in found["grants"]:
                tokens = tuple(RefreshToken(**token) for token in row["tokens"])
                grant = Grant(**{**row, "tokens": tokens})
                self.grants[grant.id] = grant
                self._families |= {token.id: grant.id for token in tokens}
            self.access_tokens = {row["id"]: AccessToken(**row) for row in found["access_tokens"]}
        except OSError as error:
            raise StateError(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError, JoseError) as error:
            raise StateError(
                f"{path} is not a state file of this sandbox: remove it, or name another"
            ) from error


def _user(row: dict[str, Any]) -> User:
    memberships = tuple(Membership(**one) for one in row.get("memberships", ()))
    return User(**{**row, "memberships": memberships})
