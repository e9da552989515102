"""The clip around a second of an AVA video: from original videos, trimmed videos, or folders of frames.

AVA annotates seconds 902 to 1798 of movies. Data sets are usually trimmed to seconds 900 to 1801, and often
stored as frames, 30 per second: second s is then frame (s - 900) * 30.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.text_columns import csv_rows, line_error, read_lines, whole_number_or_none
from twinpath.paths import display_path
from twinpath.video.decode import AtTimes, read_frames
from twinpath.video.find import find_videos
from twinpath.video.probe import probe
from twinpath.video.sampling import Indices, Times, keyframe_offsets, keyframe_times

Frames = NDArray[np.uint8]
CUT_BEGINS_AT_S = 900
FRAME_RATE = 30
_LONGEST_CUT_S = 905.0
_CUT_NAME = "_902"  # suffix of a trimmed video's name: its first annotated second is 902
_AWAY_S = 0.5  # a keyframe further than this from the nearest frame is not in the video
_BATCH_BYTES = 1 << 28  # of frames decoded in one pass
_MAX_BATCH = 32
_FRAME_LIST_COLUMNS = "original_vido_id video_id frame_id path labels"
_PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_PICTURE_FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "WEBP",
)  # the only formats that Pillow may open, whatever the file name
FAILURES = (InputError, LimitExceeded, OSError)  # of one video or second; the others are evaluated


@dataclass(frozen=True, eq=False)
class AvaClip:
    """The clip around a second: (T, H, W, 3) uint8 RGB."""

    second: int
    frames: Frames


@dataclass(frozen=True)
class MissingClip:
    """A second whose clip cannot be read, and the reason in one line."""

    second: int
    reason: str


def clip_indices(centre: int, *, num_frames: int, sampling_rate: int, num_available: int) -> Indices:
    """Indices of the frames of the clip around a keyframe; repeated at both ends of the video.

    Args:
        centre: Index of the keyframe.
        num_frames: T, frames per clip.
        sampling_rate: tau.
        num_available: Number of frames in the video.
    Returns:
        (T,) int64 indices.
    """
    offsets = keyframe_offsets(num_frames, sampling_rate)
    return np.clip(centre + offsets, 0, num_available - 1).astype(np.int64)


class VideoFile:
    """An original video, or a trimmed one.

    A video whose name ends with _902, or with a duration below 905 s that ends before the last annotated
    second, is trimmed and begins at second 900. Any other video begins at second 0.

    Args:
        path: The file.
        begins_at_s: The second at which it begins; None: by its name and duration.
    """

    def __init__(self, path: Path, *, begins_at_s: int | None = None) -> None:
        self.path, self.begins_at_s = path, begins_at_s

    def clips(
        self, seconds: Sequence[int], *, num_frames: int, sampling_rate: int
    ) -> Iterator[AvaClip | MissingClip]:
        """The clip around each second, in ascending order; several are decoded in one pass.

        Raises:
            InputError, LimitExceeded, OSError: The file cannot be opened.
        """
        info = probe(self.path)
        begins_at_s = self._begins_at_s(info.duration_s, seconds)
        clip_bytes = num_frames * info.width * info.height * 3
        batch_size = min(max(_BATCH_BYTES // clip_bytes, 1), _MAX_BATCH)
        for first in range(0, len(seconds), batch_size):
            times = {
                second: keyframe_times(
                    second - begins_at_s, num_frames=num_frames, sampling_rate=sampling_rate
                )
                for second in seconds[first : first + batch_size]
            }
            yield from self._read(times)

    def _begins_at_s(self, duration_s: float | None, seconds: Sequence[int]) -> int:
        if self.begins_at_s is not None:
            return self.begins_at_s
        if self.path.stem.endswith(_CUT_NAME):
            return CUT_BEGINS_AT_S
        is_short = duration_s is not None and duration_s < min(_LONGEST_CUT_S, max(seconds))
        return CUT_BEGINS_AT_S if is_short and min(seconds) >= CUT_BEGINS_AT_S else 0

    def _read(self, times: dict[int, Times]) -> Iterator[AvaClip | MissingClip]:
        """The clips of several seconds in one pass; if that fails, in one pass each."""
        try:
            decoded = read_frames(self.path, [AtTimes(tuple(clip_s.tolist())) for clip_s in times.values()])
        except FAILURES as error:
            for second, clip_s in times.items():
                if len(times) > 1:
                    yield from self._read({second: clip_s})
                else:
                    yield MissingClip(second, str(error))
            return
        for i, (second, clip_s) in enumerate(times.items()):
            centre = len(clip_s) // 2
            decoded_s = float(decoded.clip_times_s(i)[centre])
            if abs(decoded_s - clip_s[centre]) > _AWAY_S:
                yield MissingClip(second, f"{display_path(self.path)} has no frame at {clip_s[centre]:.1f} s")
            else:
                yield AvaClip(second, decoded.clip(i))


class FrameFolder:
    """The frames of a trimmed video as pictures, 30 per second, in order.

    Args:
        path: The folder, for messages.
        pictures: The picture files.
        begins_at_s: The second of the first frame; None: 900.
        by_name: Whether the file names end with frame numbers, of which none may be missing.
    """

    def __init__(
        self,
        path: Path,
        pictures: Sequence[Path],
        *,
        begins_at_s: int | None = None,
        by_name: bool = False,
    ) -> None:
        self.path, self.pictures, self._by_name = path, tuple(pictures), by_name
        self.begins_at_s = CUT_BEGINS_AT_S if begins_at_s is None else begins_at_s

    def clips(
        self, seconds: Sequence[int], *, num_frames: int, sampling_rate: int
    ) -> Iterator[AvaClip | MissingClip]:
        """The clip around each second, in ascending order; a frame that successive clips share is read once.

        Raises:
            InputError: There are no pictures, or frames between the first and the last one are missing.
        """
        if not self.pictures:
            raise InputError(
                f"{display_path(self.path)} holds no frames ({' '.join(sorted(_PICTURE_SUFFIXES))})"
            )
        if self._by_name:
            _check_numbers(self.path, self.pictures)
        cached: dict[int, Frames] = {}
        for second in seconds:
            centre = (second - self.begins_at_s) * FRAME_RATE
            if not 0 <= centre < len(self.pictures):
                yield MissingClip(
                    second, f"{display_path(self.path)} has {len(self.pictures)} frames and no frame {centre}"
                )
                continue
            picks = clip_indices(
                centre,
                num_frames=num_frames,
                sampling_rate=sampling_rate,
                num_available=len(self.pictures),
            ).tolist()
            try:
                cached = {
                    i: cached[i] if i in cached else _picture(self.pictures[i]) for i in dict.fromkeys(picks)
                }
                yield AvaClip(second, self._clip([cached[i] for i in picks]))
            except FAILURES as error:
                cached = {}
                yield MissingClip(second, str(error))

    def _clip(self, pictures: list[Frames]) -> Frames:
        sizes = {picture.shape for picture in pictures}
        if len(sizes) > 1:
            raise InputError(f"{display_path(self.path)}: its frames have different sizes")
        return np.stack(pictures)


AvaSource = VideoFile | FrameFolder


def video_files(folder: str | os.PathLike[str], *, begins_at_s: int | None = None) -> dict[str, AvaSource]:
    """The videos in a folder and its subfolders, by AVA's name: the file name without the suffix _902.

    Raises:
        NotAFile: No such folder, or no videos in it.
        InputError: Two videos with the same name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotAFile(f"{display_path(folder)}: no such folder of videos")
    sources: dict[str, AvaSource] = {}
    for path in find_videos([folder]):
        name = path.stem.removesuffix(_CUT_NAME)
        if name in sources:
            raise InputError(
                f"{display_path(path)} and {display_path(sources[name].path)} are videos with the same name; "
                "remove one"
            )
        sources[name] = VideoFile(path, begins_at_s=begins_at_s)
    return sources


