"""The rep takes over tenants that another program kept alive until now."""

import hashlib
import json
from typing import Any

import pytest

from chalicelib.models import Status
from chalicelib.rep.bulk_import import read
from tests.support.reps import connected, show
from tests.support.stubs import refusal
from tests.support.world import World

pytestmark = pytest.mark.engines


def line(number: int, name: str, **changed: str) -> dict[str, Any]:
    """A line of an import."""
    given = {
        "tenant": name,
        "display_name": f"{name} Ltd",
        "admin_email": f"admin@{name}.example",
        "client_id": f"id-{name}",
        "client_secret": f"secret-{name}",
        "refresh_token": f"refresh-of-{name}",
    }
    return {"line": number, **given, **changed}


def test_an_import_is_checked_as_a_whole_first(world: World) -> None:
    world.add_tenant("taken")
    lines = [
        line(2, "good"),
        line(3, "Bad_Name"),
        line(4, "taken"),
        line(5, "mail", admin_email="nobody"),
        line(6, "token", refresh_token="a\nb"),
        line(8, "blank", refresh_token="refresh-of-blank "),
        {"line": 7, "tenant": "few"},
    ]
    before = world.everything()
    told = {each["line"]: each["error"] for each in world.rep("import_check", lines=lines)["lines"]}
    assert [number for number, error in told.items() if error] == [3, 4, 5, 6, 8, 7]
    assert told[4] == "Tenant 'taken' already exists."
    told = world.rep("import_lines", lines=lines)["lines"]
    assert len([each for each in told if each["error"]]) == 6
    assert world.everything() == before


def test_an_imported_tenant_is_refreshed_with_its_own_client(world: World) -> None:
    answer = world.rep("import_lines", lines=[line(2, "acme"), line(3, "beta")])
    assert [each["error"] for each in answer["lines"]] == [None, None]
    assert show(world)["state"] == Status.DEGRADED
    assert "its first refresh comes within minutes" in show(world)["next_action"]
    assert world.tick() == {"refreshed": 2}
    assert {form["refresh_token"] for form in world.goto.asked} == {
        "refresh-of-acme",
        "refresh-of-beta",
    }
    assert {client.client_secret for client in world.goto.clients} == {"secret-acme", "secret-beta"}
    assert show(world)["state"] == Status.CONNECTED


def test_an_import_that_was_cut_off_goes_on_without_a_duplicate(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme")])
    world.tick()
    version = world.grant().version
    answer = world.rep("import_lines", lines=[line(2, "acme"), line(3, "beta")])
    assert [each["done"] for each in answer["lines"]] == [True, True]
    assert world.grant().version == version
    assert world.history().count("imported") == 1
    another = line(2, "acme", refresh_token="another")
    assert world.rep("import_check", lines=[another])["lines"][0]["error"] is not None


def test_f07_an_imported_name_goes_on_counting(world: World) -> None:
    connected(world)
    world.rep("tenant_remove", tenant="acme")
    before = world.grant()
    world.rep("import_lines", lines=[line(2, "acme")])
    assert (world.grant().generation, world.grant().version) == (
        before.generation + 1,
        before.version + 1,
    )
    assert world.tick() == {"refreshed": 1}


def test_an_imported_token_that_is_dead_is_told_as_such(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme")])
    world.tick_refused(refusal(400, "invalid_grant"))
    assert show(world)["state"] == Status.REAUTHORIZATION_REQUIRED


def test_an_imported_tenant_that_has_connected_since_is_not_told_to_wait(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme", account_key="4000000001")])
    assert "it was imported" in show(world)["next_action"]
    world.connect(world.rep("link_create", tenant="acme")["url"].rsplit("/", 1)[1])
    world.clock.pass_(world.goto.lifetime)
    assert "it was imported" not in show(world)["next_action"]


def test_an_imported_tenant_whose_refreshes_fail_is_not_told_to_wait(world: World) -> None:
    world.rep("import_lines", lines=[line(2, "acme")])
    world.goto.script = [refusal(503, "busy")]
    world.tick()
    assert "it was imported" not in show(world)["next_action"]
    assert "keeps trying" in show(world)["next_action"]


def test_s25_a_line_without_an_account_keeps_its_digest_and_one_with_it_has_another() -> None:
    """S25: what was imported before there were accounts is known again."""
    plain = read(line(2, "acme"))
    kept = ["acme", "id-acme", "secret-acme", "refresh-of-acme"]
    assert plain.digest == hashlib.sha256(json.dumps(kept).encode()).hexdigest()
    assert read(line(2, "acme", account_key="")).digest == plain.digest
    assert read(line(2, "acme", account_key="4000000001")).digest != plain.digest


@pytest.mark.parametrize("account", ["4E+09", "4,000", "a b", "4" * 65])
def test_s25_a_line_whose_account_is_none_imports_nothing(world: World, account: str) -> None:
    before = world.everything()
    [told] = world.rep("import_lines", lines=[line(2, "acme", account_key=account)])["lines"]
    assert "account key" in told["error"]
    assert world.everything() == before


def test_s25_an_account_that_is_no_text_is_refused(world: World) -> None:
    [told] = world.rep("import_check", lines=[line(2, "acme") | {"account_key": 5}])["lines"]
    assert told["error"] == "account_key must be text."
