"""The recipes for test videos live with the fault tests; these tests use the sound ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "faults"))
