"""What `make bench` writes down, and that CI's short run leaves no measurement out."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from bench import __main__ as bench
from bench.table import Row


def test_the_short_run_starts_every_measurement() -> None:
    assert {*bench._COMPARED, *bench._TRIED} == set(bench._WHOLE)


def test_rows_are_written_down_and_drawn(tmp_path: Path) -> None:
    rows = [
        Row("tick", 1.04, 1.1, "104 ms, 100 ms", {"read_units": 0.5}),
        Row("page", 1.5, 1.25, "15 ms, 10 ms"),
        Row("size", 0.3, None, "3 MB, 10 MB"),
    ]
    bench.record(rows, tmp_path / "results.json", tmp_path / "bench.svg")
    written = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [(row["name"], row["ratio"], row["reached"]) for row in written] == [
        ("tick", 1.04, True),
        ("page", 1.5, False),
        ("size", 0.3, True),
    ]
    assert written[0]["facts"] == {"read_units": 0.5}
    picture = ET.parse(tmp_path / "bench.svg")
    drawn = "".join(text.text or "" for text in picture.iter("{http://www.w3.org/2000/svg}text"))
    assert "1.04 of 1.10" in drawn
    assert "1.50 of 1.25" in drawn
