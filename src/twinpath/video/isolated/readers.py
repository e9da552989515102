"""A whole file as clips, in the worker process: each frame, or blocks of audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from twinpath.video.audio_samples import AudioSamples
from twinpath.video.clip_plan import ClipPlan
from twinpath.video.clips import Clip, ClipReader
from twinpath.video.color import Rgb
from twinpath.video.decode import FrameStream
from twinpath.video.isolated.messages import AudioBlocks, EveryFrame, StreamPlan
from twinpath.video.resize import Resize
from twinpath.video.source import Limits

Allocate = Callable[[tuple[int, ...]], Rgb]


class WholeFile:
    """What a file holds, one after another, from number `first` on.

    Attributes:
        end_s, first_frame_s: Unknown: 0.
        about: Numbers about it: the frame rate, or the sample rate and the channels; after the last frame of
            an undamaged file also `ends_at_s`, see `FrameStream`.
        warnings: One line each; complete after the last clip.
    """

    end_s = first_frame_s = 0.0

    def __init__(
        self,
        path: str,
        plan: EveryFrame | AudioBlocks,
        *,
        limits: Limits,
        fps: float | None,
        allocate: Allocate,
        first: int,
    ) -> None:
        """Open the file. Raises: As `FrameStream` and `AudioSamples`."""
        self._allocate, self._first = allocate, first
        self._source: FrameStream | AudioSamples
        self.about: dict[str, float]
        if isinstance(plan, EveryFrame):
            frames = FrameStream(path, limits=limits, fps=fps)
            self._source, self.about = frames, {"fps": frames.fps}
        else:
            audio = AudioSamples(path, limits=limits)
            self._source, self.about = audio, {"rate_hz": audio.rate_hz, "channels": audio.channels}

    def __len__(self) -> int:
        """Unknown."""
        return 0

    @property
    def warnings(self) -> list[str]:
        return self._source.warnings

    def warnings_until(self, time_s: float) -> list[str]:
        """Known at the end only."""
        return []

    def close(self) -> None:
        self._source.close()

    def __iter__(self) -> Iterator[Clip]:
        items: Iterator[tuple[float, npt.NDArray[Any]]] = iter(self._source)
        for number, (time_s, values) in enumerate(items):
            if number < self._first:
                continue
            one = (values.view(np.uint8).reshape(*values.shape, -1) if values.ndim == 2 else values)[None]
            shared = self._allocate(one.shape)
            shared[:] = one
            yield Clip(time_s, time_s, shared, np.array([time_s]), number)
        if isinstance(self._source, FrameStream) and self._source.ends_at_s is not None:
            self.about = self.about | {"ends_at_s": self._source.ends_at_s}


def open_reader(
    path: str,
    plan: StreamPlan,
    *,
    limits: Limits,
    fps: float | None,
    resize: Resize | None,
    allocate: Allocate,
    first: int,
) -> ClipReader | WholeFile:
    """The reader of a plan. Raises: As `ClipReader` and `WholeFile`."""
    if isinstance(plan, EveryFrame | AudioBlocks):
        return WholeFile(path, plan, limits=limits, fps=fps, allocate=allocate, first=first)
    clips: ClipPlan = plan
    return ClipReader(path, clips, limits=limits, fps=fps, resize=resize, allocate=allocate, first=first)
