"""Step 2 of recognition: read the clips of a plan from a video file.

reader = VideoReader(limits=Limits(max_seconds=30), isolate=True)
with reader.open("upload.mp4", plan_windows(spec, every_s=1.0), engine.resize) as clips:
    for clip in clips:
        clip.start_s, clip.end_s, clip.frames    # as the engine takes them
    clips.warnings
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinpath.cores import available_cores
from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.paths import display_path
from twinpath.recognize.plan import Views, plan_views, views_need_info
from twinpath.results.provenance import Provenance
from twinpath.video.clip_plan import ClipPlan
from twinpath.video.clips import ClipSource, open_clips
from twinpath.video.probe import VideoInfo, frame_times, probe
from twinpath.video.resize import Resize
from twinpath.video.sampling import Times
from twinpath.video.source import DEFAULT_LIMITS, Limits, checked_fps, open_video

_MOST_AT_ONCE = 4  # FFmpeg has threads of its own for each


@dataclass(frozen=True)
class VideoReader:
    """Reads the video files of a run with the same limits and the same isolation.

    Attributes:
        limits: Limits of reading one file.
        isolate: Read in a sandboxed process, see `twinpath.video.isolated`: a file that crashes FFmpeg or
            needs too much memory then raises an error.
        fps: Frames per second of folders of pictures and of raw streams, which have no times; None: 25.
    Raises:
        UsageError: `fps` is no frame rate.
    """

    limits: Limits = DEFAULT_LIMITS
    isolate: bool = False
    fps: float | None = None

    def __post_init__(self) -> None:
        checked_fps(self.fps)

    @property
    def videos_at_once(self) -> int:
        """How many files of many are best read at once: decoding one file leaves cores idle at its ends.

        One where the time for a file is limited, since a file that waits for those before it is counted, too.
        """
        return 1 if self.limits.max_seconds is not None else min(available_cores(), _MOST_AT_ONCE)

    def probe(self, path: str | os.PathLike[str]) -> VideoInfo:
        """The properties of a file. Raises as `open`."""
        if self.isolate:
            from twinpath.video.isolated import probe_isolated

            return probe_isolated(path, limits=self.limits, fps=self.fps)
        return probe(path, limits=self.limits, fps=self.fps)

    def frame_times(self, path: str | os.PathLike[str]) -> Times:
        """The times of all frames in seconds, see `probe.frame_times`. Raises as `open`."""
        if self.isolate:
            from twinpath.video.isolated import frame_times_isolated

            return frame_times_isolated(path, limits=self.limits, fps=self.fps)
        return frame_times(path, limits=self.limits, fps=self.fps)

    def open(self, path: str | os.PathLike[str], plan: ClipPlan, resize: Resize | None) -> ClipSource:
        """The clips of a plan; use the result in a `with` block and iterate once.

        Args:
            path: The video.
            plan: Which clips.
            resize: What the network takes of each frame: `Engine.resize`; None: whole frames.

        Raises:
            InputError: The file cannot be used; the message has the reason.
            LimitExceeded: A limit is exceeded.
            WorkerDied: With `isolate`: the process that read the file ended twice.
        """
        return open_clips(path, plan, limits=self.limits, fps=self.fps, isolate=self.isolate, resize=resize)

    def open_views(
        self,
        path: str | os.PathLike[str],
        spec: InputSpec,
        views: Views,
        *,
        start_s: float = 0.0,
        end_s: float | None = None,
        resized: bool = True,
    ) -> ClipSource:
        """The clips of a classification, see `plan_views`. Probes the file if its duration is needed.

        With `resized` their frames are as the network takes them, else whole.

        Raises:
            UsageError: `start_s` lies behind the end, or the duration is needed and unknown; names the file.
            InputError, LimitExceeded, WorkerDied: As `open`.
        """
        info = self.probe(path) if views_need_info(views, spec, start_s=start_s) else None
        try:
            plan = plan_views(views, spec, start_s=start_s, end_s=end_s, info=info)
        except UsageError as error:
            raise UsageError(f"{display_path(Path(path))}: {error}") from error
        return self.open(path, plan, spec.resize(num_crops=views.space) if resized else None)


def fps_settings(fps: float | None) -> dict[str, float]:
    """What a frame rate adds to the settings of a `Provenance`; nothing for the default."""
    return {} if fps is None else {"fps": float(fps)}


def source_provenance(
    video: str | os.PathLike[str],
    *,
    model: str,
    weights_sha256: str | None = None,
    settings: Mapping[str, Any],
) -> Provenance:
    """`Provenance.of` a video; where the file cannot be reached, the error says what is wrong with it.

    Raises:
        InputError, OSError: There is no such file, or it cannot be read.
    """
    try:
        return Provenance.of(video, model=model, weights_sha256=weights_sha256, settings=settings)
    except (OSError, ValueError):
        with contextlib.closing(open_video(video)):
            raise
