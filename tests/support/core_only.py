"""Runs Python where torch and what needs it cannot be found, as in an environment of the core alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SITE = Path(__file__).parent / "no_torch"  # its sitecustomize.py is imported by Python at its start


def python_without_torch(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run this Python with arguments, to its end."""
    path = os.pathsep.join(filter(None, (str(_SITE), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
