"""`make check`: everything that is found without running the product."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra import package
from sandbox import gates, release
from sandbox.environment import ROOT


def main() -> int:
    """Run all checks to their end, two at a time; 0 only when each is clean."""
    with ThreadPoolExecutor() as other:
        sources = other.submit(_sources)
        templates = _templates()
        clean = sources.result() and templates
    if left := release.no_address():
        print(f"\nTo be done by a person: {left}", flush=True)
    return 0 if clean else 1


def _sources() -> bool:
    clean = [
        _tool("ruff", "check", "."),
        _tool("ruff", "format", "--check", "."),
        _tool("mypy"),
        # What HA's services install runs on older Pythons than this product does.
        _tool("mypy", "--python-version", "3.10", "reader/src"),
        # The same test that `make test` runs: it holds the directions of imports.
        _tool("pytest", "--quiet", "tests/unit/test_layout.py"),
    ]
    return all(clean)


def _templates() -> bool:
    """As they are deployed, not only the part that is written by hand; then scanners."""
    beside = _tool("cfn-lint", *(str(file.relative_to(ROOT)) for file in gates.BESIDE))
    try:
        built = package.build()
    except package.NotPackaged as error:
        print(error, flush=True)
        return False
    linted = _tool("cfn-lint", str(built.template.relative_to(ROOT)))
    return linted and gates.run(built) and beside


def _tool(name: str, *arguments: str) -> bool:
    return gates.ran(Path(sys.executable).parent, name, *arguments)


if __name__ == "__main__":
    sys.exit(main())
