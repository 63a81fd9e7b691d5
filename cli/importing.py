"""Importing tenants from a file: all lines are checked first, then imported batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cli import import_file
from cli.import_file import Problem
from cli.service import WRONG, Service, Stopped

CHECKED_AT_ONCE = 1_000
TAKEN_AT_ONCE = 25
"""Lines per call; the service accepts no more."""

Progress = Callable[[int], None]


def read(path: Path) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The file's lines and what is wrong with them. Raises `Stopped` for an unreadable file."""
    try:
        return import_file.read(path)
    except OSError as error:
        raise Stopped(WRONG, f"{path} can't be read: {error.strerror}.") from None
    except ValueError as error:
        raise Stopped(WRONG, f"{path}: {error}") from None


def check(
    service: Service, lines: Sequence[dict[str, Any]], progress: Progress
) -> tuple[list[Problem], set[int]]:
    """What the service finds wrong, and the lines already imported. Changes nothing."""
    problems: list[Problem] = []
    done: set[int] = set()
    for batch in _batches(lines, CHECKED_AT_ONCE):
        for result in service.ask("import_check", lines=batch).need("lines"):
            if result["error"]:
                problems.append((result["line"], result["tenant"], result["error"]))
            elif result["done"]:
                done.add(result["line"])
        progress(len(batch))
    return problems, done


def take_over(
    service: Service, lines: Sequence[dict[str, Any]], progress: Progress
) -> Iterator[dict[str, Any]]:
    """The result of each line. If interrupted, the same call resumes where it stopped."""
    for batch in _batches(lines, TAKEN_AT_ONCE):
        results = service.ask("import_lines", lines=batch).need("lines")
        progress(len(batch))
        yield from results


def _batches(lines: Sequence[dict[str, Any]], size: int) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]
