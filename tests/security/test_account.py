"""S03, S15, S16: whose GoTo account it is, and how often anybody may press."""

import pytest

from chalicelib.connect.authorize import MOST_STARTS, FormPost
from chalicelib.durations import MAIL_PAUSE
from chalicelib.errors import LinkNotUsable, TooManyAttempts
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Reason, RequestStatus
from chalicelib.opaque import csrf_value
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


def other_account(world: World, link: str) -> Reason | None:
    """Somebody with another GoTo account goes the whole way; how it ended."""
    world.goto.account_key = "4000000002"
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="b-code")
    [reason] = world.complete()
    return reason


def test_s03_the_rep_lifts_the_pin_and_the_next_account_is_pinned(world: World) -> None:
    """S03: only by the rep, with a line in the journal; the new account is then the fixed one."""
    link = world.add_tenant()
    world.connect(link)
    assert other_account(world, link) is Reason.OTHER_ACCOUNT
    before = world.connections.get("acme")
    assert world.rep("pin_lift", tenant="acme")["ok"]
    assert world.history()[-1] == "pin_lifted"
    assert world.connections.get("acme") == before
    assert not world.rep("pin_lift", tenant="nobody")["ok"]
    with pytest.raises(LinkNotUsable):
        other_account(world, link)
    link = world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    assert other_account(world, link) is None
    tenant = world.tenants.get("acme")
    assert tenant is not None
    assert tenant.pinned_account == "4000000002"


def test_s03_an_account_that_cannot_be_read_connects_only_without_a_pin(world: World) -> None:
    """S03: the first readable account is the pin; from then on unreadable is not enough."""
    link = world.add_tenant()
    world.goto.account_key = None
    world.connect(link)
    tenant = world.tenants.get("acme")
    assert tenant is not None
    assert tenant.pinned_account is None
    world.goto.account_key = "4000000001"
    world.pass_until_due()
    world.tick()
    connected = world.connections.get("acme")
    world.goto.account_key = None
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="c-code")
    assert world.complete() == [Reason.ACCOUNT_UNREADABLE]
    assert world.connections.get("acme") == connected


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_s16_ten_thousand_starts_open_no_more_than_the_links_share(world: World) -> None:
    """S16: whatever browsers press; and of one browser's requests only the newest is open."""
    link = world.add_tenant()
    visitor = world.browser(link)
    form = FormPost(csrf_value(visitor.browser or "", link), None, None)
    opened = 0
    for _ in range(10_000):
        try:
            world.visit.start(visitor, form)
        except TooManyAttempts:
            continue
        opened += 1
    assert opened == MOST_STARTS
    rows = world.everything()[world.settings.requests_table]
    states = [row["status"]["S"] for row in rows if "status" in row]
    assert states.count(RequestStatus.STARTED) == 1
    assert states.count(RequestStatus.EXPIRED) == MOST_STARTS - 1


def test_s15_what_a_press_for_a_fresh_link_leaves_behind(world: World) -> None:
    """S15: one line, counted by tenant: one customer's press does not silence another's."""
    acme, beta = world.add_tenant("acme"), world.add_tenant("beta")
    for link in (acme, beta, acme, "short", "A" * 42 + "!"):
        world.visit.ask_for_fresh_link(link)
    text = "A visitor requested a new link on an old link's page; it is emailed to the admin."
    for tenant in ("acme", "beta"):
        newest = world.journal.newest(tenant, 1)[0]
        assert newest == JournalEntry(tenant, world.clock.now, "link_requested", "a visitor", text)
        assert world.history(tenant).count("link_requested") == 1
    world.clock.pass_(MAIL_PAUSE - 1)
    world.visit.ask_for_fresh_link(acme)
    assert world.history().count("link_requested") == 1
