"""Every page that an admin can meet, each arranged in the running product.

Pictures and the accessibility tests go through the same list, so that no page is in the one and
not in the other. What would take days is written into the tables.
"""

import time
from typing import Any

from playwright.sync_api import Page, expect

from chalicelib.connect.authorize import MOST_STARTS
from chalicelib.errors import LoginRequired
from chalicelib.models import Reason, Status
from chalicelib.web import texts
from tests.e2e import account_states, story
from tests.e2e.stage import Stage, State
from tests.e2e.story import Tenant


def _fresh(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(tenant.link)
    return page


def _awaiting_credentials(stage: Stage) -> Page:
    name = story.new_name()
    added = stage.cloud.rep(
        "tenant_add", tenant=name, display_name="Acme Analytics", admin_email="a@acme.example"
    )
    assert added["ok"], added
    page = stage.page()
    page.goto(stage.cloud.rep("link_create", tenant=name)["url"])
    return page


def _processing(stage: Stage) -> Page:
    """Back from GoTo for the first time, for as long as the page waits."""
    tenant, page = stage.at_goto()
    _newest_request(tenant, page, status="exchanging")
    story.reopen(page, tenant)
    expect(page.get_by_text(story.PROCESSING, exact=True)).to_be_visible()
    return page


def _just_connected(stage: Stage) -> Page:
    return stage.connected()[1]


def _later_in_the_same_browser(stage: Stage) -> Page:
    """The dates and the timeline, and a token that is no longer shown."""
    tenant, page = stage.connected()
    story.age(tenant, 12)
    story.reopen(page, tenant)
    return page


def _later_elsewhere(stage: Stage) -> Page:
    tenant, _ = stage.connected()
    other = stage.page()
    other.goto(tenant.link)
    return other


def _reconnect_soon(stage: Stage) -> Page:
    tenant, page = stage.connected()
    story.age(tenant, 27)
    story.reopen(page, tenant)
    return page


def _ended_by_goto(refusal: dict[str, Any]) -> State:
    """A connection of twelve days, and what GoTo says at its next refresh."""

    def arranged(stage: Stage) -> Page:
        tenant, page = stage.connected()
        story.age(tenant, 12)
        _dead(tenant)
        story.control(stage.cloud, "switches", {"fail_next": [REFRESH | refusal] * 2})
        stage.cloud.rep("refresh", tenant=tenant.name)
        story.let_confirm(tenant)
        stage.cloud.rep("refresh", tenant=tenant.name)
        story.control(stage.cloud, "switches", {"fail_next": []})  # a busy GoTo is asked once only
        story.drop(tenant, "grants", "next_refresh_at")  # or the schedule would mend it
        story.reopen(page, tenant)
        return page

    return arranged


JSON = "application/json"
REFRESH = {"grant_type": "refresh_token"}
REVOKED = {"status": 400, "body": '{"error": "invalid_grant"}', "content_type": JSON}
UNKNOWN_CLIENT = {"status": 401, "body": '{"error": "invalid_client"}', "content_type": JSON}
BUSY = {"status": 503}


def _disconnected(stage: Stage) -> Page:
    tenant, page = stage.connected()
    story.age(tenant, 12)
    stage.cloud.rep("disconnect", tenant=tenant.name)
    story.rewrite_history(tenant)
    page.goto(_new_link(stage, tenant.name))
    return page


def _new_link(stage: Stage, name: str) -> str:
    """A disconnection ends the links that were out."""
    return str(stage.cloud.rep("link_create", tenant=name)["url"])


def _token_died(stage: Stage) -> Page:
    tenant, page = stage.connected()
    story.age(tenant, 12)
    story.drop(tenant, "grants", "next_refresh_at")
    story.change(tenant, "tokens", next_refresh_at=int(time.time()) - 1_200)
    _dead(tenant)
    story.reopen(page, tenant)
    return page


def _dead(tenant: Tenant) -> None:
    """The last renewal was longer ago than GoTo's tokens live."""
    now = int(time.time())
    story.change(tenant, "grants", access_expires_at=now - 60)
    story.change(tenant, "tokens", expires_at=now - 60, refreshed_at=now - 3_660)


def _ended_with(reason: Reason) -> State:
    """How the first sign-in of a tenant ended."""

    def arranged(stage: Stage) -> Page:
        tenant, page = stage.pressed()
        _newest_request(tenant, page, status="failed", reason=reason.value)
        story.reopen(page, tenant)
        return page

    return arranged


def _other_account(stage: Stage) -> Page:
    tenant, _ = stage.connected()
    page = stage.page()
    page.goto(tenant.link)
    story.press(page)
    story.log_in(page, "owner@rival.example")
    story.allow(page)
    return page


def _account_unreadable(stage: Stage) -> Page:
    """GoTo's account can't be read any more where it was known already."""
    tenant, page = stage.connected()
    story.age(tenant, 12)
    story.control(stage.cloud, "switches", {"account_readable": False})
    try:
        story.reopen(page, tenant)
        story.press(page)
        expect(page.locator(".reference")).to_be_visible()
    finally:
        story.control(stage.cloud, "switches", {"account_readable": True})
    return page


def _superseded(stage: Stage) -> Page:
    """Two admins at once: this one began first, and is the last to press Allow."""
    tenant, page = stage.at_goto()
    story.connect(stage.page(), tenant)
    story.allow(page)
    return page


def _ended_meanwhile(stage: Stage) -> Page:
    """Another admin has connected, and the rep disconnected, while this one is at GoTo."""
    tenant, page = stage.at_goto()
    story.connect(stage.page(), tenant)
    stage.cloud.rep("disconnect", tenant=tenant.name)
    story.allow(page)
    page.goto(_new_link(stage, tenant.name))
    return page


ENDED: dict[Reason, State] = {
    Reason.OTHER_ACCOUNT: _other_account,
    Reason.ACCOUNT_UNREADABLE: _account_unreadable,
    Reason.SUPERSEDED: _superseded,
    Reason.ENDED: _ended_meanwhile,
    **account_states.ENDED,
}
"""Ends that only another sign-in, or the rep, brings about; the others are written into the row."""


def _named(reason: Reason) -> str:
    return f"ended-{reason.replace('_', '-')}"


def _newest_request(tenant: Tenant, page: Page, **values: str) -> None:
    """Have the browser's authorization request stand otherwise than it ended."""
    now = int(time.time())
    story.change_request(tenant, page, returned_at=now, finished_at=now, **values)


def _dead_link(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(tenant.link[:-4] + "AAAA")
    return page


def _fresh_link_mailed(stage: Stage) -> Page:
    page = _dead_link(stage)
    page.get_by_role("button", name="Email a new link").click()
    expect(page.get_by_role("heading", name="Thank you")).to_be_visible()
    return page


def _no_link(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    story.reopen(page, tenant)
    return page


def _malformed(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(tenant.address + "?state=")
    return page


def _not_accepted(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(f"{tenant.address}?state={'A' * 43}&code=c")
    return page


def _cross_site(stage: Stage) -> Page:
    page = _fresh(stage)
    page.locator("[name=csrf]").evaluate("field => { field.value = 'x'; }")
    story.press(page)
    expect(page.get_by_text("Reference number")).to_be_visible()
    return page


def _too_many(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(tenant.link)
    window = int(time.time()) // 600
    for each in (window, window + 1):  # the clock may turn between here and the press
        story.change_link(tenant, start_window=each, starts=MOST_STARTS)
        story.press(page)
        if page.get_by_role("heading", name="Too many attempts").count():
            break
    return page


def _not_ready(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(tenant.link)
    story.drop(tenant, "tenants", "client_id")
    story.press(page)
    expect(page.get_by_text("Reference number")).to_be_visible()
    return page


def _login_required(stage: Stage) -> Page:
    """Where HA's own login stands before the pages, and nobody has logged in."""
    tenant, page = stage.tenant(), stage.page()
    required = {"VISITOR_IDENTITY": "required", "VISITOR_KEY": "unread"}
    with story.changed_function(stage.cloud, stage.cloud.functions["web"], **required):
        page.goto(tenant.link)
    return page


def _unavailable(stage: Stage) -> Page:
    """A row that nobody can read stands for whatever is broken on our side."""
    tenant, page = stage.connected()
    story.change(tenant, "tokens", status="no such state")
    story.reopen(page, tenant)
    story.change(tenant, "tokens", status="connected")  # or nobody could list it
    return page


def _intake(stage: Stage) -> Page:
    """The form for client id and secret, empty; with the redirect URI that a customer reads."""
    tenant, page = stage.tenant(), stage.page()
    story.change(tenant, "tenants", redirect_uri=f"https://acme.hireanalytix.net{story.PAGE}")
    page.goto(stage.cloud.rep("intake_create", tenant=tenant.name)["url"])
    return page


def _intake_wrong(stage: Stage) -> Page:
    """GoTo knows no such client."""
    page = _intake(stage)
    story.enter_client(page, "no-such-client", "no-such-secret")
    expect(page.get_by_text("GoTo does not accept").first).to_be_visible()
    return page


def _intake_impossible(stage: Stage) -> Page:
    """Values that cannot be, found before GoTo is asked."""
    page = _intake(stage)
    story.enter_client(page, "a:colon", "s\u00fc\u00df")
    expect(page.get_by_text("Nothing was stored")).to_be_visible()
    return page


def _intake_done(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(stage.cloud.rep("intake_create", tenant=tenant.name)["url"])
    story.enter_client(page, *story.new_client(stage.cloud, tenant.name))
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
    return page


def _intake_dead(stage: Stage) -> Page:
    tenant, page = stage.tenant(), stage.page()
    page.goto(f"{stage.cloud.origin(tenant.name)}/intake/{'A' * 43}")
    return page


STATES: dict[str, State] = {
    "awaiting-credentials": _awaiting_credentials,
    "not-connected": _fresh,
    "processing": _processing,
    "connected": _just_connected,
    "connected-later": _later_in_the_same_browser,
    "connected-elsewhere": _later_elsewhere,
    "reconnect-soon": _reconnect_soon,
    "token-died": _token_died,
    "degraded": _ended_by_goto(BUSY),
    "reauthorization-required": _ended_by_goto(REVOKED),
    "credentials-rejected": _ended_by_goto(UNKNOWN_CLIENT),
    "disconnected": _disconnected,
    **account_states.STATES,
    **{_named(reason): ENDED.get(reason) or _ended_with(reason) for reason in Reason},
    "error-dead-link": _dead_link,
    "error-no-link": _no_link,
    "error-malformed": _malformed,
    "error-not-accepted": _not_accepted,
    "error-cross-site": _cross_site,
    "error-too-many": _too_many,
    "error-not-ready": _not_ready,
    "error-login-required": _login_required,
    "error-unavailable": _unavailable,
    "fresh-link-mailed": _fresh_link_mailed,
    "intake": _intake,
    "intake-wrong": _intake_wrong,
    "intake-impossible": _intake_impossible,
    "intake-done": _intake_done,
    "error-dead-intake": _intake_dead,
}

HEADLINES = {
    **account_states.HEADLINES,
    **{_named(reason): texts.NOTICES[reason][0] for reason in Reason},
    "degraded": texts.STATUSES[Status.DEGRADED][0],
    "reauthorization-required": texts.STATUSES[Status.REAUTHORIZATION_REQUIRED][0],
    "credentials-rejected": texts.STATUSES[Status.CREDENTIALS_REJECTED][0],
    "disconnected": texts.STATUSES[Status.DISCONNECTED][0],
    "token-died": texts.STATUSES[Status.DEGRADED][0],
    "reconnect-soon": texts.RECONNECT_SOON[0],
    "error-too-many": "Too many attempts",
    "error-login-required": texts.ERRORS[LoginRequired][0],
    "error-unavailable": texts.UNAVAILABLE[0],
}
"""What must stand on the page, where arranging it could go wrong unnoticed."""


def arrange(name: str, stage: Stage) -> Page:
    """Bring a state about; the page that shows it."""
    page = STATES[name](stage)
    if name in HEADLINES:
        expect(page.get_by_text(HEADLINES[name], exact=True)).to_be_visible()
    page.wait_for_timeout(200)  # the live region has been filled
    return page
