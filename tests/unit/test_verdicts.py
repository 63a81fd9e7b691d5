"""The one table of what follows from a failure. That answers get their class: `test_oauth`."""

import pytest

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.oauth import FailureClass
from chalicelib.verdicts import VERDICTS, Next, failure_of


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


def test_f09_only_silence_is_asked_a_second_time_at_once() -> None:
    again = {kind for kind in FailureClass if VERDICTS[kind].next is Next.AT_ONCE}
    assert again == {FailureClass.NO_ANSWER}


def test_f02_f08_goto_may_have_acted_on_what_was_sent_and_got_no_clear_answer() -> None:
    """F02, F08: after these a refusal must be confirmed."""
    unclear = {kind for kind in FailureClass if not VERDICTS[kind].known}
    assert unclear == {FailureClass.UNCLEAR, FailureClass.NO_ANSWER}
