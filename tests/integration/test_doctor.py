"""What the doctor finds where something is wrong: each part, on moto and on DynamoDB Local."""

from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from chalicelib.errors import DependencyUnavailable, ProviderUnreachable
from chalicelib.rep import health_check
from chalicelib.rep.health_check import Doctor
from cli.local_checks import is_own
from sandbox.edge import forwards
from tests.support.aws import REGION, session
from tests.support.site import Site
from tests.support.stubs import refusal
from tests.support.world import World


class Client:
    """botocore's client, answering what it was told to. ``asked``: for what."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []

    def _answer(self, **asked: Any) -> Any:
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    describe_table = describe_key = get_email_identity = get_account = _answer


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": ""}}, "Look")


def test_the_indexes_of_a_real_table(world: World) -> None:
    table = world.settings.grants_table
    if not hasattr(world.dynamodb, "describe_table"):
        return  # the table in memory has no description
    assert health_check.indexes(world.dynamodb, table, ("due", "ending")) is None
    told = health_check.indexes(world.dynamodb, table, ("due", "another"))
    assert told == f"The index 'another' of {table} is missing or not active."


def test_an_index_that_is_being_made_does_not_serve() -> None:
    index = {"IndexName": "due", "IndexStatus": "CREATING"}
    client: Any = Client({"Table": {"GlobalSecondaryIndexes": [index]}})
    assert health_check.indexes(client, "grants", ("due",)) is not None


def test_a_key_that_is_disabled_or_about_to_go(aws: None) -> None:
    kms: Any = session().create_client("kms", REGION)
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    assert health_check.key(kms, key) is None
    kms.disable_key(KeyId=key)
    assert health_check.key(kms, key) == "The secrets' key is Disabled."
    kms.schedule_key_deletion(KeyId=key)
    assert health_check.key(kms, key) == "The secrets' key is PendingDeletion."


def test_a_sender_is_verified_itself_or_by_its_domain() -> None:
    verified, not_yet = {"VerifiedForSendingStatus": True}, {"VerifiedForSendingStatus": False}
    missing = refused("NotFoundException")
    for answers in ([verified], [missing, verified], [not_yet, verified]):
        client: Any = Client(*answers)
        assert health_check.sender(client, "no-reply@ha.example") is None
    client = Client(missing, not_yet)
    assert health_check.sender(client, "no-reply@ha.example") is not None
    assert [asked["EmailIdentity"] for asked in client.asked] == [
        "no-reply@ha.example",
        "ha.example",
    ]


@pytest.mark.parametrize(
    ("account", "told"),
    [
        ({"ProductionAccessEnabled": True, "SendingEnabled": True}, None),
        ({"ProductionAccessEnabled": False, "SendingEnabled": True}, "sandbox"),
        ({"ProductionAccessEnabled": True, "SendingEnabled": False}, "paused"),
        (
            {
                "ProductionAccessEnabled": True,
                "SendingEnabled": True,
                "EnforcementStatus": "SHUTDOWN",
            },
            "paused",
        ),
    ],
)
def test_f34_an_account_that_may_not_send_is_named(
    account: dict[str, Any], told: str | None
) -> None:
    """F34: AWS: "GetAccount", SES API v2 Reference (API_GetAccount.html)."""
    client: Any = Client(account)
    found = health_check.mail_account(client)
    assert found is None if told is None else told in str(found)


@pytest.mark.parametrize(
    "error", [refused("AccessDeniedException"), EndpointConnectionError(endpoint_url="x")]
)
def test_aws_that_does_not_answer_is_named(error: Exception) -> None:
    client: Any = Client(*[error] * 3)
    with pytest.raises(DependencyUnavailable, match="dynamodb"):
        health_check.indexes(client, "t", ())
    with pytest.raises(DependencyUnavailable, match="kms"):
        health_check.key(client, "k")
    with pytest.raises(DependencyUnavailable, match="ses"):
        health_check.sender(client, "a@b.example")


def test_goto_is_asked_with_a_client_that_nobody_has(world: World) -> None:
    world.goto.script = [refusal(401, "invalid_client")]
    assert world.onboarding.look_at_goto() is None
    world.goto.script = [refusal(503, "busy")]
    assert world.onboarding.look_at_goto() is not None
    world.goto.script = [ProviderUnreachable("no connection", sent=False)]
    with pytest.raises(ProviderUnreachable):
        world.onboarding.look_at_goto()
    assert {client.client_id for client in world.goto.clients} == {"doctor"}


def test_the_schedule_and_what_is_overdue(world: World) -> None:
    overview = world.desk().overview
    assert overview.look_at_ticks() == "It has never run."
    world.connect(world.add_tenant())
    world.tick()
    assert overview.look_at_ticks() is None
    assert overview.look_at_overdue() is None
    world.clock.pass_(7_200)
    told = overview.look_at_ticks()
    assert told is not None
    assert "7200 seconds ago" in told
    assert overview.look_at_overdue() == "1 are overdue."


def page_url(world: World) -> str | None:
    url: str | None = world.rep("doctor")["page_url"]
    return url


def test_the_page_that_is_asked_from_outside_is_a_tenants_and_forwarded(
    world: World, site: Site
) -> None:
    """What a front forwards, and what the service answers there to anybody."""
    world.add_tenant("gone")
    world.rep("tenant_remove", tenant="gone")
    assert page_url(world) is None, "no tenant, no host"
    world.add_tenant("acme")
    url = urlsplit(page_url(world) or "")
    assert url.netloc == "acme.analytics.example"
    assert forwards(url.path)
    answer = site.get(url.path)
    assert is_own(answer.status, answer.body.encode())


def test_one_host_for_all_is_there_before_any_tenant(world: World) -> None:
    one = replace(world.settings, tenant_origin="https://goto.example.com")
    told = Doctor(parts=[], settings=one, tenants=world.tenants, clock=world.clock).examine()
    assert told["page_url"] == "https://goto.example.com/admin/settings/activities/status"


def test_tenants_that_cannot_be_read_hide_no_finding(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise DependencyUnavailable("dynamodb", "InternalServerError")

    monkeypatch.setattr(world.tenants, "page", down)
    assert page_url(world) is None


def test_a_tenant_is_found_behind_many_that_were_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.dynamodb.tenants.ANY_COUNT", 1)
    for name in ("one", "two", "three", "four"):
        world.add_tenant(name)
    for name in ("one", "two", "four"):
        world.rep("tenant_remove", tenant=name)
    found = world.tenants.any()
    assert found is not None
    assert found.name == "three"
