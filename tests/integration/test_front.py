"""What stands in front of the pages: a host of the stack's own, and the firewall."""

from typing import Any
from urllib.parse import urlencode

import pytest

import app as entry
from infra import package
from infra.cfn_intrinsics import Resolver
from infra.cloudformation import load
from tests.support.aws import create_tables
from tests.support.memory import MemoryDynamoDB
from tests.support.site import PAGE, Site
from tests.support.world import World

MADE = {"RestAPI": "an-api", "PagesDomain": "a-domain", "AWS::URLSuffix": "amazonaws.com"}
WAYS = {
    "forwarded": ("https://{tenant}.example.com", None),
    "host": ("https://goto.example.com", "goto.example.com"),
    "wildcard": ("https://{tenant}.example.com", "*.example.com"),
}


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return load(package.build().template.read_text())


def stack(template: dict[str, Any], front: str, **given: str) -> Resolver:
    return Resolver(template, MADE, Front=front, TenantOrigin=WAYS[front][0], **given)


@pytest.mark.parametrize("front", WAYS)
def test_a_host_of_the_stacks_own_is_made_where_asked_for(
    template: dict[str, Any], front: str
) -> None:
    resolver, host = stack(template, front, HostedZoneId="Z1"), WAYS[front][1]
    resources = template["Resources"]
    made = ("Certificate", "PagesDomain", "PagesMapping", "PagesAddress", "PagesAddress6")
    assert {resources[name]["Condition"] for name in made} == {"OwnHost"}
    assert resolver.holds("OwnHost") is (host is not None)
    closed = resources["RestAPI"]["Properties"]["DisableExecuteApiEndpoint"]
    assert resolver.resolve(closed) is (host is not None)
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-disable-default-endpoint.html:
    # it takes effect when a setting of a stage changes.
    variables = resources["RestAPI"]["Properties"]["Variables"]
    assert resolver.resolve(variables) == {"Front": front}
    if host:
        named = [resources[name]["Properties"] for name in ("Certificate", "PagesDomain")]
        assert {resolver.resolve(each["DomainName"]) for each in named} == {host}
        records = [resources[name]["Properties"] for name in ("PagesAddress", "PagesAddress6")]
        assert [(resolver.resolve(one["Name"]), one["Type"]) for one in records] == [
            (host, "A"),
            (host, "AAAA"),
        ]
        assert named[1]["SecurityPolicy"] == "TLS_1_2"


@pytest.mark.parametrize(
    ("front", "address"),
    [
        ("forwarded", "https://an-api.execute-api.us-east-1.amazonaws.com/api"),
        ("host", "https://goto.example.com"),
        ("wildcard", "https://smoke-test.example.com"),
    ],
)
def test_the_stack_tells_where_the_pages_answer(
    template: dict[str, Any], front: str, address: str
) -> None:
    assert stack(template, front).resolve(template["Outputs"]["PagesURL"]["Value"]) == address


def rules(template: dict[str, Any], resolver: Resolver) -> dict[str, dict[str, Any]]:
    found = resolver.resolve(template["Resources"]["PagesFirewall"]["Properties"]["Rules"])
    return {rule["Name"]: rule for rule in found}


def test_a_front_that_does_not_say_who_asks_is_not_shut_out(template: dict[str, Any]) -> None:
    """All visitors have its address: to block it would close the pages to everybody."""
    found = rules(template, stack(template, "forwarded"))
    assert found["AsksTooOften"]["Action"] == {"Count": {}}
    assert found["BadReputation"]["OverrideAction"] == {"Count": {}}


@pytest.mark.parametrize(
    ("front", "header", "key"),
    [("forwarded", "X-Visitor", "FORWARDED_IP"), ("host", "", "IP"), ("wildcard", "", "IP")],
)
def test_s16_an_address_that_asks_too_often_is_shut_out(
    template: dict[str, Any], front: str, header: str, key: str
) -> None:
    rule = rules(template, stack(template, front, VisitorHeader=header))["AsksTooOften"]
    assert rule["Action"] == {"Block": {}}
    rate = rule["Statement"]["RateBasedStatement"]
    assert rate["AggregateKeyType"] == key
    assert rate.get("ForwardedIPConfig", {}).get("HeaderName", "") == header


def test_s20_the_firewall_keeps_no_requests(template: dict[str, Any]) -> None:
    """S20: a sample or a log of requests holds links and codes."""
    properties = template["Resources"]["PagesFirewall"]["Properties"]
    for watched in (properties, *properties["Rules"]):
        assert watched["VisibilityConfig"]["SampledRequestsEnabled"] is False
        assert watched["VisibilityConfig"]["CloudWatchMetricsEnabled"] is True
    assert not {
        made["Type"]
        for made in template["Resources"].values()
        if made["Type"] == "AWS::WAFv2::LoggingConfiguration"
    }


@pytest.mark.usefixtures("aws")
def test_one_host_serves_every_tenant_the_whole_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """One browser, two tenants, one host: who connects is in the authorization request (S04)."""
    client: Any = MemoryDynamoDB()
    world = World(client, create_tables(client, "t-"), TENANT_ORIGIN="https://goto.example.com")
    monkeypatch.setattr(entry, "deployment", lambda: world.deployment)
    site, redirect = Site(world), f"https://goto.example.com{PAGE}"
    links = {name: world.add_tenant(name) for name in ("acme", "beta")}
    site.open(links["acme"])
    asked = site.press()
    assert asked["redirect_uri"] == redirect
    assert site.switch(links["beta"]).headers["location"] == PAGE
    site.get(f"{PAGE}?{urlencode({'state': asked['state'], 'code': 'a-code'})}")
    assert world.complete() == [None]
    assert world.connections.get("acme") is not None
    assert world.connections.get("beta") is None
    assert "a-code" not in site.connect(links["beta"]).body
    assert world.connections.get("beta") is not None
