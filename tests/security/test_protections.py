"""That `make protections` removes what it says it removes, for every row."""

import pytest

from sandbox.environment import ROOT
from tests.security.protections import PROTECTIONS, Protection

ROWS = [f"S{number:02}" for number in (*range(1, 23), 24, 25, *range(28, 33), 34)]


def test_every_row_has_a_protection() -> None:
    assert set(ROWS) <= {each.row for each in PROTECTIONS}


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda each: f"{each.row}: {each.what}")
def test_what_is_removed_stands_there(protection: Protection) -> None:
    count = (ROOT / protection.file).read_text("utf-8").count(protection.stands)
    assert count == 1, f"{count} times in {protection.file}: update tests/security/protections.py"
