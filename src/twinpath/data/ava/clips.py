"""From a second of a video to the clip around it: of original videos, of their cuts, of folders of frames.

AVA annotates seconds 902 to 1798 of films. For training, seconds 900 to 1801 are cut out of each, and most
often kept as frames, 30 for each second: second s is then frame (s - 900) * 30.
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
_CUT_NAME = "_902"  # at the end of a name: a cut whose first annotated second is 902
_AWAY_S = 0.5  # a keyframe so long after the last frame, or before the first, is not in the video
_AT_ONCE_BYTES = 1 << 28  # of frames decoded in one pass
_MOST_AT_ONCE = 32
_FRAME_LIST_COLUMNS = "original_vido_id video_id frame_id path labels"
_PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
_PICTURE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # Pillow opens no other, whatever a file is called
FAILURES = (InputError, LimitExceeded, OSError)  # of one video or second; the rest is still evaluated


@dataclass(frozen=True, eq=False)
class AvaClip:
    """The clip around a second: (T, H, W, 3) uint8 RGB."""

    second: int
    frames: Frames


@dataclass(frozen=True)
class Lost:
    """A second whose clip cannot be read, and the reason in one line."""

    second: int
    reason: str


def clip_indices(centre: int, *, num_frames: int, sampling_rate: int, num_available: int) -> Indices:
    """Frames of the clip around a keyframe; at either end of the video they are repeated.

    Args:
        centre: Index of the keyframe.
        num_frames: T.
        sampling_rate: tau.
        num_available: Frames that the video has.
    Returns:
        (T,) int64.
    """
    offsets = keyframe_offsets(num_frames, sampling_rate)
    return np.clip(centre + offsets, 0, num_available - 1).astype(np.int64)


class VideoFile:
    """A film, or a cut of it.

    A video whose name ends with _902, or of less than 905 s that ends before the last annotated second, is a
    cut that begins at second 900. Any other video begins at second 0.

    Args:
        path: The file.
        begins_at_s: The second at which it begins; None: by its name and length.
    """

    def __init__(self, path: Path, *, begins_at_s: int | None = None) -> None:
        self.path, self.begins_at_s = path, begins_at_s

    def clips(
        self, seconds: Sequence[int], *, num_frames: int, sampling_rate: int
    ) -> Iterator[AvaClip | Lost]:
        """The clip around each of some ascending seconds; neighbours are decoded in one pass.

        Raises:
            InputError, LimitExceeded, OSError: The file cannot be opened.
        """
        info = probe(self.path)
        begins_at_s = self._begins_at_s(info.duration_s, seconds)
        clip_bytes = num_frames * info.width * info.height * 3
        at_once = min(max(_AT_ONCE_BYTES // clip_bytes, 1), _MOST_AT_ONCE)
        for first in range(0, len(seconds), at_once):
            times = {
                second: keyframe_times(
                    second - begins_at_s, num_frames=num_frames, sampling_rate=sampling_rate
                )
                for second in seconds[first : first + at_once]
            }
            yield from self._read(times)

    def _begins_at_s(self, duration_s: float | None, seconds: Sequence[int]) -> int:
        if self.begins_at_s is not None:
            return self.begins_at_s
        if self.path.stem.endswith(_CUT_NAME):
            return CUT_BEGINS_AT_S
        ends_early = duration_s is not None and duration_s < min(_LONGEST_CUT_S, max(seconds))
        return CUT_BEGINS_AT_S if ends_early and min(seconds) >= CUT_BEGINS_AT_S else 0

    def _read(self, times: dict[int, Times]) -> Iterator[AvaClip | Lost]:
        """The clips of some seconds in one pass; where that fails, each alone, to find the one that fails."""
        try:
            decoded = read_frames(self.path, [AtTimes(tuple(clip_s.tolist())) for clip_s in times.values()])
        except FAILURES as error:
            for second, clip_s in times.items():
                if len(times) > 1:
                    yield from self._read({second: clip_s})
                else:
                    yield Lost(second, str(error))
            return
        for i, (second, clip_s) in enumerate(times.items()):
            centre = len(clip_s) // 2
            got_s = float(decoded.clip_times_s(i)[centre])
            if abs(got_s - clip_s[centre]) > _AWAY_S:
                yield Lost(second, f"{display_path(self.path)} has no picture at {clip_s[centre]:.1f} s")
            else:
                yield AvaClip(second, decoded.clip(i))


class FrameFolder:
    """The frames of a cut as pictures, in order, 30 for each second, the first at second 900.

    Args:
        path: Where they are, for messages.
        pictures: Their files.
        begins_at_s: The second of the first one; None: 900.
        by_name: Their names end with their numbers, none of which may be missing.
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
    ) -> Iterator[AvaClip | Lost]:
        """The clip around each of some ascending seconds; a frame that neighbours share is read once.

        Raises:
            InputError: There are no pictures, or some between the first and the last are missing.
        """
        if not self.pictures:
            raise InputError(
                f"{display_path(self.path)} holds no frames ({' '.join(sorted(_PICTURE_SUFFIXES))})"
            )
        if self._by_name:
            _check_numbers(self.path, self.pictures)
        held: dict[int, Frames] = {}
        for second in seconds:
            centre = (second - self.begins_at_s) * FRAME_RATE
            if not 0 <= centre < len(self.pictures):
                yield Lost(
                    second, f"{display_path(self.path)} has {len(self.pictures)} frames and no frame {centre}"
                )
                continue
            wanted = clip_indices(
                centre,
                num_frames=num_frames,
                sampling_rate=sampling_rate,
                num_available=len(self.pictures),
            ).tolist()
            try:
                held = {
                    i: held[i] if i in held else _picture(self.pictures[i]) for i in dict.fromkeys(wanted)
                }
                yield AvaClip(second, self._clip([held[i] for i in wanted]))
            except FAILURES as error:
                held = {}
                yield Lost(second, str(error))

    def _clip(self, pictures: list[Frames]) -> Frames:
        sizes = {picture.shape for picture in pictures}
        if len(sizes) > 1:
            raise InputError(f"{display_path(self.path)}: its frames are of several sizes")
        return np.stack(pictures)


