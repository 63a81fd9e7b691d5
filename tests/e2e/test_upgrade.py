"""F18: from the version before to this one, with a tenant connected and ticks all the while."""

import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from infra import package
from infra.smoke import TICK
from sandbox.cloud import LocalCloud
from sandbox.environment import ROOT
from sandbox.processes import Failed
from sandbox.settings import Ports, Settings
from tests.e2e import story

DEPLOYED = ("app.py", "requirements.txt", "chalicelib", ".chalice", "infra")
"""What a deployment is made of."""


def git(*words: str) -> bytes:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout


def commit_before() -> str | None:
    """The newest commit that deploys something else: an upgrade to itself shows nothing. None where
    the clone holds no history."""
    for commit in git("log", "--format=%H", "--", *DEPLOYED).decode().split():
        differs = subprocess.run(
            ["git", "diff", "--quiet", commit, "--", *DEPLOYED], cwd=ROOT, check=False
        )
        if differs.returncode:
            return commit
    return None


def packaged(commit: str, folder: Path) -> package.Package:
    """The package of a commit, made by its own packager."""
    sources, archive = folder / "before", folder / "before.tar"
    archive.write_bytes(git("archive", commit))
    with tarfile.open(archive) as packed:
        packed.extractall(sources, filter="data")
    command = [sys.executable, "-m", "infra.package"]
    said = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=True)
    made = Path(said.stdout.strip())
    return package.Package(
        made / "sam.yaml", made / "deployment.zip", (made / "digest").read_text()
    )


@pytest.fixture
def before(tmp_path: Path) -> package.Package:
    """The version before; in a clone without history, this one under another digest."""
    commit = commit_before()
    if commit is not None:
        return packaged(commit, tmp_path)
    warnings.warn("no history here: the upgrade is from this version to itself", stacklevel=1)
    return replace(package.build(), digest="b" * 64)


class CloudBefore(LocalCloud):
    """It runs a version that may know no proof of who calls, or another one than ours."""

    def rep(self, command: str, **arguments: str) -> dict[str, Any]:
        unproved: dict[str, Any] = self.aws.invoke(
            self.functions["rep_command"], {"command": command, **arguments}
        )
        return unproved if unproved["ok"] else super().rep(command, **arguments)


@pytest.fixture
def cloud_before(before: package.Package, tmp_path: Path) -> Iterator[LocalCloud]:
    ports = Ports.free()
    local = CloudBefore(Settings(ports), tmp_path / "cloud", built=before)
    local.start()
    yield local
    local.stop()


def is_alive(cloud: LocalCloud, access_token: str) -> bool:
    """Whether GoTo itself takes the token that a reader finds."""
    request = urllib.request.Request(
        f"{cloud.goto_url}/users/v1/me", headers={"Authorization": f"Bearer {access_token}"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except urllib.error.HTTPError:
        return False


class Watch:
    """What a reader and the schedule would have seen, as often as could be looked."""

    def __init__(self, tenant: story.Tenant) -> None:
        self.tenant = tenant
        self.versions: list[int] = []
        self.dead: list[int] = []
        self.ticks = 0
        self.cut_off = 0

    def look(self) -> None:
        row = self.tenant.row("tokens")
        self.versions.append(int(row["version"]["N"]))
        alive = is_alive(self.tenant.cloud, row["access_token"]["S"])
        if row["status"]["S"] != "connected" or not alive:
            self.dead.append(self.versions[-1])

    def tick(self) -> None:
        """The local cloud kills a function's worker when it gets new code; AWS lets it finish."""
        cloud = self.tenant.cloud
        story.change(self.tenant, "grants", next_refresh_at=int(time.time()) - 1)
        try:
            cloud.aws.invoke(cloud.functions["refresh_tick"], TICK)
        except Failed:
            self.cut_off += 1
        self.ticks += 1
        self.look()


def test_f18_a_connected_tenant_stays_connected_through_an_upgrade(
    cloud_before: LocalCloud, browser: Browser
) -> None:
    """F18: the same grant, a living token at each look, and what a tick in the middle left undone
    is done by the next."""
    tenant = story.new_tenant(cloud_before)
    page = story.new_page(browser)
    first = story.connect(page, tenant)
    generation = tenant.row("grants")["generation"]
    before = cloud_before.aws.stack.outputs
    watch = Watch(tenant)
    watch.tick()
    with ThreadPoolExecutor(1) as other:
        upgrade = other.submit(cloud_before.deploy, package.build())
        while not upgrade.done():
            watch.tick()
        after = upgrade.result()
    assert watch.ticks >= 2

    # Minutes pass: the lease of a worker that was cut off ends.
    story.change(tenant, "grants", lease_until=int(time.time()) - 1)
    known = watch.versions[-1]
    for _ in range(10):  # the schedule's own tick may have it in its hands
        watch.tick()
        if watch.versions[-1] > known:
            break
        page.wait_for_timeout(1_000)
    assert watch.versions[-1] > known
    assert watch.versions == sorted(watch.versions)
    assert watch.dead == []
    assert tenant.row("grants")["generation"] == generation

    tables = {name: address for name, address in before.items() if name.endswith("Table")}
    assert len(tables) >= 7
    assert {name: after[name] for name in tables} == tables
    assert cloud_before.aws.stack.versions.live == package.build().digest
    page.goto(tenant.link)
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    assert story.token(page) not in ("", first)
