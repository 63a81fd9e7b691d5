"""`make restore`: rows of a restored table go into the stack's own, and nowhere else (F19)."""

import time
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from moto import mock_aws

from chalicelib.errors import LinkNotUsable
from chalicelib.tokens.restored_backup import Found
from infra import restore
from infra.stack import StackFailed
from tests.support.aws import REGION, create_tables, session, template
from tests.support.world import TESTER, World

pytestmark = pytest.mark.engines

RULE, TICK, NOW = "tick-rule", "product-RefreshTick", "product-RefreshNow"


class Account:
    """A boto3 session of an account with one stack. ``runs``: what has not been stopped."""

    def __init__(self, outputs: dict[str, str], runs: str = "") -> None:
        self._outputs = {"RefreshTickFunction": TICK, "RefreshNowFunction": NOW, **outputs}
        self._state = "ENABLED" if runs == TICK else "DISABLED"
        self._reserved = 10 if runs == NOW else 0
        self.region_name = REGION

    def client(self, service: str, **options: Any) -> Any:
        match service:
            case "cloudformation":
                told = [{"OutputKey": k, "OutputValue": v} for k, v in self._outputs.items()]
                stack = {"StackStatus": "UPDATE_COMPLETE", "Outputs": told}
                return SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [stack]})
            case "lambda":
                return SimpleNamespace(
                    get_function=self._function, get_function_concurrency=self._concurrency
                )
            case "events":
                return SimpleNamespace(
                    list_rule_names_by_target=self._rules,
                    describe_rule=lambda Name: {"State": self._state},  # noqa: N803 - AWS's name
                )
        options.pop("endpoint_url", None)
        made: Any = session()
        return made.create_client(service, REGION, **options)

    def _function(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert FunctionName == TICK
        return {"Configuration": {"FunctionArn": f"arn:{TICK}"}}

    def _concurrency(self, FunctionName: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert FunctionName == NOW
        return {"ReservedConcurrentExecutions": self._reserved}

    def _rules(self, TargetArn: str) -> dict[str, Any]:  # noqa: N803 - AWS's name
        assert TargetArn == f"arn:{TICK}"
        return {"RuleNames": [RULE]}


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        client: Any = session().create_client("dynamodb", REGION)
        yield World(client, create_tables(client, "own-"))


def backed_up(world: World, *tenants: str) -> str:
    """Connect tenants; a restored table with their grants as they are now."""
    for name in tenants:
        world.connect(world.add_tenant(name))
    restored_table(world, template()["Resources"]["Grants"]["Properties"]["KeySchema"])
    for row in grants(world).values():
        world.dynamodb.put_item(TableName="restored", Item=row)
    return "restored"


def restored_table(world: World, schema: list[dict[str, str]]) -> None:
    world.dynamodb.create_table(
        TableName="restored",
        KeySchema=schema,
        AttributeDefinitions=[{"AttributeName": "tenant", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def grants(world: World) -> dict[str, dict[str, Any]]:
    table = world.settings.grants_table
    rows = world.dynamodb.scan(TableName=table)["Items"]
    return {row["tenant"]["S"]: row for row in rows}


def lose(world: World, tenant: str) -> None:
    key = {"tenant": {"S": tenant}}
    world.dynamodb.delete_item(TableName=world.settings.grants_table, Key=key)


def account(world: World, runs: str = "") -> Account:
    return Account({"GrantsTable": world.settings.grants_table}, runs)


def test_f19_lost_rows_come_back_and_newer_ones_stay(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """F19: and after the check of the lanes the tenants are refreshed, or asked to connect."""
    source = backed_up(world, "acme", "beta")
    world.pass_until_due("acme")
    world.tick()
    newer = grants(world)
    lose(world, "beta")
    assert restore.main(["main", "Grants", source], account(world)) == 0
    told = capsys.readouterr()
    assert told.out == "1 rows were put back; 1 were there already, and stay.\n"
    assert "refresh-" not in told.out + told.err
    assert grants(world)["acme"] == newer["acme"]
    assert grants(world)["beta"]["refresh_token"] == newer["beta"]["refresh_token"]
    assert sum(world.restore().values()) == 2
    assert restore.main(["main", "Grants", source], account(world)) == 0
    assert "0 rows were put back; 2 were there" in capsys.readouterr().out


def test_f19_s14_a_link_that_was_revoked_since_the_backup_stays_dead(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F19, S14, F23: counters of restored tenants jump; who connects again counts as newer. A
    second restore takes none of them back."""
    link = world.add_tenant()
    tenants = world.settings.tenants_table
    backup = world.dynamodb.scan(TableName=tenants)["Items"]
    world.rep("link_revoke", tenant="acme")
    fresh = world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    world.connect(fresh)
    world.dynamodb.delete_item(TableName=tenants, Key={"tenant": {"S": "acme"}})
    schema = template()["Resources"]["Tenants"]["Properties"]["KeySchema"]
    restored_table(world, schema)
    for row in backup:
        world.dynamodb.put_item(TableName="restored", Item=row)
    outputs = Account({"TenantsTable": tenants}, "")
    assert restore.main(["main", "Tenants", "restored"], outputs) == 0
    for dead in (link, fresh):
        with pytest.raises(LinkNotUsable):
            world.visit.open_link(dead)
    again = world.invitations.create_link("acme", TESTER).rsplit("/", 1)[1]
    world.pass_until_due()
    world.tick()  # it pins the account of the grant that lives (S25)
    world.connect(again)
    assert world.grant().generation == 2
    later = time.time() + 60
    monkeypatch.setattr("infra.restore.time.time", lambda: later)
    assert restore.main(["main", "Tenants", "restored", "--over"], outputs) == 0
    with pytest.raises(LinkNotUsable):
        world.visit.open_link(again)


@pytest.mark.parametrize("lifted", [False, True])
def test_s25_a_restored_tenant_brings_back_no_pin(world: World, lifted: bool) -> None:
    """S25, F19: nor the leave to replace one; the account of the grant that lives is pinned."""
    world.connect(world.add_tenant())
    world.onboarding.set_pin("acme", "4000000002", TESTER)
    if lifted:
        world.onboarding.lift_pin("acme", TESTER)
    restored_table(world, template()["Resources"]["Tenants"]["Properties"]["KeySchema"])
    table = world.settings.tenants_table
    for row in world.dynamodb.scan(TableName=table)["Items"]:
        world.dynamodb.put_item(TableName="restored", Item=row)
    outputs = Account({"TenantsTable": table})
    assert restore.main(["main", "Tenants", "restored", "--over"], outputs) == 0
    tenant = world.tenants.known("acme")
    assert (tenant.pinned_account, tenant.pin_lifted) == (None, False)
    world.pass_until_due()
    world.tick()
    assert world.tenants.known("acme").pinned_account == "4000000001"


def test_s22_a_restored_tenant_waits_for_no_choice_of_then(world: World) -> None:
    """S22, F19: that has long been made or ended, and the tenant can be removed."""
    world.add_tenant()
    restored_table(world, template()["Resources"]["Tenants"]["Properties"]["KeySchema"])
    table = world.settings.tenants_table
    for row in world.dynamodb.scan(TableName=table)["Items"]:
        world.dynamodb.put_item(TableName="restored", Item=row | {"choosing": {"N": "1"}})
    outputs = Account({"TenantsTable": table})
    assert restore.main(["main", "Tenants", "restored", "--over"], outputs) == 0
    assert world.rep("tenant_remove", tenant="acme")["ok"]


def test_f19_over_what_is_there(world: World) -> None:
    """F19: whatever GoTo has replaced since is not shown to it: the check comes after."""
    source = backed_up(world, "acme")
    before = grants(world)["acme"]
    world.goto.rotates = True
    world.pass_until_due("acme")
    world.tick()
    assert grants(world)["acme"] != before
    assert restore.main(["main", "Grants", source, "--over"], account(world)) == 0
    assert grants(world)["acme"] == before
    assert world.restore() == {Found.QUARANTINED: 1}


@pytest.mark.parametrize(
    ("words", "runs", "said"),
    [
        (["Grants", "restored"], TICK, f"Ticks still run: disable the rule {RULE} first."),
        (["Grants", "restored"], NOW, f"refresh: set the concurrency of {NOW} to 0 first."),
        (["Grant", "restored"], "", "There is no table Grant; there are Grants."),
        (["Grants", "own-Links"], "", "own-Links is not a restored copy of own-Grants."),
        (["Grants", "own-Grants"], "", "own-Grants is not a restored copy of own-Grants."),
        (["Grants", "none"], "", "ResourceNotFoundException"),
    ],
)
def test_what_is_refused_changes_nothing(
    world: World,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    runs: str,
    said: str,
) -> None:
    backed_up(world, "acme")
    lose(world, "acme")
    before = world.everything()
    assert restore.main(["main", *words], account(world, runs)) == 1
    assert said in capsys.readouterr().err
    assert world.everything() == before


def test_cut_off_it_goes_on_where_it_was(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"t{number}" for number in range(5)]
    source = backed_up(world, *names)
    whole = grants(world)
    for name in names:
        lose(world, name)
    put = world.dynamodb.put_item
    written: list[str] = []

    def put_item(**given: Any) -> Any:
        if len(written) == 3:
            raise StackFailed("cut off")
        written.append(given["Item"]["tenant"]["S"])
        return put(**given)

    monkeypatch.setattr(world.dynamodb, "put_item", put_item)
    monkeypatch.setattr(restore, "AT_ONCE", 1)
    target = world.settings.grants_table
    with pytest.raises(StackFailed, match="cut off"):
        restore.put_back(world.dynamodb, source, target, over=False)
    monkeypatch.undo()
    assert restore.put_back(world.dynamodb, source, target, over=False) == Counter(
        {True: 2, False: 3}
    )
    assert grants(world) == whole
