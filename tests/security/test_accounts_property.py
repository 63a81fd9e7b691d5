"""S26: a thousand connects by people who share accounts, over fifty tenants, in any order."""

from __future__ import annotations

import random

import pytest

from chalicelib.models import Reason
from chalicelib.permissions import GoToAccount
from tests.support.people import link as link_of
from tests.support.world import World

TENANTS = 50
PEOPLE = 40
CONNECTS = 1_000
REFUSALS = (Reason.OTHER_ACCOUNT, Reason.ACCOUNT_TAKEN, None)


class Partners:
    """Accounts, and people who administer from one to six of them."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.accounts = [GoToAccount(f"7{number:03}", f"A {number}") for number in range(TENANTS)]
        self.people = [chance.sample(self.accounts, chance.randint(1, 6)) for _ in range(PEOPLE)]
        self.people += [[account] for account in self.accounts]

    def somebody(self) -> tuple[GoToAccount, ...]:
        """In the order in which GoTo happens to list the person's accounts."""
        person = list(self.chance.choice(self.people))
        self.chance.shuffle(person)
        return tuple(person)

    def admin_of(self, account: str) -> tuple[GoToAccount, ...]:
        """Somebody who may rightly connect the tenant of this account."""
        able = [one for one in self.people if account in {each.key for each in one}]
        person = list(self.chance.choice(able))
        self.chance.shuffle(person)
        return tuple(person)


def connect(world: World, link: str, accounts: tuple[GoToAccount, ...], chosen: str) -> object:
    """One person goes the whole way; the reason why it did not end in a connection."""
    world.goto.listed = accounts
    browser = world.browser(link)
    state = world.start(browser)["state"]
    world.come_back(browser, state=state, code="c")
    [reason] = world.complete()
    if reason is Reason.ACCOUNT_TO_CHOOSE:
        world.choose(browser, chosen)
        [reason] = world.complete()
    return reason


@pytest.mark.parametrize("world", ["memory"], indirect=True)
@pytest.mark.parametrize("seed", [1, 2])
def test_s26_no_two_tenants_share_an_account_and_no_rightful_reconnect_is_refused(
    world: World, seed: int
) -> None:
    """S26, invariant 7: 500 connects a seed, half of them by whoever comes along."""
    chance = random.Random(seed)
    partners = Partners(chance)
    names = [f"t{number:02}" for number in range(TENANTS)]
    for name in names:
        world.add_tenant(name)
    pins: dict[str, str] = {}
    rightful = refused = 0
    for turn in range(CONNECTS // 2):
        world.clock.pass_(700)
        name = chance.choice(names)
        right = turn % 2 == 0 and name in pins
        accounts = partners.admin_of(pins[name]) if right else partners.somebody()
        wanted = chance.choice(accounts).key
        reason = connect(world, link_of(world, name), accounts, wanted)
        assert reason in REFUSALS
        rightful += right
        refused += reason is not None
        if right:
            assert reason is None, (turn, name, pins[name], accounts)
        connection = world.connections.get(name)
        if reason is None:
            assert connection is not None
            pins.setdefault(name, str(connection.account_key))
        held = {one: world.tenants.known(one).pinned_account for one in names}
        assert {one: pin for one, pin in held.items() if pin} == pins
        assert len(set(pins.values())) == len(pins), "two tenants share an account"
        assert connection is None or connection.account_key == pins[name]
    assert rightful > 100
    assert refused > 100
