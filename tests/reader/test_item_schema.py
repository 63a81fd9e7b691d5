"""docs/tokens-item.schema.json against what the service writes, attribute by attribute."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from chalicelib.durations import DAY
from chalicelib.dynamodb.rows import SCHEMA
from chalicelib.errors import ProviderUnreachable
from chalicelib.models import Status
from chalicelib.permissions import Usable
from ha_goto_tokens import item
from tests.support.stubs import refusal
from tests.support.world import World

pytestmark = pytest.mark.engines

FILE = Path(__file__).parents[2] / "docs" / "tokens-item.schema.json"
DESCRIPTION: dict[str, Any] = json.loads(FILE.read_text())
VALIDATOR = Draft202012Validator(DESCRIPTION)
DOUBTED = {"usable_doubt"}
"""Attributes that a connection has only while a bad finding is unconfirmed."""


def stored(world: World, tenant: str = "acme") -> dict[str, Any]:
    """The raw item, in plain JSON as a reader in another language has it."""
    found = world.dynamodb.get_item(
        TableName=world.settings.tokens_table, Key={"tenant": {"S": tenant}}, ConsistentRead=True
    )["Item"]
    plain: dict[str, Any] = {}
    for name, value in found.items():
        [(kind, raw)] = value.items()
        assert kind in ("S", "N"), name
        plain[name] = int(raw) if kind == "N" else raw
    return plain


def check(world: World, *, whole: bool = True) -> dict[str, Any]:
    """The item fits, and holds no attribute that the schema is silent about."""
    found = stored(world)
    VALIDATOR.validate(found)
    assert set(found) <= set(DESCRIPTION["properties"])
    if whole:
        # Through JSON, as a service in another language would read it.
        assert set(found) == set(DESCRIPTION["properties"]) - DOUBTED
    return found


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(DESCRIPTION)
    assert DESCRIPTION["properties"]["schema"]["const"] == SCHEMA == item.SCHEMA
    assert set(DESCRIPTION["properties"]["status"]["examples"]) == set(map(str, Status))
    assert set(DESCRIPTION["properties"]["usable"]["examples"]) == set(map(str, Usable))


def test_what_connecting_and_refreshing_write_fits_and_is_described_whole(
    connected: World,
) -> None:
    assert check(connected)["version"] == 1
    connected.goto.rotates = True
    connected.pass_until_due()
    connected.tick()
    found = check(connected)
    assert (found["version"], found["access_token"]) == (2, "access-2")


def test_what_goto_did_not_tell_is_left_out(world: World) -> None:
    world.goto.account_key = None
    link = world.add_tenant()
    world.goto.script = [world.goto.tokens(refresh=True, scope=None, principal=None)]
    world.connect(link)
    found = check(world, whole=False)
    missing = set(DESCRIPTION["properties"]) - set(found)
    assert missing == {"scope", "principal", "account_key"} | DOUBTED


def test_f33_a_doubt_fits_and_is_described(connected: World) -> None:
    """F33: nothing else is new in the item until a second check has confirmed the first."""
    connected.clock.pass_(DAY)
    connected.goto.usable = Usable.FORBIDDEN
    connected.tick()
    found = check(connected, whole=False)
    assert set(found) == set(DESCRIPTION["properties"])
    assert (found["usable"], found["usable_doubt"]) == ("yes", "forbidden")


def test_what_failures_write_fits(connected: World) -> None:
    connected.goto.script = [
        ProviderUnreachable("refused", sent=False),
    ]
    connected.clock.pass_(4000)
    connected.tick()
    assert check(connected)["status"] == "degraded"
    connected.pass_until_due()
    connected.tick_refused(refusal(400, "invalid_grant", "refresh.token.revoked"))
    found = check(connected, whole=False)
    assert found["status"] == "reauthorization_required"
    assert "next_refresh_at" not in found


def test_a_refused_client_fits(connected: World) -> None:
    connected.pass_until_due()
    connected.tick_refused(refusal(401, "invalid_client", "client not found"))
    assert check(connected, whole=False)["status"] == "credentials_rejected"


def test_a_row_made_after_a_restore_fits(connected: World) -> None:
    connected.dynamodb.delete_item(
        TableName=connected.settings.tokens_table, Key={"tenant": {"S": "acme"}}
    )
    connected.restore()
    assert "access_token" not in check(connected, whole=False)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"schema": 2}, id="of a later service"),
        pytest.param({"expires_at": None}, id="a token without its expiry"),
        pytest.param({"expires_at": "1800003600"}, id="a time as text"),
        pytest.param({"version": None}, id="no version"),
        pytest.param({"version": 0}, id="version 0"),
        pytest.param({"access_token": ""}, id="an empty token"),
        pytest.param({"tenant": "Acme_1"}, id="no DNS label"),
    ],
)
@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_what_breaks_the_contract_does_not_fit(connected: World, changed: dict[str, Any]) -> None:
    found = {
        name: value for name, value in (stored(connected) | changed).items() if value is not None
    }
    with pytest.raises(ValidationError):
        VALIDATOR.validate(found)


@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_an_attribute_of_later_is_no_break(connected: World) -> None:
    VALIDATOR.validate(stored(connected) | {"added_later": "x", "status": "a_state_of_later"})
