"""What the settings page says of a connection, over its life."""

import re

import pytest

from chalicelib.authorize import TIMELINE, SettingsView
from chalicelib.model import Status
from chalicelib.times import WARN_DAYS
from tests.support.site import PAGE, Site
from tests.support.world import World

DAY = 86_400


def seen(world: World, link: str) -> SettingsView:
    """The page as another browser gets it."""
    return world.visit.settings_page(world.browser(link))


def test_a_dead_token_is_shown_as_being_worked_on(world: World) -> None:
    """Even before the schedule has noted it: what should note it may be what is down."""
    link = world.add_tenant()
    world.connect(link)
    connection = world.connections.get("acme")
    assert connection is not None
    world.clock.now = connection.expires_at - 1
    assert seen(world, link).status is Status.CONNECTED
    world.clock.pass_(1)
    assert seen(world, link).status is Status.DEGRADED
    connection = world.connections.get("acme")
    assert connection is not None
    assert connection.status is Status.CONNECTED


@pytest.mark.parametrize(
    ("days_left", "warned"),
    [
        pytest.param(29, False, id="four weeks"),
        pytest.param(max(WARN_DAYS), False, id="a week"),
        pytest.param(max(WARN_DAYS) - 1, True, id="less than a week"),
        pytest.param(-1, True, id="the day after"),
    ],
)
def test_the_last_days_of_a_grant_are_warned_of(world: World, days_left: int, warned: bool) -> None:
    link = world.add_tenant()
    world.connect(link)
    connection = world.connections.get("acme")
    assert connection is not None
    assert connection.reconnect_by is not None
    world.clock.now = float(connection.reconnect_by - days_left * DAY)
    assert seen(world, link).reconnect_soon is warned


def test_a_reconnection_takes_the_warning_away(world: World) -> None:
    link = world.add_tenant()
    world.connect(link)
    world.clock.pass_(29 * DAY)
    assert seen(world, link).reconnect_soon
    world.connect(link)
    assert not seen(world, link).reconnect_soon


def test_a_warning_names_its_date_to_the_trusted_only(site: Site) -> None:
    """S18: others learn that something is to be done, not since when and until when."""
    link = site.world.add_tenant()
    site.connect(link)
    site.world.clock.pass_(29 * DAY)
    own, other = site.get(PAGE).body, site.another_browser().open(link).body
    assert "Please reconnect soon" in own
    assert "Please reconnect soon" in other
    assert "<dt>Reconnect by</dt>" in own
    assert "<dt>Reconnect by</dt>" not in other
    assert "<time" not in other


def test_the_timeline_has_the_last_ten_events_newest_first(site: Site) -> None:
    link = site.world.add_tenant()
    for _ in range(TIMELINE):
        site.world.clock.pass_(60)
        site.connect(link)
    body = site.get(PAGE).body
    moments = re.findall(r'<li><time datetime="([^"]+)"', body)
    assert len(moments) == TIMELINE == 10
    assert moments == sorted(moments, reverse=True)
    assert "Tenant added" not in body


def test_the_token_can_be_hidden_and_copied_only_where_it_is_shown(site: Site) -> None:
    """S18: no control for what is not there."""
    link = site.world.add_tenant()
    controls = ("data-copies=", "data-hides=")
    assert all(control in site.connect(link).body for control in controls)
    other = site.another_browser().open(link).body
    assert not any(f'{control}"' in other for control in controls)


def test_the_fullest_page_is_one_small_answer(site: Site) -> None:
    """Under 30 kB with the longest token, name and timeline; nothing else is loaded."""
    link = site.world.add_tenant()
    site.world.goto.script = [
        lambda: site.world.goto.tokens(refresh=True, access_token="a" * 4_096)
        for _ in range(TIMELINE)
    ]
    for _ in range(TIMELINE):
        page = site.connect(link).body
    assert "a" * 4_096 in page
    assert len(page.encode()) < 30_000
    assert re.findall(r'(?:src|srcset|href|action|data|poster|url\()="?([^"\s>]+)', page) == [
        "data:,",
        PAGE,
        PAGE,
    ]
    assert "@import" not in page
