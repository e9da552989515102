"""Small videos of two classes for tests of training: a bright square moves sideways, or up and down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.bad_videos import encode
from twinpath.data.labelled.clip import LabelledClip

CLASSES = ("sideways", "up and down")
NUM_FRAMES = 24  # at 25 a second


def moving_squares(folder: Path, *, num_clips: int) -> list[LabelledClip]:
    """Write so many videos of 64x48, the classes taking turns."""
    folder.mkdir(parents=True, exist_ok=True)
    clips = []
    for number in range(num_clips):
        label = CLASSES[number % len(CLASSES)]
        path = encode(folder / f"{number:03}.mp4", numbers=range(NUM_FRAMES), paint=_painter(number, label))
        clips.append(LabelledClip(path, (label,), group=path.name))
    return clips


def _painter(number: int, label: str) -> Callable[[np.ndarray], None]:
    rng = np.random.default_rng(number)
    size, other = int(rng.integers(10, 16)), int(rng.integers(4, 28))
    background, frame = rng.integers(20, 120, size=3), 0

    def paint(picture: np.ndarray) -> None:
        nonlocal frame
        along = 2 + round(28 * frame / NUM_FRAMES)
        top, left = (other, along) if label == "sideways" else (along, other)
        picture[:] = background
        picture[top : top + size, left : left + size] = 235
        frame += 1

    return paint
