"""Frames of a clip through the reader of the project, made small where they are decoded.

pictures = ClipPictures(LabelledReader(...))
times_s = pictures.times_s(clip)                        # nothing is decoded
pictures.read(clip, [times_s[picks]], reduction)        # one (T, K, h, w, 3) uint8 array for each

With `FramesCache` whole clips are decoded once and kept on the disk, which pays where they are short.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from twinpath.data.labelled.clip import LabelledClip
from twinpath.data.pictures import is_picture, read_picture
from twinpath.errors import InputError
from twinpath.paths import display_path
from twinpath.recognize.labelled import LabelledReader
from twinpath.train.augment.crops import CutPictures, whole_cut
from twinpath.train.kept_frames import KeptFrames
from twinpath.video.clip_plan import Selections
from twinpath.video.clips import ClipReader, open_clips, whole_frames
from twinpath.video.frame_folder import is_frame_pattern
from twinpath.video.resize import ResizedFrames
from twinpath.video.sampling import TIME_TOLERANCE_S, Indices, Times, on_screen_indices
from twinpath.video.selection import AtTimes

Pixels = NDArray[np.uint8]

_BEHIND_S = 1.0  # a clip that starts further behind the last frame is none
_MOST_BYTES = 1 << 26  # of frame times that are kept, in each process
_MOST_CLIPS = 1 << 16  # whose frame times are kept
_LONG_FRAMES = 2048  # of a clip; a longer one is not kept
_CHUNK_FRAMES = 32  # decoded at once
_LEAST_FRAME_BYTES = 64 * 64 * 3  # without room for so many a frame no clip is decoded to be kept
_EVEN_S = 0.6e-3  # Matroska rounds times to milliseconds


class _Even(NamedTuple):
    """Frame times at a constant rate, which need no room."""

    first_s: float
    last_s: float
    num_frames: int


@dataclass(frozen=True)
class FramesCache:
    """Frames of whole clips on the disk, as large as they are or reduced to a short side.

    Attributes:
        kept: Where.
        short_side_px: Of larger frames; what is made of them then differs a little from what is made of the
            file's, whether there was room to keep them or not.
    """

    kept: KeptFrames
    short_side_px: int

    def reduction(self) -> CutPictures:
        """What is made of each picture before it is kept."""
        most = self.short_side_px
        return CutPictures(
            lambda height, width: [whole_cut(height, width, short_side=min(most, height, width))]
        )


_Key = tuple[Path, float | None, float | None]


def _key(clip: LabelledClip) -> _Key:
    return clip.path, clip.start_s, clip.end_s


@dataclass
class ClipPictures:
    """Reads frames of labelled clips. A single picture (ImageNet) is a clip of one frame.

    Frame times are kept in each process, so that a file is only searched for them once. They follow from the
    file, so that keeping them changes nothing.

    Attributes:
        reader: Of the clips.
        cache: Of their frames; None: each clip is decoded each time.
    """

    reader: LabelledReader
    cache: FramesCache | None = None
    _times: OrderedDict[_Key, _Even | Times] = field(default_factory=OrderedDict)
    _kept_bytes: int = 0

    def __getstate__(self) -> dict[str, object]:
        return {"reader": self.reader, "cache": self.cache, "_times": OrderedDict(), "_kept_bytes": 0}

    def times_s(self, clip: LabelledClip) -> Times:
        """(N,) times of a clip's frames in seconds since the first frame of its file, at least one.

        Raises:
            InputError, LimitExceeded, OSError, WorkerDied: The file cannot be used.
        """
        kept = self._times.get(_key(clip))
        if kept is None:
            kept = _compact(self._read_times(clip))
            self._keep(clip, kept)
        if isinstance(kept, _Even):
            return np.linspace(*kept)
        return kept

    def read(
        self, clip: LabelledClip, picks: Sequence[Indices], reduction: CutPictures
    ) -> tuple[list[Pixels], tuple[str, ...]]:
        """Frames of a clip.

        Args:
            clip: The clip.
            picks: (T,) indices into its times, of each temporal clip.
            reduction: What is made of each picture.
        Returns:
            (T, K, h, w, 3) for each temporal clip, and what is wrong with the file, although it can be read.
        Raises:
            InputError, LimitExceeded, OSError, WorkerDied: The file cannot be used.
        """
        if is_picture(clip.path):
            once = _reduced(read_picture(clip.path)[None], reduction)
            return [np.repeat(once, len(of_clip), axis=0) for of_clip in picks], ()
        if self.cache is None or is_frame_pattern(clip.path):
            return self._decode(clip, picks, reduction)
        frames = self._kept_frames(clip, self.cache)
        if frames is not None:
            return [_reduced(frames[of_clip], reduction) for of_clip in picks], ()
        whole, warnings = self._decode(clip, picks, self.cache.reduction())
        return [_reduced(part[:, 0], reduction) for part in whole], warnings

    def _kept_frames(self, clip: LabelledClip, cache: FramesCache) -> Pixels | None:
        """(N, h, w, 3) all frames of a clip; None: it is too long or damaged, or there is no room."""
        num_frames = len(self.times_s(clip))
        path = cache.kept.path(clip, {"whole": cache.short_side_px, "fps": self.reader.reader.fps})
        frames = cache.kept.load(path)
        if frames is not None and len(frames) == num_frames:
            return frames
        if num_frames > _LONG_FRAMES or not cache.kept.has_room(num_frames * _LEAST_FRAME_BYTES):
            return None
        chunks = np.array_split(np.arange(num_frames), -(-num_frames // _CHUNK_FRAMES))
        parts, warnings = self._decode(clip, chunks, cache.reduction())
        frames = np.concatenate([part[:, 0] for part in parts])
        if not warnings:
            cache.kept.keep(path, frames)
            return frames
        return None  # and is decoded once more, so that its warnings come each time

    def _decode(
        self, clip: LabelledClip, picks: Sequence[Indices], reduction: CutPictures
    ) -> tuple[list[Pixels], tuple[str, ...]]:
        """As `read`, from the file."""
        times_s = self.times_s(clip)
        # A little behind each frame's time: those of a constant rate are rounded.
        later_s = np.append(np.diff(times_s) / 4, 0.0) if len(times_s) > 1 else np.zeros(1)
        later_s[-1] = later_s.max()
        selections = tuple(AtTimes(tuple((times_s + later_s)[of_clip].tolist())) for of_clip in picks)
        reader = self.reader.reader
        if reader.isolate:  # the other process knows the networks' own reductions only
            source = open_clips(
                clip.path, Selections(selections), limits=reader.limits, fps=reader.fps, isolate=True
            )
            with source:
                whole = [whole_frames(part) for part in source]
            return [_reduced(frames, reduction) for frames in whole], tuple(source.warnings)
        opened = ClipReader(
            clip.path, Selections(selections), limits=reader.limits, fps=reader.fps, resize=reduction
        )
        pixels = []
        with opened:
            for part in opened:
                assert isinstance(part.frames, ResizedFrames)
                pixels.append(np.asarray(part.frames.pixels, dtype=np.uint8))
        return pixels, tuple(opened.warnings)

    def _read_times(self, clip: LabelledClip) -> Times:
        if is_picture(clip.path):
            return np.zeros(1)
        start_s, end_s = self.reader.span_s(clip)
        all_s = self.reader.reader.frame_times(clip.path)
        stop_s = np.inf if end_s is None else end_s
        within_s: Times = all_s[(all_s >= start_s - TIME_TOLERANCE_S) & (all_s < stop_s - TIME_TOLERANCE_S)]
        if len(within_s):
            return within_s
        if not len(all_s) or start_s > all_s[-1] + _BEHIND_S:
            raise InputError(
                f"{display_path(clip.path)}: the clip from {start_s:g} s lies behind the last frame"
            )
        return all_s[on_screen_indices(all_s, [start_s])]

    def _keep(self, clip: LabelledClip, times: _Even | Times) -> None:
        self._times[_key(clip)] = times
        self._kept_bytes += 0 if isinstance(times, _Even) else times.nbytes
        while self._kept_bytes > _MOST_BYTES or len(self._times) > _MOST_CLIPS:
            _, oldest = self._times.popitem(last=False)
            self._kept_bytes -= 0 if isinstance(oldest, _Even) else oldest.nbytes


def _compact(times_s: Times) -> _Even | Times:
    even = _Even(float(times_s[0]), float(times_s[-1]), len(times_s))
    is_even = np.abs(np.linspace(*even) - times_s).max() <= _EVEN_S
    return even if is_even else times_s


def _reduced(frames_THWC: Pixels, reduction: CutPictures) -> Pixels:
    """(T, K, h, w, 3)."""
    plan = reduction.plan(*frames_THWC.shape[1:3])
    reduced = np.empty((len(frames_THWC), *plan.shape), dtype=np.uint8)
    for frame, out in zip(frames_THWC, reduced, strict=True):
        plan.apply(frame, out)
    return reduced
