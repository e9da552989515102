"""Three clips of people, which are not in the repository: some machines have them in a folder beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "videos"


def real_video(name: str) -> Path:
    """The path of a clip; the test is skipped on a machine that has none."""
    path = FOLDER / name
    if not path.is_file():
        pytest.skip(f"{name} is not here: put the real clips into ../shared/videos beside the repository")
    return path
