"""The refresh token's own life: people are told before it ends, and it is used every day."""

import pytest

from chalicelib.durations import DAY
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.commit import warning_text
from tests.support.world import World


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world


def days_left(world: World) -> float:
    return (world.grant().refresh_expires_at - world.clock.now) / DAY


def test_people_are_told_seven_and_two_days_ahead_each_once(connected: World) -> None:
    told: list[float] = []
    for _ in range(4 * 29):
        connected.clock.pass_(DAY / 4)
        connected.tick()
        if connected.history().count("reconnect_soon") > len(told):
            told.append(days_left(connected))
    assert [round(days * 4) / 4 for days in told] == [7, 2]


def test_a_new_refresh_token_begins_anew(connected: World) -> None:
    while days_left(connected) > 6:
        connected.clock.pass_(DAY / 4)
        connected.tick()
    assert connected.history().count("reconnect_soon") == 1
    connected.goto.rotates = True
    connected.clock.pass_(DAY)
    connected.tick()
    assert days_left(connected) == 30
    connected.goto.rotates = False
    while days_left(connected) > 6:
        connected.clock.pass_(DAY / 4)
        connected.tick()
    assert connected.history().count("reconnect_soon") == 2


def test_f27_an_end_that_goto_brings_nearer_is_told_of_at_once(connected: World) -> None:
    while days_left(connected) > 20:
        connected.clock.pass_(DAY / 4)
        connected.tick()
    connected.pass_until_due()
    connected.goto.script = [
        lambda: connected.goto.tokens(
            refresh=True, refresh_token="refresh-1", refresh_token_expires_in=6 * DAY
        )
    ]
    assert connected.tick() == {Outcome.REFRESHED: 1}
    entry = connected.journal.newest("acme", 1)[0]
    assert entry.text == warning_text(int(connected.clock.now) + 6 * DAY)


def test_a_long_access_token_is_refreshed_daily_all_the_same(connected: World) -> None:
    """The refresh token of some providers ends when it is not used."""
    connected.goto.lifetime = 20 * DAY
    connected.pass_until_due()
    connected.tick()
    for _ in range(5):
        before = connected.clock.now
        connected.pass_until_due()
        assert connected.clock.now - before <= DAY
        assert connected.tick() == {Outcome.REFRESHED: 1}
