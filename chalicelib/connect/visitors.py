"""Decides who is let in: the holder of an emailed link, or a person whom HA's front names.

With `VisitorIdentity` *off* only links count, with *optional* either, with *required* no link.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chalicelib import opaque
from chalicelib.config import Settings, VisitorIdentity
from chalicelib.connect import visitor_tokens
from chalicelib.connect.visitor_tokens import Identity, Refusal
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import LinkNotUsable, LoginRequired, NotReadyToConnect
from chalicelib.models import Tenant


@dataclass(frozen=True, slots=True)
class BrowserCookies:
    """What a browser sent: the link and its own secret, from cookies; any text or None.

    ``before``: its secret before it last came back from GoTo. Forms and sign-ins from other tabs
    still count with it; no page shows anything for it. ``identity``: whom HA's front names.
    """

    link: str | None = field(repr=False)
    browser: str | None = field(repr=False)
    before: str | None = field(default=None, repr=False)
    identity: Identity | None = None

    @property
    def values(self) -> tuple[str, ...]:
        """The browser's valid secrets, newest first; none if the newest is missing."""
        if not opaque.well_formed(self.browser):
            return ()
        secrets = (self.browser, self.before)
        return tuple(value for value in secrets if value and opaque.well_formed(value))

    def of_another(self, tenant: str) -> bool:
        """Whether HA's front names a person of a tenant other than this state's or link's."""
        return self.identity is not None and self.identity.tenant != tenant


class Visitor(NamedTuple):
    """Who was let in, and to which tenant.

    ``series``: the tenant's current link series. ``counted``: key of the row that counts starts.
    ``email``: of a person whom HA's front names; None for the holder of a link.
    """

    tenant: Tenant
    series: int
    counted: str
    email: str | None = None


@dataclass(eq=False, kw_only=True)
class Door:
    """``keys``: those that HA's front may sign with; called only if a token came."""

    settings: Settings
    tenants: Tenants
    links: Links
    keys: Callable[[], Sequence[str]]
    clock: Callable[[], float]

    def identify(self, tokens: Sequence[str], host: str | None) -> Identity | Refusal | None:
        """Whom HA's front names, or why not; None if it sent no token, or identity is *off*.

        ``tokens``: every value of its header. Raises `DependencyUnavailable`, `Misconfigured`.
        """
        if self.settings.visitor_identity is VisitorIdentity.OFF or not tokens:
            return None
        if len(tokens) > 1:  # one of them may be the visitor's own
            return Refusal.REPEATED
        origin_of, now = self.settings.origin, self.clock()
        return visitor_tokens.read(tokens[0], self.keys(), host=host, origin_of=origin_of, now=now)

    def check(self, cookies: BrowserCookies) -> None:
        """Raises `LoginRequired` if HA's front must name a person and has not."""
        required = self.settings.visitor_identity is VisitorIdentity.REQUIRED
        if required and cookies.identity is None:
            raise LoginRequired("HA's front sent no valid identity")

    def visitor(self, cookies: BrowserCookies) -> Visitor:
        """Let the visitor in. An identity takes precedence over a link.

        Raises `LoginRequired`, `LinkNotUsable`, `NotReadyToConnect` (a person of a tenant that no
        rep has added), `DependencyUnavailable`.
        """
        self.check(cookies)
        if cookies.identity is not None:
            return self._person(cookies.identity)
        return self._holder(cookies.link)

    def _person(self, identity: Identity) -> Visitor:
        tenant = self.tenants.get(identity.tenant)
        if tenant is None:
            raise NotReadyToConnect("HA's front named an unknown tenant")
        person = opaque.digest(f"{tenant.name}\n{identity.subject}")
        return Visitor(tenant, tenant.link_series, f"visitor#{person}", identity.email)

    def _holder(self, link: str | None) -> Visitor:
        found = self.links.get(opaque.digest(link)) if link and opaque.well_formed(link) else None
        if found is None or not found.usable(self.clock()):
            raise LinkNotUsable("link unknown or expired")
        tenant = self.tenants.get(found.tenant)
        if tenant is None or tenant.link_series != found.series:
            raise LinkNotUsable("the tenant was removed, or its links were revoked")
        return Visitor(tenant, found.series, found.key)