def frame_folders(folder: str | os.PathLike[str], *, begins_at_s: int | None = None) -> dict[str, AvaSource]:
    """The folders of frames in a folder, by name; frames are ordered by the numbers in their names.

    Raises:
        NotAFile: No such folder, or no folders in it.
    """
    folder = Path(folder)
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not subfolders:
        raise NotAFile(f"{display_path(folder)}: no such folder with a folder of frames for each video")
    return {
        path.name: FrameFolder(
            path,
            sorted((p for p in path.iterdir() if p.suffix.lower() in _PICTURE_SUFFIXES), key=_by_number),
            begins_at_s=begins_at_s,
            by_name=True,
        )
        for path in subfolders
    }


def read_frame_list(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], *, begins_at_s: int | None = None
) -> dict[str, AvaSource]:
    """Read PySlowFast's list of frames, `original_vido_id video_id frame_id path labels` with a header.

    Args:
        path: The list.
        folder: The base folder of its paths.
        begins_at_s: The second of each video's first frame; None: 900.
    Raises:
        NotAFile: No such file.
        InputError: With file and line: wrong number of columns, an invalid id, a duplicate or missing frame.
    """
    path, folder = Path(path), Path(folder)
    pictures: dict[str, list[Path]] = {}
    for line, row in csv_rows(path, read_lines(path), delimiter=" "):
        if line == 1 and row[2:3] == ["frame_id"]:
            continue
        if len(row) != 5:
            raise line_error(path, line, f"{len(row)} columns, not the 5 of {_FRAME_LIST_COLUMNS}")
        video, _, frame, name, _ = row
        previous = pictures.setdefault(video, [])
        if whole_number_or_none(frame, minimum=0) is None:
            raise line_error(path, line, f"frame_id is {frame!r}, not a whole number from 0")
        if int(frame) != len(previous):
            raise line_error(path, line, f"frame {frame} of {video}, but the next one is {len(previous)}")
        previous.append(folder / name)
    if not pictures:
        raise line_error(path, 1, "there are no frames in this list")
    return {
        video: FrameFolder(files[0].parent, files, begins_at_s=begins_at_s)
        for video, files in pictures.items()
    }


def _by_number(path: Path) -> tuple[int, str]:
    number = re.search(r"(\d+)$", path.stem)
    return (int(number[1]) if number else -1, path.name)


def _check_numbers(path: Path, pictures: Sequence[Path]) -> None:
    """Check frame numbers. Raises: InputError: One is missing or a duplicate."""
    numbers = [_by_number(picture)[0] for picture in pictures]
    for previous, current in pairwise(numbers):
        if current != previous + 1:
            raise InputError(
                f"{display_path(path)}: frame {current} follows frame {previous}; each "
                "second needs all of its 30 frames"
            )


def _picture(path: Path) -> Frames:
    """Read a picture as (H, W, 3) uint8 RGB.

    Raises:
        NotAFile, InputError: It does not exist, or does not decode.
    """
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: no such frame")
    try:
        with Image.open(path, formats=_PICTURE_FORMATS) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{display_path(path)} is not a readable picture") from error
