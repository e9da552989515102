"""Lets the tests here import `commands`, `golden_weights` and `real_videos` from the folder above."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
