"""Use case: is this stage well? Each part looked at from the service's own place, with what to do.

A part that can't be looked at is told as such; the others are looked at all the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable

if TYPE_CHECKING:
    from chalicelib.config import Settings
    from chalicelib.store.tenants import Tenants

Look = Callable[[], str | None]
"""Looks at one part: None where it is well, else one sentence on what is wrong."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a stage, how it is looked at, and what to do where it is not well."""

    name: str
    look: Look
    advice: str


class Doctor:
    def __init__(
        self,
        parts: Sequence[Part],
        *,
        settings: "Settings",
        tenants: "Tenants",
        clock: Callable[[], float],
    ) -> None:
        self._parts = parts
        self._settings = settings
        self._tenants = tenants
        self._clock = clock

    def examine(self) -> dict[str, Any]:
        """All findings; ``at`` is the service's time, ``page_url`` what answers from outside."""
        return {
            "at": self._clock(),
            "page_url": self._page_url(),
            "findings": [asdict(_finding(part)) for part in self._parts],
        }

    def _page_url(self) -> str | None:
        """A page that a front forwards, at a host that is there: some tenant's, where each has one.

        None where no tenant is known; a table that can't be read has a finding of its own.
        """
        if self._settings.one_host:
            return self._settings.status_url("")
        try:
            tenant = self._tenants.any()
        except DependencyUnavailable:
            return None
        return self._settings.status_url(tenant.name) if tenant else None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. ``told`` and ``advice`` are empty where all is well."""

    name: str
    well: bool
    told: str = ""
    advice: str = ""


def _finding(part: Part) -> Finding:
    try:
        wrong = part.look()
    except (DependencyUnavailable, ProviderUnreachable) as error:
        wrong = f"It does not answer ({error})."
    return Finding(part.name, False, wrong, part.advice) if wrong else Finding(part.name, True)
