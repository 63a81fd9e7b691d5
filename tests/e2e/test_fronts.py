"""The nginx example of docs/examples before the local cloud, in place of the edge, in Chromium."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from playwright.sync_api import Browser, expect

from infra.smoke import Smoke
from sandbox.cloud import LocalCloud
from sandbox.edge import Log
from sandbox.settings import Ports, Settings
from tests.e2e import story
from tests.support.nginx import Nginx, example


class Front(Nginx):
    """nginx, started and ended as the edge is. ``root``: where its folder is made."""

    root: ClassVar[Path]

    def __init__(
        self, port: int, upstream: tuple[str, int], prefix: str, _log: Log,
        key: Mapping[str, str], *_: object,
    ) -> None:  # fmt: skip
        host, number = upstream
        servers = example(port, f"{host}:{number}{prefix}", "localhost", key)
        super().__init__(self.root, port, servers)

    def close(self) -> None:
        self.stop()


@pytest.fixture(scope="module")
def fronted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LocalCloud, Nginx]]:
    """A local cloud without the edge: nginx alone leads to its pages."""
    Front.root = tmp_path_factory.mktemp("nginx")
    ports = Ports.free()
    local = LocalCloud(Settings(ports), tmp_path_factory.mktemp("fronted"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("sandbox.cloud.Edge", Front)
        local.start()
    front: object = local._edge
    assert isinstance(front, Front)
    yield local, front
    local.stop()


def test_s20_the_whole_story_goes_through_nginx(
    fronted: tuple[LocalCloud, Nginx], browser: Browser
) -> None:
    """S20: and nginx has written down neither the link nor the code."""
    cloud, front = fronted
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    answered: list[tuple[str, str]] = []
    page.on("response", lambda given: answered.append((given.url, given.headers["server"])))
    page.goto(tenant.link)
    assert page.url == tenant.address
    expect(page.get_by_text("Not connected", exact=True)).to_be_visible()
    story.press(page)
    story.log_in(page)
    with story.next_exchange_held(cloud):
        story.allow(page)
        expect(page.get_by_text(story.PROCESSING, exact=True)).to_be_visible()
    assert page.url == tenant.address
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(page) == tenant.row("tokens")["access_token"]["S"]

    servers = {url: by for url, by in answered if url.startswith(cloud.origin(tenant.name))}
    assert tenant.link in servers
    assert any("?code=" in url for url in servers)
    assert {by.partition("/")[0] for by in servers.values()} == {"nginx"}
    assert front.ask("GET", "/nothing") == 404
    assert "/nothing" in front.logged()
    secret = tenant.link.rsplit("/", 1)[1]
    assert [each for each in (secret, "code=", "state=") if each in front.logged()] == []


def test_a_customer_s_form_goes_through_nginx(
    fronted: tuple[LocalCloud, Nginx], browser: Browser
) -> None:
    cloud, _ = fronted
    name = story.new_name()
    email = f"admin@{name}.example"
    assert cloud.rep("tenant_add", tenant=name, display_name="Acme", admin_email=email)["ok"]
    page = story.new_page(browser)
    page.goto(cloud.rep("intake_create", tenant=name)["url"])
    story.enter_client(page, *story.new_client(cloud, name))
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()


@pytest.mark.parametrize("claimed", ["", "evil.example", "own"])
def test_s28_a_link_opens_at_its_own_tenant_s_host_whatever_the_browser_claims(
    fronted: tuple[LocalCloud, Nginx], browser: Browser, claimed: str
) -> None:
    """S28: nginx tells the host that was asked for, over an X-Forwarded-Host that was sent."""
    cloud, _ = fronted
    first, second = story.new_tenant(cloud), story.new_tenant(cloud)
    host = first.address.split("/")[2] if claimed == "own" else claimed
    page = story.new_page(browser, extra_http_headers={"X-Forwarded-Host": host} if host else {})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    at_the_other = first.link.replace(first.name, second.name, 1)
    page.goto(at_the_other)
    assert asked[:3] == [at_the_other, first.link, first.address]
    assert page.url == first.address
    expect(page.get_by_text(f"GoTo connection of {first.name} Ltd")).to_be_visible()
    page = story.new_page(browser, extra_http_headers={"X-Forwarded-Host": host} if host else {})
    page.goto(second.link)
    assert page.url == second.address
    expect(page.get_by_text(f"GoTo connection of {second.name} Ltd")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/", "/healthz", "/admin/settings/", "/admin/settings/activitiesx"]
)
def test_what_is_not_forwarded_is_not_served(
    fronted: tuple[LocalCloud, Nginx], browser: Browser, path: str
) -> None:
    cloud, _ = fronted
    answer = story.new_page(browser).goto(cloud.origin("acme") + path)
    assert answer is not None
    assert answer.status == 404
    assert answer.headers["server"].startswith("nginx")


def test_a_deployment_is_tried_through_nginx(fronted: tuple[LocalCloud, Nginx]) -> None:
    """Well while it stands; a warning where nothing stands."""
    cloud, front = fronted
    story.new_tenant(cloud)
    outputs = cloud.aws.stack.outputs
    pages = f"{cloud.aws.endpoint}/_aws/execute-api/{outputs['ApiId']}/{outputs['ApiStage']}"

    def warned() -> list[str]:
        said: list[str] = []
        Smoke(cloud.aws.session, cloud.aws.endpoint, pages, warn=said.append)(outputs)
        return [line for line in said if line.startswith("The front")]

    assert warned() == []
    front.stop()
    [said] = warned()
    front.start()
    assert said.startswith("The front does not lead to this stage: http://")
    assert said.endswith("does not answer (ConnectionRefusedError).")
