"""What a connection may read at GoTo: accounts, scopes, whether it is of use. Pure values.

GoTo's scopes are the client's, its permissions the person's: a token needs both (S27, F33).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

SCOPE_READ = "identity: cr.v1.read users.v1.read users.v1.lines.read"
"""What HA's services read: call reports, and whose calls they are. Nothing that writes."""

SCOPE_NEEDED = "identity: cr.v1.read users.v1.read"
"""Without these a report is empty. GoTo's portal has them behind two boxes."""

BOX_ADMIN_CENTER = "Admin Center"
BOX_GOTOCONNECT = "GoToConnect"

_WRITING = (".send", ".write", ".manage", ".create", ".update", ".delete", ".control")
"""Ends of scopes that let a token change something at GoTo or act for its person."""

_ONLY_NOTIFIES = ".notifications.manage"
"""Manages the token's own subscriptions, nothing of the customer's."""


class GoToAccount(NamedTuple):
    """One of a person's GoTo accounts; ``name`` where GoTo told it."""

    key: str
    name: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name} ({self.key})" if self.name else self.key


class Claim(NamedTuple):
    """That an account becomes a tenant's own; None: there is none to claim. ``over``: the tenant
    whose claim nothing supports any more, as it stood at ``edition``. ``sharers``: it becomes no
    tenant's own; these have it too from now on, if nothing has changed since ``edition``."""

    account: str | None = None
    over: str | None = None
    edition: int = 0
    sharers: tuple[str, ...] = ()


NO_CLAIM = Claim()


class Owner(NamedTuple):
    """Whose tokens GoTo gave, as far as it tells: for which account they serve the tenant, who
    signed in, and all accounts of that person."""

    account: str | None = None
    principal: str | None = None
    accounts: tuple[GoToAccount, ...] = ()

    @classmethod
    def of(cls, accounts: tuple[GoToAccount, ...], principal: str | None) -> Owner:
        """Who signed in; one who has a single account did so for that one."""
        return cls(accounts[0].key if len(accounts) == 1 else None, principal, accounts)

    @property
    def keys(self) -> tuple[str, ...]:
        """Every account that is known of, in no order that means anything."""
        if self.accounts:
            return tuple(each.key for each in self.accounts)
        return (self.account,) if self.account else ()

    @property
    def sentence(self) -> str:
        """Who tried to sign in, for reps."""
        by = f", by {self.principal}" if self.principal else ""
        return f"The sign-in was with {self.named}{by}."

    @property
    def named(self) -> str:
        """The account, or all that it may have been."""
        if self.account or not self.accounts:
            known = f"GoTo account {self.account}" if self.account else None
            return known or "a GoTo account that could not be read"
        labels = sorted(each.label for each in self.accounts)
        if len(labels) == 1:
            return f"GoTo account {labels[0]}"
        return f"one of the GoTo accounts {', '.join(labels)}"


class Usable(StrEnum):
    """Whether a living connection can read what HA reads, as readers find it."""

    YES = "yes"
    SCOPE_MISSING = "scope_missing"
    FORBIDDEN = "forbidden"
    ACCOUNT_GONE = "account_gone"
    UNKNOWN = "unknown"


USELESS = (Usable.SCOPE_MISSING, Usable.FORBIDDEN, Usable.ACCOUNT_GONE)
"""What a person must mend."""


def missing(needed: Iterable[str], granted: str | None) -> tuple[str, ...]:
    """The needed scopes that a grant lacks; none where GoTo did not say what it granted
    (RFC 6749 5.1: then it is what was asked for).

    ``identity:`` stands for any scope that begins with it.
    """
    if granted is None:
        return ()
    held = granted.split()
    return tuple(scope for scope in needed if not any(map(_covers(scope), held)))


def _covers(scope: str) -> Callable[[str], bool]:
    return lambda held: held.startswith(scope) if scope.endswith(":") else held == scope


def writing(granted: str | None) -> tuple[str, ...]:
    """The scopes of a grant that let its token write."""
    held = (granted or "").split()
    return tuple(
        scope for scope in held if scope.endswith(_WRITING) and not scope.endswith(_ONLY_NOTIFIES)
    )


def scope_sentence(lacking: Iterable[str]) -> str:
    """What to check, where GoTo granted less than needed; all boxes where it did not say."""
    names = boxes(lacking) or (BOX_ADMIN_CENTER, BOX_GOTOCONNECT)
    what = f"the box {names[0]}" if len(names) == 1 else f"the boxes {' and '.join(names)}"
    return (
        f"In GoTo's developer portal, check {what} of the client hireanalytiX; then click"
        " Get Access Token again."
    )


def boxes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The boxes of GoTo's portal that bring these scopes."""
    found = {
        BOX_ADMIN_CENTER if each.startswith("identity:") else BOX_GOTOCONNECT for each in scopes
    }
    return tuple(sorted(found))
