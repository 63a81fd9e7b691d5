"""`make coverage`: which lines and branches of the product the quick suites reach.

    python -m tests.covered [PACKAGE ...]

Without the end-to-end tests and the long fault runs: what only those reach is reached by accident.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from sandbox.environment import ROOT

ENOUGH = 95
"""Per cent of lines and branches together, in each package by itself."""

SUITES = tuple(f"tests/{name}" for name in ("unit", "integration", "security", "policies", "rep"))
READER_SUITES = ("tests/reader", "reader/tests")

PACKAGES = {
    "chalicelib": ("chalicelib/*", SUITES),
    "cli": ("cli/*", SUITES),
    "reader": ("reader/src/*", READER_SUITES),
}
"""The files of each package, and the suites that are to reach them."""

PROCESSES = ("-n", "3", "--dist", "loadscope", "--no-loadscope-reorder")
"""As `make test` has it."""


def main(names: list[str]) -> int:
    """Run the suites, then tell of each package; 0 only when tests pass and each has enough.

    ``names`` are packages; without any, all of them.
    """
    if unknown := set(names) - PACKAGES.keys():
        print(f"No such package: {', '.join(sorted(unknown))}. There are: {', '.join(PACKAGES)}.")
        return 2
    chosen = [PACKAGES[name] for name in names or PACKAGES]
    suites = dict.fromkeys(suite for _, these in chosen for suite in these)
    with tempfile.TemporaryDirectory() as folder:
        # Of this run alone: another one at the same time would count its own lines in.
        os.environ["COVERAGE_FILE"] = str(Path(folder, "coverage"))
        passed = _python("pytest", "-q", *PROCESSES, "--cov", "--cov-report=", *suites)
        enough = [_told(name, PACKAGES[name][0]) for name in names or PACKAGES]
    return 0 if passed and all(enough) else 1


def _told(name: str, files: str) -> bool:
    print(f"\n{name}", flush=True)
    return _python("coverage", "report", f"--include={files}", f"--fail-under={ENOUGH}")


def _python(module: str, *arguments: str) -> bool:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
