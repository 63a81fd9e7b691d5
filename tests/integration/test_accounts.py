"""S26: a person with several GoTo accounts chooses by name; an account belongs to one tenant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chalicelib.aws.secrets_manager import SecretStore
from chalicelib.bootstrap import tokens as bootstrap
from chalicelib.durations import TIME_TO_CHOOSE
from chalicelib.dynamodb.accounts import Choices
from chalicelib.errors import DependencyUnavailable
from chalicelib.models import Connection, Reason, Revocation, Status
from chalicelib.permissions import GoToAccount
from chalicelib.refresh.outcomes import Outcome
from tests.support.people import link as link_of
from tests.support.site import PAGE, Site
from tests.support.world import World

OWN, ACME, BETA = "4000000003", "4000000001", "4000000004"
PARTNER = (
    GoToAccount(OWN, "Partner IT Services"),
    GoToAccount(ACME, "Acme Analytics"),
    GoToAccount(BETA, "Beta <b>Dental</b>"),
)
ADMIN = (GoToAccount(ACME, "Acme Analytics"),)
STRANGER = (GoToAccount("4000000099", "Somebody"), GoToAccount("4000000098", "Else"))


def held(world: World, tenant: str) -> Connection:
    """The tenant's connection, which there is."""
    found = world.connections.get(tenant)
    assert found is not None
    return found


def refusing(error: Exception) -> Any:
    """A method that fails."""

    def fail(*_: object) -> Any:
        raise error

    return fail


def signs_in(site: Site, link: str, accounts: tuple[GoToAccount, ...] | None) -> Any:
    """Up to what the page says next."""
    world = site.world
    site.open(link)
    world.goto.listed = accounts or ()
    site.get(f"{PAGE}?state={site.press()['state']}&code=c")
    [reason] = world.complete()
    return reason


def chooses(site: Site, account: str) -> Any:
    form = {"csrf": site.csrf(), "account": account}
    answer = site.post(PAGE, form, sec_fetch_site="same-origin")
    assert (answer.status, answer.headers["location"]) == (303, PAGE)
    return site.world.complete()


def pin(world: World, tenant: str = "acme") -> str | None:
    return world.tenants.known(tenant).pinned_account


def test_s26_the_admin_chooses_among_the_accounts_by_name(site: Site) -> None:
    """S26: nothing is connected until then, and the page says so."""
    world = site.world
    link = world.add_tenant()
    assert signs_in(site, link, PARTNER) is Reason.ACCOUNT_TO_CHOOSE
    page = site.get(PAGE).body
    assert "Which GoTo account is yours?" in page
    assert page.index("Acme Analytics") < page.index("Partner IT Services")
    assert "Beta &lt;b&gt;Dental&lt;/b&gt;" in page
    assert (world.connections.get("acme"), pin(world), world.goto.revoked) == (None, None, [])
    assert chooses(site, ACME) == [None]
    connection = world.connections.get("acme")
    assert connection is not None
    assert (connection.status, connection.account_key) == (Status.CONNECTED, ACME)
    assert pin(world) == ACME
    assert "access-1" in site.get(PAGE).body
    assert len(world.goto.asked) == 1
    assert not [row for row in world.everything()[world.settings.grants_table] if "waiting" in row]


@pytest.mark.parametrize("order", [PARTNER, PARTNER[::-1], PARTNER[1:]])
def test_s26_the_pin_passes_wherever_it_is_listed(
    site: Site, order: tuple[GoToAccount, ...]
) -> None:
    """S26: and nobody is asked again."""
    world = site.world
    link = world.add_tenant()
    signs_in(site, link, PARTNER)
    chooses(site, ACME)
    assert signs_in(Site(world), link, order) is None
    assert signs_in(Site(world), link, ADMIN) is None
    assert (pin(world), world.goto.revoked) == (ACME, [])


