"""S20: what the local cloud holds after a story and its failures opens no door."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, expect

from infra.smoke import TICK
from sandbox.cloud import LocalCloud
from sandbox.processes import Failed
from tests.e2e import holdings, story


class Overheard:
    """Values of the addresses that a browser was sent to, by their parameters' names."""

    def __init__(self, page: Page) -> None:
        self.values: dict[str, set[str]] = {}
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        for name, values in parse_qs(urlsplit(request.url).query).items():
            self.values.setdefault(name, set()).update(values)


def test_s20_nothing_that_is_kept_holds_what_opens_a_door(
    cloud: LocalCloud, browser: Browser
) -> None:
    """S20: connect, replay, a failed exchange, refreshes, rescue, intake, rep, disconnect, mails.

    Links may stand in mails, and nowhere else; tokens, codes and verifiers in their own attributes.
    """
    holdings.overhear(cloud)
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    heard = Overheard(page)
    values = {story.connect(page, tenant), "c" * 43, "canary-code-of-nobody", "canary-of-goto"}
    page.goto(f"{tenant.address}?state={'c' * 43}&code=canary-code-of-nobody")
    page.goto(tenant.link[:-4] + "AAAA")
    values.add(tenant.row("grants")["refresh_token"]["S"])
    values |= fail(cloud, page, tenant) | take_in(cloud, browser)
    story.change(tenant, "grants", next_refresh_at=1)
    cloud.aws.invoke(cloud.functions["refresh_tick"], TICK)
    values.add(tenant.row("tokens")["access_token"]["S"])
    values |= rescue(cloud, tenant)
    values.add(json.loads((cloud.folder / f"client-{tenant.name}.json").read_text())["secret"])
    values |= heard.values["code"] | heard.values["state"] | pending(cloud)
    values |= {cookie["value"] for cookie in page.context.cookies()} - {tenant_link(tenant.link)}
    values.add(cloud.key.secret_key)
    assert cloud.rep("disconnect", tenant=tenant.name)["ok"]
    links = {tenant_link(tenant.link), mailed_link(cloud, tenant)}
    places = holdings.of(cloud)
    for told in ("error page sent", "request finished", "credential intake", '"rescue"'):
        assert told in places["logs"]
    for metric in ("LeastSecondsToExpiry", "ConnectSeconds", "TenantsInUse"):
        assert metric in places["logs"], "metrics are lines of the log"
    assert "connected" in places["queues"], "events were overheard"
    assert len(values) >= 15
    assert holdings.holding(values, places) == set()
    assert {place for place, _ in holdings.holding(links, places)} <= {"mails"}
    assert "Traceback" not in places["logs"]


def test_s20_a_message_that_nobody_can_commit_is_told_by_its_kind(cloud: LocalCloud) -> None:
    """S20: the rescue function fails with what it was given in its hands."""
    broken = json.dumps(
        {"schema": 1, "asked": {}, "fresh": {"access_token": "canary-of-a-message"}}
    )
    for body in ("canary-of-a-message", broken):
        record = {"body": body, "receiptHandle": "a-handle"}
        with pytest.raises(Failed):
            cloud.aws.invoke(cloud.functions["rescue"], {"Records": [record]})
    places = holdings.of(cloud)
    assert {"JSONDecodeError", "KeyError"} <= set(re.findall(r"\w+Error", places["logs"]))
    assert holdings.holding({"canary-of-a-message"}, places) == set()


def test_s20_a_leak_would_be_seen_wherever_it_is(cloud: LocalCloud) -> None:
    """S20: one in a log, one on the bus, one in a row; else the test above shows nothing."""
    holdings.overhear(cloud)
    tenant = story.new_tenant(cloud)
    logs = cloud.aws.logs
    group = logs.describe_log_groups()["logGroups"][0]["logGroupName"]
    logs.create_log_stream(logGroupName=group, logStreamName="leak")
    event: Any = {"timestamp": int(time.time() * 1_000), "message": "x leaked-into-a-log y"}
    logs.put_log_events(logGroupName=group, logStreamName="leak", logEvents=[event])
    holdings.client(cloud, "events").put_events(
        Entries=[
            {
                "Source": "test",
                "DetailType": "leak",
                "Detail": json.dumps({"a": "leaked-onto-the-bus"}),
                "EventBusName": cloud.aws.stack.outputs["Bus"],
            }
        ]
    )
    story.change(tenant, "tenants", note="leaked-into-a-row")
    leaked = ("leaked-into-a-log", "leaked-onto-the-bus", "leaked-into-a-row")
    seen = {place for place, _ in holdings.holding(leaked, holdings.of(cloud))}
    story.drop(tenant, "tenants", "note")
    logs.delete_log_stream(logGroupName=group, logStreamName="leak")
    assert seen == {"logs", "queues", "TenantsTable"}


