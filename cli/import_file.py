"""Import files: CSV with a header, or JSON. The whole file is read before anything is sent."""

import codecs
import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FIELDS = ("tenant", "display_name", "admin_email", "client_id", "client_secret", "refresh_token")

OPTIONAL = ("account_key", "also_email")
"""A file or a line may leave these out."""

Problem = tuple[int, str, str]
"""Line number as in an editor, tenant, and what is wrong."""

Row = tuple[int, dict[str, Any] | str]
"""Line number, and its values or what is wrong."""

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_DELIMITERS = ",;\t|"


def decoded(data: bytes) -> str:
    """Text as spreadsheets, PowerShell and Notepad write it: UTF-8 or UTF-16. Raises `ValueError`
    with one sentence for anything else."""
    if data.startswith(b"PK\x03\x04"):
        raise ValueError("This is an Excel workbook: save it as CSV UTF-8.")
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    if b"\0" in data[:100] and encoding != "utf-16":
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("This is not UTF-8 text: save it as CSV UTF-8.") from None


def read(path: Path) -> tuple[list[dict[str, Any]], list[Problem]]:
    """The valid lines of a file, each with its number, and what is wrong with the others.

    Raises `OSError`, and `ValueError` for a file that is neither CSV nor JSON.
    """
    text = decoded(path.read_bytes())
    is_json = path.suffix.lower() in (".jsonl", ".ndjson", ".json") or text.lstrip()[:1] in (
        "{",
        "[",
    )
    lines, problems = [], []
    first: dict[str, int] = {}
    for number, row in _json(text) if is_json else _csv(text):
        if isinstance(row, str):
            problems.append((number, "", row))
            continue
        name = str(row.get("tenant") or "")
        wrong = _wrong(row)
        if not wrong and name in first:
            wrong = f"{name!r} is on line {first[name]} already."
        first.setdefault(name, number)
        if wrong:
            problems.append((number, name, wrong))
        else:
            values = {field: row[field] for field in (*FIELDS, *OPTIONAL) if row.get(field)}
            lines.append({"line": number, **values})
    if not lines and not problems:
        raise ValueError("There is no tenant in this file.")
    return lines, problems


def _wrong(row: dict[str, Any]) -> str:
    for field in FIELDS:
        if not isinstance(row.get(field), str) or not row[field]:
            return f"{field} is missing."
    for field in OPTIONAL:
        if not isinstance(row.get(field) or "", str):
            return f"{field} must be text."
    extra = sorted(str(name) for name in row if name not in (*FIELDS, *OPTIONAL))
    return f"Unknown column: {extra[0]}. Remove or rename it." if extra else ""


def _csv(text: str) -> Iterator[Row]:
    # Not splitlines(): it also splits at U+2028 and others that a name may contain.
    stream = io.StringIO(text, newline="")
    skipped, delimiter = _delimiter(stream)
    reader = csv.reader(stream, delimiter=delimiter, strict=True)
    try:
        named = [_heading(name) for name in next(reader, [])]
    except csv.Error as error:
        raise ValueError(f"The first line is no CSV: {error}.") from None
    missing = [field for field in FIELDS if field not in named]
    if missing:
        raise ValueError(f"The first line must name the columns; missing: {', '.join(missing)}.")
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield reader.line_num + skipped, f"This is no CSV: {error}."
            continue
        if row is None:
            return
        cells = [_bare(value) for value in row]
        if any(cells):
            yield reader.line_num + skipped, _named(named, cells)


def _delimiter(stream: io.StringIO) -> tuple[int, str]:
    """Lines before the heading, and the delimiter. Leaves the stream at the heading."""
    skipped, start, line = 0, 0, stream.readline()
    declared = line.strip()
    if declared.lower().startswith("sep=") and len(declared) == len("sep=") + 1:
        skipped, start, line = 1, stream.tell(), stream.readline()
    stream.seek(start)
    return skipped, max(_DELIMITERS, key=line.count)


def _heading(name: str) -> str:
    return "_".join(_bare(name).lower().replace("-", " ").replace("_", " ").split())


def _bare(value: str) -> str:
    """Without surrounding blanks and invisible characters (BOM, zero width)."""
    return "".join(each for each in value if unicodedata.category(each) != "Cf").strip()


def _named(named: list[str], cells: list[str]) -> dict[str, Any] | str:
    """A row's values by column. Ignores the extra empty cells that spreadsheets write."""
    if any(cells[len(named) :]):
        return "There are more values than columns."
    return {name: value for name, value in zip(named, cells, strict=False) if name or value}


def _json(text: str) -> Iterator[Row]:
    """Objects in order, from JSON Lines, one array, or objects that span lines."""
    reader, place = json.JSONDecoder(), 0
    while True:
        while text[place : place + 1] and (text[place].isspace() or text[place] in "[],"):
            place += 1
        if place == len(text):
            return
        number = text.count("\n", 0, place) + 1
        try:
            row, place = reader.raw_decode(text, place)
        except ValueError:
            yield number, "This is not valid JSON."  # without the line itself: it holds secrets
            place = text.find("\n", place)
            if place < 0:
                return
            continue
        yield number, row if isinstance(row, dict) else "This is not a JSON object."