def test_s26_a_person_without_the_pin_is_refused(site: Site) -> None:
    """S26: the rep reads every account that it may have been; the customer reads none."""
    world = site.world
    link = world.add_tenant()
    signs_in(site, link, ADMIN)
    assert signs_in(Site(world), link, STRANGER) is Reason.OTHER_ACCOUNT
    assert len(world.goto.revoked) == 1
    told = world.rep("tenant_show", tenant="acme")["timeline"][0]
    assert "Else (4000000098), Somebody (4000000099)" in told["detail"]
    assert "4000000099" not in site.get(PAGE).body


@pytest.mark.parametrize("account", ["4000000099", "", "x" * 5_000, "\x1b[2J", ACME + " "])
def test_s26_only_an_account_that_was_listed_can_be_chosen(site: Site, account: str) -> None:
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    assert chooses(site, account) == []
    assert pin(world) is None
    assert "Which GoTo account is yours?" in site.get(PAGE).body


def test_s13_a_choice_is_taken_from_our_own_page_only(site: Site) -> None:
    """S13: the same checks as for the button."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    csrf = site.csrf()
    cross = site.post(PAGE, {"csrf": csrf, "account": ACME}, sec_fetch_site="cross-site")
    wrong = site.post(PAGE, {"csrf": "0" * 64, "account": ACME}, sec_fetch_site="same-origin")
    assert (cross.status, wrong.status, world.completions) == (403, 403, [])
    form, own = {"csrf": csrf, "account": ACME}, "https://acme.analytics.example"
    assert site.post(PAGE, form, origin=own.replace("acme", "beta")).status == 403
    assert (site.post(PAGE, form, origin=own).status, len(world.completions)) == (303, 1)


def test_s02_another_browser_with_the_link_cannot_choose(site: Site) -> None:
    """S02: the choice is that of the browser that signed in."""
    world = site.world
    link = world.add_tenant()
    signs_in(site, link, PARTNER)
    other = Site(world)
    other.open(link)
    assert "Which GoTo account is yours?" not in other.get(PAGE).body
    assert chooses(other, ACME) == []
    assert chooses(site, ACME) == [None]


def test_f21_a_choice_whose_start_was_lost_or_doubled(site: Site) -> None:
    """F21: pressed again it goes on, and its tokens are committed once."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    csrf = site.csrf()
    for _ in range(2):
        site.post(PAGE, {"csrf": csrf, "account": ACME}, sec_fetch_site="same-origin")
    assert len(world.completions) == 2
    assert world.complete() == [None, None]
    assert world.grant().generation == 1
    site.post(PAGE, {"csrf": csrf, "account": BETA}, sec_fetch_site="same-origin")
    assert (world.completions, pin(world)) == ([], ACME)


@pytest.mark.parametrize("heard", [True, False])
def test_s26_s22_a_choice_that_another_tenant_came_before_is_given_back(
    site: Site, heard: bool
) -> None:
    """S26, S22: until GoTo has heard; the rep reads who it was."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    assert signs_in(Site(world), world.add_tenant("beta"), ADMIN) is None
    world.goto.revocation = Revocation.DONE if heard else Revocation.LATER
    assert chooses(site, ACME) == [Reason.ACCOUNT_TAKEN]
    assert world.goto.revoked == ["refresh-1"]
    assert [client.client_id for client in world.goto.revokers] == ["id-acme"]
    assert len(world.rescue_queue.messages) == (0 if heard else 1)
    told = world.rep("tenant_show", tenant="acme")["timeline"][0]
    assert "admin@acme.example" in told["detail"]
    world.goto.revocation = Revocation.DONE
    world.rescue()
    assert (held(world, "beta").account_key, world.connections.get("acme")) == (ACME, None)


def test_s26_s22_a_choice_that_comes_too_late_is_given_back_once_its_client_can_be_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S26, S22: and the rep reads who it was."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    assert signs_in(Site(world), world.add_tenant("beta"), ADMIN) is None
    down = DependencyUnavailable("secretsmanager", "Down")
    with monkeypatch.context() as patched:
        patched.setattr(SecretStore, "credentials", unavailable := refusing(down))
        patched.setattr(SecretStore, "newest_of", unavailable)
        assert chooses(site, ACME) == [Reason.ACCOUNT_TAKEN]
    assert world.goto.revoked == []
    told = world.rep("tenant_show", tenant="acme")["timeline"][0]
    assert "admin@acme.example" in told["detail"]
    world.rescue()
    assert world.goto.revoked == ["refresh-1"]


def test_s26_tokens_that_nobody_chose_for_are_revoked_after_an_hour(site: Site) -> None:
    """S26: by the tick; the page and the journal say so."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    world.clock.pass_(TIME_TO_CHOOSE - 1)
    assert world.tick() == {}
    world.clock.pass_(1)
    assert world.tick() == {Outcome.REVOKED: 1}
    assert world.goto.revoked == ["refresh-1"]
    assert "You did not choose" in site.get(PAGE).body
    assert chooses(site, ACME) == []
    assert world.history()[-1] == "authorization_expired"
    assert world.tick() == {}


