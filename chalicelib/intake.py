"""Use cases of the customer's browser at a link of the credential intake: read, enter, be told.

Runs with the web role. A client secret passes through here once, to the function that keeps it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from chalicelib import links, oauth
from chalicelib.authorize import FormPost, Visitor, check_form
from chalicelib.credentials import Outcome
from chalicelib.errors import DependencyUnavailable, IntakeLinkNotUsable, TooManyAttempts
from chalicelib.model import IntakeProblem, Link, LinkKind, Tenant
from chalicelib.times import REQUEST_LIFETIME

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.links import Links
    from chalicelib.store.tenants import Tenants

MOST_CHECKS = 10
"""Values that one link may have checked at GoTo in each window of `REQUEST_LIFETIME` (S14)."""


@dataclass(frozen=True, slots=True)
class EnteredClient:
    """What the customer typed. A secret may stand in either field."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IntakeView:
    """Everything the intake's page shows; nothing of what was entered is among it."""

    tenant: Tenant
    csrf: str = field(repr=False)
    done: bool = False
    problems: tuple[IntakeProblem, ...] = ()


class IntakeVisit:
    """The customer's way through the intake."""

    def __init__(
        self,
        settings: "Settings",
        *,
        tenants: "Tenants",
        links: "Links",
        take: Callable[[Mapping[str, str]], Outcome],
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._tenants = tenants
        self._links = links
        self._take = take
        self._clock = clock

    def page(self, visitor: Visitor) -> IntakeView:
        """The page behind a link; writes nothing, so that a mail scanner spends nothing (S14).

        The browser that the link has served reads that it is done; to all others a used link is
        like one that never was (S15). Raises `IntakeLinkNotUsable`, `DependencyUnavailable`.
        """
        link, tenant = self._link(visitor)
        csrf = links.csrf_value(visitor.browser or "", visitor.link or "")
        return IntakeView(tenant, csrf, done=link.used_by is not None)

    def submit(self, visitor: Visitor, form: FormPost, entered: EnteredClient) -> IntakeView:
        """Have a GoTo client checked and kept. White space around the values is a slip of copying.

        Raises `IntakeLinkNotUsable`, `CrossSiteRequest`, `TooManyAttempts`,
        `DependencyUnavailable`.
        """
        view = self.page(visitor)
        check_form(self._settings, visitor, form, view.tenant.name)
        if view.done:
            return view
        client_id, secret = entered.client_id.strip(), entered.client_secret.strip()
        problems = self._problems(client_id, secret)
        if problems:
            return replace(view, problems=problems)
        self._count(visitor)
        return self._told(visitor, view, self._hand_over(visitor, view, client_id, secret))

    def _problems(self, client_id: str, secret: str) -> tuple[IntakeProblem, ...]:
        found = []
        if not client_id:
            found.append(IntakeProblem.ID_MISSING)
        elif not oauth.client_id_allowed(client_id, self._settings.client_auth):
            found.append(IntakeProblem.ID_IMPOSSIBLE)
        if not secret:
            found.append(IntakeProblem.SECRET_MISSING)
        elif not oauth.client_value_allowed(secret):
            found.append(IntakeProblem.SECRET_IMPOSSIBLE)
        return tuple(found)

    def _count(self, visitor: Visitor) -> None:
        key, now = links.digest(visitor.link or ""), int(self._clock())
        if not self._links.count_start(key, now, window=REQUEST_LIFETIME, most=MOST_CHECKS):
            raise TooManyAttempts("too many checks with this link")

    def _hand_over(
        self, visitor: Visitor, view: IntakeView, client_id: str, secret: str
    ) -> Outcome:
        """A lost answer counts as unchecked: if it was stored after all, the next try says so."""
        try:
            return self._take(
                {
                    "link": visitor.link or "",
                    "browser": links.browser_digest(visitor.browser or "", view.tenant.name),
                    "client_id": client_id,
                    "client_secret": secret,
                }
            )
        except DependencyUnavailable:
            return Outcome.UNCHECKED

    def _told(self, visitor: Visitor, view: IntakeView, outcome: Outcome) -> IntakeView:
        match outcome:
            case Outcome.REFUSED:
                return replace(view, problems=(IntakeProblem.REFUSED,))
            case Outcome.UNCHECKED:
                return replace(view, problems=(IntakeProblem.UNCHECKED,))
        return self.page(visitor)  # stored, by this press or by the other one of a double click

    def _link(self, visitor: Visitor) -> tuple[Link, Tenant]:
        value = visitor.link
        found = self._links.get(links.digest(value)) if value and links.well_formed(value) else None
        if found is None or not (
            found.usable(self._clock(), LinkKind.INTAKE) or _served(found, visitor)
        ):
            raise IntakeLinkNotUsable("link unknown, used or expired")
        tenant = self._tenants.get(found.tenant)
        if tenant is None or tenant.link_series != found.series:
            raise IntakeLinkNotUsable("the tenant is gone, or its links were revoked")
        return found, tenant


def _served(link: Link, visitor: Visitor) -> bool:
    if not links.well_formed(visitor.browser):
        return False
    return link.used_by == links.browser_digest(visitor.browser or "", link.tenant)
