"""The cost table is arithmetic from what was measured, and the page shows it as it is now."""

import pytest

from bench import costs
from chalicelib.model import LANES
from tests.support.aws import template
from tests.support.cloudwatch import ALARM, EMITTED, objectives


def test_the_page_shows_what_was_measured() -> None:
    measured = costs.facts()
    assert costs.table(measured) in costs.shown(costs.PAGE.read_text())


def test_a_tenant_costs_the_same_in_a_large_fleet() -> None:
    """From ten thousand to a million: flat within a hundredth."""
    lines = costs.table(costs.facts()).splitlines()[-3:]
    each = [float(line.split("|")[-2].strip(" $")) for line in lines]
    assert max(each) == pytest.approx(min(each), abs=0.01)


def test_a_fleet_that_the_lanes_cannot_keep_alive_is_refused() -> None:
    measured = costs.facts()
    assert costs.functions(1_000_000, measured) == LANES
    with pytest.raises(ValueError, match="more than 16 lanes"):
        costs.functions(2 * costs.most(measured), measured)


def test_what_does_not_grow_with_the_fleet_is_as_the_page_says() -> None:
    resources = template()["Resources"]
    alarms = sum(made.get("Type") == ALARM for made in resources.values())
    watching = 0.10 * alarms + 0.50 * len(objectives()) + 3 + 0.30 * len(EMITTED)
    rules = resources["PagesFirewall"]["Properties"]["Rules"]
    page = costs.PAGE.read_text()
    assert f"about ${watching:.0f}, whatever the fleet" in page
    assert f"${5 + len(rules)}, whatever the fleet" in page
    assert len(resources) < 100, "SAM makes a few more of them: the page says under 150"
