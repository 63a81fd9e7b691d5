"""Import files: CSV with a header, or JSON Lines. Read as a whole before anything is sent."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIELDS = ("tenant", "display_name", "admin_email", "client_id", "client_secret", "refresh_token")

Problem = tuple[int, str, str]
"""Line number as an editor shows it, tenant, and what is wrong."""


def read(path: Path) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The lines of a file, each with its number, and what is wrong with the others.

    Raises `OSError`, `UnicodeDecodeError`, and `ValueError` for a file that is neither of the two.
    """
    text = path.read_text("utf-8-sig")
    rows = _json_lines(text) if path.suffix in (".jsonl", ".ndjson", ".json") else _csv(text)
    lines, problems = [], []
    first: dict[str, int] = {}
    for number, row in rows:
        if isinstance(row, str):
            problems.append((number, "", row))
            continue
        name = str(row.get("tenant") or "")
        wrong = _wrong(row)
        if not wrong and name in first:
            wrong = f"{name!r} stands on line {first[name]} already."
        first.setdefault(name, number)
        if wrong:
            problems.append((number, name, wrong))
        else:
            lines.append({"line": number, **{field: row[field] for field in FIELDS}})
    return lines, problems


def _wrong(row: dict[str, Any]) -> str:
    for field in FIELDS:
        if not isinstance(row.get(field), str) or not row[field]:
            return f"{field} is missing."
    extra = sorted(str(name) for name in row if name not in FIELDS)
    return f"There is more than the six fields: {extra[0]}." if extra else ""


def _csv(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    reader = csv.DictReader(text.splitlines(keepends=True), restkey="a seventh", strict=True)
    try:
        named = reader.fieldnames or ()
    except csv.Error as error:
        raise ValueError(f"The first line is no CSV: {error}.") from None
    missing = [field for field in FIELDS if field not in named]
    if missing:
        raise ValueError(f"The first line must name the columns; {missing[0]} is not there.")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.reader.line_num, f"This is no CSV: {error}."
            continue
        if row is None:
            return
        given = {name: value for name, value in row.items() if value is not None}
        yield reader.reader.line_num, given


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            yield number, "This is no JSON."  # without the line itself: it holds secrets
            continue
        yield number, row if isinstance(row, dict) else "This is no JSON object."
