"""S25: every live connection has a known, pinned account; a link alone replaces none."""

import itertools
import json
import threading
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from chalicelib.durations import ACCOUNTS_IN_VAIN, TIME_TO_READ_ACCOUNT
from chalicelib.dynamodb.table import Action, Tables
from chalicelib.errors import DependencyUnavailable, LinkNotUsable
from chalicelib.models import Reason, RequestStatus, Status, TenantDetails
from chalicelib.permissions import Owner
from chalicelib.refresh.outcomes import Outcome
from chalicelib.tokens.rescue import Rescued
from tests.faults.test_outages import IN_MEMORY, ON_THREADS
from tests.faults.test_restore import Backup
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.people import (
    ACCOUNTS,
    ADMIN,
    PEOPLE,
    RIVAL,
    THIRD,
    begin,
    imported,
    link,
    moved_in,
    principal,
    refresh,
    sign_in,
)
from tests.support.recorder import acting_as
from tests.support.world import TESTER, World

OWN = ACCOUNTS[ADMIN]


def pin(world: World) -> str | None:
    return world.tenants.known("acme").pinned_account


def row(world: World) -> dict[str, Any]:
    found = world.dynamodb.get_item(
        TableName=world.settings.tokens_table, Key={"tenant": {"S": "acme"}}
    )["Item"]
    return {name: next(iter(value.values())) for name, value in found.items()}


def newest(world: World, kind: str) -> Any:
    return next(entry for entry in world.journal.newest("acme", 50) if entry.kind == kind)


def unreadable_at_first(world: World) -> str:
    """A tenant that connected while GoTo's account API was away; its link."""
    goto = moved_in(world)
    at = world.add_tenant()
    goto.readable = False
    assert sign_in(world, at, ADMIN) is None
    goto.readable = True
    return at


def test_s25_the_first_refresh_of_an_imported_tenant_pins_its_account(world: World) -> None:
    """S25: in the commit of its tokens, with a line in the journal."""
    moved_in(world)
    imported(world)
    assert pin(world) is None
    refresh(world)
    assert (pin(world), row(world)["account_key"]) == (OWN, OWN)
    assert row(world)["principal"] == principal(ADMIN)
    assert OWN in newest(world, "account_pinned").text


def test_s25_a_link_alone_replaces_no_imported_connection(world: World) -> None:
    """S25: neither before the first refresh nor after it; the new grant is revoked at GoTo."""
    goto = moved_in(world)
    at = imported(world)
    before = world.connections.get("acme")
    assert sign_in(world, at, RIVAL) is Reason.ACCOUNT_NOT_CONFIRMED
    assert world.connections.get("acme") == before
    assert [goto.owners[token] for token in goto.revoked] == [RIVAL]
    refresh(world)
    assert sign_in(world, at, RIVAL) is Reason.OTHER_ACCOUNT
    assert sign_in(world, at, ADMIN) is None
    assert row(world)["account_key"] == OWN


def test_s25_a_refused_request_is_mismatched_and_its_page_says_who_must_act(world: World) -> None:
    """S25: the page names the representative, not the stranger."""
    moved_in(world)
    at = imported(world)
    visitor = world.browser(at)
    world.come_back(visitor, state=world.start(visitor)["state"], code=RIVAL)
    key = world.completions[-1]
    world.complete()
    request = world.requests.get(key)
    assert request is not None
    assert request.status is RequestStatus.MISMATCHED
    notice = world.visit.settings_page(visitor).notice
    assert notice is not None
    assert notice.reason is Reason.ACCOUNT_NOT_CONFIRMED


def test_s25_an_account_unreadable_at_first_is_pinned_by_a_refresh(world: World) -> None:
    """S25: until then not even the admin's own sign-in replaces the connection."""
    at = unreadable_at_first(world)
    assert "could not be read" in newest(world, "connected").text
    assert sign_in(world, at, ADMIN) is Reason.ACCOUNT_NOT_CONFIRMED
    refresh(world)
    assert pin(world) == OWN
    assert sign_in(world, at, ADMIN) is None


