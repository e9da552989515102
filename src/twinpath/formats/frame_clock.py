"""From a frame number in a COCO file to its time in seconds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from twinpath.formats.json_nodes import Node
from twinpath.video.isolated import frame_times_isolated
from twinpath.video.probe import frame_times
from twinpath.video.sampling import Times

_LAST_DIGITS = re.compile(r"(\d+)\D*$")
_HASH = re.compile(r"(?=[a-z]*\d)(?=\d*[a-z])[0-9a-f]{8,}$")  # hexadecimal, with digits and letters
_INDEX_KEYS = ("frame_index", "frame_id")  # in TAO and in COCO-VID; both count from 0


@dataclass(frozen=True)
class FrameNumber:
    """The number of a frame in an entry.

    Attributes:
        number: The number in the file.
        from_zero: Whether numbers start at 0; False: at 0 or at 1.
        node: Its place in the file.
    """

    number: int
    from_zero: bool
    node: Node


def frame_number(image: Node) -> FrameNumber:
    """The frame number of a COCO image, or of a result without a list of images.

    Raises:
        InputError: It has neither `frame_index` nor a name with digits at its end, or a hash is at its end.
    """
    for key in _INDEX_KEYS:
        index = image.find(key)
        if index:
            return FrameNumber(int(index.number(at_least=0)), True, index)
    named = image.find("file_name") or image.find("image_id")
    if named is None:
        raise image.error(
            "nothing names the frame: 'time_s', 'frame_index', 'file_name' or 'image_id' is missing"
        )
    value = named.name_or_number()
    if isinstance(value, int):
        return FrameNumber(int(named.number(at_least=0)), False, named)
    stem = PurePosixPath(value.replace("\\", "/")).stem
    if _HASH.search(re.split(r"[._ -]", stem)[-1]):  # Roboflow: clip_mp4-0012_jpg.rf.<hash>.jpg
        raise named.error(
            f"{value!r} ends with a hash, not with a frame number; give 'time_s' or 'frame_index'"
        )
    digits = _LAST_DIGITS.search(stem)
    if digits is None or len(digits[1]) > 12:
        raise named.error(f"{value!r} has no frame number; give 'time_s' or 'frame_index'")
    return FrameNumber(int(digits[1]), False, named)


def folder_of(image: Node) -> str:
    """The path of an image's folder, which is named after its video; "" if there is none."""
    named = image.find("file_name") or image.find("image_id")
    if named is None or not isinstance(named.value, str):
        return ""
    folder = PurePosixPath(named.value.replace("\\", "/")).parent.as_posix()
    return "" if folder in (".", "/") else folder


class FrameClock:
    """Times of a video's frames; the file is read on first use.

    Args:
        video: A video file.
        isolate: Read it in a sandboxed process.
    """

    def __init__(self, video: Path, *, isolate: bool = False) -> None:
        self._video, self._isolate = video, isolate
        self._times_s: Times | None = None

    def time_s(self, index: int, node: Node) -> float:
        """The presentation time of a frame in seconds since the first one.

        Args:
            index: From 0, in presentation order.
            node: The place of the number in the file, for errors.
        Raises:
            InputError: The video has fewer frames, or cannot be read.
        """
        if self._times_s is None:
            self._times_s = (frame_times_isolated if self._isolate else frame_times)(self._video)
        if not 0 <= index < len(self._times_s):
            raise node.error(
                f"that is frame {index} from 0, but {self._video} has {len(self._times_s)} frames"
            )
        return float(self._times_s[index])