def test_s22_the_revocation_is_tried_until_goto_has_heard(site: Site) -> None:
    """S22: and then the tokens are gone from the table."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    world.goto.revocation = Revocation.LATER
    world.clock.pass_(TIME_TO_CHOOSE)
    assert world.tick() == {Outcome.TRANSIENT: 1}
    assert "refresh-1" in repr(world.everything())
    world.goto.revocation = Revocation.DONE
    world.clock.pass_(3_600)
    assert world.tick() == {Outcome.REVOKED: 1}
    assert "refresh-1" not in repr(world.everything()[world.settings.grants_table])


@pytest.mark.parametrize("counted", [True, False])
def test_s22_no_tenant_is_removed_while_its_tokens_wait_for_a_choice(
    site: Site, monkeypatch: pytest.MonkeyPatch, counted: bool
) -> None:
    """S22: GoTo must hear of them as its client; whether the rep's function sees them when it looks
    or they come at the very moment."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    with monkeypatch.context() as patch:
        if not counted:
            patch.setattr(world.tenants, "choosing", lambda _: False)
        refused = world.rep("tenant_remove", tenant="acme")
    assert refused["kind"] == "still_connected"
    assert ("to choose a GoTo account" in refused["error"]) is counted
    world.clock.pass_(TIME_TO_CHOOSE)
    world.goto.revocation = Revocation.LATER
    world.tick()
    assert world.rep("tenant_remove", tenant="acme")["kind"] == "still_connected"
    world.goto.revocation = Revocation.DONE
    world.goto.revoked.clear()
    world.clock.pass_(3_600)
    assert world.tick() == {Outcome.REVOKED: 1}
    assert world.goto.revoked == ["refresh-1"]
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s22_a_tenant_is_removed_when_no_choice_waits_any_more(site: Site) -> None:
    """S22: each sign-in that waits counts, until its own choice or end."""
    world = site.world
    link = world.add_tenant()
    signs_in(Site(world), link, PARTNER)
    signs_in(site, link, PARTNER)
    assert chooses(site, ACME) == [None]
    assert world.rep("disconnect", tenant="acme")["withdrawn"]
    assert world.rep("tenant_remove", tenant="acme")["kind"] == "still_connected"
    world.clock.pass_(TIME_TO_CHOOSE)
    world.tick()
    assert world.goto.revoked == ["refresh-2", "refresh-1"]
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s22_a_sign_in_whose_tenant_goes_before_its_tokens_wait_is_revoked(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S22: they would wait without a client."""
    world = site.world
    link = world.add_tenant()
    offer = Choices.offer

    def late(self: Choices, *arguments: Any) -> None:
        assert world.rep("tenant_remove", tenant="acme")["ok"]
        offer(self, *arguments)

    monkeypatch.setattr(Choices, "offer", late)
    assert signs_in(site, link, PARTNER) is Reason.ENDED
    assert world.goto.revoked == ["refresh-1"]


def test_s22_tokens_that_a_version_before_let_wait_uncounted_are_revoked(site: Site) -> None:
    """S22, F18: and their tenant can go."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    world.dynamodb.update_item(
        TableName=world.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="REMOVE #choosing",
        ExpressionAttributeNames={"#choosing": "choosing"},
    )
    world.clock.pass_(TIME_TO_CHOOSE)
    assert world.tick() == {Outcome.REVOKED: 1}
    assert "refresh-1" not in repr(world.everything()[world.settings.grants_table])
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_s26_a_choice_at_the_last_moment_is_a_connection_and_stays_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S26, invariant 2: the tick that came to end the waiting revokes nothing then."""
    world = site.world
    signs_in(site, world.add_tenant(), PARTNER)
    world.clock.pass_(TIME_TO_CHOOSE)
    waiting = Choices.waiting

    def read_before_the_choice(self: Choices, key: str) -> Any:
        found = waiting(self, key)
        with monkeypatch.context() as patch:
            patch.setattr(Choices, "waiting", waiting)
            chooses(site, ACME)
        monkeypatch.setattr(Choices, "waiting", waiting)
        return found

    monkeypatch.setattr(Choices, "waiting", read_before_the_choice)
    assert world.tick() == {Outcome.SUPERSEDED: 1}
    assert (held(world, "acme").status, world.goto.revoked) == (Status.CONNECTED, [])
    assert world.grant().refresh_token == "refresh-1"


def test_f24_tokens_of_a_choice_that_dynamodb_will_not_take(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F24: before the choice and after it, the rescue queue has them."""
    world = site.world
    link = world.add_tenant()
    site.open(link)
    world.goto.listed = PARTNER
    site.get(f"{PAGE}?state={site.press()['state']}&code=c")
    with monkeypatch.context() as patch:
        patch.setattr(world.connections, "grant_summary", _throttled)
        assert world.complete() == [None]
    [message] = world.rescue_queue.messages
    assert json.loads(message)["accounts"][1] == [ACME, "Acme Analytics"]
    world.rescue()
    assert "Which GoTo account is yours?" in site.get(PAGE).body
    with monkeypatch.context() as patch:
        patch.setattr(world.connections, "commit_connect", _throttled)
        assert chooses(site, ACME) == [None]
    world.rescue()
    assert (pin(world), world.goto.revoked) == (ACME, [])