def test_s25_a_refresh_that_cannot_read_the_account_leaves_it_to_the_next(world: World) -> None:
    goto = moved_in(world)
    imported(world)
    goto.readable = False
    refresh(world)
    assert (pin(world), row(world)["status"]) == (None, Status.CONNECTED)
    goto.readable = True
    refresh(world)
    assert pin(world) == OWN


def test_s25_no_failure_of_the_look_up_loses_the_tokens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: whatever it is; it is reported, by the look-up and by the day's probe (F33)."""
    goto = moved_in(world)
    imported(world)

    def fail(access_token: str) -> str:
        raise RecursionError

    monkeypatch.setattr(goto, "accounts", fail)
    refresh(world)
    assert row(world)["status"] == Status.CONNECTED
    assert [type(error) for error in world.reported] == [RecursionError] * 2


def test_s25_the_account_is_not_looked_up_when_time_is_short(world: World) -> None:
    """S25: the tokens in hand come first."""
    goto = moved_in(world)
    imported(world)

    def slow() -> None:
        world.time_left = TIME_TO_READ_ACCOUNT - 1

    goto.script = [slow]
    refresh(world)
    assert (goto.looked_up, row(world)["status"]) == (0, Status.CONNECTED)


def test_s25_an_account_api_that_hangs_does_not_hold_up_every_refresh(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25, F14: after some seconds in vain the rest of the invocation goes without, after a probe
    that hung (F33) without probes."""
    moved_in(world)
    imported(world)
    for number in range(4):
        imported(world, tenant=f"t{number}")
    asked: list[str] = []

    def hang(access_token: str) -> None:
        asked.append(access_token)
        world.clock.pass_(ACCOUNTS_IN_VAIN / 2)

    monkeypatch.setattr(world.goto, "accounts", hang)
    worker = world.refresher()
    for name in ("acme", "t0", "t1", "t2", "t3"):
        assert worker.refresh(world.due(name)).outcome is Outcome.REFRESHED
    assert len(asked) == 3


def test_s25_a_pinned_tenants_refresh_asks_and_writes_nothing_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: one read of the tenant, two rows written, no look-up."""
    goto = moved_in(world)
    at = world.add_tenant()
    assert sign_in(world, at, ADMIN) is None
    goto.looked_up, read, written = 0, world.tenants.get, Tables.transact
    asked: list[str] = []

    def get(name: str) -> Any:
        asked.append("tenant")
        return read(name)

    def transact(tables: Tables, *actions: Action) -> None:
        asked.extend(action.label for action in actions)
        written(tables, *actions)

    monkeypatch.setattr(world.tenants, "get", get)
    monkeypatch.setattr(Tables, "transact", transact)
    refresh(world)
    assert goto.looked_up == 0
    assert asked == ["tenant", "tokens", "grants"]


def test_s25_what_the_rescue_queue_holds_is_pinned_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25, F03: the message carries the account."""
    moved_in(world)
    imported(world)
    commit = world.connections.commit_refresh

    def refuse(*arguments: Any, **named: Any) -> None:
        raise DependencyUnavailable("dynamodb", "Throttling")

    monkeypatch.setattr(world.connections, "commit_refresh", refuse)
    refresh(world)
    monkeypatch.setattr(world.connections, "commit_refresh", commit)
    assert world.rescue() == [Rescued.COMMITTED]
    assert (pin(world), row(world)["account_key"]) == (OWN, OWN)


def test_s25_a_message_of_the_version_before_is_committed_without_a_pin(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: it names no account; the next refresh reads it."""
    moved_in(world).readable = False
    imported(world)
    monkeypatch.setattr(world.connections, "commit_refresh", _throttled)
    refresh(world)
    monkeypatch.undo()
    assert "account" not in json.loads(world.rescue_queue.messages[0])
    assert world.rescue() == [Rescued.COMMITTED]
    assert pin(world) is None


def _throttled(*arguments: Any, **named: Any) -> None:
    raise DependencyUnavailable("dynamodb", "Throttling")


def test_s25_a_strangers_rescued_exchange_replaces_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25, F24: by the same rule, and the journal names who tried."""
    goto = moved_in(world)
    at = imported(world)
    read, refusals = world.connections.grant_summary, itertools.count(1)

    def flaky(tenant: str) -> Any:
        if next(refusals) <= 4:
            raise DependencyUnavailable("dynamodb", "Throttling")
        return read(tenant)

    monkeypatch.setattr(world.connections, "grant_summary", flaky)
    begin(world, at, RIVAL)
    world.complete()
    assert world.rescue() == [Rescued.REFUSED]
    assert [goto.owners[token] for token in goto.revoked] == [RIVAL]
    tried = newest(world, "authorization_mismatched").tried
    assert tried == Owner(ACCOUNTS[RIVAL], principal(RIVAL))


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_s25_where_no_account_can_be_known_a_link_reconnects_as_before(world: World) -> None:
    """S25: the operator has set no account API, by their own choice."""
    goto = moved_in(world)
    goto.readable = False
    object.__setattr__(world.settings, "api_url", None)
    at = imported(world)
    assert sign_in(world, at, ADMIN) is None
    assert "could not be read" not in newest(world, "reconnected").text


def test_s25_no_pin_can_be_set_where_no_account_can_be_known() -> None:
    """S25: it would lock everybody out."""
    client: Any = MemoryDynamoDB()
    world = World(client, create_tables(client, "t-"), GOTO_API_URL="")
    world.onboarding.add_tenant("acme", TenantDetails("Acme Ltd", "admin@acme.example"), TESTER)
    answer = world.rep("pin_set", tenant="acme", account=OWN)
    assert (answer["ok"], "GoToApiUrl" in answer["error"]) == (False, True)
    assert pin(world) is None


def test_s25_the_rep_confirms_an_account_and_its_sign_in_passes(world: World) -> None:
    moved_in(world).readable = False
    at = imported(world)
    refresh(world)
    world.goto.readable = True  # type: ignore[attr-defined]  # as moved in
    assert sign_in(world, at, ADMIN) is Reason.ACCOUNT_NOT_CONFIRMED
    assert f"pin set acme --account {OWN}" in world.rep("tenant_show", tenant="acme")["next_action"]
    assert world.rep("pin_set", tenant="acme", account=OWN)["ok"]
    assert world.history()[-1] == "pin_set"
    assert sign_in(world, at, RIVAL) is Reason.OTHER_ACCOUNT
    assert sign_in(world, at, ADMIN) is None


@pytest.mark.parametrize("account", ["", "4E+09", "4000000001.0", "4,000", "a\x1b", "4" * 65])
def test_s25_what_is_no_account_key_pins_nothing(world: World, account: str) -> None:
    """S25: as a spreadsheet writes it, for one."""
    world.add_tenant()
    before = world.everything()
    assert world.rep("pin_set", tenant="acme", account=account)["kind"] == "invalid_input"
    assert world.everything() == before


def test_s25_lifting_the_pin_revokes_every_link_that_is_out(world: World) -> None:
    """S25: in one write; also what was begun at one of them."""
    moved_in(world)
    at = world.add_tenant()
    sign_in(world, at, ADMIN)
    begin(world, at, RIVAL)
    assert world.rep("pin_lift", tenant="acme")["ok"]
    assert world.complete() == [Reason.ENDED]
    with pytest.raises(LinkNotUsable):
        sign_in(world, at, RIVAL)
    assert "revoked" in newest(world, "pin_lifted").text
    assert sign_in(world, link(world), RIVAL) is None
    assert pin(world) == ACCOUNTS[RIVAL]


def test_s25_a_lifted_pin_is_set_by_the_next_sign_in_not_by_a_refresh(world: World) -> None:
    goto = moved_in(world)
    sign_in(world, world.add_tenant(), ADMIN)
    world.rep("pin_lift", tenant="acme")
    refresh(world)
    assert pin(world) is None
    goto.readable = False
    assert sign_in(world, link(world), ADMIN) is None  # it was lifted for this one
    assert not world.tenants.known("acme").pin_lifted
    goto.readable = True
    assert sign_in(world, link(world), RIVAL) is Reason.ACCOUNT_NOT_CONFIRMED
    refresh(world)
    assert pin(world) == OWN


def test_s25_after_a_disconnection_an_unpinned_tenant_connects_as_at_first(world: World) -> None:
    moved_in(world)
    at = imported(world)
    world.rep("disconnect", tenant="acme")
    with pytest.raises(LinkNotUsable):
        sign_in(world, at, RIVAL)
    assert "link send acme" in world.rep("tenant_show", tenant="acme")["next_action"]
    assert sign_in(world, link(world), RIVAL) is None
    assert pin(world) == ACCOUNTS[RIVAL]


def test_s25_an_import_that_names_the_account_pins_it_at_once(world: World) -> None:
    moved_in(world)
    at = imported(world, account_key=OWN)
    assert (pin(world), row(world).get("account_key")) == (OWN, None)
    assert sign_in(world, at, RIVAL) is Reason.OTHER_ACCOUNT
    assert sign_in(world, at, ADMIN) is None


def test_s25_a_tenant_removed_and_added_again_has_no_lifted_pin(world: World) -> None:
    moved_in(world)
    sign_in(world, world.add_tenant(), ADMIN)
    world.rep("pin_lift", tenant="acme")
    world.rep("disconnect", tenant="acme")
    assert world.rep("tenant_remove", tenant="acme")["ok"]
    at = world.add_tenant()
    assert not world.tenants.known("acme").pin_lifted
    assert sign_in(world, at, RIVAL) is None


def test_s25_the_journal_says_who_connected_and_never_the_admin(world: World) -> None:
    moved_in(world)
    at = world.add_tenant()
    assert sign_in(world, at, ADMIN) is None
    entry = newest(world, "connected")
    assert entry.text == f"Connected to GoTo account {OWN} by {principal(ADMIN)}."
    assert entry.who == principal(ADMIN)
    visitor = world.browser(at)
    world.come_back(visitor, state=world.start(visitor)["state"], error="access_denied")
    assert newest(world, "authorization_denied").who == "the holder of a link"


def test_s25_the_customers_page_names_no_stranger_who_merely_tried(world: World) -> None:
    """S25: to the rep it does."""
    moved_in(world)
    at = world.add_tenant()
    visitor = world.browser(at)
    world.come_back(visitor, state=world.start(visitor)["state"], code=ADMIN)
    world.complete()
    sign_in(world, at, RIVAL)
    details = world.visit.settings_page(visitor).details
    assert details is not None
    assert principal(RIVAL) not in repr(details)
    assert ACCOUNTS[RIVAL] not in repr(details)
    told = json.dumps(world.rep("tenant_show", tenant="acme")["timeline"])
    assert principal(RIVAL) in told
    assert ACCOUNTS[RIVAL] in told


def test_s25_the_rep_is_shown_that_an_account_is_not_known(world: World) -> None:
    """S25: of one tenant, in the list and at a glance."""
    goto = moved_in(world)
    imported(world)
    shown = world.rep("tenant_show", tenant="acme")
    assert shown["account_known"] is False
    _count(world)
    status = world.rep("status")
    counted = (status["counts"]["degraded"], status["account_not_known"])
    assert counted == (1, 0), "it is listed as degraded until its first refresh"
    goto.readable = False
    refresh(world)
    _count(world)
    status = world.rep("status")
    assert (status["account_not_known"], status["account_not_known_tenants"]) == (1, ["acme"])
    assert (status["total"], status["counts"]["connected"]) == (1, 1)
    [listed] = world.rep("tenant_list", state="account_not_known")["tenants"]
    assert (listed["tenant"], listed["state"], listed["account_known"]) == (
        "acme",
        "connected",
        False,
    )
    [each] = world.rep("export")["tenants"]
    assert each["account_known"] is False
    goto.scope, full = "identity:", goto.scope
    refresh(world)
    _count(world)
    status = world.rep("status")
    assert (status["not_usable_tenants"], status["account_not_known"]) == (["acme"], 0)
    goto.readable, goto.scope = True, full
    refresh(world)
    _count(world)
    status = world.rep("status")
    assert (status["account_not_known"], status["account_not_known_tenants"]) == (0, [])
    assert world.rep("tenant_show", tenant="acme")["account_known"] is True


def _count(world: World) -> None:
    for entry in world.journal.newest("acme", 50):
        world.fleet_counts.note(entry)


@ON_THREADS
def test_s25_a_pin_and_a_strangers_connect_at_one_moment(world: World) -> None:
    """S25: on real tables; whichever is first, the customer's connection stays and is pinned."""
    for number in range(8):
        goto = moved_in(world)
        name = f"t{number}"
        begin(world, imported(world, tenant=name), RIVAL)
        together, look_up = threading.Barrier(2, timeout=10), goto.accounts
        firsts = iter([together.wait] * 2)  # the day's probe looks up alone

        def accounts(access_token: str, firsts: Any = firsts, ask: Any = look_up) -> Any:
            with suppress(threading.BrokenBarrierError):
                next(firsts, int)()
            return ask(access_token)

        vars(goto).update(accounts=accounts)
        ended: list[Any] = []
        due = world.due(name)
        worker = threading.Thread(target=lambda due=due: world.refresher().refresh(due))
        other = threading.Thread(target=lambda ended=ended: ended.extend(world.complete()))
        for thread in (worker, other):
            thread.start()
        for thread in (worker, other):
            thread.join()
        assert ended[0] in (Reason.ACCOUNT_NOT_CONFIRMED, Reason.OTHER_ACCOUNT)
        assert world.tenants.known(name).pinned_account == OWN
        connection = world.connections.get(name)
        assert connection is not None
        assert goto.owners[connection.access_token or ""] == ADMIN
        with acting_as(None):  # its account is the next one's (S26)
            assert world.rep("disconnect", tenant=name)["ok"]
            assert world.rep("tenant_remove", tenant=name)["ok"]


def _meanwhile(world: World, act: Any) -> None:
    """Have something happen once, while the account is being looked up."""
    look_up = world.goto.accounts

    def accounts(access_token: str) -> Any:
        vars(world.goto).update(accounts=look_up)
        found = look_up(access_token)
        with acting_as(None):  # it is not the asking function's doing
            act()
        return found

    vars(world.goto).update(accounts=accounts)


def test_s25_a_pin_that_comes_while_the_admin_signs_in_is_no_hindrance(world: World) -> None:
    """S25: the refresh has pinned the very account that comes back from GoTo."""
    moved_in(world)
    at = imported(world)
    begin(world, at, ADMIN)
    _meanwhile(world, lambda: refresh(world))
    assert world.complete() == [None]
    assert (pin(world), row(world)["account_key"]) == (OWN, OWN)


def test_s25_a_pin_lifted_while_a_refresh_reads_the_account_stays_lifted(world: World) -> None:
    """S25: the tokens are committed all the same."""
    moved_in(world)
    imported(world)
    _meanwhile(world, lambda: world.rep("pin_lift", tenant="acme"))
    refresh(world)
    assert (pin(world), row(world)["status"]) == (None, Status.CONNECTED)
    assert "account_pinned" not in world.history()


def test_s25_a_pin_set_while_a_refresh_reads_the_account_stays(world: World) -> None:
    moved_in(world)
    imported(world)
    _meanwhile(world, lambda: world.rep("pin_set", tenant="acme", account=ACCOUNTS[RIVAL]))
    refresh(world)
    assert pin(world) == ACCOUNTS[RIVAL]
    ended(world, ADMIN)


def _at_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch, act: Any, name: str = "commit_refresh"
) -> None:
    """Have something happen once, after the commit has read the pin and before it writes."""
    commit = getattr(world.connections, name)

    def late(*given: Any, **named: Any) -> None:
        monkeypatch.setattr(world.connections, name, commit)
        with acting_as(None):
            act()
        commit(*given, **named)

    monkeypatch.setattr(world.connections, name, late)


