"""What every test of the distribution starts from."""

import pytest

from fakes import Bench


@pytest.fixture
def bench() -> Bench:
    made = Bench()
    made.dynamodb.put()
    return made
