"""Which function asked AWS for what: every call that a test makes in a function's name.

A function is entered in `app.py`, or where a use case of it is: both name it to a context variable.
Calls that a test makes itself, to look or to prepare, are nobody's and are not kept.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import botocore.session

from chalicelib.connect.authorize import AdminVisit
from chalicelib.connect.client_check import CredentialIntake
from chalicelib.connect.client_form import IntakeVisit
from chalicelib.connect.complete import Completion
from chalicelib.connect.invitations import Invitations
from chalicelib.connect.visitors import Door
from chalicelib.notify.announcer import Announcer
from chalicelib.notify.fleet_counts import FleetCounts
from chalicelib.notify.mail_feedback import MailFeedback
from chalicelib.refresh.facts import Facts
from chalicelib.refresh.on_demand import OnDemand
from chalicelib.refresh.refresher import Refresher
from chalicelib.refresh.scheduler import Schedule
from chalicelib.rep.bulk_import import BulkImport
from chalicelib.rep.caller_identity import CallerIdentity
from chalicelib.rep.disconnect_and_remove import Disconnecting
from chalicelib.rep.onboarding import Onboarding
from chalicelib.rep.reports import Overview
from chalicelib.rep.retrying import Retrying
from chalicelib.tokens.rescue import Rescue
from chalicelib.tokens.restored_backup import Restore
from tests.support.authorised import Asked, authorised

ENTERED: tuple[tuple[type, str, str], ...] = (
    (AdminVisit, "*", "APIHandler"),
    (Announcer, "*", "Announce"),
    (CallerIdentity, "*", "RepCommand"),
    (Completion, "*", "Complete"),
    (CredentialIntake, "*", "Intake"),
    (Disconnecting, "*", "RepCommand"),
    (Door, "*", "APIHandler"),
    (Facts, "of", "RefreshNow"),
    (FleetCounts, "*", "Announce"),
    (BulkImport, "*", "RepCommand"),
    (IntakeVisit, "*", "APIHandler"),
    (MailFeedback, "*", "MailFeedback"),
    (OnDemand, "*", "RefreshNow"),
    (Onboarding, "*", "RepCommand"),
    (Overview, "*", "RepCommand"),
    (Rescue, "*", "Rescue"),
    (Restore, "*", "AfterRestore"),
    (Retrying, "*", "RepCommand"),
    (Schedule, "lanes", "RefreshLane"),
    (Schedule, "tick", "RefreshTick"),
)
"""Use cases that one function has to itself: whoever calls them stands for its invoker."""

SHARED: tuple[tuple[type, str, str], ...] = (
    (Invitations, "*", "RepCommand"),
    (Refresher, "*", "RefreshLane"),
)
"""Use cases of several functions: of the one that runs, or of this one where a test calls them."""

_acting: ContextVar[str | None] = ContextVar("acting", default=None)

Call = tuple[str, Asked]
"""A function's name in the template, and what it asked for."""

heard: dict[Call, str] = {}
"""All that was asked for in this process, each with the test in which it was first."""

_listening: list[set[Call]] = []


@contextmanager
def acting_as(function: str | None) -> Iterator[None]:
    """What is asked of AWS meanwhile, it asks; None: nobody of ours."""
    before = _acting.set(function)
    try:
        yield
    finally:
        _acting.reset(before)


def acting() -> str | None:
    return _acting.get()


def listen(session: botocore.session.Session) -> None:
    """Keep what this session's clients are asked for."""
    session.register("before-parameter-build", _hear)


def _hear(**told: Any) -> None:
    function, model, params = acting(), told["model"], told["params"]
    if function is None:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    for asked in authorised(model.service_model.service_name, model.name, params):
        heard.setdefault((function, asked), test)
        for calls in _listening:
            calls.add((function, asked))


@contextmanager
def overhear() -> Iterator[set[Call]]:
    """What is asked for meanwhile."""
    calls: set[Call] = set()
    _listening.append(calls)
    try:
        yield calls
    finally:
        _listening.remove(calls)


def attribute() -> None:
    """From now on each use case acts for its function."""
    for entries, always in ((ENTERED, True), (SHARED, False)):
        for owner, name, function in entries:
            for each in _methods(owner) if name == "*" else (name,):
                setattr(owner, each, _as_function(function, vars(owner)[each], always))


def _methods(owner: type) -> list[str]:
    return [
        name for name, value in vars(owner).items() if callable(value) and not name.startswith("_")
    ]


def _as_function(function: str, method: Callable[..., Any], always: bool) -> Callable[..., Any]:
    @functools.wraps(method)
    def enter(*arguments: Any, **named: Any) -> Any:
        with acting_as(function if always else acting() or function):
            return method(*arguments, **named)

    return enter
