"""What things cost. The reader is measured from its source, without being installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "reader" / "src"))
