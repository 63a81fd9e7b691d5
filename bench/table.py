"""What every bench tells: ratios, each with its goal where there is one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Row:
    """One ratio of the product to its floor. ``shown``: both, in their own unit; ``facts``: what
    the arithmetic of `bench.costs` goes on with. ``bound``: the floor is a number, not measured
    beside it, so the ratio holds the machine's speed as well."""

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
    """Print the rows; 1 where a goal is missed."""
    for row in rows:
        goal = (
            "" if row.goal is None else f"goal {row.goal:<5.3g} {'ok' if row.reached else 'MISSED'}"
        )
        print(f"{row.name:<50} {row.ratio:6.3f}  {goal:<18} {row.shown}")
    return 0 if all(row.reached for row in rows) else 1
