"""Every fault that the safety requirements number has a test that carries its number."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
FAULTS = {f"F{number:02}" for number in (*range(1, 31), 36)}


def named() -> Iterator[str]:
    """Numbers in the names and docstrings of all test functions."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                words = f"{node.name} {ast.get_docstring(node) or ''}"
                yield from (found.upper() for found in re.findall(r"(?i)\b_?(f\d\d)", words))
                yield from (found.upper() for found in re.findall(r"_(f\d\d)_", node.name))


def test_every_fault_has_a_test() -> None:
    assert FAULTS - set(named()) == set()
