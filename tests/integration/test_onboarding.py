"""The rep's commands, and what the journal makes others hear of."""

from typing import Any

import pytest

from chalicelib.rep import commands
from tests.support.world import TESTER, World

ADD = {
    "command": "tenant_add",
    "tenant": "acme",
    "display_name": "Acme",
    "admin_email": "admin@acme.example",
    "by": "rep",
}
CREDENTIALS = {
    "command": "credentials_set",
    "tenant": "acme",
    "client_id": "id",
    "client_secret": "secret+/=",
    "by": "rep",
}
LINK = {"command": "link_create", "tenant": "acme", "by": "rep"}


def run(world: World, payload: dict[str, Any]) -> dict[str, Any]:
    return commands.run(world.desk(), payload, lambda: TESTER)


def test_a_tenant_is_onboarded_with_three_commands(world: World) -> None:
    uri = "https://acme.analytics.example/admin/settings/activities/"
    assert run(world, ADD) == {"ok": True, "tenant": "acme", "redirect_uri": uri}
    assert run(world, CREDENTIALS) == {"ok": True, "tenant": "acme"}
    answer = run(world, LINK)
    assert answer["url"].startswith("https://acme.analytics.example/connect/")
    assert world.history() == ["tenant_added", "credentials_set", "link_created"]
    tenant = world.tenants.get("acme")
    assert tenant is not None
    assert tenant.secret_version is not None
    assert (
        world.secret_store.credentials("acme", tenant.secret_version).client_secret == "secret+/="
    )


def test_no_table_holds_a_client_secret(world: World) -> None:
    run(world, ADD)
    run(world, CREDENTIALS)
    assert "secret+/=" not in repr(world.everything())


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        pytest.param({}, "invalid_input", id="no command"),
        pytest.param({"command": "drop"}, "invalid_input", id="unknown command"),
        pytest.param({**ADD, "tenant": "Acme_1"}, "invalid_input", id="no DNS label"),
        pytest.param({**ADD, "tenant": "-acme"}, "invalid_input", id="leading hyphen"),
        pytest.param({**ADD, "tenant": "a" * 64}, "invalid_input", id="label too long"),
        pytest.param({**ADD, "tenant": 5}, "invalid_input", id="a number"),
        pytest.param({**ADD, "admin_email": "nobody"}, "invalid_input", id="no address"),
        pytest.param({**ADD, "admin_email": "a@b.example\nBcc: x"}, "invalid_input", id="header"),
        pytest.param({**ADD, "display_name": "x" * 101}, "invalid_input", id="long name"),
        pytest.param(CREDENTIALS, "unknown_tenant", id="credentials of nobody"),
        pytest.param({**CREDENTIALS, "client_secret": ""}, "invalid_input", id="no secret"),
        pytest.param({**CREDENTIALS, "client_id": "a:b"}, "invalid_input", id="colon in the id"),
        pytest.param(LINK, "unknown_tenant", id="link of nobody"),
    ],
)
def test_wrong_input_is_one_sentence_and_changes_nothing(
    world: World, payload: dict[str, Any], kind: str
) -> None:
    before = world.everything()
    answer = run(world, payload)
    assert (answer["ok"], answer["kind"]) == (False, kind)
    assert answer["error"].endswith(".")
    assert world.everything() == before


def test_a_tenant_is_added_once(world: World) -> None:
    run(world, ADD)
    before = world.everything()
    assert run(world, ADD)["kind"] == "tenant_exists"
    assert world.everything() == before


def test_older_secrets_stay_readable_by_version(world: World) -> None:
    run(world, ADD)
    versions = []
    for number in range(3):
        run(world, {**CREDENTIALS, "client_id": f"id-{number}", "client_secret": f"s-{number}"})
        tenant = world.tenants.get("acme")
        assert tenant is not None
        versions.append(tenant.secret_version or "")
    read = [world.secret_store.credentials("acme", version) for version in versions]
    assert [client.client_secret for client in read] == ["s-0", "s-1", "s-2"]


def test_f07_counters_outlive_a_removed_tenant(world: World) -> None:
    """F07: a name that comes back goes on counting."""
    link = world.add_tenant()
    world.connect(link)
    assert world.rep("tenant_remove", tenant="acme")["ok"]  # disconnects it, which counts too
    assert world.tenants.get("acme") is None
    world.connect(world.add_tenant())
    assert (world.grant().generation, world.grant().sequence) == (3, 3)