AvaSource = VideoFile | FrameFolder


def video_files(folder: str | os.PathLike[str], *, begins_at_s: int | None = None) -> dict[str, AvaSource]:
    """The videos in a folder and its subfolders, by AVA's name: that of the file, without _902 at its end.

    Raises:
        NotAFile: No such folder, or no videos in it.
        InputError: Two videos of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotAFile(f"{display_path(folder)}: there is no such folder of videos")
    found: dict[str, AvaSource] = {}
    for path in find_videos([folder]):
        name = path.stem.removesuffix(_CUT_NAME)
        if name in found:
            raise InputError(
                f"{display_path(path)} and {display_path(found[name].path)} are videos of one name; keep one"
            )
        found[name] = VideoFile(path, begins_at_s=begins_at_s)
    return found


def frame_folders(folder: str | os.PathLike[str], *, begins_at_s: int | None = None) -> dict[str, AvaSource]:
    """The folders of frames in a folder, by their names; frames in the order of the numbers in their names.

    Raises:
        NotAFile: No such folder, or no folders in it.
    """
    folder = Path(folder)
    inner = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not inner:
        raise NotAFile(
            f"{display_path(folder)}: there is no such folder with a folder of frames for each video"
        )
    return {
        path.name: FrameFolder(
            path,
            sorted((p for p in path.iterdir() if p.suffix.lower() in _PICTURE_SUFFIXES), key=_by_number),
            begins_at_s=begins_at_s,
            by_name=True,
        )
        for path in inner
    }


def read_frame_list(
    path: str | os.PathLike[str], folder: str | os.PathLike[str], *, begins_at_s: int | None = None
) -> dict[str, AvaSource]:
    """Frames from PySlowFast's list, `original_vido_id video_id frame_id path labels` with a header.

    Args:
        path: The list.
        folder: What the paths in it start from.
        begins_at_s: The second of each video's first frame; None: 900.
    Raises:
        NotAFile: No such file.
        InputError: `file:line: what`: another number of columns, an id that is no number, a frame that comes
            twice or is missing.
    """
    path, folder = Path(path), Path(folder)
    pictures: dict[str, list[Path]] = {}
    for line, row in csv_rows(path, read_lines(path), delimiter=" "):
        if line == 1 and row[2:3] == ["frame_id"]:
            continue
        if len(row) != 5:
            raise line_error(path, line, f"{len(row)} columns, not the 5 of {_FRAME_LIST_COLUMNS}")
        video, _, frame, name, _ = row
        before = pictures.setdefault(video, [])
        if whole_number_or_none(frame, minimum=0) is None:
            raise line_error(path, line, f"frame_id is {frame!r}, not a whole number from 0")
        if int(frame) != len(before):
            raise line_error(path, line, f"frame {frame} of {video} where {len(before)} should come")
        before.append(folder / name)
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
    """Raises: InputError: a number between the first and the last is missing, or comes twice."""
    numbers = [_by_number(picture)[0] for picture in pictures]
    for before, after in pairwise(numbers):
        if after != before + 1:
            raise InputError(
                f"{display_path(path)}: frame {after} follows frame {before}; each "
                "second needs all of its 30 frames"
            )


def _picture(path: Path) -> Frames:
    """(H, W, 3) uint8 RGB.

    Raises:
        NotAFile, InputError: There is no such picture, or it does not decode.
    """
    if not path.is_file():
        raise NotAFile(f"{display_path(path)}: there is no such frame")
    try:
        with Image.open(path, formats=_PICTURE_FORMATS) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{display_path(path)} is no picture that can be read") from error