def _throttled(*arguments: Any, **named: Any) -> None:
    raise DependencyUnavailable("dynamodb", "Throttling")


def test_s25_a_choice_does_not_replace_a_connection_that_nobody_knows(site: Site) -> None:
    """S25: the rep confirms first, and reads which accounts the person has."""
    world = site.world
    link = world.add_tenant()
    world.goto.account_key = None
    world.connect(link)
    assert signs_in(site, link, PARTNER) is Reason.ACCOUNT_NOT_CONFIRMED
    advice = world.rep("tenant_show", tenant="acme")["next_action"]
    assert "Acme Analytics (4000000001)" in advice
    assert "--account KEY" in advice


class TestOneTenant:
    """An account belongs to one tenant unless a rep says otherwise."""

    @pytest.fixture(autouse=True)
    def acme(self, site: Site) -> None:
        """Connected, in another browser."""
        other = Site(site.world)
        assert signs_in(other, site.world.add_tenant(), ADMIN) is None

    def test_s26_another_tenants_account_is_refused_and_both_reps_are_told(
        self, site: Site
    ) -> None:
        world = site.world
        link = world.add_tenant("beta")
        signs_in(site, link, PARTNER)
        assert chooses(site, ACME) == [Reason.ACCOUNT_TAKEN]
        assert len(world.goto.revoked) == 1
        assert "belongs to another customer" in site.get(PAGE).body
        assert "acme" not in site.get(PAGE).body
        assert world.history("beta")[-1] == "authorization_mismatched"
        told = world.journal.newest("acme", 1)[0]
        assert told.kind == "account_wanted"
        assert "pin share beta --account 4000000001" in told.text
        assert chooses_again(site, link, BETA) == [None]

    def test_s26_a_rep_lets_two_tenants_share_an_account(self, site: Site) -> None:
        world = site.world
        link = world.add_tenant("beta")
        refused = world.rep("pin_set", tenant="beta", account=ACME)
        assert (refused["ok"], refused["kind"]) == (False, "account_taken")
        assert "pin share beta" in refused["error"]
        assert world.rep("pin_share", tenant="beta", account=ACME)["ok"]
        assert signs_in(site, link, ADMIN) is None
        world.pass_until_due("beta")
        world.tick()
        assert held(world, "beta").account_key == ACME
        assert not world.rep("pin_share", tenant="beta", account=BETA)["ok"]

    @pytest.mark.parametrize("left", ["removed", "moved"])
    def test_s26_who_shares_an_account_keeps_it_when_the_first_holder_leaves(
        self, site: Site, left: str
    ) -> None:
        """S26, invariant 7: it is no stranger's then, nor the first one's any more, without a rep's
        word; the one that shares it goes on."""
        world = site.world
        link, rogue = world.add_tenant("beta"), world.add_tenant("rogue")
        assert world.rep("pin_share", tenant="beta", account=ACME)["ok"]
        assert signs_in(site, link, ADMIN) is None
        if left == "removed":
            assert world.rep("disconnect", tenant="acme")["ok"]
            world.tick()
            assert world.rep("tenant_remove", tenant="acme")["ok"]
            world.add_tenant("acme")  # another customer of that name
        else:
            assert world.rep("pin_set", tenant="acme", account=OWN)["ok"]
        assert signs_in(Site(world), rogue, ADMIN) is Reason.ACCOUNT_TAKEN
        assert "pin share rogue" in world.journal.newest("beta", 1)[0].text
        for name in ("rogue", "acme"):
            assert world.rep("pin_set", tenant=name, account=ACME)["kind"] == "account_taken"
        if left == "removed":
            again = signs_in(Site(world), link_of(world, "acme"), ADMIN)
            assert again is Reason.ACCOUNT_TAKEN
        new = {"display_name": "N", "admin_email": "n@n.example"}
        named = world.rep("tenant_add", tenant="n", account_key=ACME, **new)
        assert named["kind"] == "account_taken"
        assert signs_in(Site(world), link_of(world, "beta"), ADMIN) is None
        assert world.rep("pin_set", tenant="beta", account=ACME)["ok"]
        assert world.rep("pin_share", tenant="acme", account=ACME)["ok"]
        assert signs_in(Site(world), link_of(world, "acme"), ADMIN) is None

    def test_s26_an_account_that_nobody_holds_any_more_is_free(self, site: Site) -> None:
        """S26: the first holder and the one that shared it have both moved."""
        world = site.world
        world.add_tenant("beta")
        assert world.rep("pin_share", tenant="beta", account=ACME)["ok"]
        for name, other in (("acme", OWN), ("beta", BETA)):
            assert world.rep("pin_set", tenant=name, account=other)["ok"]
        assert not world.rep("pin_share", tenant="beta", account=ACME)["ok"]
        assert signs_in(site, world.add_tenant("gamma"), ADMIN) is None
        assert world.rep("pin_set", tenant="beta", account=ACME)["kind"] == "account_taken"

    def test_s26_a_share_of_what_has_changed_hands_meanwhile_is_refused(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """S26: the rep's word was about the tenant that had the account."""
        world = site.world
        world.add_tenant("beta")
        gamma = world.add_tenant("gamma")
        pinning = world.tenants.pin

        def later(*arguments: Any) -> None:
            with monkeypatch.context() as patch:
                patch.setattr(world.tenants, "pin", pinning)
                assert world.rep("pin_set", tenant="acme", account=OWN)["ok"]
            assert signs_in(site, gamma, ADMIN) is None
            pinning(*arguments)

        monkeypatch.setattr(world.tenants, "pin", later)
        assert world.rep("pin_share", tenant="beta", account=ACME)["kind"] == "account_taken"
        assert pin(world, "beta") is None

    def test_s26_an_account_named_beforehand(self, site: Site) -> None:
        """S26: `tenant add --account-key`, and the import."""
        world = site.world
        new = {"display_name": "B", "admin_email": "b@b.example"}
        taken = world.rep("tenant_add", tenant="b", account_key=ACME, **new)
        assert (taken["ok"], world.tenants.get("b")) == (False, None)
        assert world.rep("tenant_add", tenant="b", account_key=BETA, **new)["ok"]
        assert world.rep("tenant_add", tenant="c", account_key="\x1b", **new)["ok"] is False
        line = {
            "line": 2,
            "tenant": "d",
            "client_id": "id-d",
            "client_secret": "s",
            "refresh_token": "r",
            "account_key": BETA,
            **new,
        }
        [told] = world.rep("import_lines", lines=[line])["lines"]
        assert "belongs to tenant 'b'" in told["error"]
        same = [line | {"account_key": "5"}, line | {"line": 3, "tenant": "e", "account_key": "5"}]
        errors = [each["error"] for each in world.rep("import_check", lines=same)["lines"]]
        assert errors == ["Two lines name GoTo account 5."] * 2

    def test_s26_an_imported_token_of_anothers_account_ends_at_its_first_refresh(
        self, site: Site
    ) -> None:
        world = site.world
        line = {
            "line": 2,
            "tenant": "beta",
            "display_name": "B",
            "admin_email": "b@b.example",
            "client_id": "id-beta",
            "client_secret": "s",
            "refresh_token": "r",
        }
        assert world.rep("import_lines", lines=[line])["lines"][0]["done"]
        world.goto.listed = ADMIN
        world.pass_until_due("beta")
        world.tick()
        assert held(world, "beta").status == "reauthorization_required"
        assert held(world, "acme").status == Status.CONNECTED

    def test_s26_several_accounts_of_an_imported_token_wait_for_the_rep(self, site: Site) -> None:
        """S26: nothing is guessed, and the rep's word is enough."""
        world = site.world
        link = world.add_tenant("beta")
        world.goto.listed, world.goto.account_key = None, None
        world.connect(link)
        world.goto.listed = PARTNER
        world.pass_until_due("beta")
        world.tick()
        assert (pin(world, "beta"), world.goto.revoked) == (None, [])
        assert world.rep("pin_set", tenant="beta", account=BETA)["ok"]
        world.pass_until_due("beta")
        world.tick()
        assert held(world, "beta").account_key == BETA

    def test_s26_a_tenant_that_left_gives_its_account_up(self, site: Site) -> None:
        """S26: removed, or moved to another account with the rep's word."""
        world = site.world
        link = world.add_tenant("beta")
        assert world.rep("pin_lift", tenant="acme")["ok"]
        assert signs_in(site, link, ADMIN) is Reason.ACCOUNT_TAKEN  # acme still reads from it
        assert world.rep("disconnect", tenant="acme")["ok"]
        world.tick()
        assert world.rep("tenant_remove", tenant="acme")["ok"]
        assert signs_in(Site(world), link, ADMIN) is None

    def test_s26_a_pin_from_before_is_claimed_at_its_next_commit(self, site: Site) -> None:
        """S26: of a version that claimed nothing."""
        world = site.world
        key = {"tenant": {"S": f"#account#{ACME}"}}
        world.dynamodb.delete_item(TableName=world.settings.tenants_table, Key=key)
        assert signs_in(site, link_of(world, "acme"), ADMIN) is None
        assert bootstrap.account_rule(world.deployment).claims.get(ACME) == ("acme", 1, ())


def chooses_again(site: Site, link: str, account: str) -> Any:
    signs_in(site, link, PARTNER)
    return chooses(site, account)
