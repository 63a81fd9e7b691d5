"""The rows of `Tokens` and `Grants`, whole, as each step leaves them."""

from dataclasses import replace
from typing import Any

import pytest

from chalicelib.durations import REFRESH_TOKEN_LIFETIME
from chalicelib.dynamodb.expressions import plain
from chalicelib.errors import Conflict
from chalicelib.goto.token_response import TokenSet
from chalicelib.journal_entries import JournalEntry, Kind
from chalicelib.models import Due, Status, lane
from chalicelib.permissions import GoToAccount, Owner
from tests.support.stubs import ACCOUNT, START
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines


def rows(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """The tenant's rows of `Tokens` and `Grants`."""
    names = (world.settings.tokens_table, world.settings.grants_table)
    key = {"tenant": {"S": "acme"}}
    found = [world.dynamodb.get_item(TableName=name, Key=key)["Item"] for name in names]
    tokens, grants = (plain(each) for each in found)
    return tokens, grants


def expected(world: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a first sign-in leaves."""
    now = int(START)
    common = {
        "tenant": "acme",
        "status": "connected",
        "generation": 1,
        "version": 1,
        "sequence": 1,
        "account_key": ACCOUNT,
        "next_refresh_at": world.due().at,
    }
    tokens = common | {
        "schema": 1,
        "access_token": "access-1",
        "token_type": "Bearer",
        "scope": world.goto.scope,
        "issued_at": now,
        "expires_at": now + 3600,
        "connected_at": now,
        "refreshed_at": now,
        "reconnect_by": now + REFRESH_TOKEN_LIFETIME,
        "principal": "admin@acme.example",
        "usable": "yes",
        "usable_checked_at": now,
    }
    grant = common | {
        "access_expires_at": now + 3600,
        "client_id": "id-acme",
        "secret_version": world.grant().secret_version,
        "failures": 0,
        "fence": 0,
        "lane": lane("acme"),
        "probe_at": world.grant().probe_at,
        "refresh_token": "refresh-1",
        "refresh_issued_at": now,
        "refresh_expires_at": now + REFRESH_TOKEN_LIFETIME,
    }
    return tokens, grant


def test_a_first_sign_in_writes_both_rows(connected: World) -> None:
    assert rows(connected) == expected(connected)


def test_a_claim_marks_the_grant_alone(connected: World) -> None:
    tokens, grant = expected(connected)
    due = connected.due()
    taken = connected.connections.claim(due, due.at, due.at + 100)
    assert taken == connected.grant()
    held = {"fence": 1, "lease_until": due.at + 100, "next_refresh_at": due.at + 100}
    inflight = {"fence": 1, "version": 1, "claimed_at": due.at}
    assert rows(connected) == (tokens, grant | held | {"inflight": inflight})


def test_f02_a_second_claim_keeps_when_the_first_was_made(connected: World) -> None:
    """F02: since then the outcome is unknown; a third claim keeps that moment, too."""
    due = connected.due()
    for number in range(3):
        at = due.at + 100 * number
        assert connected.connections.claim(Due("acme", at), at, at + 100) is not None
        unknown_since = due.at if number else None
        assert connected.grant().outcome_unknown_since == unknown_since
    inflight = connected.grant().inflight
    assert inflight is not None
    assert (inflight.fence, inflight.claimed_at) == (3, due.at + 200)


@pytest.mark.engines
@pytest.mark.parametrize(
    ("at", "now", "taken"),
    [
        pytest.param(0, 0, True, id="due"),
        pytest.param(1, 1, False, id="due at another moment by now"),
        pytest.param(100, 99, False, id="leased"),
        pytest.param(100, 100, True, id="the lease is over"),
    ],
)
def test_f05_a_claim_takes_what_is_due_and_free(
    connected: World, at: int, now: int, taken: bool
) -> None:
    begun = connected.due().at
    if at == 100:
        connected.connections.claim(connected.due(), begun, begun + 100)
    found = connected.connections.claim(Due("acme", begun + at), begun + now, begun + 999)
    assert (found is not None) is taken


def test_a_tenant_without_a_grant_is_not_claimed(world: World) -> None:
    assert world.connections.claim(Due("acme", 1), 1, 100) is None


def test_a_refresh_changes_what_is_new(connected: World) -> None:
    tokens, grant = expected(connected)
    connected.goto.rotates = True
    connected.clock.pass_(3000)
    connected.connections.claim(connected.due(), int(connected.clock.now), 0)
    connected.clock.pass_(100)
    connected.tick()
    now = int(connected.clock.now)
    both = {"version": 2, "next_refresh_at": connected.due().at}
    ends = now + REFRESH_TOKEN_LIFETIME
    assert rows(connected) == (
        tokens
        | both
        | {"access_token": "access-2", "issued_at": now, "refreshed_at": now}
        | {"expires_at": now + 3600, "reconnect_by": ends},
        grant
        | both
        | {"access_expires_at": now + 3600, "fence": 2, "refresh_token": "refresh-2"}
        | {"refresh_issued_at": now, "refresh_expires_at": ends},
    )


def test_another_sign_in_goes_on_counting(connected: World) -> None:
    """The fence, too: who was asked before must not write any more."""
    connected.connections.claim(connected.due(), connected.due().at, 0)
    before, _ = rows(connected)
    connected.connect(connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    tokens, grant = rows(connected)
    counted = {"generation": 2, "version": 2, "sequence": 2}
    assert tokens == before | counted | {
        "access_token": "access-2",
        "next_refresh_at": connected.due().at,
    }
    assert {name: grant[name] for name in counted} == counted
    assert (grant["fence"], grant["refresh_token"]) == (1, "refresh-2")
    assert "inflight" not in grant


def test_f23_a_first_sign_in_is_one_only_where_there_is_no_grant(connected: World) -> None:
    """F23: of two at once, each of which has found none, one is refused."""
    visitor = connected.browser(connected.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    connected.come_back(visitor, state=connected.start(visitor)["state"], code="a-code")
    request = connected.requests.claim(connected.completions[0])
    assert request is not None
    with pytest.raises(Conflict) as caught:
        connected.connections.commit_connect(
            request,
            None,
            connected.commits.dated("acme", TokenSet("access-9", "refresh-9"), int(START)),
            now=int(START),
            owner=Owner(ACCOUNT),
            pinned_only=False,
            entry=JournalEntry("acme", START, "connected", "an admin", "Connected."),
        )
    assert "grants" in caught.value.failed


def test_f06_a_refresh_that_another_overtook_is_refused(connected: World) -> None:
    asked = connected.grant()
    tokens = connected.commits.dated("acme", TokenSet("access-9"), int(START), asked)
    connected.connections.commit_refresh(asked, tokens, warned=None, entries=[])
    with pytest.raises(Conflict) as caught:
        connected.connections.commit_refresh(asked, tokens, warned=None, entries=[])
    assert set(caught.value.failed) == {"tokens", "grants"}
    degraded = replace(connected.grant(), status=Status.DEGRADED)
    with pytest.raises(Conflict) as caught:
        connected.connections.commit_refresh(degraded, tokens, warned=None, entries=[])
    assert caught.value.failed == ("grants",)


def test_the_due_index_gives_the_oldest_first_and_no_more_than_asked(world: World) -> None:
    names = [name for name in map("t{}".format, range(60)) if lane(name) == lane("t0")][:3]
    for seconds, name in enumerate(names):
        world.connect(world.add_tenant(name))
        world.clock.pass_(10 + seconds)
    moments = sorted((world.due(name) for name in names), key=lambda due: due.at)
    in_lane, last = lane("t0"), moments[-1].at
    assert world.connections.due(in_lane, last, 10) == tuple(moments)
    assert world.connections.due(in_lane, last - 1, 10) == tuple(moments[:-1])
    assert world.connections.due(in_lane, last, 1) == (moments[0],)
    assert world.connections.due(in_lane + 1, last, 10) == ()


def test_what_is_read_without_its_secrets_has_all_but_them(connected: World) -> None:
    connection, grant = connected.connections.get("acme"), connected.grant()
    assert connection is not None
    summary = replace(connection, access_token=None, sequence=None)
    assert connected.connections.summary("acme") == summary
    assert connected.connections.summaries(["acme", "nobody"]) == {"acme": summary}
    assert connected.connections.grant_summary("acme") == replace(
        grant, refresh_token=None, refresh_issued_at=0, access_expires_at=0, probe_at=0
    )
    assert connected.connections.grant_summary("nobody") is None


TRIED = (
    None,
    Owner(),
    Owner("1", "ann@acme.example"),
    Owner(None, None, (GoToAccount("1", "Acme"), GoToAccount("2", None))),
)
"""Who signs in, from nobody known of to a person with two accounts."""


@pytest.mark.parametrize("tried", TRIED)
@pytest.mark.parametrize("status", [None, Status.DEGRADED])
def test_a_journal_entry_is_read_as_it_was_written(
    world: World, tried: Owner | None, status: Status | None
) -> None:
    kind = Kind.AUTHORIZATION_FAILED
    entry = JournalEntry("acme", START, kind, "ann", "text", "ABCDE-FGHJK", status, tried)
    world.journal.append(entry)
    assert world.journal.newest("acme", 1) == (entry,)
