"""The zone of a host of the stack's own, held against TenantOrigin before anything is touched."""

from collections.abc import Mapping
from typing import Any

import pytest

from infra import zone
from infra.parameters import BadParameters


class Zones:
    """Route 53 with one zone."""

    def __init__(self, name: str, *, private: bool = False) -> None:
        self._zone = {"Name": name, "Config": {"PrivateZone": private}}

    def get_hosted_zone(self, Id: str) -> dict[str, Any]:  # noqa: N803 - as AWS spells it
        assert Id == "Z1"
        return {"HostedZone": self._zone}


def given(origin: str) -> Mapping[str, str]:
    return {"HostedZoneId": "Z1", "TenantOrigin": origin}


@pytest.mark.parametrize("origin", ["https://example.com", "https://{tenant}.a.example.com"])
def test_a_host_under_the_zone_is_taken(origin: str) -> None:
    zone.check(Zones("example.com."), given(origin))


@pytest.mark.parametrize("origin", ["https://example.org", "https://goto.notexample.com"])
def test_a_host_of_another_zone_is_refused(origin: str) -> None:
    with pytest.raises(BadParameters, match=r"not under example\.com"):
        zone.check(Zones("example.com."), given(origin))


def test_a_private_zone_is_refused() -> None:
    with pytest.raises(BadParameters, match="private zone"):
        zone.check(Zones("example.com.", private=True), given("https://goto.example.com"))


def test_without_a_zone_nothing_is_asked() -> None:
    zone.check(None, {"TenantOrigin": "https://goto.example.com"})
