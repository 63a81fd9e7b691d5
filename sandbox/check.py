"""`make check`: all checks that do not run the product."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra import package
from sandbox import gates, release
from sandbox.environment import ROOT


def main() -> int:
    """Run all checks, two at a time, even if one fails; 0 only if all are clean."""
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
        # HA's services install the reader on older Pythons than the product needs.
        _tool("mypy", "--python-version", "3.10", "reader/src"),
        # `make test` runs this too: it checks the directions of imports.
        _tool("pytest", "--quiet", "tests/unit/test_layout.py"),
    ]
    return all(clean)


def _templates() -> bool:
    """Check the templates as deployed, not only the handwritten part; then run the scanners."""
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