def test_s03_a_pin_set_at_the_moment_of_a_sign_in_s_commit_counts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S03: after the rule has found none; the commit itself depends on it."""
    moved_in(world)
    begin(world, world.add_tenant(), RIVAL)
    set_pin = {"tenant": "acme", "account": ACCOUNTS[ADMIN]}
    _at_the_commit(world, monkeypatch, lambda: world.rep("pin_set", **set_pin), "commit_connect")
    assert world.complete() == [Reason.OTHER_ACCOUNT]
    assert (pin(world), world.connections.get("acme")) == (ACCOUNTS[ADMIN], None)


def test_s25_a_lifted_pin_serves_one_sign_in_to_its_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: another has used it up after the rule has looked."""
    moved_in(world)
    assert sign_in(world, world.add_tenant(), ADMIN) is None
    world.rep("pin_lift", tenant="acme")
    begin(world, world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1], RIVAL)

    def use_up() -> None:
        world.dynamodb.update_item(
            TableName=world.settings.tenants_table,
            Key={"tenant": {"S": "acme"}},
            UpdateExpression="REMOVE pin_lifted",
        )

    _at_the_commit(world, monkeypatch, use_up, "commit_connect")
    assert world.complete() == [Reason.ACCOUNT_NOT_CONFIRMED]
    assert row(world)["account_key"] == ACCOUNTS[ADMIN]


