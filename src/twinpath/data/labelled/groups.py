"""Which clips show the same scene: of one group, and never divided between training and evaluation."""

from __future__ import annotations

import os
import re
from pathlib import Path

# v_Archery_g01_c02.avi of UCF101 and UCF50: clip 2 of 25 groups of clips of one scene.
_UCF = re.compile(r"(?P<group>.*_g\d{1,4})_.*", re.DOTALL)
# 5rTfAjOtgoU_000012_000022.mp4 of Kinetics: a video's id, and the seconds of the cut.
_KINETICS = re.compile(r"(?P<group>.{11})_\d{6}_\d{6}", re.DOTALL)


def group_of(path: Path) -> str:
    """The group of a video by its file's name: that of UCF or Kinetics, else the file itself.

    Clips that are parts of one file are of one group, its own.
    """
    for pattern in (_UCF, _KINETICS):
        found = pattern.fullmatch(path.stem)
        if found is not None:
            return found["group"]
    return str(path)


def is_there(path: Path) -> bool:
    """Whether a file or a folder exists; a name that no file can have does not."""
    return os.path.exists(path)  # noqa: PTH110 - unlike Path.exists it takes any name
