"""Every frame of a file, or its audio, that another process reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import numpy as np

from twinpath.errors import WorkerDied
from twinpath.paths import display_path
from twinpath.video.audio import AAC_RATES_HZ, LAYOUTS
from twinpath.video.audio_samples import EncodedAudio, SampleBlock
from twinpath.video.clips import whole_frames
from twinpath.video.closing import ClosesAtExit
from twinpath.video.color import Rgb
from twinpath.video.isolated.clips import IsolatedClips
from twinpath.video.isolated.messages import AudioBlocks, EveryFrame
from twinpath.video.isolated.pool import WorkerPool
from twinpath.video.source import Limits


class _Whole(ClosesAtExit):
    """Holds a worker process of a pool until it is exhausted or closed."""

    def __init__(
        self,
        pool: WorkerPool,
        path: Path,
        plan: EveryFrame | AudioBlocks,
        limits: Limits,
        *,
        fps: float | None = None,
    ) -> None:
        self._path = path
        self._clips = IsolatedClips(pool, path, plan, limits, fps=fps)

    def close(self) -> None:
        self._clips.close()

    def _refuse(self, what: str) -> NoReturn:
        self.close()
        raise WorkerDied(f"{display_path(self._path)}: the process that read it sent {what}")

    @property
    def warnings(self) -> list[str]:
        return self._clips.warnings


class IsolatedFrames(_Whole):
    """As `decode.FrameStream`."""

    def __init__(self, pool: WorkerPool, path: Path, limits: Limits, *, fps: float | None = None) -> None:
        """Open the file in a worker process. Raises: As `FrameStream`; LimitExceeded, WorkerDied."""
        super().__init__(pool, path, EveryFrame(), limits, fps=fps)
        self.fps = float(self._clips.about.get("fps", 0))
        self.frames_decoded = 0
        if self.fps <= 0:
            self._refuse("no frame rate")

    @property
    def ends_at_s(self) -> float | None:
        return self._clips.about.get("ends_at_s")

    def __iter__(self) -> Iterator[tuple[float, Rgb]]:
        for clip in self._clips:
            self.frames_decoded += 1
            yield clip.start_s, whole_frames(clip)[0]


class IsolatedAudio(_Whole, EncodedAudio):
    """As `audio.AudioTrack`, but always encoded anew: only samples of the file reach this process."""

    def __init__(self, pool: WorkerPool, path: Path, limits: Limits) -> None:
        """Open the file in a worker process. Raises: As `AudioTrack`; LimitExceeded, WorkerDied."""
        _Whole.__init__(self, pool, path, AudioBlocks(), limits)
        about = self._clips.about
        rate_hz, channels = int(about.get("rate_hz", 0)), int(about.get("channels", 0))
        if (rate_hz or channels) and not (rate_hz in AAC_RATES_HZ and channels in LAYOUTS):
            self._refuse("audio of no known form")
        EncodedAudio.__init__(self, self._blocks_of(channels), rate_hz=rate_hz, channels=channels)

    def _blocks_of(self, channels: int) -> Iterator[SampleBlock]:
        for clip in self._clips:
            samples = whole_frames(clip)[0].view(np.float32)[..., 0]
            if len(samples) != channels:
                self._refuse("audio of another form")
            yield clip.start_s, np.nan_to_num(samples, posinf=0, neginf=0)
