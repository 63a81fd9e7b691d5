"""What several integration tests begin with."""

import pytest

from tests.support.world import World


@pytest.fixture
def connected(world: World) -> World:
    world.connect(world.add_tenant())
    return world
