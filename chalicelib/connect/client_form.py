"""Use cases of the customer's browser at an intake link: show the page, take the client.

Runs with the web role. A client secret only passes through, to the function that stores it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from chalicelib import opaque
from chalicelib.config import Settings
from chalicelib.connect.authorize import FormPost, check_form
from chalicelib.connect.client_check import Outcome
from chalicelib.connect.visitors import BrowserCookies, Door
from chalicelib.durations import REQUEST_LIFETIME
from chalicelib.dynamodb.links import Links
from chalicelib.dynamodb.tenants import Tenants
from chalicelib.errors import DependencyUnavailable, IntakeLinkNotUsable, TooManyAttempts
from chalicelib.goto import oauth
from chalicelib.models import Link, LinkKind, Tenant
from chalicelib.untrusted_text import pasted

MOST_CHECKS = 10
"""Most checks at GoTo per link in each window of `REQUEST_LIFETIME` (S14)."""


class IntakeProblem(StrEnum):
    """What was wrong with a GoTo client that a customer entered; each has its own sentence."""

    ID_MISSING = "id_missing"
    ID_IMPOSSIBLE = "id_impossible"
    SECRET_MISSING = "secret_missing"  # noqa: S105 - a word, not a secret
    SECRET_IMPOSSIBLE = "secret_impossible"  # noqa: S105 - a word, not a secret
    SAME_TWICE = "same_twice"
    REFUSED = "refused"
    SWAPPED = "swapped"
    REDIRECT_UNKNOWN = "redirect_unknown"
    UNCHECKED = "unchecked"


_PROBLEMS = {
    Outcome.REFUSED: IntakeProblem.REFUSED,
    Outcome.SWAPPED: IntakeProblem.SWAPPED,
    Outcome.REDIRECT_UNKNOWN: IntakeProblem.REDIRECT_UNKNOWN,
    Outcome.UNCHECKED: IntakeProblem.UNCHECKED,
}

_DOUBTFUL = {IntakeProblem.ID_IMPOSSIBLE, IntakeProblem.SAME_TWICE, IntakeProblem.SWAPPED}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
"""Form of GoTo's client IDs. Anything else may be the secret in the wrong field (S18)."""


@dataclass(frozen=True, slots=True)
class EnteredClient:
    """What the customer typed. Either field may hold the secret."""

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class IntakeView:
    """Everything the intake page shows. Of the entered values, only the client ID."""

    tenant: Tenant
    csrf: str = field(repr=False)
    done: bool = False
    problems: tuple[IntakeProblem, ...] = ()
    client_id: str = ""


@dataclass(frozen=True, kw_only=True)
class IntakeVisit:
    settings: Settings
    door: Door
    tenants: Tenants
    links: Links
    take: Callable[[Mapping[str, str]], Outcome]
    clock: Callable[[], float]

    def page(self, cookies: BrowserCookies) -> IntakeView:
        """The page of a link. Writes nothing, so a mail scanner uses nothing up (S14).

        Only the browser that used the link sees that it is done; to all others a used link looks
        unknown (S15). Raises `IntakeLinkNotUsable`, `LoginRequired`, `DependencyUnavailable`.
        """
        link, tenant = self._link(cookies)
        csrf = opaque.csrf_value(cookies.browser or "", cookies.link or "")
        return IntakeView(tenant, csrf, done=link.used_by is not None)

    def submit(self, cookies: BrowserCookies, form: FormPost, entered: EnteredClient) -> IntakeView:
        """Have a GoTo client checked and stored, without what was copied along with its values.

        Raises what `page` does, `CrossSiteRequest`, `TooManyAttempts`.
        """
        view = self.page(cookies)
        check_form(self.settings, cookies, form, view.tenant.name)
        if view.done:
            return view
        client_id, secret = pasted(entered.client_id), pasted(entered.client_secret)
        problems = self._problems(client_id, secret)
        if problems:
            return _corrected(view, problems, client_id)
        self._count(cookies)
        outcome = self._hand_over(cookies, view, client_id, secret)
        return self._told(cookies, view, outcome, client_id)

    def _problems(self, client_id: str, secret: str) -> tuple[IntakeProblem, ...]:
        problems = []
        if not client_id:
            problems.append(IntakeProblem.ID_MISSING)
        elif not oauth.client_id_allowed(client_id, self.settings.client_auth):
            problems.append(IntakeProblem.ID_IMPOSSIBLE)
        if not secret:
            problems.append(IntakeProblem.SECRET_MISSING)
        elif not oauth.client_value_allowed(secret):
            problems.append(IntakeProblem.SECRET_IMPOSSIBLE)
        elif secret == client_id:
            problems.append(IntakeProblem.SAME_TWICE)
        return tuple(problems)

    def _count(self, cookies: BrowserCookies) -> None:
        key, now = opaque.digest(cookies.link or ""), int(self.clock())
        if not self.links.count_start(key, now, window=REQUEST_LIFETIME, most=MOST_CHECKS):
            raise TooManyAttempts("too many checks with this link")

    def _hand_over(
        self, cookies: BrowserCookies, view: IntakeView, client_id: str, secret: str
    ) -> Outcome:
        """A lost answer counts as unchecked. If the client was stored, the next try says so."""
        try:
            return self.take(
                {
                    "link": cookies.link or "",
                    "browser": opaque.browser_digest(cookies.browser or "", view.tenant.name),
                    "client_id": client_id,
                    "client_secret": secret,
                    "redirect_uri": view.tenant.redirect_uri,
                    **({"entered_by": cookies.identity.email} if cookies.identity else {}),
                }
            )
        except DependencyUnavailable:
            return Outcome.UNCHECKED

    def _told(
        self, cookies: BrowserCookies, view: IntakeView, outcome: Outcome, client_id: str
    ) -> IntakeView:
        problem = _PROBLEMS.get(outcome)
        if problem is not None:
            return _corrected(view, (problem,), client_id)
        return self.page(cookies)  # stored by this click, or by the first of a double click

    def _link(self, cookies: BrowserCookies) -> tuple[Link, Tenant]:
        self.door.check(cookies)
        value = cookies.link
        found = (
            self.links.get(opaque.digest(value)) if value and opaque.well_formed(value) else None
        )
        if found is None or not (
            found.usable(self.clock(), LinkKind.INTAKE) or _served(found, cookies)
        ):
            raise IntakeLinkNotUsable("link unknown, used or expired")
        if cookies.of_another(found.tenant):
            raise IntakeLinkNotUsable("the link belongs to a different tenant")
        tenant = self.tenants.get(found.tenant)
        if tenant is None or tenant.link_series != found.series:
            raise IntakeLinkNotUsable("the tenant was removed, or its links were revoked")
        return found, tenant


def _corrected(view: IntakeView, problems: tuple[IntakeProblem, ...], client_id: str) -> IntakeView:
    """The page with its problems. The client ID stays only if it can't be the secret."""
    doubtful = set(problems) & _DOUBTFUL or not _UUID.fullmatch(client_id)
    return replace(view, problems=problems, client_id="" if doubtful else client_id)


def _served(link: Link, cookies: BrowserCookies) -> bool:
    if not opaque.well_formed(cookies.browser):
        return False
    return link.used_by == opaque.browser_digest(cookies.browser or "", link.tenant)
