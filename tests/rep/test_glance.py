"""The rep's program looks at a stage as a whole: the doctor, and the fleet's status."""

from typing import Any

import pytest

from chalicelib.doctor import Part
from chalicelib.errors import DependencyUnavailable
from rep.service import Service, Stopped
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
    monkeypatch.setattr("rep.outside._page", lambda url: "")
    world.clock.now = 1_000.0  # the service's clock; this machine's is years ahead
    ran = run("doctor")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert "well  pages" in ran.out
    assert next(line for line in lines if line.startswith("ILL")).startswith("ILL   clock")
    assert "ILL   schedule  It has never run." in lines
    assert "      Enable the rule." in lines
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
