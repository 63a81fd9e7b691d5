"""When a refresh is due, and how long to wait after a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import durations, models
from chalicelib.durations import BACKOFF_BASE, BACKOFF_CAP


@pytest.mark.parametrize(
    ("lifetime", "latest"),
    [
        pytest.param((3600, 0.67), 2412, id="an hour: at two thirds"),
        pytest.param((3600, 0.33), 1188, id="an hour: at a third"),
        pytest.param((180, 0.67), 60, id="three minutes: two minutes before the end"),
        pytest.param((180, 0.33), 59, id="three minutes: at a third"),
        pytest.param((60, 0.67), 20, id="a minute: after a third"),
        pytest.param((0, 0.33), 900, id="dead on arrival: like a failure"),
        pytest.param((2_592_000, 0.33), 86_400, id="a month: daily all the same"),
    ],
)
def test_a_refresh_is_due_within_a_tenth_before(lifetime: tuple[int, float], latest: int) -> None:
    pauses = [durations.refresh_pause(f"tenant-{number}", *lifetime) for number in range(200)]
    assert max(pauses) <= latest
    assert min(pauses) >= int(latest * (1 - durations.JITTER))
    assert latest < 100 or lifetime[0] == 0 or len(set(pauses)) > 20


def test_a_tenants_jitter_is_fixed() -> None:
    assert len({durations.refresh_pause("acme", 3600, 0.33) for _ in range(10)}) == 1


@given(
    failures=st.integers(1, 10_000),
    alive=st.floats(-1e6, 1e6),
    random=st.floats(0, 1, exclude_max=True),
)
def test_backoff_stays_between_its_bounds(failures: int, alive: float, random: float) -> None:
    pause = durations.backoff(failures, alive, random)
    assert 5 <= pause <= BACKOFF_CAP
    if alive > 4 * BACKOFF_BASE:
        assert pause <= alive / 4


def test_lanes_are_used_evenly() -> None:
    used = [models.lane(f"tenant-{number}") for number in range(1600)]
    assert {used.count(lane) > 60 for lane in range(models.LANES)} == {True}


def test_rows_with_secrets_do_not_show_them() -> None:
    """S20."""
    grant = models.Grant("acme", models.Status.CONNECTED, 1, 1, "id", "v", refresh_token="canary")
    connection = models.Connection("acme", models.Status.CONNECTED, 1, 1, access_token="canary")
    assert "canary" not in repr([grant, connection])
