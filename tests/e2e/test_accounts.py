"""Whose calls are read: people with several accounts, with another's, and with too few boxes.

S26, S27, F33 in Chromium, with what the rep sees of each.
"""

import json
from typing import Any

from playwright.sync_api import Browser, Page, expect

from sandbox.cloud import LocalCloud
from sandbox.goto.state import DEFAULT_SCOPE
from tests.e2e import story
from tests.e2e.people import Account, allowed, person, tenant_of
from tests.e2e.story import Tenant


def connected(page: Page) -> None:
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert len(story.token(page)) > 500


def told(page: Page, words: str) -> None:
    expect(page.get_by_text(words).first).to_be_visible()


def seen_by_the_rep(tenant: Tenant) -> dict[str, Any]:
    shown = tenant.cloud.rep("tenant_show", tenant=tenant.name)
    assert shown["ok"]
    return shown


def history(tenant: Tenant) -> str:
    return json.dumps(seen_by_the_rep(tenant)["timeline"])


def test_s26_one_of_three_accounts_is_chosen_by_name_and_kept(
    cloud: LocalCloud, browser: Browser
) -> None:
    """S26: in whatever order GoTo lists them the next time."""
    tenant, names = tenant_of(cloud), ("Partner IT", "Beta Dental", "Gamma Logistics")
    accounts = [Account.new(name) for name in names]
    partner = person(cloud, f"partner@{tenant.name}.example", *accounts)
    page = allowed(browser, tenant, partner)
    told(page, "Which GoTo account is yours?")
    assert seen_by_the_rep(tenant)["state"] == "awaiting_authorization"
    for name in names:
        expect(page.get_by_role("radio", name=name)).to_be_visible()
    page.get_by_role("radio", name="Beta Dental").check()
    page.get_by_role("button", name="Connect this account").click()
    connected(page)
    assert seen_by_the_rep(tenant)["pinned_account"] == accounts[1].key
    story.control(cloud, "switches", {"account_order": "reversed"})
    try:
        connected(allowed(browser, tenant, partner, before=True))
    finally:
        story.control(cloud, "switches", {"account_order": "listed"})
    assert seen_by_the_rep(tenant)["pinned_account"] == accounts[1].key


def test_s26_somebody_who_has_not_the_account_is_refused(
    cloud: LocalCloud, browser: Browser
) -> None:
    """S26: the connection stays, and the rep reads who tried."""
    tenant, own = tenant_of(cloud), Account.new("Own")
    connected(allowed(browser, tenant, person(cloud, f"own@{tenant.name}.example", own)))
    stranger = person(cloud, f"other@{tenant.name}.example", Account.new("X"), Account.new("Y"))
    page = allowed(browser, tenant, stranger)
    told(page, "That was a different GoTo account")
    shown = seen_by_the_rep(tenant)
    assert (shown["state"], shown["pinned_account"]) == ("connected", own.key)
    assert stranger in history(tenant)


def test_s26_the_account_of_another_tenant_is_refused_and_both_reps_hear(
    cloud: LocalCloud, browser: Browser
) -> None:
    first, second, shared = tenant_of(cloud), tenant_of(cloud), Account.new("Shared")
    admin = person(cloud, f"admin@{first.name}.example", shared)
    connected(allowed(browser, first, admin))
    page = allowed(browser, second, admin)
    told(page, "That GoTo account belongs to another customer")
    assert seen_by_the_rep(second)["state"] == "awaiting_authorization"
    story.eventually(lambda: _mailed_to_the_rep(cloud, first.name), "no mail of the first")
    story.eventually(lambda: _mailed_to_the_rep(cloud, second.name), "no mail of the second")
    assert cloud.rep("pin_share", tenant=second.name, account=shared.key)["ok"]
    story.press(page)
    connected(page)
    assert seen_by_the_rep(first)["state"] == "connected"


def test_s27_a_box_forgotten_is_told_mended_and_connected(
    cloud: LocalCloud, browser: Browser
) -> None:
    """S27: the page says which box, and pressing again is all that is left to do."""
    tenant, own = tenant_of(cloud), Account.new("Own")
    admin = person(cloud, f"admin@{tenant.name}.example", own)
    boxes = {
        "client_id": json.loads((cloud.folder / f"client-{tenant.name}.json").read_text())["id"]
    }
    without = " ".join(box for box in DEFAULT_SCOPE.split() if not box.startswith("cr."))
    story.control(cloud, "boxes", boxes | {"scope": without})
    page = story.new_page(browser)
    page.goto(tenant.link)
    story.press(page)
    told(page, "check the boxes Admin Center and GoToConnect")
    assert "scope" in history(tenant)
    story.control(cloud, "boxes", boxes | {"scope": DEFAULT_SCOPE})
    story.press(page)
    story.log_in(page, admin)
    story.allow(page)
    connected(page)


def test_f33_who_is_no_administrator_is_told_and_another_one_connects(
    cloud: LocalCloud, browser: Browser
) -> None:
    """F33: a connection that reads nothing is not called connected."""
    tenant, own = tenant_of(cloud), Account.new("Own")
    clerk = person(cloud, f"clerk@{tenant.name}.example", own, admin=False)
    page = allowed(browser, tenant, clerk)
    story.eventually(lambda: seen_by_the_rep(tenant)["usable"] == "forbidden", "never probed")
    story.reopen(page, tenant)
    told(page, "GoTo refuses to show call reports")
    expect(page.get_by_role("button", name="Get Access Token")).to_have_class("primary")
    connected(allowed(browser, tenant, person(cloud, f"boss@{tenant.name}.example", own)))
    story.eventually(lambda: seen_by_the_rep(tenant)["usable"] == "yes", "never probed")


def _mailed_to_the_rep(cloud: LocalCloud, tenant: str) -> bool:
    return any(
        "reps@" in str(mail["To"]) and tenant in mail["Subject"] + mail["BodyText"]
        for mail in cloud.aws.mails()
        if "account" in mail["BodyText"]
    )
