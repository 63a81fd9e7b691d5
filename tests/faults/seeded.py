"""Four faults, seeded into the real code: a search must find each of them, or proves nothing."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from chalicelib.durations import CONFIRM_PAUSE
from chalicelib.dynamodb.connections import Connections
from chalicelib.dynamodb.table import Action, Table
from chalicelib.errors import Conflict
from chalicelib.models import Due, Grant, Inflight, NewTokens
from chalicelib.refresh.failure_decisions import Attempt
from chalicelib.refresh.refresher import Refresher


class WithoutTheVersion(Connections):
    """Seeded: a success is committed on the generation alone."""

    def commit_refresh(self, asked: Grant, new_tokens: NewTokens, **named: Any) -> None:
        current = self.grant(asked.tenant)
        if current is not None and current.generation == asked.generation:
            asked = replace(asked, version=current.version, status=current.status)
        super().commit_refresh(asked, new_tokens, **named)


def _fenced(grants: Table, fence: int) -> SimpleNamespace:
    """The table for one commit, whose update holds to a fence as well."""

    def update(key: Any, *, when: str, **rest: Any) -> Action:
        both = f"{when} AND #fence = :its_fence"
        return grants.update(key, when=both, its_fence=fence, **rest)

    return SimpleNamespace(update=update)


class OnTheFence(Connections):
    """Seeded: a success counts only while its worker still has the lease."""

    def commit_refresh(self, asked: Grant, new_tokens: NewTokens, **named: Any) -> None:
        grants: Any = _fenced(self.tables.grants, asked.fence)
        try:
            Connections(replace(self.tables, grants=grants)).commit_refresh(
                asked, new_tokens, **named
            )
        except Conflict:
            current = self.grant(asked.tenant)
            if current is not None and current.fence == asked.fence:
                raise  # otherwise dropped, as what came too late


class Forgetful(Connections):
    """Seeded: the claim forgets which generation and version it read, and works with those."""

    def claim(self, due: Due, now: int, lease_until: int) -> Grant | None:
        before = self.grant(due.tenant)
        current = self.grant(due.tenant)
        if before is None or current is None or before.lease_until > now:
            return None
        if super().claim(Due(due.tenant, current.next_refresh_at or 0), now, lease_until) is None:
            return None
        fence = current.fence + 1
        inflight = Inflight(fence, before.version, now)
        return replace(before, fence=fence, inflight=inflight, lease_until=lease_until)


class Hasty(Refresher):
    """Seeded: the first refusal ends the grant."""

    def _attempt(self, grant: Grant, *, known: bool = True) -> Attempt:
        attempt = super()._attempt(grant, known=known)
        return replace(attempt, refused_since=attempt.now - CONFIRM_PAUSE)

    def _rescue_pending(self) -> bool:
        return False


SEEDED = [
    pytest.param(WithoutTheVersion, Refresher, id="no version in the commit"),
    pytest.param(OnTheFence, Refresher, id="a success depends on the fence"),
    pytest.param(Connections, Hasty, id="invalid_grant is not confirmed"),
    pytest.param(Forgetful, Refresher, id="the claim forgets the generation"),
]
