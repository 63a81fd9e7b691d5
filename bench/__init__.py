"""Benchmarks. They measure the reader from its source, without installing it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reader" / "src"))
