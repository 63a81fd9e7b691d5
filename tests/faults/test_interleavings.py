"""Every interleaving within a small bound; `make interleavings` goes further."""

import pytest

from chalicelib.dynamodb.connections import Connections
from chalicelib.refresh.refresher import Refresher
from tests.faults.exhaustive import SMALL, Scenario, searched
from tests.faults.seeded import SEEDED


@pytest.mark.parametrize("scenario", SMALL, ids=str)
def test_f05_f06_f07_no_interleaving_breaks_an_invariant(scenario: Scenario) -> None:
    """F01-F07, F24, invariants 1-7."""
    found = searched(scenario)
    assert found.violations == []
    assert found.interleavings > (30 if scenario.grace or scenario.late else 1_000)


@pytest.mark.parametrize(("connections", "refresher"), SEEDED)
def test_a_seeded_fault_is_found(
    connections: type[Connections], refresher: type[Refresher]
) -> None:
    found = (searched(each, connections, refresher).violations for each in SMALL)
    assert any(found)
