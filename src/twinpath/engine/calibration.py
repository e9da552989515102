"""Clips to calibrate and to check an int8 network with: of videos, or of the synthetic world.

    with ClipFile() as calibration, ClipFile() as validation:
        read_clips(spec, ["a.mp4", "b.mp4"], calibration, validation)
        made = quantize(model, calibration, validation)

The clips lie in a temporary file, in 8 bits, so that memory does not depend on how many there are.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, overload

import numpy as np

from twinpath.data.synthetic.clips import (
    DURATION_S,
    VALIDATION_SEED,
    RenderedClips,
    RenderedKeyframes,
)
from twinpath.engine.quantize import Boxes, CalibrationClip
from twinpath.errors import INPUT_FAILURES, InputError, UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.video.clip_plan import Selections
from twinpath.video.clips import open_clips
from twinpath.video.isolated import probe_isolated
from twinpath.video.probe import probe
from twinpath.video.resize import Pixels, Resize, ResizedFrames
from twinpath.video.selection import Selection
from twinpath.video.source import DEFAULT_LIMITS, Limits

# Of the synthetic world: neither those of training nor those that accuracy is measured with.
CALIBRATION_SEED, COMPARISON_SEED = VALIDATION_SEED + 100_000_000, VALIDATION_SEED + 200_000_000
NUM_CALIBRATION_CLIPS = 100
NUM_VALIDATION_CLIPS = 200

CLIPS_A_SPAN = 4  # clips of a video start at least a quarter of their length apart

OnClip = Callable[[int, int], None]
"""Called with the clips done and the clips expected."""

Video = str | os.PathLike[str]
OnSkipped = Callable[[Video, Exception], None]
"""Called with a video that cannot be used, and the reason."""


class ClipFile(Sequence[CalibrationClip]):
    """Clips in a temporary file, which goes when it is closed. Use it in a `with` block.

    Values are rounded to whole numbers of 0 to 255, as an exported network takes them.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._clips: list[_Stored] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def append(self, clip: ResizedFrames, boxes_xyxy_px: Boxes | None = None) -> None:
        """Add a clip, perhaps with boxes; see `CalibrationClip`.

        Raises:
            OSError: The disk is full.
        """
        offset = self._file.seek(0, os.SEEK_END)
        self._file.write(np.clip(np.rint(clip.pixels), 0, 255).astype(np.uint8).tobytes())
        self._clips.append(_Stored(offset, clip.pixels.shape, clip.height_px, clip.width_px, boxes_xyxy_px))

    def __len__(self) -> int:
        return len(self._clips)

    @overload
    def __getitem__(self, index: int) -> CalibrationClip: ...
    @overload
    def __getitem__(self, index: slice) -> list[CalibrationClip]: ...
    def __getitem__(self, index: int | slice) -> CalibrationClip | list[CalibrationClip]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        stored = self._clips[index]
        self._file.seek(stored.offset)
        values = np.frombuffer(self._file.read(math.prod(stored.shape)), dtype=np.uint8)
        pixels: Pixels = values.reshape(stored.shape).astype(np.float32)
        frames = ResizedFrames(pixels, stored.height_px, stored.width_px)
        return frames if stored.boxes_xyxy_px is None else (frames, stored.boxes_xyxy_px)


class _Stored(NamedTuple):
    """Where a clip lies in the file, and what is not in it."""

    offset: int
    shape: tuple[int, ...]
    height_px: int
    width_px: int
    boxes_xyxy_px: Boxes | None


def render_clips(
    spec: InputSpec,
    clips: ClipFile,
    *,
    num_clips: int,
    first_seed: int,
    whole: bool = False,
    on_clip: OnClip | None = None,
) -> None:
    """Add clips of the synthetic world; always the same ones.

    Args:
        spec: Frames and size of a clip.
        clips: Receives them.
        num_clips: How many.
        first_seed: Clip i is of the scene of seed `first_seed + i`: `CALIBRATION_SEED` or `COMPARISON_SEED`.
        whole: Whole frames and the boxes of several people, for a detection network.
        on_clip: Is told how far it is.
    """
    resize = spec.resize(whole=whole)
    height_px = spec.short_side_px if spec.resize_px is None else spec.resize_px[0]
    labelled = RenderedClips(
        first_seed, num_clips, spec.num_frames, min(spec.clip_sampling.span_s, DURATION_S), (height_px,)
    )
    people = RenderedKeyframes(first_seed, num_clips, spec.num_frames, spec.sampling_rate, (height_px,))
    for i in range(num_clips):
        if whole:
            clip = people[i]
            boxes_px = clip.boxes_xyxy_px if len(clip.boxes_xyxy_px) else None
            clips.append(resize.of_clip(clip.frames), boxes_px)
        else:
            clips.append(resize.of_clip(labelled[i][0]))
        if on_clip:
            on_clip(i + 1, num_clips)


