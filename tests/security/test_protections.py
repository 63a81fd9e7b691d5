"""That `make protections` removes what it says it removes, for every row."""

import pytest

from sandbox.environment import ROOT
from tests.security.protections import PROTECTIONS, Protection

ROWS = [f"S{number:02}" for number in range(1, 22)]


def test_every_row_has_a_protection() -> None:
    assert sorted({each.row for each in PROTECTIONS}) == ROWS


@pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda each: f"{each.row}: {each.what}")
def test_what_is_removed_stands_there(protection: Protection) -> None:
    assert protection.stands in (ROOT / protection.file).read_text("utf-8")
