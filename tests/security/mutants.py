"""`make mutants`: mutmut over the modules that decide who may do what; at least 90 % must die."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

from sandbox.environment import ROOT

LEAST = 0.9
"""Share of each module's mutants that a test must notice."""


def main() -> int:
    """Run mutmut, name what survived, count by module; 1 below `LEAST`."""
    mutmut = str(Path(sys.executable).with_name("mutmut"))
    if subprocess.run([mutmut, "run"], cwd=ROOT, check=False).returncode:
        return 1
    told = subprocess.run(
        [mutmut, "results", "--all", "true"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    counts: dict[str, Counter[str]] = {}
    for line in told.stdout.splitlines():
        name, _, result = line.strip().partition(": ")
        counts.setdefault(".".join(name.split(".")[:2]), Counter())[result] += 1
        if result != "killed":
            print(f"{result}: {name}")
    shares = {module: each["killed"] / each.total() for module, each in counts.items()}
    for module, share in shares.items():
        print(f"{module}: {share:.1%} of {counts[module].total()} killed")
    return 0 if shares and min(shares.values()) >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
