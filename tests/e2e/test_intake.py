"""The credential intake in a real browser: from the rep's link to a tenant that can connect."""

from playwright.sync_api import Browser, Request, expect

from sandbox.cloud import LocalCloud
from tests.e2e import story
from tests.e2e.holdings import logged


def test_a_customer_enters_the_client_and_connects(cloud: LocalCloud, browser: Browser) -> None:
    """The whole of it: wrong first, then right; S20: the secret is in no log and no address."""
    name = story.new_name()
    email = f"admin@{name}.example"
    assert cloud.rep("tenant_add", tenant=name, display_name="Acme", admin_email=email)["ok"]
    made = cloud.rep("intake_create", tenant=name)
    client_id, secret = story.new_client(cloud, name)
    page = story.new_page(browser)
    asked: list[Request] = []

    def note(request: Request) -> None:
        asked.append(request)

    page.on("request", note)
    page.goto(made["url"])
    expect(page.get_by_text("Admin Center")).to_be_visible()
    expect(page.locator("#redirect-uri")).to_have_text(f"{cloud.origin(name)}{story.PAGE}")
    story.enter_client(page, client_id, "canary-of-a-wrong-secret")
    expect(page.locator("#client_secret-wrong")).to_contain_text("GoTo does not accept")
    expect(page.get_by_label("Client secret")).to_be_focused()
    assert page.get_by_label("Client secret").input_value() == ""
    story.enter_client(page, client_id, secret)
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
    other = story.new_page(browser)
    answer = other.goto(made["url"])
    assert answer is not None
    assert answer.status == 404
    hosts = {request.url.split("/")[2] for request in asked if request.url.startswith("http")}
    assert hosts == {cloud.origin(name).split("//")[1]}
    assert not any(secret in request.url for request in asked)
    tenant = story.Tenant(cloud, name, cloud.rep("link_create", tenant=name)["url"])
    story.share_account(cloud, name)
    story.connect(page, tenant)
    lines = "\n".join(logged(cloud))
    assert "credential intake" in lines
    link = made["url"].rsplit("/", 1)[1]
    assert [v for v in (secret, "canary-of-a-wrong-secret", link) if v in lines] == []
    assert secret not in repr(story.everything(cloud))


def test_the_redirect_uri_is_copied_whole(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(cloud.rep("intake_create", tenant=tenant.name)["url"])
    page.get_by_role("button", name="Copy: Redirect URI").click()
    page.wait_for_function("document.body.innerText.includes('Copied')")
    assert page.evaluate("navigator.clipboard.readText()") == tenant.address


def test_it_works_with_scripts_switched_off(cloud: LocalCloud, browser: Browser) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser, java_script_enabled=False)
    page.goto(cloud.rep("intake_create", tenant=tenant.name)["url"])
    assert not page.get_by_role("button", name="Copy").count()
    story.enter_client(page, *story.new_client(cloud, tenant.name))
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
