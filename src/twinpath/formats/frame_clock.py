"""When a frame of a video was: COCO's files number frames, and Twinpath counts in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from twinpath.formats.json_nodes import Node
from twinpath.video.probe import frame_times

_LAST_DIGITS = re.compile(r"(\d+)\D*$")
_INDEX_KEYS = ("frame_index", "frame_id")  # of TAO and of COCO-VID, which count from 0


@dataclass(frozen=True)
class FrameNumber:
    """Which frame an entry means.

    Attributes:
        number: As it stands there.
        from_zero: It surely counts from 0; else by custom from 0 or from 1.
        node: Where it stands.
    """

    number: int
    from_zero: bool
    node: Node


def frame_number(image: Node) -> FrameNumber:
    """The frame that an image of COCO, or a detection without a list of images, is of.

    Raises:
        InputError: It has neither `frame_index` nor a name with digits.
    """
    for key in _INDEX_KEYS:
        index = image.find(key)
        if index:
            return FrameNumber(int(index.number(at_least=0)), True, index)
    named = image.find("file_name") or image.find("image_id")
    if named is None:
        raise image.error(
            "which picture it is is missing: 'time_s', 'frame_index', 'file_name' or 'image_id'"
        )
    value = named.name_or_number()
    if isinstance(value, int):
        return FrameNumber(int(named.number(at_least=0)), False, named)
    digits = _LAST_DIGITS.search(PurePosixPath(value.replace("\\", "/")).stem)
    if digits is None or len(digits[1]) > 12:
        raise named.error(f"{value!r} has no frame number; give 'time_s' or 'frame_index'")
    return FrameNumber(int(digits[1]), False, named)


def folder_of(image: Node) -> str:
    """The path of the folder that a picture lies in, which is called like its video; empty: none is told."""
    named = image.find("file_name") or image.find("image_id")
    if named is None or not isinstance(named.value, str):
        return ""
    folder = PurePosixPath(named.value.replace("\\", "/")).parent.as_posix()
    return "" if folder in (".", "/") else folder


class FrameClock:
    """Times of a video's frames; the file is read only if a time is asked for.

    Args:
        video: A video file.
    """

    def __init__(self, video: Path) -> None:
        self._video = video
        self._times_s: NDArray[np.float64] | None = None

    def time_s(self, index: int, node: Node) -> float:
        """When a frame is shown, in seconds since the first.

        Args:
            index: From 0, in the order in which frames are shown.
            node: Where that number stands, for errors.
        Raises:
            InputError: The video has fewer frames, or cannot be read.
        """
        if self._times_s is None:
            self._times_s = frame_times(self._video)
        if not 0 <= index < len(self._times_s):
            raise node.error(
                f"that is frame {index} from 0, but {self._video} has {len(self._times_s)} frames"
            )
        return float(self._times_s[index])
