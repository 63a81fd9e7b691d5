"""What an adapter's error amounts to, and how a sign-in ends by each. Answers: `test_oauth`."""

import pytest

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.goto.oauth import REASONS, Failure, FailureClass, failure_of


def test_every_class_ends_a_sign_in_with_a_reason() -> None:
    assert set(REASONS) == set(FailureClass)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        # F08: refused, DNS, TLS. F09: silence. F16: our own.
        (ProviderUnreachable("no connection", sent=False), FailureClass.NOT_SENT),
        (ProviderUnreachable("no answer in time", sent=True), FailureClass.NO_ANSWER),
        (DependencyUnavailable("kms", "Throttling"), FailureClass.INTERNAL),
    ],
)
def test_f09_f16_no_answer_is_of_its_class_too(
    error: ProviderUnreachable | DependencyUnavailable, expected: FailureClass
) -> None:
    assert failure_of(error).kind is expected


def test_f02_f08_goto_may_have_acted_on_what_was_sent_and_got_no_clear_answer() -> None:
    """F02, F08: after these an earlier answer may still be on its way."""
    unclear = {kind for kind in FailureClass if not Failure(kind, "").known}
    assert unclear == {FailureClass.AMBIGUOUS, FailureClass.NO_ANSWER}