def test_s25_a_pin_lifted_at_the_moment_of_the_commit_stays_lifted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: the rep's word is not undone by a refresh that read the row before it."""
    moved_in(world)
    imported(world)
    _at_the_commit(world, monkeypatch, lambda: world.rep("pin_lift", tenant="acme"))
    refresh(world)
    assert (pin(world), row(world)["status"]) == (None, Status.CONNECTED)


def test_s25_a_pin_set_at_the_moment_of_the_commit_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: and the connection, which is another account's, ends."""
    moved_in(world)
    imported(world)
    set_pin = {"tenant": "acme", "account": ACCOUNTS[RIVAL]}
    _at_the_commit(world, monkeypatch, lambda: world.rep("pin_set", **set_pin))
    refresh(world)
    assert pin(world) == ACCOUNTS[RIVAL]
    ended(world, ADMIN)


def ended(world: World, who: str) -> None:
    """No token is served, GoTo has heard, and reps alone are told whose it was."""
    owners = world.goto.owners  # type: ignore[attr-defined]  # as moved in
    assert "access_token" not in row(world)
    assert row(world)["status"] == Status.REAUTHORIZATION_REQUIRED
    assert who in {owners.get(token, ADMIN) for token in world.goto.revoked}
    assert world.grant().refresh_token is None
    entry = newest(world, "reauthorization_required")
    assert entry.tried == Owner(ACCOUNTS[who], principal(who))
    assert entry.for_customer().tried is None


