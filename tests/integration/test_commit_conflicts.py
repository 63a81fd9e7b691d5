"""What a commit does when a table refuses it: once more, otherwise, or not at all."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.bootstrap import tokens as bootstrap
from chalicelib.errors import Conflict, DependencyUnavailable
from chalicelib.goto.token_response import TokenSet
from chalicelib.journal_entries import JournalEntry
from chalicelib.models import Grant, NewTokens, Reason, Status
from chalicelib.permissions import Owner, Usable
from chalicelib.tokens.account_rule import OTHER
from chalicelib.tokens.commit import ATTEMPTS, CommitResult
from tests.support.stubs import ACCOUNT
from tests.support.world import TESTER, World

BUSY = DependencyUnavailable("dynamodb", "Busy")
ALWAYS = 1_000

Refusing = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Refusing:
    """Let a method raise so many times; what it was called with."""

    def refuse(where: object, method: str, error: Exception, times: int = 1) -> Any:
        real, calls = getattr(where, method), list[dict[str, Any]]()

        def tried(*arguments: Any, **named: Any) -> Any:
            calls.append(named | {"standing": arguments[0]})
            if len(calls) <= times:
                raise error
            return real(*arguments, **named)

        monkeypatch.setattr(where, method, tried)
        return calls

    return refuse


def fresh(world: World, **changed: Any) -> NewTokens:
    tokens = TokenSet("access-9", **changed)
    return world.commits.dated("acme", tokens, int(world.clock.now), world.grant())


def degraded(world: World) -> Grant:
    """As a tenant is whose refreshes have failed for hours."""
    for name in (world.settings.grants_table, world.settings.tokens_table):
        world.dynamodb.update_item(
            TableName=name,
            Key={"tenant": {"S": "acme"}},
            UpdateExpression="SET #status = :status",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":status": {"S": "degraded"}},
        )
    return world.grant()


@pytest.mark.parametrize("failed", [("tenants",), ("account",), ("tenants", "account"), ()])
def test_s25_a_pin_or_account_that_changes_meanwhile_is_read_again(
    connected: World, refusing: Refusing, failed: tuple[str, ...]
) -> None:
    calls = refusing(connected.connections, "commit_refresh", Conflict(failed), ATTEMPTS - 1)
    asked = connected.grant()
    assert connected.commits.refresh(asked, fresh(connected)) is CommitResult.STANDS
    assert [call["standing"] for call in calls] == [asked] * ATTEMPTS
    assert connected.grant().version == 2


def test_f03_conflicts_without_end_are_given_up_for_now(
    connected: World, refusing: Refusing
) -> None:
    """F03: the rescue queue is tried next."""
    calls = refusing(connected.connections, "commit_refresh", Conflict(("grants",)), ALWAYS)
    with pytest.raises(DependencyUnavailable, match="dynamodb: conflicts"):
        connected.commits.refresh(connected.grant(), fresh(connected))
    assert len(calls) == ATTEMPTS


def ahead(world: World) -> None:
    """`Tokens` is ahead of `Grants`, which came back from a backup."""
    world.dynamodb.update_item(
        TableName=world.settings.tokens_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET #version = :version",
        ExpressionAttributeNames={"#version": "version"},
        ExpressionAttributeValues={":version": {"N": "9"}},
    )


def test_f19_s25_another_account_ends_what_a_backup_left_apart(connected: World) -> None:
    ahead(connected)
    asked, new_tokens = connected.grant(), fresh(connected)
    done = connected.commits.refresh(asked, new_tokens, None, Owner("4999999999"))
    assert done is CommitResult.OTHER_ACCOUNT
    connection = connected.connections.get("acme")
    assert connection is not None
    assert (connection.version, connected.grant().version) == (10, 10)


def test_s25_a_refresh_pins_nothing_where_the_rep_wants_no_pin(connected: World) -> None:
    connected.dynamodb.update_item(
        TableName=connected.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET pin_lifted = :yes REMOVE pinned_account",
        ExpressionAttributeValues={":yes": {"BOOL": True}},
    )
    before = connected.history()
    done = connected.commits.refresh(connected.grant(), fresh(connected), None, Owner(ACCOUNT))
    assert done is CommitResult.STANDS
    assert connected.history() == before
    tenant = connected.tenants.get("acme")
    assert tenant is not None
    assert tenant.pinned_account is None


def test_f19_tokens_of_a_newer_backup_are_written_over(connected: World) -> None:
    """F19: `Tokens` is ahead of `Grants`; what GoTo gives is the latest of all."""
    ahead(connected)
    assert connected.commits.refresh(connected.grant(), fresh(connected)) is CommitResult.STANDS
    connection = connected.connections.get("acme")
    assert connection is not None
    assert (connection.version, connected.grant().version) == (10, 10)
    assert connection.access_token == "access-9"


@pytest.mark.parametrize("generation", [0, 2])
def test_f19_no_tokens_are_written_where_the_tables_are_of_two_connections(
    connected: World, generation: int
) -> None:
    key = {"tenant": {"S": "acme"}}
    table = connected.settings.tokens_table
    if generation:
        connected.dynamodb.update_item(
            TableName=table,
            Key=key,
            UpdateExpression="SET generation = :generation",
            ExpressionAttributeValues={":generation": {"N": str(generation)}},
        )
    else:
        connected.dynamodb.delete_item(TableName=table, Key=key)
    with pytest.raises(DependencyUnavailable, match="Tokens is not as Grants"):
        connected.commits.refresh(connected.grant(), fresh(connected))


@pytest.mark.parametrize("changed", [{}, {"refresh_token": "another"}])
def test_f04_a_commit_that_is_repeated_finds_itself(
    connected: World, changed: dict[str, str]
) -> None:
    asked, new_tokens = connected.grant(), fresh(connected, **changed)
    for _ in range(2):
        assert connected.commits.refresh(asked, new_tokens) is CommitResult.STANDS
    assert connected.grant().version == 2


def test_f06_a_state_that_changes_meanwhile_is_told_as_it_is(connected: World) -> None:
    asked = connected.grant()
    degraded(connected)
    assert connected.commits.refresh(asked, fresh(connected)) is CommitResult.STANDS
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.status) == ("recovered", Status.CONNECTED)
    assert connected.grant().status is Status.CONNECTED


def test_f30_tokens_are_kept_where_the_history_cannot_be_written(
    connected: World, refusing: Refusing
) -> None:
    """F30: the state stays as the journal has it, and the next refresh tells of it."""
    asked = degraded(connected)
    calls = refusing(connected.connections, "commit_refresh", BUSY)
    assert connected.commits.refresh(asked, fresh(connected)) is CommitResult.STANDS
    assert [(len(call["entries"]), call["over"]) for call in calls] == [(1, None), (0, None)]
    assert calls[1]["warned"] is None
    grant = connected.grant()
    assert (grant.status, grant.version) == (Status.DEGRADED, 2)
    assert connected.commits.refresh(grant, fresh(connected)) is CommitResult.STANDS
    assert connected.history()[-1] == "recovered"


def test_f30_a_note_that_cannot_be_written_costs_no_tokens(
    connected: World, refusing: Refusing
) -> None:
    calls = refusing(connected.connections, "commit_refresh", BUSY)
    note = JournalEntry("acme", connected.clock(), "refreshed_by_hand", "a rep", "By hand.")
    done = connected.commits.refresh(connected.grant(), fresh(connected), note)
    assert (done, len(calls)) == (CommitResult.STANDS, 2)
    assert connected.grant().status is Status.CONNECTED


def test_f30_without_a_history_to_write_there_is_nothing_to_leave_out(
    connected: World, refusing: Refusing
) -> None:
    calls = refusing(connected.connections, "commit_refresh", BUSY)
    with pytest.raises(DependencyUnavailable):
        connected.commits.refresh(connected.grant(), fresh(connected))
    assert len(calls) == 1


def test_f30_a_state_that_people_must_hear_of_is_not_written_silently(
    connected: World, refusing: Refusing
) -> None:
    asked = replace(connected.grant(), status=Status.CREDENTIALS_REJECTED)
    calls = refusing(connected.connections, "commit_refresh", BUSY)
    with pytest.raises(DependencyUnavailable):
        connected.commits.refresh(asked, fresh(connected))
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("pin", "text"),
    [
        (None, "From now on only this one can connect."),
        (ACCOUNT, "It is the confirmed one."),
    ],
)
def test_s25_the_journal_says_whose_tokens_a_refresh_brought(
    connected: World, pin: str | None, text: str
) -> None:
    connected.dynamodb.update_item(
        TableName=connected.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="SET pinned_account = :pin" if pin else "REMOVE pinned_account",
        **({"ExpressionAttributeValues": {":pin": {"S": pin}}} if pin else {}),
    )
    claim = {"tenant": {"S": f"#account#{ACCOUNT}"}}
    connected.dynamodb.delete_item(TableName=connected.settings.tenants_table, Key=claim)
    connected.commits.refresh(connected.grant(), fresh(connected), None, Owner(ACCOUNT, "an admin"))
    assert bootstrap.account_rule(connected.deployment).claims.get(ACCOUNT) == ("acme", 1, ())
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.who) == ("account_pinned", "the scheduler")
    assert entry.text == f"The GoTo account is {ACCOUNT}. {text}"
    assert (entry.at, entry.status) == (connected.clock.now, None)


def test_s25_a_refresh_of_another_account_ends_the_connection(connected: World) -> None:
    owner = Owner("4999999999", "somebody")
    new_tokens = fresh(connected, refresh_token="another")
    done = connected.commits.refresh(connected.grant(), new_tokens, None, owner)
    assert done is CommitResult.OTHER_ACCOUNT
    entry = connected.journal.newest("acme", 1)[0]
    assert (entry.kind, entry.status) == ("reauthorization_required", entry.kind)
    assert entry.text.startswith(f"The connection was ended: {OTHER}.")
    assert entry.detail == owner.sentence
    grant = connected.grant()
    assert (grant.revoking, grant.refresh_token, grant.version) == (True, "another", 2)


def sign_in(world: World) -> list[Reason | None]:
    """Another sign-in of the connected tenant, up to its end."""
    visitor = world.browser(world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1])
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    return world.complete()


@pytest.mark.parametrize("failed", [("tenants",), ("grants",), ("tenants", "request")])
def test_f07_f23_a_sign_in_is_committed_whatever_happens_meanwhile(
    connected: World, refusing: Refusing, failed: tuple[str, ...]
) -> None:
    refusing(connected.connections, "commit_connect", Conflict(failed), ATTEMPTS - 1)
    assert sign_in(connected) == [None]
    assert connected.grant().generation == 2


def test_f23_a_sign_in_whose_request_has_ended_connects_nothing(
    connected: World, refusing: Refusing
) -> None:
    calls = refusing(connected.connections, "commit_connect", Conflict(("request",)))
    assert sign_in(connected) == [Reason.SUPERSEDED]
    assert (len(calls), connected.grant().generation) == (1, 1)


def test_f23_a_first_sign_in_whose_request_has_ended_connects_nothing(
    world: World, refusing: Refusing
) -> None:
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    refusing(world.connections, "commit_connect", Conflict(("request",)))
    assert world.complete() == [Reason.SUPERSEDED]
    assert (world.connections.get("acme"), world.goto.revoked) == (None, ["refresh-1"])


def test_f04_a_sign_in_that_lands_while_it_is_repeated_finds_itself(
    connected: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F04: read as another's its own tokens would be revoked."""
    commit = connected.connections.commit_connect

    def twice(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        commit(*arguments, **named)

    monkeypatch.setattr(connected.connections, "commit_connect", twice)
    assert sign_in(connected) == [None]
    assert (connected.grant().generation, connected.goto.revoked) == (2, [])


def test_f24_a_sign_in_with_conflicts_without_end_goes_to_the_rescue_queue(
    connected: World, refusing: Refusing
) -> None:
    calls = refusing(connected.connections, "commit_connect", Conflict(("grants",)), ALWAYS)
    assert sign_in(connected) == [None]
    assert len(connected.rescue_queue.messages) == 1
    assert len(calls) % ATTEMPTS == 0


def test_f04_a_sign_in_whose_account_is_unknown_finds_its_own_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F04: read as another's it would be refused, and the living connection revoked."""
    world.goto.account_key = None
    visitor = world.browser(world.add_tenant())
    world.come_back(visitor, state=world.start(visitor)["state"], code="a-code")
    commit, lost = world.connections.commit_connect, [BUSY]

    def lose(*arguments: Any, **named: Any) -> None:
        commit(*arguments, **named)
        if lost:
            raise lost.pop()

    monkeypatch.setattr(world.connections, "commit_connect", lose)
    assert world.complete() == [None]
    assert (world.goto.revoked, world.grant().version) == ([], 1)
    assert "could not be read" in world.journal.newest("acme", 1)[0].text


def test_s27_a_sign_in_that_grants_too_little_is_committed_and_says_so(world: World) -> None:
    world.goto.scope = "identity:"
    world.connect(world.add_tenant())
    connection = world.connections.get("acme")
    assert connection is not None
    assert connection.usable is Usable.SCOPE_MISSING
    assert world.history()[-1] == "scope_missing"
    assert "connected" not in world.history(), "one entry tells of both"


def test_who_was_disconnected_connects_anew(connected: World) -> None:
    assert sign_in(connected) == [None]
    assert connected.history()[-1] == "reconnected"
    connected.rep("disconnect", tenant="acme")
    assert sign_in(connected) == [None]
    assert connected.history()[-1] == "connected"


def test_s22_only_what_is_given_up_must_be_revoked(connected: World) -> None:
    assert not connected.commits.must_revoke("acme")
    assert connected.commits.must_revoke("nobody")
    connected.rep("disconnect", tenant="acme")
    assert connected.commits.must_revoke("acme")
