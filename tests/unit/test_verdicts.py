"""The one table of what follows from a failure. That answers get their class: `test_oauth`."""

import pytest

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.oauth import FailureClass
from chalicelib.verdicts import VERDICTS, Actor, Next, failure_of


def test_every_class_has_its_line() -> None:
    assert set(VERDICTS) == set(FailureClass)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # F08: refused, DNS, TLS. F09: silence. F16: our own.
        (ProviderUnreachable("no connection", sent=False), FailureClass.NOT_SENT),
        (ProviderUnreachable("no answer in time", sent=True), FailureClass.NO_ANSWER),
        (DependencyUnavailable("kms", "Throttling"), FailureClass.OWN_FAULT),
    ],
)
def test_f09_f16_no_answer_is_of_its_class_too(
    error: ProviderUnreachable | DependencyUnavailable, expected: FailureClass
) -> None:
    assert failure_of(error).kind is expected


def test_f08_f09_only_who_can_help_is_told_to_act() -> None:
    acts = {kind: VERDICTS[kind].acts for kind in FailureClass}
    told = {kind: who for kind, who in acts.items() if who is not Actor.NOBODY}
    assert told == {
        FailureClass.GRANT_REFUSED: Actor.ADMIN,
        FailureClass.CLIENT_REFUSED: Actor.REP,
        FailureClass.OWN_FAULT: Actor.OPERATOR,
    }


def test_f09_only_silence_is_asked_a_second_time_at_once() -> None:
    again = {kind for kind in FailureClass if VERDICTS[kind].next is Next.AT_ONCE}
    assert again == {FailureClass.NO_ANSWER}


def test_f12_what_is_our_own_or_one_tenants_is_not_held_against_goto() -> None:
    counted = {kind for kind in FailureClass if VERDICTS[kind].provider}
    assert counted == {
        FailureClass.TRANSIENT,
        FailureClass.UNCLEAR,
        FailureClass.NOT_SENT,
        FailureClass.NO_ANSWER,
    }
