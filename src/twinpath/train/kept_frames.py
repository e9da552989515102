"""Decoded frames of clips, kept on the disk: `KeptFrames`.

A clip is one NumPy file, which is mapped into memory: the processes that make batches share its pages.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.atomic import atomic_path
from twinpath.data.labelled.clip import LabelledClip

_COUNT_EVERY = 16  # files that this process keeps, before it counts those of the others


class KeptFrames:
    """A folder of decoded frames. Several processes and lists of clips may share it.

    Args:
        folder: Made when the first frames are kept.
        max_bytes: Of all files in it; they take half of the free disk at most. Processes that keep frames at
            the same time may go past it by a few clips.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes
        self._room_bytes, self._until_count = 0, 0

    def path(self, clip: LabelledClip, key: dict[str, Any]) -> Path:
        """Where the frames of a clip are kept; of a file that was changed, elsewhere.

        Args:
            clip: The clip.
            key: What the pixels depend on beside it, as JSON values.
        """
        facts = clip.path.stat()
        whole = {
            "path": str(clip.path.absolute()),
            "file": [facts.st_size, facts.st_mtime_ns],
            "span": [clip.start_s, clip.end_s, clip.clock],
            "frames": key,
        }
        digest = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.npy"

    def load(self, path: Path) -> NDArray[np.uint8] | None:
        """(N, h, w, 3) the frames, mapped into memory; None where there are none, or they are damaged."""
        try:
            frames: NDArray[np.uint8] = np.load(path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return frames

    def keep(self, path: Path, frames: NDArray[np.uint8]) -> bool:
        """Write frames, if there is room; returns whether. When there was none once, no more are kept."""
        if not self.has_room(frames.nbytes):
            self._room_bytes = 0
            return False
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.save(file, frames, allow_pickle=False)
        self._room_bytes -= frames.nbytes
        self._until_count -= 1
        return True

    def has_room(self, num_bytes: int) -> bool:
        """Whether so many more may be kept."""
        if self._until_count == 0:
            self._folder.mkdir(parents=True, exist_ok=True)
            used_bytes = sum(path.stat().st_size for path in self._folder.glob("*.npy"))
            most_bytes = min(self._max_bytes, shutil.disk_usage(self._folder).free // 2 + used_bytes)
            self._room_bytes, self._until_count = most_bytes - used_bytes, _COUNT_EVERY
        return num_bytes <= self._room_bytes
