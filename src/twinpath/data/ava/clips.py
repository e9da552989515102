"""The clip around a second of an AVA video: from original videos, trimmed videos, or folders of frames.

AVA annotates seconds 902 to 1798 of movies. Data sets are usually trimmed to seconds 900 to 1801, and often
stored as frames, 30 per second: second s is then frame (s - 900) * 30. Data of one's own may begin at another
second and have other frame rates.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from twinpath.data.pictures import PICTURE_SUFFIXES, read_picture
from twinpath.errors import InputError, LimitExceeded, NotAFile
from twinpath.formats.frame_list import FrameNames, read_listed_videos
from twinpath.paths import display_path
from twinpath.video.decode import AtTimes, read_frames
from twinpath.video.find import find_videos
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.sampling import Indices, Times, keyframe_offsets, keyframe_times

Frames = NDArray[np.uint8]
CUT_BEGINS_AT_S = 900
FRAME_RATE = 30
_LONGEST_CUT_S = 905.0
_CUT_NAME = "_902"  # suffix of a trimmed video's name: its first annotated second is 902
_AWAY_S = 0.5  # a keyframe further than this from the nearest frame is not in the video
_ROUNDING = 1e-6  # of a frame
_BATCH_BYTES = 1 << 28  # of frames decoded in one pass
_MAX_BATCH = 32
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


def clip_indices(
    centre: float, *, num_frames: int, sampling_rate: int, num_available: int, fps: float = FRAME_RATE
) -> Indices:
    """Indices of the frames of the clip around a keyframe; repeated at both ends of the video.

    Args:
        centre: Index of the keyframe; where it lies between two frames, the first one is on screen.
        num_frames: T, frames per clip.
        sampling_rate: tau, in frames of a 30 fps video.
        num_available: Number of frames in the video.
        fps: Its frames per second.
    Returns:
        (T,) int64 indices.
    """
    offsets = keyframe_offsets(num_frames, sampling_rate) * (fps / FRAME_RATE)
    on_screen = np.floor(centre + offsets + _ROUNDING)
    return np.clip(on_screen, 0, num_available - 1).astype(np.int64)


class VideoFile:
    """An original video, or a trimmed one.

    A video whose name ends with _902, or with a duration below 905 s that ends before the last annotated
    second, is trimmed and begins at second 900. Any other video begins at second 0.

    Args:
        path: The file.
        begins_at_s: The second at which it begins; None: by its name and duration.
        last_second: The last annotated one; None: the last one of those whose clips are read.
    """

    def __init__(self, path: Path, *, begins_at_s: int | None = None, last_second: int | None = None) -> None:
        self.path, self.begins_at_s, self._last_second = path, begins_at_s, last_second

    def clips(
        self, seconds: Sequence[int], *, num_frames: int, sampling_rate: int
    ) -> Iterator[AvaClip | MissingClip]:
        """The clip around each second, in ascending order; several are decoded in one pass.

        Raises:
            InputError, LimitExceeded, OSError: The file cannot be opened.
        """
        info = self._info
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

    @cached_property
    def _info(self) -> VideoInfo:
        return probe(self.path)

    def _begins_at_s(self, duration_s: float | None, seconds: Sequence[int]) -> int:
        if self.begins_at_s is not None:
            return self.begins_at_s
        if self.path.stem.endswith(_CUT_NAME):
            return CUT_BEGINS_AT_S
        last_second = max(seconds) if self._last_second is None else self._last_second
        is_short = duration_s is not None and duration_s < min(_LONGEST_CUT_S, last_second)
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
    """The frames of a trimmed video as pictures, in order.

    Args:
        path: The folder, for messages.
        pictures: The picture files.
        begins_at_s: The second of the first frame; None: 900.
        by_name: Whether the file names end with frame numbers, of which none may be missing.
        fps: Frames per second.
    """

    def __init__(
        self,
        path: Path,
        pictures: Sequence[Path],
        *,
        begins_at_s: int | None = None,
        by_name: bool = False,
        fps: float = FRAME_RATE,
    ) -> None:
        self.path, self.pictures, self.fps = path, pictures, fps
        self._unchecked = by_name
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
                f"{display_path(self.path)} holds no frames ({' '.join(sorted(PICTURE_SUFFIXES))})"
            )
        if self._unchecked:
            _check_numbers(self.path, self.pictures)
            self._unchecked = False
        cached: dict[int, Frames] = {}
        for second in seconds:
            centre = (second - self.begins_at_s) * self.fps
            if not 0 <= centre < len(self.pictures):
                yield MissingClip(
                    second,
                    f"{display_path(self.path)} has {len(self.pictures)} frames and no frame {centre:g}",
                )
                continue
            picks = clip_indices(
                centre,
                num_frames=num_frames,
                sampling_rate=sampling_rate,
                num_available=len(self.pictures),
                fps=self.fps,
            ).tolist()
            try:
                cached = {
                    i: cached[i] if i in cached else read_picture(self.pictures[i])
                    for i in dict.fromkeys(picks)
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


def frame_folders(
    folder: str | os.PathLike[str], *, begins_at_s: int | None = None, fps: float = FRAME_RATE
) -> dict[str, AvaSource]:
    """The folders of frames in a folder, by name; frames are ordered by the numbers in their names.

    Args:
        folder: Holds a folder for each video.
        begins_at_s: The second of each video's first frame; None: 900.
        fps: Frames per second.
    Raises:
        NotAFile: No such folder, or no folders in it.
    """
    folder = Path(folder)
    subfolders = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not subfolders:
        raise NotAFile(f"{display_path(folder)}: no such folder with a folder of frames for each video")
    return {
        path.name: FrameFolder(path, _PicturesInFolder(path), begins_at_s=begins_at_s, by_name=True, fps=fps)
        for path in subfolders
    }


def read_frame_list(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    begins_at_s: int | None = None,
    fps: float = FRAME_RATE,
) -> dict[str, AvaSource]:
    """Read PySlowFast's list of frames, `original_vido_id video_id frame_id path labels` with a header.

    Args:
        path: The list.
        folder: The base folder of its paths.
        begins_at_s: The second of each video's first frame; None: 900.
        fps: Frames per second.
    Raises:
        NotAFile: No such file.
        InputError: With file and line: wrong number of columns, an invalid id, a duplicate or missing frame.
    """
    folder = Path(folder)
    return {
        name: FrameFolder(
            (folder / video.frames[0]).parent,
            _ListedPictures(folder, video.frames),
            begins_at_s=begins_at_s,
            fps=fps,
        )
        for name, video in read_listed_videos(Path(path)).items()
    }


class _Pictures(Sequence[Path]):
    """Pictures by their names. Six million paths of AVA would take gigabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def names(self) -> FrameNames:
        """Relative to the folder."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Path, ...]: ...
    def __getitem__(self, index: int | slice) -> Path | tuple[Path, ...]:
        if isinstance(index, slice):
            return tuple(self.folder / name for name in self.names[index])
        return self.folder / self.names[index]


class _ListedPictures(_Pictures):
    """Those of a list."""

    def __init__(self, folder: Path, names: FrameNames) -> None:
        super().__init__(folder)
        self.names = names


class _PicturesInFolder(_Pictures):
    """Those in a folder, by number; it is listed when they are asked for."""

    @cached_property
    def names(self) -> FrameNames:
        files = (path for path in self.folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)
        names = FrameNames()
        for path in sorted(files, key=_by_number):
            names.append(path.name)
        return names


def _by_number(path: Path) -> tuple[int, str]:
    number = re.search(r"(\d+)$", path.stem)
    return (int(number[1]) if number else -1, path.name)


def _check_numbers(path: Path, pictures: Sequence[Path]) -> None:
    """Check frame numbers. Raises: InputError: One is missing or a duplicate."""
    if isinstance(pictures, _Pictures) and pictures.names.pattern is not None:
        return  # they are numbered one after the other
    numbers = [_by_number(picture)[0] for picture in pictures]
    for previous, current in pairwise(numbers):
        if current != previous + 1:
            raise InputError(
                f"{display_path(path)}: frame {current} follows frame {previous}; each "
                "second needs all of its frames"
            )
