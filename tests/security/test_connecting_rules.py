"""What the pages' use cases hold to, beyond what a browser sees of it."""

import pytest

from chalicelib import opaque
from chalicelib.connect.visitors import BrowserCookies
from chalicelib.durations import NOTICE_SHOWN_FOR, PROCESSING_TIMEOUT
from chalicelib.errors import LinkNotUsable, NotReadyToConnect
from chalicelib.models import AuthorizationRequest, Reason, RequestStatus
from tests.support.world import World


def request_of(world: World, asked: dict[str, str]) -> AuthorizationRequest:
    found = world.requests.get(opaque.digest(asked["state"]))
    assert found is not None
    return found


def test_what_goto_is_asked_for(world: World) -> None:
    object.__setattr__(world.settings, "scope", "users.v1.read")
    asked = world.start(world.browser(world.add_tenant()))
    assert asked["client_id"] == "id-acme"
    assert asked["scope"] == "users.v1.read"


@pytest.mark.parametrize("missing", ["client_id", "secret_version"])
def test_a_start_needs_the_whole_client(world: World, missing: str) -> None:
    link = world.add_tenant()
    world.dynamodb.update_item(
        TableName=world.settings.tenants_table,
        Key={"tenant": {"S": "acme"}},
        UpdateExpression="REMOVE #missing",
        ExpressionAttributeNames={"#missing": missing},
    )
    with pytest.raises(NotReadyToConnect):
        world.start(world.browser(link))


def test_s14_a_link_of_a_tenant_that_is_gone_opens_nothing(world: World) -> None:
    link = world.add_tenant()
    world.dynamodb.delete_item(
        TableName=world.settings.tenants_table, Key={"tenant": {"S": "acme"}}
    )
    with pytest.raises(LinkNotUsable):
        world.visit.open_link(link)


def test_s16_a_void_request_says_when_it_ended(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    first = request_of(world, world.start(visitor))
    world.clock.pass_(5)
    world.start(visitor)
    ended = world.requests.get(first.key)
    assert ended is not None
    assert (ended.status, ended.reason) == (RequestStatus.EXPIRED, Reason.SUPERSEDED)
    assert ended.finished_at == int(world.clock.now)


@pytest.mark.parametrize(
    ("error", "reason", "status"),
    [
        ("access_denied", Reason.DENIED, RequestStatus.DENIED),
        ("server_error", Reason.SIGN_IN_FAILED, RequestStatus.FAILED),
    ],
)
def test_s08_a_refusal_is_told_with_its_reference_for_a_while(
    world: World, error: str, reason: Reason, status: RequestStatus
) -> None:
    visitor = world.browser(world.add_tenant())
    asked = world.start(visitor)
    world.come_back(visitor, state=asked["state"], error=error)
    request = request_of(world, asked)
    assert request.status is status
    world.clock.pass_(NOTICE_SHOWN_FOR)
    notice = world.visit.settings_page(visitor).notice
    assert notice is not None
    assert (notice.reason, notice.reference) == (reason, request.reference)
    world.clock.pass_(1)
    assert world.visit.settings_page(visitor).notice is None


def test_an_exchange_that_never_ends_is_told_with_its_reference(world: World) -> None:
    visitor = world.browser(world.add_tenant())
    asked = world.start(visitor)
    world.come_back(visitor, state=asked["state"], code="a-code")
    world.clock.pass_(PROCESSING_TIMEOUT)
    notice = world.visit.settings_page(visitor).notice
    assert notice is not None
    assert notice.reason is Reason.OUTCOME_UNKNOWN
    assert notice.reference == request_of(world, asked).reference


def test_s01_a_repeat_while_the_code_is_at_goto_starts_nothing(world: World) -> None:
    """F21: the code has been taken out; a second start could find none."""
    visitor = world.browser(world.add_tenant())
    asked = world.start(visitor)
    world.come_back(visitor, state=asked["state"], code="a-code")
    world.requests.claim(opaque.digest(asked["state"]))
    world.completions.clear()
    world.come_back(visitor, state=asked["state"], code="a-code")
    assert world.completions == []


def test_what_is_no_value_of_ours_is_never_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = world.browser(world.add_tenant())
    asked: list[str] = []
    monkeypatch.setattr(world.links, "get", asked.append)
    monkeypatch.setattr(world.requests, "get", asked.append)
    world.visit.ask_for_fresh_link("no link")
    for page in (
        world.visit.open_link,
        lambda link: world.visit.processing(BrowserCookies(link, None)),
    ):
        with pytest.raises(LinkNotUsable):
            page("no link")
    with pytest.raises(Exception, match="state unknown"):
        world.come_back(visitor, state="no state", code="a-code")
    assert asked == []
