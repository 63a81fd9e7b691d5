"""`make coverage`: which lines and branches of the product the quick suites reach.

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

PACKAGES = {"chalicelib": "chalicelib/*", "cli": "cli/*", "reader": "reader/src/*"}

SUITES = (
    *(f"tests/{name}" for name in ("unit", "integration", "security", "policies", "reader", "rep")),
    "reader/tests",
)

PROCESSES = ("-n", "3", "--dist", "loadscope", "--no-loadscope-reorder")
"""As `make test` has it."""


def main(options: list[str]) -> int:
    """Run the suites, then tell of each package; 0 only when tests pass and each has enough.

    ``options`` go to pytest.
    """
    with tempfile.TemporaryDirectory() as folder:
        # Of this run alone: another one at the same time would count its own lines in.
        os.environ["COVERAGE_FILE"] = str(Path(folder, "coverage"))
        passed = _python("pytest", "-q", *PROCESSES, "--cov", "--cov-report=", *options, *SUITES)
        enough = [_told(name, files) for name, files in PACKAGES.items()]
    return 0 if passed and all(enough) else 1


def _told(name: str, files: str) -> bool:
    print(f"\n{name}", flush=True)
    return _python("coverage", "report", f"--include={files}", f"--fail-under={ENOUGH}")


def _python(module: str, *arguments: str) -> bool:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
