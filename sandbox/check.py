"""`make check`: everything that is found without running the product."""

import subprocess
import sys
from pathlib import Path

from infra import package
from sandbox import gates
from sandbox.environment import ROOT


def main() -> int:
    """Run all checks to their end; 0 only when each is clean."""
    clean = [
        _tool("ruff", "check", "."),
        _tool("ruff", "format", "--check", "."),
        _tool("mypy"),
        # What HA's services install runs on older Pythons than this product does.
        _tool("mypy", "--python-version", "3.10", "reader/src"),
        # The same test that `make test` runs: it holds the directions of imports.
        _tool("pytest", "--quiet", "tests/unit/test_house.py"),
        _template(),
        _tool("cfn-lint", *(str(file.relative_to(ROOT)) for file in gates.BESIDE)),
    ]
    return 0 if all(clean) else 1


def _template() -> bool:
    """The template as it is deployed, not only the part that is written by hand; then scanners."""
    try:
        built = package.build()
    except package.NotPackaged as error:
        print(error, flush=True)
        return False
    return _tool("cfn-lint", str(built.template.relative_to(ROOT))) and gates.run(built)


def _tool(name: str, *arguments: str) -> bool:
    print(f"\n{name}", *arguments, flush=True)
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
