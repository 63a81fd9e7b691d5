"""The cost table is arithmetic from what was measured, and the page shows it as it is now."""

import json
import math
import re

import pytest

from bench import costs
from bench.function_seconds import CONFIG, WHOLE_PROCESSOR
from chalicelib.models import LANES
from chalicelib.refresh.scheduler import LANE_CARRIES, TICK_CARRIES
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


def test_lambda_bills_at_most_twice_the_work() -> None:
    """By the product's own pacing, at each size; below a thousand it is cents."""
    measured = costs.facts()
    for size in costs.FLEETS[2:]:
        found = costs.lambda_minute(size, measured)
        assert found.billed <= 2 * found.worked, size


def test_a_fleet_that_the_lanes_cannot_keep_alive_is_refused() -> None:
    measured = costs.facts()
    assert costs.lambda_minute(1_000_000, measured).functions == LANES
    with pytest.raises(ValueError, match="more than 16 lanes"):
        costs.lambda_minute(3 * costs.most(measured), measured)


def test_a_function_carries_what_its_processor_allows() -> None:
    """Else the schedule would give it more than it can do."""
    each = costs.facts()["cpu_ms"] / 1e3
    memory = json.loads(CONFIG.read_text())["lambda_functions"]
    for name, carries in (("refresh_tick", TICK_CARRIES), ("refresh_lane", LANE_CARRIES)):
        most = memory[name]["lambda_memory_size"] / WHOLE_PROCESSOR / each
        assert 0.9 * most <= carries <= most, name


def test_what_does_not_grow_with_the_fleet_is_as_the_page_says() -> None:
    resources = template()["Resources"]
    alarms = sum(made.get("Type") == ALARM for made in resources.values())
    watching = 0.10 * alarms + 0.50 * len(objectives()) + 3 + 0.30 * len(EMITTED)
    rules = resources["PagesFirewall"]["Properties"]["Rules"]
    page = costs.PAGE.read_text()
    most = 10 * math.ceil(watching / 10)
    assert f"under ${most}, whatever the fleet" in page, f"docs/costs.md: ${watching:.2f}"
    assert f"${5 + len(rules)}, whatever the fleet" in page
    keys = sum(made.get("Type") == "AWS::KMS::Key" for made in resources.values())
    assert keys == costs.KEYS
    for year in (1, 2, 3):  # each of the first two yearly rotations adds a dollar a key
        fixed = year * keys * costs.KEY + round(watching) + 5 + len(rules)
        [row] = re.findall(r"^\| in all \| (.*) \|$", page, re.MULTILINE)
        assert row.split(" | ")[year - 1] == f"${fixed:.0f}"
    assert len(resources) < 100, "SAM makes a few more of them: the page says under 150"