def read_clips(
    spec: InputSpec,
    videos: Sequence[Video],
    calibration: ClipFile,
    validation: ClipFile,
    *,
    num_calibration: int = NUM_CALIBRATION_CLIPS,
    num_validation: int = NUM_VALIDATION_CLIPS,
    whole: bool = False,
    limits: Limits = DEFAULT_LIMITS,
    isolate: bool = False,
    on_clip: OnClip | None = None,
    on_skipped: OnSkipped | None = None,
) -> None:
    """Add clips of videos: evenly spread over their length, the same number of each.

    Of several videos, every second one is for validation only. A single video gives its first part for
    calibration and the rest for validation. Videos that are shorter than the clips wanted of them give fewer.

    Args:
        spec: Frames, sampling and size of a clip.
        videos: Files, at least one.
        calibration, validation: Receive the clips.
        num_calibration, num_validation: How many are wanted.
        whole: Whole frames, for a detection network.
        limits, isolate: See `open_clips`.
        on_clip: Is told how far it is.
        on_skipped: Is told of each of several videos that cannot be used, which is then left out; clips that
            were read before an error count. None: such a video is an error.
    Raises:
        UsageError: No video.
        InputError, LimitExceeded, WorkerDied, OSError: A video cannot be used, or none of several; names it.
    """
    if not videos:
        raise UsageError("no video for calibration; give at least one")
    reader = _Reader(spec.resize(whole=whole), limits, isolate, on_skipped if len(videos) > 1 else None)
    usable = [(video, duration_s) for video in videos if (duration_s := reader.duration_s(video)) is not None]
    if not usable:
        raise InputError(f"none of {len(videos)} videos for calibration can be read")
    share = num_calibration / (num_calibration + num_validation)
    if len(usable) == 1:
        parts = [
            (calibration, usable, num_calibration, (0.0, share)),
            (validation, usable, num_validation, (share, 1.0)),
        ]
    else:
        parts = [
            (calibration, usable[::2], num_calibration, (0.0, 1.0)),
            (validation, usable[1::2], num_validation, (0.0, 1.0)),
        ]
    done, total = 0, num_calibration + num_validation
    for clips, of_part, wanted, part in parts:
        for i, (video, duration_s) in enumerate(of_part):
            num_clips = wanted * (i + 1) // len(of_part) - wanted * i // len(of_part)
            if not num_clips:
                continue
            for frames in reader.clips(video, tuple(_spread(spec, num_clips, duration_s, part))):
                clips.append(frames)
                done += 1
                if on_clip:
                    on_clip(done, total)


@dataclass(frozen=True)
class _Reader:
    """Reads videos; one that cannot be used is told of, or raised where nobody is told. See `read_clips`."""

    resize: Resize
    limits: Limits
    isolate: bool
    on_skipped: OnSkipped | None

    def duration_s(self, video: Video) -> float | None:
        """Length of a video, 0 where it is not known; None: it cannot be used."""
        try:
            info = (probe_isolated if self.isolate else probe)(video, limits=self.limits)
        except INPUT_FAILURES as error:
            self._skip(video, error)
            return None
        return info.duration_s or 0.0

    def clips(self, video: Video, selections: tuple[Selection, ...]) -> Iterator[ResizedFrames]:
        """Clips of a video, until it cannot be used any further."""
        plan = Selections(selections)
        try:
            with open_clips(
                video, plan, limits=self.limits, isolate=self.isolate, resize=self.resize
            ) as source:
                for clip in source:
                    assert isinstance(clip.frames, ResizedFrames)
                    yield clip.frames
        except INPUT_FAILURES as error:
            self._skip(video, error)

    def _skip(self, video: Video, error: Exception) -> None:
        if self.on_skipped is None:
            raise error
        self.on_skipped(video, error)


def _spread(
    spec: InputSpec, num_clips: int, duration_s: float, part: tuple[float, float]
) -> Iterator[Selection]:
    """Clips evenly spread over a part of a video, from and to a fraction of its length; at least one."""
    sampling = spec.clip_sampling
    begin_s, end_s = (fraction * duration_s for fraction in part)
    if sampling.sampling == "segments":  # a clip of the whole part
        yield sampling.middles(begin_s, end_s - begin_s)
        return
    room_s = max(end_s - begin_s - sampling.span_s, 0.0)
    most = 1 + math.floor(CLIPS_A_SPAN * room_s / sampling.span_s)
    for start_s in np.linspace(begin_s, begin_s + room_s, min(num_clips, most)).tolist():
        yield sampling.at(start_s)
