"""The main story in Firefox and in WebKit, light and dark, over TLS as in production.

On a cloud of its own: at http WebKit keeps no Secure cookie (`test_browsers_at_http.py`).
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.cloud import LocalCloud
from sandbox.settings import Ports, Settings
from tests.e2e import story
from tests.support.https import tls_context
from tests.support.webdriver import Driven, firefox, webkit

PAPER = {"light": "244, 246, 250", "dark": "18, 22, 31"}
"""Red, green and blue of what a page is written on, by theme."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """At https."""
    ports = Ports.free()
    local = LocalCloud(Settings(ports), tmp_path_factory.mktemp("cloud"), tls=tls_context())
    local.start()
    yield local
    local.stop()


@pytest.fixture(params=PAPER)
def theme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[firefox, webkit])
def driven(request: pytest.FixtureRequest, theme: str, tmp_path: Path) -> Iterator[Driven]:
    with request.param(tmp_path, dark=theme == "dark") as started:
        yield started


def paper(driven: Driven) -> str:
    """What the page is written on; WebKit adds that it is opaque."""
    color = driven.style("//body", "background-color")
    found = re.fullmatch(r"rgba?\((\d+, \d+, \d+)(, 1)?\)", color)
    assert found, color
    return found[1]


def test_the_story(cloud: LocalCloud, driven: Driven, theme: str) -> None:
    """The form for the client, wrong first, then the six steps from the link to the token."""
    tenant = story.new_tenant(cloud)
    client_id, secret = story.new_client(cloud, tenant.name)
    driven.open(cloud.rep("intake_create", tenant=tenant.name)["url"])
    assert paper(driven) == PAPER[theme]
    for entered, said in (
        ("canary-of-a-wrong-secret", "GoTo does not accept"),
        (secret, "Thank you, that worked"),
    ):
        assert driven.value("Client secret") == ""
        driven.fill("Client ID", client_id)
        driven.fill("Client secret", entered)
        assert driven.style("//*[@id='client_secret']", "-webkit-text-security") == "disc"
        driven.press("Check and store")
        driven.see(said)
    driven.open(tenant.link)
    assert driven.address == tenant.address
    assert paper(driven) == PAPER[theme]
    driven.press("Get Access Token")
    driven.fill("Email", story.ADMIN)
    driven.fill("Password", story.PASSWORD)
    driven.press("Log in")
    with story.next_exchange_held(cloud):
        driven.press("Allow")
        driven.see(story.PROCESSING)
    shown = driven.value("GoTo Access Token")
    assert len(shown) > 500
    assert shown == tenant.row("tokens")["access_token"]["S"]
    driven.reload()
    assert driven.value("GoTo Access Token") == shown
    assert driven.address == tenant.address