def fail(cloud: LocalCloud, page: Page, tenant: story.Tenant) -> set[str]:
    """GoTo fails an exchange, then a refresh."""
    story.fail_next_exchange(cloud, status=503, body="canary-of-goto")
    page.goto(tenant.link)
    story.press(page)
    expect(page.get_by_role("heading", name="GoTo could not complete")).to_be_visible()
    failing = {"grant_type": "refresh_token", "status": 500, "body": "canary-of-a-refresh"}
    story.control(cloud, "switches", {"fail_next": [failing]})
    story.change(tenant, "grants", next_refresh_at=1)
    cloud.aws.invoke(cloud.functions["refresh_tick"], TICK)
    return {"canary-of-a-refresh"}


def rescue(cloud: LocalCloud, tenant: story.Tenant) -> set[str]:
    """DynamoDB refuses a refresh, the queue keeps it, and from there it is committed."""
    tick = cloud.functions["refresh_tick"]
    with unscheduled(cloud, tick):
        story.eventually(lambda: "lease_until" not in tenant.row("grants"), "a tick still has it")
        before = tenant.row("tokens")
        with story.changed_function(cloud, tick, TOKENS_TABLE="none"):  # transactions fail
            story.change(tenant, "grants", next_refresh_at=1)
            assert "rescued" in cloud.aws.invoke(tick, TICK)
            assert tenant.row("tokens") == before
    story.eventually(lambda: tenant.row("tokens") != before, "nothing came from the queue")
    return {tenant.row("tokens")["access_token"]["S"]}


@contextmanager
def unscheduled(cloud: LocalCloud, function: str) -> Iterator[None]:
    """No rule calls the function: one call of its own would have the tenants in its hands."""
    events = holdings.client(cloud, "events")
    address = cloud.aws.lambda_.get_function(FunctionName=function)["Configuration"]["FunctionArn"]
    rules = events.list_rule_names_by_target(TargetArn=address)["RuleNames"]
    assert rules
    for name in rules:
        events.disable_rule(Name=name)
    yield
    for name in rules:
        events.enable_rule(Name=name)


def take_in(cloud: LocalCloud, browser: Browser) -> set[str]:
    """A customer enters a wrong client, then the right one; the admin starts, and stays away."""
    name = story.new_name()
    email = f"admin@{name}.example"
    assert cloud.rep("tenant_add", tenant=name, display_name=name, admin_email=email)["ok"]
    made = cloud.rep("intake_create", tenant=name)["url"]
    client_id, secret = story.new_client(cloud, name)
    page = story.new_page(browser)
    page.goto(made)
    story.enter_client(page, client_id, "canary-of-a-wrong-secret")
    expect(page.locator("#client_secret-wrong")).to_be_visible()
    story.enter_client(page, client_id, secret)
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
    page.goto(cloud.rep("link_create", tenant=name)["url"])
    story.press(page)
    expect(page.get_by_label("Password")).to_be_visible()
    return {secret, "canary-of-a-wrong-secret", tenant_link(made)}


def pending(cloud: LocalCloud) -> set[str]:
    """Verifiers and codes of requests that are under way."""
    rows = cloud.aws.dynamodb.scan(TableName=cloud.tables["authorization_requests"])["Items"]
    found = {row[name]["S"] for row in rows for name in ("verifier", "code") if name in row}
    assert found
    return found


def mailed_link(cloud: LocalCloud, tenant: story.Tenant) -> str:
    """A link that SES was given."""
    assert cloud.rep("link_send", tenant=tenant.name)["ok"]
    mail = story.mail(cloud, f"admin@{tenant.name}.example", "Connect hireanalytiX")
    return tenant_link(story.link_in(mail))


def tenant_link(address: str) -> str:
    return address.rsplit("/", 1)[1]