def test_s25_a_pin_is_no_proof_of_whose_the_connection_is(world: World) -> None:
    """S25: a stranger came first, unread; the rep confirms the admin's account."""
    goto = moved_in(world)
    at = world.add_tenant()
    goto.readable = False
    assert sign_in(world, at, RIVAL) is None
    goto.readable = True
    assert sign_in(world, at, ADMIN) is Reason.ACCOUNT_NOT_CONFIRMED
    world.rep("pin_set", tenant="acme", account=OWN)
    shown = world.rep("tenant_show", tenant="acme")
    assert (shown["account_known"], "refresh acme" in shown["next_action"]) == (False, True)
    refresh(world)
    ended(world, RIVAL)
    assert sign_in(world, at, ADMIN) is None
    assert world.rep("tenant_show", tenant="acme")["account_known"] is True


def test_s25_an_import_of_another_accounts_token_ends_at_its_first_refresh(world: World) -> None:
    goto = moved_in(world)
    goto.owners["refresh-of-acme"] = RIVAL
    imported(world, account_key=OWN)
    assert world.rep("tenant_show", tenant="acme")["account_known"] is False
    refresh(world)
    ended(world, RIVAL)


def test_s25_an_import_of_the_named_account_is_known_after_its_first_refresh(world: World) -> None:
    """S25: and is not looked up again. The day's probe asks once more (F33)."""
    goto = moved_in(world)
    imported(world, account_key=OWN)
    refresh(world)
    assert (row(world)["account_key"], goto.looked_up) == (OWN, 2)
    assert world.rep("tenant_show", tenant="acme")["account_known"] is True
    refresh(world)
    assert goto.looked_up == 2


