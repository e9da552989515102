"""The FeatureExtractor: embeddings of a video's clips.

extract = FeatureExtractor("slowfast_r50_8x8")
for start_s, end_s, embedding in extract("match.mp4"):
    ...
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinpath.engine.config import EngineConfig
from twinpath.recognize.inference import VideoScores, infer_batches, infer_videos
from twinpath.recognize.model import load_model
from twinpath.recognize.plan import check_every_s, plan_windows
from twinpath.recognize.read import VideoReader
from twinpath.results.features import Feature
from twinpath.video.source import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress

logger = logging.getLogger(__name__)


class FeatureExtractor:
    """Computes embeddings of videos, one per clip of the model's input. Create one and call it many times.

    Args:
        model: A network or a record (`list_models`); a network name alone means its best weights.
        weights: A weight file that replaces the one of the record; for any number of classes, since the
            classification layer is not used.
        device: "auto", "cpu", "cuda", "cuda:1", …
        every_s: Stride of the clips in seconds. None: the clip length, so that clips are contiguous.
        config: Engine, device, precision and threads; in place of `device`.
        limits: Limits of reading one file.
        isolate: Read files in a sandboxed process, see `VideoReader`.
        fps: Frames per second of what has no times, see `VideoReader`.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        on_status: Called with a message before slow one-time work, such as compiling.
    Attributes:
        model: Full name of network and weights.
        span_s: Length of a clip in seconds.
        weights_sha256: Hash of a weight file that replaces the one of the record, else None.
    Raises:
        UnknownModel, UsageError, WeightsError: See `load_model`.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        every_s: float | None = None,
        config: EngineConfig | None = None,
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
        fps: float | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        if every_s is not None:
            check_every_s(every_s)
        loaded = load_model(
            model,
            weights,
            task="embedding",
            config=config or EngineConfig(device=device),
            progress=progress,
            on_status=on_status,
        )
        self.model, self.spec, self.engine = loaded.name, loaded.spec, loaded.engine
        self.weights_sha256 = loaded.weights_sha256
        self.reader = VideoReader(limits, isolate, fps)
        self.span_s = self.spec.clip_sampling.span_s
        self.every_s = self.span_s if every_s is None else every_s
        self._plan = plan_windows(self.spec, every_s=self.every_s)

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        return self.engine.describe()

    def __call__(
        self,
        video: str | os.PathLike[str],
        *,
        progress: Callable[[int, int], None] | None = None,
        on_warning: Callable[[str], None] = logger.warning,
    ) -> Iterator[Feature]:
        """Embed a whole video with a few clips in memory at a time.

        The last clip ends with the video. If it is shorter than the others, its frames are sampled evenly
        from the shorter span.

        Args:
            video: A path.
            progress: Called with the number of clips done and the total.
            on_warning: Called after the last clip with each warning about the file.
        Yields:
            One `Feature` per clip, in order of time.
        Raises:
            InputError: The file cannot be used; the message has the reason.
            LimitExceeded: A limit is exceeded.
            WorkerDied: With `isolate`: the process that read the file ended twice.
        """
        with self.reader.open(video, self._plan, self.engine.resize) as clips:
            done = 0
            for batch in infer_batches(self.engine, clips, max_bytes=self.reader.limits.max_bytes):
                for clip, embedding in batch:
                    yield Feature(clip.start_s, clip.end_s, embedding[0])
                done += len(batch)
                del batch, clip  # free the frames before the next ones are read
                if progress is not None:
                    progress(done, len(clips))
            for warning in clips.warnings:
                on_warning(warning)

    def each(
        self,
        videos: Iterable[str | os.PathLike[str]],
        *,
        on_clip: Callable[[Any, int], None] | None = None,
    ) -> Iterator[VideoScores]:
        """Embed many videos. The next videos are read during inference, and batches span videos.

        Args:
            videos: Paths.
            on_clip: Called with a path and the number of its clips done.
        Yields:
            For each video, in order, its embeddings as `scores`, each (1, D); or its `error`.
        """
        sources = (
            (video, partial(self.reader.open, Path(video), self._plan, self.engine.resize))
            for video in videos
        )
        yield from infer_videos(
            self.engine,
            sources,
            on_clip=on_clip,
            max_bytes=self.reader.limits.max_bytes,
            at_once=self.reader.videos_at_once,
        )


def feature_settings(*, every_s: float | None) -> dict[str, Any]:
    """The settings that determine the features of a video, for its `Provenance`."""
    return {"every_s": every_s}
