"""S32: what cannot be undone needs proof of who calls, and a proof is used up by one call alone."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.dynamodb.links import Proofs
from chalicelib.models import Actor
from chalicelib.rep import commands
from tests.support.deployment import Deployment
from tests.support.sts import proved
from tests.support.world import World

HARMLESS = {
    "tenant_list": "only looks",
    "tenant_find": "only looks",
    "tenant_show": "only looks",
    "import_check": "only looks",
    "export": "only looks",
    "status": "only looks",
    "doctor": "only looks",
}
"""Commands that go without a proof, and why. A new one needs a proof, or a line here."""

GIVEN: dict[str, Any] = {
    "tenant": "acme",
    "admin_email": "thief@else.example",
    "client_id": "id",
    "client_secret": "secret",
    "lines": [],
}
"""What every command finds what it needs in."""


def unproved(world: World, command: str) -> commands.Answer:
    somebody = Actor("somebody (not verified)")
    return commands.run(world.desk(), {**GIVEN, "command": command}, lambda: somebody)


@pytest.mark.parametrize("command", sorted({*commands._COMMANDS} - {*HARMLESS}))
def test_s32_no_command_but_the_harmless_ones_goes_without_a_proof(
    world: World, command: str
) -> None:
    """S32: it is refused in a sentence, and changes nothing."""
    world.connect(world.add_tenant())
    before = world.everything()
    answer = unproved(world, command)
    assert (answer["ok"], answer["kind"]) == (False, "caller_refused")
    assert answer["error"].endswith("run it with ha-goto, logged in to AWS.")
    assert world.everything() == before


@pytest.mark.parametrize("command", sorted(HARMLESS))
def test_s32_a_harmless_command_goes_without_a_proof(world: World, command: str) -> None:
    """S32: and the history says that the name is not verified."""
    world.connect(world.add_tenant())
    world.clock.pass_(600)
    before = len(world.history())
    assert unproved(world, command).get("kind") != "caller_refused"
    entries = world.journal.newest("acme", 100)[: len(world.history()) - before]
    assert {entry.who for entry in entries} <= {"somebody (not verified)"}


def test_s32_a_new_command_needs_a_proof() -> None:
    """S32"""
    assert commands.Command(lambda desk, payload, by: {}).proof_required


def test_s32_two_calls_at_once_use_a_proof_once(world: World) -> None:
    """S32: the table decides, not the order in which they have looked."""
    proofs = Proofs(world.tables)
    with ThreadPoolExecutor(8) as pool:
        for number in range(20):
            tried = pool.map(lambda _, n=number: proofs.spend(f"{n:032x}", 1_780_000_000), range(8))
            assert sorted(tried) == [False] * 7 + [True]


def test_s32_a_used_proof_is_kept_by_its_digest_and_ends_by_itself(world: World) -> None:
    """S32: who reads the table learns no nonce."""
    nonce = "0123456789abcdef" * 2
    assert Proofs(world.tables).spend(nonce, 1_780_000_000)
    rows = world.dynamodb.scan(TableName=world.settings.links_table)["Items"]
    [row] = [row for row in rows if row["link"]["S"].startswith("proof#")]
    assert row["delete_after"]["N"] == str(1_780_000_000 + 86_400)
    assert nonce not in str(row)


def test_s32_the_function_itself_takes_a_proof_once(
    monkeypatch: pytest.MonkeyPatch, aws: None
) -> None:
    """S32: through `app.py`, with its own role and table."""
    deployment = Deployment(monkeypatch)
    deployment.tenant("acme")
    asked = {"command": "disconnect_all"}
    sent = proved(asked, deployment.clock(), "RepCommand")
    assert deployment.invoke("RepCommand", sent)["ok"]
    again = deployment.invoke("RepCommand", sent)
    other = proved(asked, deployment.clock(), "ha-goto-prod-rep-command")
    kinds = [answer["kind"] for answer in (again, deployment.invoke("RepCommand", other))]
    assert kinds == ["caller_refused"] * 2
    assert deployment.invoke("RepCommand", asked)["kind"] == "caller_refused"
