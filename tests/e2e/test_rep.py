"""The rep's day on the local cloud: the program itself, mails read out of SES, Chromium for the
admin; then each failure, and what `tenant show` says of it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from chalicelib.models import Status
from infra.package import STAGE
from sandbox.cloud import REP_MAIL, LocalCloud
from sandbox.environment import ROOT
from sandbox.settings import Client
from tests.e2e import story
from tests.e2e.story import Tenant

Rep = Callable[..., str]


@pytest.fixture
def rep(cloud: LocalCloud) -> Rep:
    """Runs `python -m cli`; its standard output, secrets by standard input only."""

    def run(*arguments: str, stdin: str = "", code: int | None = 0) -> str:
        environment = {
            "PATH": os.environ["PATH"],
            "HA_GOTO_STAGE": STAGE,
            "AWS_ENDPOINT_URL": cloud.aws.endpoint,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": cloud.key.access_key,
            "AWS_SECRET_ACCESS_KEY": cloud.key.secret_key,
        }
        command = [sys.executable, "-m", "cli", *arguments]
        ran = subprocess.run(
            command, cwd=ROOT, env=environment, input=stdin, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert code is None or ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    return run


def shown(rep: Rep, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(rep("tenant", "show", name, "--json"))
    return answer


def test_a_new_rep_onboards_a_tenant_in_one_sitting(
    cloud: LocalCloud, browser: Browser, rep: Rep
) -> None:
    """add, intake, client, link by mail, admin, connected; who did it is in the journal."""
    name = story.new_name()
    admin = f"admin@{name}.example"
    told = rep("tenant", "add", name, "--admin-email", admin, "--display-name", "Acme Analytics")
    assert f"  {cloud.origin(name)}/admin/settings/activities/" in told
    assert shown(rep, name)["next_action"].endswith(f"intake send {name}.")

    rep("intake", "send", name)
    page = story.new_page(browser)
    page.goto(story.link_in(story.mail(cloud, admin, "Set up GoTo access")))
    tenant = Tenant(cloud, name, "")
    story.enter_client(page, *story.new_client(cloud, name))
    expect(page.get_by_role("heading", name="Thank you, that worked")).to_be_visible()
    story.mail(cloud, REP_MAIL, f"{name}: the GoTo client has arrived")
    assert shown(rep, name)["state"] == "awaiting_authorization"

    rep("link", "send", name)
    address = story.link_in(story.mail(cloud, admin, "Connect hireanalytiX"))
    story.share_account(cloud, name)
    story.connect(story.new_page(browser), Tenant(cloud, name, address))
    story.mail(cloud, admin, "is connected")
    story.mail(cloud, REP_MAIL, f"{name}: connected")
    told = rep("tenant", "show", name)
    assert "connected. Connected; the token renews itself." in told
    assert "Next          Nothing." in told
    timeline = shown(rep, name)["timeline"]
    [added] = [line for line in timeline if line["kind"] == "tenant_added"]
    assert added["who"] == story.LOCAL_REP  # STS has said who it was
    assert added["reference"]
    assert tenant.row("tokens")["status"]["S"] == "connected"


@pytest.mark.parametrize(
    ("status", "cause", "action"),
    [
        (Status.DEGRADED, "could not be renewed", "keeps trying"),
        (Status.REAUTHORIZATION_REQUIRED, "has ended", "link send"),
        (Status.CREDENTIALS_REJECTED, "no longer accepts the client id", "intake send"),
    ],
)
def test_a_failure_is_named_with_its_next_action(
    cloud: LocalCloud, browser: Browser, rep: Rep, status: Status, cause: str, action: str
) -> None:
    """Provoked at GoTo, not written into the table."""
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    story.connect(page, tenant)
    provoke(cloud, tenant, status)
    until = time.monotonic() + 30
    while shown(rep, tenant.name)["state"] != status and time.monotonic() < until:
        rep("refresh", tenant.name, code=None)
        story.let_confirm(tenant)
    told = shown(rep, tenant.name)
    assert told["state"] == status
    assert cause in told["meaning"]
    assert action in told["next_action"]


def provoke(cloud: LocalCloud, tenant: Tenant, status: Status) -> None:
    """Have GoTo refuse, or the token die while GoTo is away."""
    if status is Status.DEGRADED:
        story.drop(tenant, "grants", "next_refresh_at")
        story.change(tenant, "tokens", expires_at=int(time.time()) - 60)
    elif status is Status.REAUTHORIZATION_REQUIRED:
        story.control(cloud, "revoke-user", {"email": story.ADMIN})
    else:
        client_id = tenant.row("tenants")["client_id"]["S"]
        cloud.register(Client(client_id, "another-secret-than-before"), tenant.name)


def test_disconnecting_ends_it_at_goto(cloud: LocalCloud, browser: Browser, rep: Rep) -> None:
    tenant = story.new_tenant(cloud)
    page = story.new_page(browser)
    story.connect(page, tenant)
    assert "GoTo has revoked it" in rep("disconnect", tenant.name, "--yes")
    told = shown(rep, tenant.name)
    assert told["state"] == "disconnected"
    assert "link send" in told["next_action"]
    assert "access_token" not in tenant.row("tokens")


def test_the_doctor_and_the_fleet(cloud: LocalCloud, rep: Rep) -> None:
    story.new_tenant(cloud)  # whose host is asked for its page
    # A cloud that is a few seconds old has not ticked yet.
    story.eventually(lambda: json.loads(rep("status", "--json"))["last_tick"], "no tick", 90)
    told = rep("doctor")
    assert "FAILED" not in told
    assert "Nothing to ask" not in told
    for part in ("rep_command", "pages", "clock", "GoTo", "schedule", "table Grants", "mail"):
        assert f"OK      {part}" in told
    assert " tenants, " in rep("status")


def test_a_secret_is_never_an_argument(cloud: LocalCloud, rep: Rep) -> None:
    """S20: by standard input; the program has no option that would take one."""
    tenant = story.new_tenant(cloud)
    client = story.new_client(cloud)
    told = rep("credentials", "set", tenant.name, stdin="\n".join(client) + "\n")
    assert "GoTo accepts them" in told
    assert client[1] not in told
    for typed in (client[1], f"-{client[1]}", f"--{client[1]}"):
        told = rep("credentials", "set", tenant.name, typed, code=2)
        assert "nothing was sent" in told
        assert client[1].strip("-") not in told
