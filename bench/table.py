"""The results of every benchmark: ratios, some with a goal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One ratio of the product to its floor. ``shown``: both, in their own unit; ``facts``: inputs
    of `bench.costs`. ``bound``: the floor is a fixed number, not measured, so the ratio also
    depends on the machine's speed."""

    name: str
    ratio: float
    goal: float | None
    shown: str
    facts: Mapping[str, float] = field(default_factory=dict)
    bound: bool = False

    @property
    def reached(self) -> bool:
        return self.goal is None or self.ratio <= self.goal


def told(rows: Sequence[Row]) -> int:
    """Print the rows; 1 if a goal is missed."""
    for row in rows:
        goal = (
            "" if row.goal is None else f"goal {row.goal:<5.3g} {'ok' if row.reached else 'MISSED'}"
        )
        print(f"{row.name:<50} {row.ratio:6.3f}  {goal:<18} {row.shown}")
    return 0 if all(row.reached for row in rows) else 1
