"""F31: GoTo is away for half an hour; `python -m tests.faults.half_hour` tries every minute."""

import heapq

import pytest

from chalicelib.durations import ASSUMED_LIFETIME, refresh_pause
from tests.faults.half_hour import dry


def test_f31_half_an_hour_without_goto_leaves_nobody_dry() -> None:
    """F31: at the share that is set unless a stage says otherwise."""
    assert dry(tenants=40, share=33, outages=4) == [0] * 4


def test_f31_at_two_thirds_tenants_would_run_dry() -> None:
    """F31: the simulation can tell."""
    assert max(dry(tenants=40, share=67, outages=1)) > 0


def least_left(share: float, round_: int, tenants: int = 200) -> float:
    """The least life that a token has left at its refresh, where all are served in due order by a
    rate that goes once around the fleet in ``round_`` seconds."""
    names = [f"tenant-{number}" for number in range(tenants)]
    pauses = {name: refresh_pause(name, ASSUMED_LIFETIME, share) for name in names}
    due = [(pauses[name] * place / tenants, -0.0, name) for place, name in enumerate(names)]
    heapq.heapify(due)
    clock, left = 0.0, []
    for turn in range(20 * tenants):
        at, issued, name = heapq.heappop(due)
        clock = max(clock + round_ / tenants, at)
        if turn >= 10 * tenants:
            left.append(ASSUMED_LIFETIME - (clock - issued))
        heapq.heappush(due, (clock + pauses[name], clock, name))
    return min(left)


@pytest.mark.parametrize("round_", [600, 1_150, 1_500, 2_000, 2_300, 2_600, 3_000, 3_400])
def test_f31_a_rate_that_is_too_low_brings_no_token_nearer_to_its_end(round_: int) -> None:
    """F31: late because of the rate, a refresh is no later than with two thirds of the life."""
    assert least_left(0.33, round_) > least_left(0.67, round_) > 0
