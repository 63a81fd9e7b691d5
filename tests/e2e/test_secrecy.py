"""S20: what the functions logged, after a story and its failures, holds nothing that opens."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Request, expect

from sandbox.cloud import LocalCloud
from tests.e2e import story


def logged(cloud: LocalCloud) -> list[str]:
    """Every line that any function has written to its log."""
    logs = cloud.aws.logs
    lines: list[str] = []
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        ):
            lines += [event["message"] for event in page["events"]]
    return lines


def test_s20_no_log_line_holds_what_opens_a_door(cloud: LocalCloud, browser: Browser) -> None:
    """S20: tokens, codes, secrets, states, links and cookies, through success and refusal."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    seen: dict[str, set[str]] = {}

    def note(request: Request) -> None:
        for name, values in parse_qs(urlsplit(request.url).query).items():
            seen.setdefault(name, set()).update(values)

    page.on("request", note)
    first = story.connect(page, tenant)
    page.goto(f"{tenant.address}?state={'c' * 43}&code=canary-code-of-nobody")
    page.goto(tenant.link[:-4] + "AAAA")
    story.fail_next_exchange(cloud, status=503, body="canary-of-goto")
    page.goto(tenant.link)
    story.press(page)
    expect(page.get_by_role("heading", name="GoTo could not complete")).to_be_visible()
    refresh_token = tenant.row("grants")["refresh_token"]["S"]
    cloud.aws.invoke(cloud.functions["refresh_tick"], _scheduled_event())
    client = json.loads((cloud.folder / f"client-{tenant.name}.json").read_text())
    values = {
        first,
        refresh_token,
        client["secret"],
        tenant.link.rsplit("/", 1)[1],
        "canary-code-of-nobody",
        "canary-of-goto",
        "c" * 43,
        *seen["code"],
        *seen["state"],
        *(cookie["value"] for cookie in page.context.cookies()),
    }
    assert len(values) >= 11
    text = "\n".join(logged(cloud))
    assert "answered with a problem" in text
    assert "authorization request finished" in text
    assert "outcomes" in text
    assert [value[:4] for value in values if value in text] == []
    assert "Traceback" not in text


def _scheduled_event() -> dict[str, Any]:
    """What EventBridge sends every minute."""
    return {
        "version": "0",
        "account": "000000000000",
        "region": "us-east-1",
        "detail": {},
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "time": "2026-01-01T00:00:00Z",
        "id": "an-id",
        "resources": [],
    }
