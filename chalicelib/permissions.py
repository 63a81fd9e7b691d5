"""What a connection may read at GoTo: accounts, scopes, and whether it is usable. Pure values. At
GoTo scopes belong to the client and permissions to the person: a token needs both (S27, F33)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

SCOPE_READ = "identity: cr.v1.read users.v1.read users.v1.lines.read"
"""HA's services read call reports and whose calls they are, and write nothing."""

SCOPE_NEEDED = "identity: cr.v1.read users.v1.read"
"""Without these a report is empty. Two boxes in GoTo's portal grant them."""

BOX_ADMIN_CENTER = "Admin Center"
BOX_GOTOCONNECT = "GoToConnect"

_WRITING = (".send", ".write", ".manage", ".create", ".update", ".delete", ".control")
"""Suffixes of scopes that let a token change something at GoTo or act for its person."""

_ONLY_NOTIFIES = ".notifications.manage"
"""Manages the token's own subscriptions, nothing of the customer's."""


class GoToAccount(NamedTuple):
    """One of a person's GoTo accounts; ``name`` if GoTo gave one."""

    key: str
    name: str | None = None

    @property
    def label(self) -> str:
        return f"{self.name} ({self.key})" if self.name else self.key


class Claim(NamedTuple):
    """Makes an account a tenant's own; None claims nothing. ``over``: the holder whose claim is
    void, as read at ``edition``. ``sharers``: the owner stays; these tenants share the account from
    now on, if its row is still at ``edition``."""

    account: str | None = None
    over: str | None = None
    edition: int = 0
    sharers: tuple[str, ...] = ()


NO_CLAIM = Claim()


class Owner(NamedTuple):
    """Whose tokens these are, as far as GoTo says: the account they serve the tenant for, the
    person who signed in, and all of that person's accounts."""

    account: str | None = None
    principal: str | None = None
    accounts: tuple[GoToAccount, ...] = ()

    @classmethod
    def of(cls, accounts: tuple[GoToAccount, ...], principal: str | None) -> Owner:
        """The owner from a sign-in; a person with a single account signed in for that one."""
        return cls(accounts[0].key if len(accounts) == 1 else None, principal, accounts)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of all known accounts, in no meaningful order."""
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
        """The account, or all candidates."""
        if self.account or not self.accounts:
            account = f"GoTo account {self.account}" if self.account else None
            return account or "a GoTo account that could not be read"
        labels = sorted(each.label for each in self.accounts)
        if len(labels) == 1:
            return f"GoTo account {labels[0]}"
        return f"one of the GoTo accounts {', '.join(labels)}"


class Usable(StrEnum):
    """Whether a live connection can read what HA reads, as readers see it."""

    YES = "yes"
    SCOPE_MISSING = "scope_missing"
    FORBIDDEN = "forbidden"
    ACCOUNT_GONE = "account_gone"
    UNKNOWN = "unknown"


USELESS = (Usable.SCOPE_MISSING, Usable.FORBIDDEN, Usable.ACCOUNT_GONE)
"""A person must fix these."""


def missing(needed: Iterable[str], granted: str | None) -> tuple[str, ...]:
    """The needed scopes that a grant lacks; none if GoTo did not name what it granted (RFC 6749
    5.1: then it granted what we requested). ``identity:`` matches any scope that begins with it."""
    if granted is None:
        return ()
    scopes = granted.split()
    return tuple(scope for scope in needed if not any(map(_covers(scope), scopes)))


def _covers(scope: str) -> Callable[[str], bool]:
    return lambda held: held.startswith(scope) if scope.endswith(":") else held == scope


def writing(granted: str | None) -> tuple[str, ...]:
    """The scopes of a grant that let its token write."""
    scopes = (granted or "").split()
    return tuple(
        scope for scope in scopes if scope.endswith(_WRITING) and not scope.endswith(_ONLY_NOTIFIES)
    )


def scope_sentence(lacking: Iterable[str]) -> str:
    """Which boxes to check if GoTo granted less than needed; all boxes if it did not say."""
    names = boxes(lacking) or (BOX_ADMIN_CENTER, BOX_GOTOCONNECT)
    what = f"the box {names[0]}" if len(names) == 1 else f"the boxes {' and '.join(names)}"
    return (
        f"In GoTo's developer portal, check {what} of the client hireanalytiX; then click"
        " Get Access Token again."
    )


def boxes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The boxes in GoTo's portal that grant these scopes."""
    names = {
        BOX_ADMIN_CENTER if each.startswith("identity:") else BOX_GOTOCONNECT for each in scopes
    }
    return tuple(sorted(names))
