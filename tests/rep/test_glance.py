"""The rep's program looks at a stage as a whole: the doctor, and the fleet's status."""

from typing import Any

import pytest

from chalicelib.errors import DependencyUnavailable
from chalicelib.rep.health_check import Part
from cli.service import Service, Stopped
from tests.rep.program import Run
from tests.support.world import World


@pytest.fixture
def parts(world: World) -> None:
    def fails() -> str | None:
        raise DependencyUnavailable("kms", "Throttling")

    world.parts += [
        Part("GoTo", lambda: None, "never said"),
        Part("schedule", lambda: "It has never run.", "Enable the rule."),
        Part("secrets' key", fails, "Look into KMS."),
    ]


def test_the_doctor_names_each_failure_and_what_to_do(
    world: World, run: Run, parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.local_checks.page_fault", lambda url: "")
    world.clock.now = 1_000.0  # the service's clock; this machine's is years ahead
    ran = run("doctor")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert "OK      pages" in ran.out
    assert next(line for line in lines if line.startswith("FAILED")).startswith("FAILED  clock")
    assert "FAILED  schedule  It has never run." in lines
    assert "        Enable the rule." in lines
    assert "kms: Throttling" in ran.out
    assert "never said" not in ran.out


def test_the_doctor_comes_even_where_the_service_does_not(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(self: Service, command: str, **payload: Any) -> dict[str, Any]:
        raise Stopped(1, "AWS is out of reach (X).")

    monkeypatch.setattr(Service, "ask", unreachable)
    ran = run("doctor", "--json")
    assert ran.code == 1
    assert ran.json["findings"][0]["told"] == "AWS is out of reach (X)."


def test_status_shows_the_fleet(world: World, run: Run) -> None:
    world.connect(world.add_tenant())
    ran = run("status")
    assert ran.code == 0
    assert "Last tick" in ran.out
    assert "late: is the schedule on?" in ran.out
    assert set(run("status", "--json").json["counts"]) >= {"connected", "degraded"}


def test_s25_an_account_that_is_not_known_is_shown(world: World, run: Run) -> None:
    """S25: of one tenant, in the list, and how many there are."""
    world.goto.account_key = None
    world.connect(world.add_tenant())
    for entry in world.journal.newest("acme", 10):
        world.fleet_counts.note(entry)
    assert "account not known" in run("tenant", "show", "acme").out
    assert "connected, account not known" in run("tenant", "list").out
    assert "acme" in run("tenant", "list", "--state", "account_not_known").out
    assert "Account not known  1 connected: acme" in run("status").out
    world.rep("pin_lift", tenant="acme")
    assert "the next sign-in may be with any account" in run("tenant", "show", "acme").out


def test_s25_the_history_names_who_tried(world: World, run: Run) -> None:
    """S25: with the account, for the rep alone."""
    link = world.add_tenant()
    world.connect(link)
    world.goto.account_key = "4000000002"
    visitor = world.browser(link)
    world.come_back(visitor, state=world.start(visitor)["state"], code="b-code")
    world.complete()
    out = " ".join(run("tenant", "show", "acme").out.split())
    assert "The sign-in was with GoTo account 4000000002, by admin@acme.example." in out
