"""What became of a fleet in a year, tenant by tenant."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Life:
    """One tenant's year, as its readers and its admin live it."""

    covered_until: float
    unusable_since: float | None = None
    dead: list[tuple[float, float]] = field(default_factory=list)
    grant_dead: list[tuple[float, float]] = field(default_factory=list)
    reconnect_at: float | None = None
    warned: set[int] = field(default_factory=set)


@dataclass
class Report:
    """What a run came to; counts, and seconds summed over all tenants."""

    rule: str
    tenants: int
    days: int
    seed: int
    counts: dict[str, int]
    seconds: dict[str, float]
    daily: list[float]

    @property
    def availability(self) -> float:
        """Share of the time with grant, provider and ourselves alive in which readers had a live
        token."""
        possible = self.seconds["possible"]
        return 1 - self.seconds["dead"] / possible if possible else 1.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"availability": self.availability}
