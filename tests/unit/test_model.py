"""When a refresh is due, and how long to wait after a failure."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import model
from chalicelib.times import BACKOFF_BASE, BACKOFF_CAP


@pytest.mark.parametrize(
    ("lifetime", "latest"),
    [
        pytest.param(3600, 2400, id="an hour: at two thirds"),
        pytest.param(180, 60, id="three minutes: two minutes before the end"),
        pytest.param(60, 20, id="a minute: after a third"),
        pytest.param(0, 0, id="dead on arrival: at once"),
        pytest.param(2_592_000, 86_400, id="a month: daily all the same"),
    ],
)
def test_a_refresh_is_due_within_a_tenth_before(lifetime: int, latest: int) -> None:
    pauses = [model.refresh_pause(f"tenant-{number}", lifetime) for number in range(200)]
    assert max(pauses) <= latest
    assert min(pauses) >= int(latest * (1 - model.JITTER))
    assert latest < 100 or len(set(pauses)) > 20


def test_a_tenants_jitter_is_fixed() -> None:
    assert len({model.refresh_pause("acme", 3600) for _ in range(10)}) == 1


@given(
    failures=st.integers(1, 10_000),
    alive=st.floats(-1e6, 1e6),
    random=st.floats(0, 1, exclude_max=True),
)
def test_backoff_stays_between_its_bounds(failures: int, alive: float, random: float) -> None:
    pause = model.backoff(failures, alive, random)
    assert 5 <= pause <= BACKOFF_CAP
    if alive > 4 * BACKOFF_BASE:
        assert pause <= alive / 4


def test_lanes_are_used_evenly() -> None:
    used = [model.lane(f"tenant-{number}") for number in range(1600)]
    assert {used.count(lane) > 60 for lane in range(model.LANES)} == {True}


def test_rows_with_secrets_do_not_show_them() -> None:
    """S20."""
    grant = model.Grant("acme", model.Status.CONNECTED, 1, 1, "id", "v", refresh_token="canary")
    connection = model.Connection("acme", model.Status.CONNECTED, 1, 1, access_token="canary")
    assert "canary" not in repr([grant, connection])
