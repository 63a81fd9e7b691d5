"""GoTo as a whole: pure arithmetic, a turn a minute."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.durations import CIRCUIT_TURN
from chalicelib.dynamodb.provider_health import Provider
from chalicelib.refresh.circuit_breaker import FEWEST, SLOWEST, Change, at_rest, next_state

CAP = 10_000
NOW = 1_800_000_000


def after(row: Provider, asked: int, failed: int, limited: int = 0) -> tuple[Provider, str | None]:
    """A minute in which so much was asked, as the row stands after the turn."""
    counted = replace(row, asked=asked, failed=failed, limited=limited)
    turned, change = next_state(counted, row.turned_at + 60, CAP)
    taken_off = replace(turned, asked=0, failed=0, limited=0)
    return taken_off, change


def test_f12_it_opens_once_and_closes_at_the_first_answer() -> None:
    row, changes = Provider(turned_at=NOW), []
    for asked, failed in ((40, 40), (3, 3), (3, 3), (0, 0), (3, 2), (40, 0)):
        row, change = after(row, asked, failed)
        changes.append(change)
    assert changes == [Change.DOWN, None, None, None, Change.UP, None]


@pytest.mark.parametrize(
    ("asked", "failed", "opens"),
    [(40, 36, True), (40, 35, False), (5, 5, True), (4, 4, False), (1, 1, False)],
)
def test_f12_a_small_fleet_opens_it_by_trend_and_no_share_below_nine_tenths(
    asked: int, failed: int, opens: bool
) -> None:
    row, change = after(Provider(turned_at=NOW), asked, failed)
    assert (change is Change.DOWN) is opens
    assert (row.open_since is not None) is opens


def test_f12_a_fleet_of_two_a_minute_is_seen_to_fail_after_a_few() -> None:
    row, minutes = Provider(turned_at=NOW), 0
    while row.open_since is None:
        row, _ = after(row, 2, 2)
        minutes += 1
    assert minutes == 4
    assert 1_000 * 2 * minutes >= FEWEST


@pytest.mark.parametrize(("a_minute", "turns"), [(1, 3), (2, 2), (5, 1), (600, 1)])
def test_f12_good_minutes_before_hide_no_outage(a_minute: int, turns: int) -> None:
    """F12: whoever is called hears of it within minutes; the trend alone took eight."""
    row, minutes = Provider(turned_at=NOW), 0
    for _ in range(30):
        row, change = after(row, a_minute, 0)
        assert change is None
    while row.open_since is None:
        minutes += 1
        retried = min(minutes, 3)  # who fails asks again within minutes
        row, _ = after(row, a_minute * retried, a_minute * retried)
    assert minutes == turns


def test_f12_a_bad_minute_of_a_few_requests_is_no_outage() -> None:
    row, change = Provider(turned_at=NOW), None
    for failed in (0, 0, 4, 0, 0):
        row, change = after(row, 4, failed)
        assert change is None


def test_what_is_counted_while_the_tick_decides_is_not_forgotten() -> None:
    """The counters of the result are what to add: lanes add to them all the time."""
    decided, _ = next_state(Provider(asked=7, failed=2, limited=1, turned_at=NOW), NOW + 60, CAP)
    assert (decided.asked, decided.failed, decided.limited) == (-7, -2, -1)


@given(st.lists(st.integers(0, 3), max_size=40), st.integers(1, 100_000))
def test_f08_the_rate_stays_between_the_slowest_and_the_cap(limited: list[int], cap: int) -> None:
    row = Provider(turned_at=NOW)
    for number in limited:
        row, _ = next_state(
            replace(row, asked=number, failed=0, limited=number), row.turned_at + 60, cap
        )
        assert row.rate is None or min(cap, SLOWEST) <= row.rate <= cap


def test_f12_after_an_outage_the_rate_begins_at_a_quarter() -> None:
    row, change = after(Provider(open_since=NOW, turned_at=NOW), 3, 0)
    assert change is Change.UP
    assert row.rate == CAP // 4


def test_a_row_at_rest_is_not_written() -> None:
    assert at_rest(Provider(turned_at=NOW))
    assert not at_rest(Provider(turned_at=NOW, asked=1))
    assert not at_rest(Provider(turned_at=NOW, open_since=NOW))
    assert not at_rest(Provider(turned_at=NOW, rate=SLOWEST))
    assert CIRCUIT_TURN < 60