def test_s25_another_pin_on_a_live_connection_ends_it(world: World) -> None:
    """S25: at the next refresh, which asks GoTo whose it is."""
    moved_in(world)
    sign_in(world, world.add_tenant(), ADMIN)
    world.rep("pin_set", tenant="acme", account=ACCOUNTS[RIVAL])
    _count(world)
    assert world.rep("status")["account_not_known"] == 1
    refresh(world)
    ended(world, ADMIN)


def test_s25_a_row_of_the_version_before_is_looked_up_once(world: World) -> None:
    goto = moved_in(world)
    sign_in(world, world.add_tenant(), ADMIN)
    world.dynamodb.update_item(
        TableName=world.settings.grants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="REMOVE account_key",
    )
    goto.looked_up = 0
    refresh(world)
    refresh(world)
    assert (goto.looked_up, world.grant().account_key) == (1, OWN)


def test_s25_both_tables_from_a_backup_serve_no_account_that_is_not_the_pinned(
    world: World,
) -> None:
    """S25, F19: the backup is older than the pin's change."""
    goto = moved_in(world)
    sign_in(world, world.add_tenant(), RIVAL)
    backups = [Backup(world, table) for table in ("tokens", "grants")]
    world.rep("pin_lift", tenant="acme")
    assert sign_in(world, link(world), ADMIN) is None
    for backup in backups:
        backup.restore()
    world.restore(both=True)
    assert goto.owners[world.grant().refresh_token or ""] == RIVAL
    refresh(world)
    ended(world, RIVAL)


