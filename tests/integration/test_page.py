"""What the settings page says of a connection, over its life."""

import re
from dataclasses import replace

import pytest

from chalicelib.connect.page_views import SettingsView
from chalicelib.durations import TOKEN_SHOWN_FOR, WARN_DAYS
from chalicelib.journal_entries import LINES
from chalicelib.models import Status
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


def test_f27_a_grant_that_goto_honors_past_its_day_is_not_warned_of(world: World) -> None:
    """F27: GoTo gives tokens on, so its end is not what was reckoned: nobody need act."""
    link = world.add_tenant()
    world.connect(link)
    connection = world.connections.get("acme")
    assert connection is not None
    assert connection.reconnect_by is not None
    world.clock.now = float(connection.reconnect_by + DAY)
    world.tick()
    view = seen(world, link)
    assert (view.status, view.reconnect_soon) == (Status.CONNECTED, False)


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
    for _ in range(LINES):
        site.world.clock.pass_(60)
        site.connect(link)
    body = site.get(PAGE).body
    moments = re.findall(r'<li><time datetime="([^"]+)"', body)
    assert len(moments) == LINES == 10
    assert moments == sorted(moments, reverse=True)
    assert "Tenant added" not in body


def test_the_token_can_be_hidden_and_copied_only_where_it_is_shown(site: Site) -> None:
    """S18: no control for what is not there."""
    link = site.world.add_tenant()
    controls = ("data-copies=", "data-hides=")
    assert all(control in site.connect(link).body for control in controls)
    other = site.another_browser().open(link).body
    assert not any(f'{control}"' in other for control in controls)


def test_s18_the_page_says_for_how_long_the_token_may_be_seen(world: World) -> None:
    visitor = world.connect(world.add_tenant())
    world.clock.pass_(60.5)
    assert world.visit.settings_page(visitor).token_seconds == TOKEN_SHOWN_FOR - 60
    assert seen(world, visitor.link or "").token_seconds == 0


def test_the_fullest_page_is_one_small_answer(site: Site) -> None:
    """Under 30 kB with the longest token, name and timeline; nothing else is loaded."""
    link = site.world.add_tenant()
    site.world.goto.script = [
        lambda: site.world.goto.tokens(refresh=True, access_token="a" * 4_096) for _ in range(LINES)
    ]
    for _ in range(LINES):
        page = site.connect(link).body
    assert "a" * 4_096 in page
    assert len(page.encode()) < 30_000
    assert re.findall(r'(?:src|srcset|href|action|data|poster|url\()="?([^"\s>]+)', page) == [
        "data:image/svg+xml,%3Csvg",
        PAGE,
        f"https://acme.analytics.example{PAGE}",
    ]
    assert "@import" not in page


def test_after_allow_the_page_says_that_all_is_done_and_the_button_steps_back(site: Site) -> None:
    link = site.world.add_tenant()
    before = site.open(link).body
    assert ('class="primary">Get Access Token' in before, "You\u2019re all set" in before) == (
        True,
        False,
    )
    after = site.connect(link).body
    assert "You\u2019re all set. hireanalytiX is connected to GoTo. " in after
    assert 'class="outline">Get Access Token' in after
    site.world.clock.pass_(TOKEN_SHOWN_FOR)
    later = site.get(PAGE).body
    assert ("You\u2019re all set" in later, "there is nothing you need to do" in later) == (
        False,
        True,
    )


def test_a_notice_is_the_one_next_step(site: Site) -> None:
    site.open(site.world.add_tenant())
    site.get(f"{PAGE}?error=access_denied&state={site.press()['state']}")
    page = site.get(PAGE).body
    assert "Access was denied at GoTo" in page
    assert "It takes about a minute" not in page, "the state's own advice"


def test_before_a_connection_there_is_no_field_of_a_token(site: Site) -> None:
    assert "GoTo Access Token" not in site.open(site.world.add_tenant()).body


def test_every_page_names_whom_to_write_to_with_the_reference_number(site: Site) -> None:
    site.world.settings = replace(site.world.settings, support_email="help@a.example")
    link = site.world.add_tenant()
    assert 'href="mailto:help@a.example"' in site.open(link).body
    site.get(f"{PAGE}?error=access_denied&state={site.press()['state']}")
    for page in (site.get(PAGE), site.get(f"{PAGE}?error=x"), site.get("/connect/nonsense")):
        about = f"mailto:help@a.example?subject=About%20reference%20number%20{page.reference}"
        assert about in page.body


def test_an_error_page_has_one_action(site: Site) -> None:
    site.open(site.world.add_tenant())
    body = site.get(f"{PAGE}?error=x&state={'x' * 43}").body
    assert f'<a class="primary" href="{PAGE}">Back to Activities Settings</a>' in body


def test_a_print_masks_the_token(site: Site) -> None:
    body = site.connect(site.world.add_tenant()).body
    assert '<p class="printed">\u2022' in body
    assert "textarea{display:none}.printed{display:block}" in body
