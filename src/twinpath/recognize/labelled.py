"""Labelled clips through a network: the views of each, as a classification takes them.

reader = LabelledReader(VideoReader(), spec, Views(1, 3))
for scored in reader.infer(engine, data.clips):
    scored.key, scored.scores, scored.error      # the clip; one (crops, C or D) array a view
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from twinpath.data.labelled.clip import LabelledClip
from twinpath.data.pictures import is_picture, read_picture
from twinpath.engine.base import Engine
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.inference import VideoScores, infer_videos
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.video.clips import Clip, ClipSource
from twinpath.video.resize import ResizedFrames


@dataclass(frozen=True)
class LabelledReader:
    """Reads the views of labelled clips.

    Attributes:
        reader: Reads the files.
        spec: Input of the network.
        views: Crops in space and clips in time, spread over the span of each clip.
        with_mirrored: Give every view a second time, mirrored.
    """

    reader: VideoReader
    spec: InputSpec
    views: Views
    with_mirrored: bool = False

    @property
    def views_per_clip(self) -> int:
        """Clips that `open` gives for one labelled clip."""
        return self.views.time * (2 if self.with_mirrored else 1)

    def open(self, clip: LabelledClip) -> ClipSource:
        """The views of one clip; use the result in a `with` block and iterate once.

        Raises:
            InputError: The file cannot be used, or the span lies behind its end; the message has the reason.
            LimitExceeded, WorkerDied: See `VideoReader.open`.
        """
        if is_picture(clip.path):
            picture: ClipSource = _PictureViews(clip.path, self.spec, self.views)
            return _WithMirrored(picture) if self.with_mirrored else picture
        start_s, end_s = self.span_s(clip)
        source = self.reader.open_views(clip.path, self.spec, self.views, start_s=start_s, end_s=end_s)
        return _WithMirrored(source) if self.with_mirrored else source

    def span_s(self, clip: LabelledClip) -> tuple[float, float | None]:
        """Start and end of a clip in seconds since the first frame."""
        earlier_s = 0.0
        if clip.clock == "player" and (clip.start_s or clip.end_s is not None):
            earlier_s = self.reader.probe(clip.path).first_frame_s
        start_s = max((clip.start_s or 0.0) - earlier_s, 0.0)
        return start_s, None if clip.end_s is None else clip.end_s - earlier_s

    def infer(
        self,
        engine: Engine,
        clips: Iterable[LabelledClip],
        *,
        on_view: Callable[[Any, int], None] | None = None,
    ) -> Iterator[VideoScores]:
        """Run the views of many clips; the next ones are read meanwhile, and batches span clips.

        Args:
            engine: For `views.space` crops.
            clips: In any order; those of one file are best read one after the other.
            on_view: Called with a clip and the number of its views done.
        Yields:
            For each clip, in order, what `infer_videos` gives for a video; its `key` is the clip.
        """
        yield from infer_videos(
            engine,
            ((clip, partial(self.open, clip)) for clip in clips),
            on_clip=on_view,
            max_bytes=self.reader.limits.max_bytes,
            at_once=self.reader.videos_at_once,
        )


class _PictureViews:
    """The views of a single picture: a clip in which nothing moves, the same for all clips in time."""

    def __init__(self, path: Path, spec: InputSpec, views: Views) -> None:
        self._path, self._spec, self._views = path, spec, views
        self.end_s, self.first_frame_s, self.warnings = 0.0, 0.0, list[str]()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self._views.time

    def __iter__(self) -> Iterator[Clip]:
        once = read_picture(self._path)[None]
        frames = self._spec.resize(num_crops=self._views.space).of_clip(once)
        frames = replace(frames, pixels=np.repeat(frames.pixels, self._spec.num_frames, axis=0))
        for number in range(len(self)):
            yield Clip(0.0, 0.0, frames, np.zeros(self._spec.num_frames), number)

    def warnings_until(self, time_s: float) -> list[str]:
        return self.warnings

    def close(self) -> None:
        """There is nothing open."""


class _WithMirrored:
    """The clips of a source, each followed by its mirror image."""

    def __init__(self, source: ClipSource) -> None:
        self._source = source
        self.end_s, self.first_frame_s, self.warnings = source.end_s, source.first_frame_s, source.warnings

    def __enter__(self) -> Self:
        self._source.__enter__()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.__exit__(exc_type, exc, trace)

    def __len__(self) -> int:
        return 2 * len(self._source)

    def __iter__(self) -> Iterator[Clip]:
        for clip in self._source:
            yield clip
            yield replace(clip, frames=mirrored(clip.frames))
        self.end_s, self.warnings = self._source.end_s, self._source.warnings

    def warnings_until(self, time_s: float) -> list[str]:
        return self._source.warnings_until(time_s)

    def close(self) -> None:
        self._source.close()


def mirrored(frames: Any) -> Any:
    """Frames (T, H, W, 3), or resized ones, with left and right exchanged."""
    if isinstance(frames, ResizedFrames):
        pixels = np.ascontiguousarray(frames.pixels[..., ::-1, :])
        return ResizedFrames(pixels, frames.height_px, frames.width_px)
    return np.ascontiguousarray(frames[..., ::-1, :])