def test_s25_tokens_of_an_older_authorization_are_not_served_after_a_restore(
    world: World,
) -> None:
    """S25, F19: they may be another account's."""
    moved_in(world)
    sign_in(world, world.add_tenant(), RIVAL)
    backup = Backup(world, "tokens")
    world.rep("pin_lift", tenant="acme")
    assert sign_in(world, link(world), ADMIN) is None
    backup.restore()
    world.restore()
    gone = {"access_token", "expires_at", "account_key", "principal", "sequence"}
    assert not gone & set(row(world))
    refresh(world)
    assert (row(world)["account_key"], pin(world)) == (OWN, OWN)


def test_s25_a_strangers_tries_hide_no_other_and_name_no_command(world: World) -> None:
    """S25, S29: one account has a ready-made command, several have none."""
    goto = moved_in(world)
    at = world.add_tenant()
    goto.readable = False
    sign_in(world, at, THIRD)
    goto.readable = True
    for _ in range(12):
        assert sign_in(world, at, RIVAL) is Reason.ACCOUNT_NOT_CONFIRMED
    advice = world.rep("tenant_show", tenant="acme")["next_action"]
    assert f"--account {ACCOUNTS[RIVAL]}." in advice
    sign_in(world, at, ADMIN)
    advice = world.rep("tenant_show", tenant="acme")["next_action"]
    for who in (RIVAL, ADMIN):
        assert f"{ACCOUNTS[who]}, by {principal(who)}, on " in advice
        assert f"--account {ACCOUNTS[who]}" not in advice
    assert world.history().count("authorization_mismatched") == 11


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_s30_an_old_rescue_message_is_read_as_at_the_entrance(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S30: the version that wrote it did not look."""
    moved_in(world)
    imported(world)
    monkeypatch.setattr(world.connections, "commit_refresh", _throttled)
    refresh(world)
    monkeypatch.undo()
    content = json.loads(world.rescue_queue.messages[0])
    content["account"], content["principal"] = "4\x1b[2J", "ad\x1bmin\r\n"
    content["accounts"] = [["4\x1b[2J", "Ac\x1bme"]]
    content["fresh"] |= {"token_type": "bea\x1brer", "scope": "a\x1bb"}
    world.rescue_queue.messages[0] = json.dumps(content)
    assert world.rescue() == [Rescued.COMMITTED]
    assert "\x1b" not in repr(row(world))
    assert row(world)["token_type"] == "Bearer"
    assert pin(world) is None


def test_s25_a_refusal_after_a_pin_that_matches_by_then_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S25: the refresh pins between the refused commit and the look at why."""
    moved_in(world)
    at = imported(world)
    known = world.tenants.get
    begin(world, at, ADMIN)

    def get(name: str) -> Any:
        monkeypatch.setattr(world.tenants, "get", known)
        with acting_as(None):
            refresh(world)
        return known(name)

    monkeypatch.setattr(world.tenants, "get", get)
    assert world.complete() == [None]


_WHO = st.sampled_from(PEOPLE)
_ACTS = st.one_of(
    st.tuples(st.sampled_from(["sign_in", "begin", "old_link", "pin_set"]), _WHO),
    st.tuples(
        st.sampled_from(["complete", "refresh", "unreadable", "readable", "lift", "disconnect"]),
        st.just(""),
    ),
)


class Story:
    """A customer, strangers with links, refreshes and the rep, in any order."""

    def __init__(self, start: str) -> None:
        client: Any = MemoryDynamoDB()
        self.world = World(client, create_tables(client, "t-"))
        self.goto = moved_in(self.world)
        if start == "link":
            self.old = self.world.add_tenant()
        else:
            named = {"account_key": OWN} if start == "account" else {}
            self.old = imported(self.world, **named)
        self.living = ADMIN if start != "link" else None
        self.allowed: set[str] = set()

    def act(self, act: str, who: str) -> None:
        world = self.world
        match act:
            case "sign_in":
                begin(world, link(world), who)
                world.complete()
            case "begin" | "old_link":
                with suppress(LinkNotUsable):
                    begin(world, self.old if act == "old_link" else link(world), who)
            case "complete":
                world.complete()
            case "refresh":
                if world.connections.grant("acme") and world.grant().next_refresh_at:
                    refresh(world)
            case "unreadable" | "readable":
                self.goto.readable = act == "readable"
            case "pin_set":
                self.allowed.add(who)
                world.rep("pin_set", tenant="acme", account=ACCOUNTS[who])
            case "lift" | "disconnect":
                self.allowed |= set(PEOPLE)
                world.rep("pin_lift" if act == "lift" else act, tenant="acme")

    def check(self) -> None:
        connection = self.world.connections.get("acme")
        token = connection.access_token if connection else None
        if token is None:
            return
        owner = self.goto.owners[token]
        if owner != self.living:
            assert self.living is None or owner in self.allowed
            self.living, self.allowed = owner, set()
        if not self.allowed and pin(self.world) is not None:
            assert pin(self.world) == ACCOUNTS[owner]
            assert row(self.world).get("account_key") in (None, pin(self.world))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["import", "account", "link"]), st.lists(_ACTS, max_size=12))
def test_s25_no_other_account_replaces_the_connection_unless_the_rep_says_so(
    start: str, acts: list[tuple[str, str]]
) -> None:
    """S25, invariant 7: whatever strangers, refreshes and admins do, in any order."""
    with mock_aws():
        story = Story(start)
        for act, who in acts:
            story.act(act, who)
            story.check()


@IN_MEMORY
def test_s25_a_tombstone_of_a_table_is_no_pin(world: World) -> None:
    """S25, F19: the tenant's row is lost; a refresh goes on, and writes none anew."""
    moved_in(world)
    imported(world)
    world.dynamodb.delete_item(
        TableName=world.settings.tenants_table, Key={"tenant": {"S": "acme"}}
    )
    refresh(world)
    assert row(world)["status"] == Status.CONNECTED
    assert world.tenants.get("acme") is None
