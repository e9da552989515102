"""Commands that are killed at random moments and run again; `make kills` tries more of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_what_was_killed_is_resumed_as_if_nothing_had_been(tmp_path: Path) -> None:
    """In a process of its own, which forks: this one has threads."""
    command = [sys.executable, "-m", "tests.support.kills", "--count", "4", "--seed", "1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    assert ", 0 finds" in done.stdout
