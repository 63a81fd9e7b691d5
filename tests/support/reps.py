"""A rep at work: what they are shown, and a tenant that they have brought to a connection."""

from typing import Any

from tests.support.world import World


def show(world: World, name: str = "acme") -> dict[str, Any]:
    answer = world.rep("tenant_show", tenant=name)
    assert answer["ok"], answer
    return answer


def connected(world: World, name: str = "acme") -> str:
    """A connected tenant; its link."""
    link = world.add_tenant(name)
    world.connect(link)
    return link
