"""A short year: what `make simulate` shows for 365 days, for as long as a test may take."""

import pytest

from sandbox.goto.switches import Rotation
from tests.faults.report import Report
from tests.faults.simulate import holds
from tests.faults.year import Year


def lived(rule: Rotation, tenants: int, days: int) -> Report:
    return Year(rule, tenants, days, seed=7).run()


def test_no_tenant_is_lost_by_gotos_own_rule(aws_credentials: None, aws: None) -> None:
    """F01-F13 at random: nobody is asked to connect again without need, readers have tokens."""
    report = lived("late", tenants=5, days=24)
    assert holds(report) == []
    assert report.counts["crashes"] > 10
    assert report.counts["rescued"] > 0


def test_every_lost_answer_is_flagged_and_nothing_else(aws: None) -> None:
    """F02: with a new refresh token at each refresh, each lost answer costs one reconnect."""
    report = lived("always", tenants=5, days=12)
    assert holds(report) == []
    assert report.counts["flagged_response_lost"] > 5


def test_a_grant_that_is_never_renewed_is_reconnected_in_time(aws: None) -> None:
    """The 30 days of a refresh token are known: warned 7 and 2 days ahead, never cut off."""
    report = lived("never", tenants=5, days=31)
    assert holds(report) == []
    assert report.counts["warned_7_days"] == 5
    assert report.counts["reconnects"] == 5


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"flagged_response_lost": 3}, id="a loss that nobody injected"),
        pytest.param({"asked_otherwise": 1}, id="a needless reconnect"),
        pytest.param({"announced": 2}, id="told twice"),
        pytest.param({"lost_for_good": 1}, id="a lost tenant"),
    ],
)
def test_the_simulation_would_tell(change: dict[str, int]) -> None:
    sound = {"requests": 2, "least_requests": 1, "announced": 0}
    seconds = {"possible": 1.0, "dead": 0.0}
    assert holds(Report("late", 1, 1, 1, sound, seconds, [])) == []
    assert holds(Report("late", 1, 1, 1, sound | change, seconds, [])) != []
