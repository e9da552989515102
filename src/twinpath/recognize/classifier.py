"""The Classifier: recognises the activity in a video.

classify = Classifier("slowfast_r50_8x8")
result = classify("archery.mp4")
result.label, result.predictions, result.to_dict()
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.errors import UsageError
from twinpath.recognize.aggregate import aggregate_views, top_predictions
from twinpath.recognize.inference import OpenSource, VideoScores, infer_videos, scores_of
from twinpath.recognize.model import load_model
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.results.classification import SYNTHETIC_WARNING, Classification
from twinpath.video.clips import Clip
from twinpath.video.resize import ResizedFrames
from twinpath.video.sampling import linspace_indices
from twinpath.video.source import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress


class Classifier:
    """Recognises the activity in videos. Create one and call it many times.

    Args:
        model: A network or a record (`list_models`); a network name alone means its best weights.
        weights: A weight file that replaces the one of the record.
        device: "auto", "cpu", "cuda", "cuda:1", …
        config: Engine, device, precision and threads; in place of `device`.
        limits: Limits of reading one file.
        isolate: Read files in a sandboxed process, see `VideoReader`.
        fps: Frames per second of what has no times, see `VideoReader`.
        progress: Called with the bytes downloaded and the total while weights are downloaded.
        on_status: Called with a message before slow one-time work, such as compiling.
    Attributes:
        model: Full name of network and weights.
        dataset, labels, spec, weights_sha256, views: See `LoadedModel`.
        reader: Reads the files.
    Raises:
        UnknownModel, UsageError, WeightsError: See `load_model`.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        config: EngineConfig | None = None,
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
        fps: float | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        loaded = load_model(
            model,
            weights,
            config=config or EngineConfig(device=device),
            progress=progress,
            on_status=on_status,
        )
        self.model, self.dataset, self.labels, self.spec = (
            loaded.name,
            loaded.dataset,
            loaded.labels,
            loaded.spec,
        )
        self.weights_sha256 = loaded.weights_sha256
        self.reader = VideoReader(limits, isolate, fps)
        self.views, self._pooling = loaded.views, loaded.view_pooling
        self._engines: dict[int, Engine] = {1: loaded.engine}

    def engine(self, num_crops: int = 1) -> Engine:
        """The engine that scores `num_crops` crops per clip; created on first use."""
        if num_crops not in self._engines:
            self._engines[num_crops] = self._engines[1].with_crops(num_crops)
        return self._engines[num_crops]

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        return self.engine(1).describe()

    def __call__(
        self,
        video: str | os.PathLike[str] | NDArray[np.uint8] | ResizedFrames,
        *,
        start_s: float = 0.0,
        views: str | None = None,
        top_k: int = 5,
        min_score: float = 0.0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Classification:
        """Classify a video file, or decoded frames.

        Args:
            video: A path; or (T, H, W, 3) uint8 RGB frames of one clip. T may be any number: the frames that
                the model needs are sampled evenly. Or frames resized with the `resize` of `engine`.
            start_s: Skip this many seconds at the start of the file.
            views: Spatial crops x temporal clips whose scores are averaged, for example "3x10"; None: the
                model's own, of most models "1x1".
            top_k: Number of labels to return.
            min_score: Below it the best label's score means that the activity is unknown.
            progress: Called with the number of temporal clips done and the total.
        Raises:
            InputError: The file cannot be used; the message has the reason.
            UsageError: An argument is out of range, or `start_s` lies behind the end.
            LimitExceeded: A limit is exceeded.
            WorkerDied: With `isolate`: the process that read the file ended twice.
        """
        parsed = checked_views(views or self.views, start_s=start_s, top_k=top_k, min_score=min_score)
        if isinstance(video, np.ndarray | ResizedFrames):
            if parsed.time != 1 or start_s:
                raise UsageError(
                    "decoded frames are one clip: start_s and several temporal views are for files only"
                )
            return self._classify_frames(video, parsed, top_k, min_score)
        path = Path(video)

        def on_clip(key: object, done: int) -> None:
            if progress is not None:
                progress(done, parsed.time)

        sources = [(path, self._source(path, parsed, start_s))]
        (scored,) = infer_videos(
            self.engine(parsed.space), sources, on_clip=on_clip, max_bytes=self.reader.limits.max_bytes
        )
        result = self._result(os.fspath(video), scored, parsed, top_k, min_score)
        if isinstance(result, Exception):
            raise result
        return result

    def clip(self, video: str | os.PathLike[str], *, start_s: float = 0.0) -> Clip:
        """The clip that is classified with one view, whole frames and their times; to show or change it.

        `__call__` takes its frames (T, H, W, 3), too. Arguments and errors as there.
        """
        checked_views("1x1", start_s=start_s, top_k=1)
        path = Path(video)
        with self.reader.open_views(path, self.spec, Views(1, 1), start_s=start_s, resized=False) as source:
            (clip,) = source
        return clip

    def each(
        self,
        videos: Iterable[str | os.PathLike[str]],
        *,
        start_s: float = 0.0,
        views: str | None = None,
        top_k: int = 5,
        min_score: float = 0.0,
    ) -> Iterator[Classification | Exception]:
        """Classify many files. The next files are read during inference, and batches span files.

        Args:
            videos: Paths.
            start_s, views, top_k, min_score: See `__call__`.
        Yields:
            For each file, in order, its result, or its error: one of `errors.INPUT_FAILURES`.
        """
        parsed = checked_views(views or self.views, start_s=start_s, top_k=top_k, min_score=min_score)
        sources = ((video, self._source(Path(video), parsed, start_s)) for video in videos)
        for scored in infer_videos(
            self.engine(parsed.space),
            sources,
            max_bytes=self.reader.limits.max_bytes,
            at_once=self.reader.videos_at_once,
        ):
            yield self._result(os.fspath(scored.key), scored, parsed, top_k, min_score)

    def _source(self, path: Path, views: Views, start_s: float) -> OpenSource:
        return partial(self.reader.open_views, path, self.spec, views, start_s=start_s)

    def _classify_frames(
        self, frames: NDArray[np.uint8] | ResizedFrames, views: Views, top_k: int, min_score: float
    ) -> Classification:
        scored = VideoScores(None)
        if not isinstance(frames, ResizedFrames):
            frames = _evenly(frames, self.spec.num_frames)
        scored.scores += scores_of(self.engine(views.space), [frames])
        result = self._result(None, scored, views, top_k, min_score)
        assert isinstance(result, Classification)
        return result

    def _result(
        self, video: str | None, scored: VideoScores, views: Views, top_k: int, min_score: float
    ) -> Classification | Exception:
        if scored.error is not None:
            return scored.error
        model_warnings = (SYNTHETIC_WARNING,) if self.dataset == "synthetic" else ()
        pooled = aggregate_views(scored.scores, self._pooling)
        return Classification(
            video=video,
            model=self.model,
            engine=self.engine(views.space).describe(),
            views=str(views),
            predictions=top_predictions(pooled, self.labels, top_k=top_k),
            warnings=(*scored.warnings, *model_warnings),
            timing_s={"decode": round(scored.decode_s, 4), "infer": round(scored.infer_s, 4)},
            min_score=min_score,
        )


def checked_views(views: str, *, start_s: float, top_k: int, min_score: float = 0.0) -> Views:
    """Check the arguments of a classification, and parse `views`.

    Raises:
        UsageError: An argument is out of range.
    """
    parsed = Views.parse(views)
    if not 0 <= start_s < float("inf"):
        raise UsageError(f"start_s must be 0 s or later, not {start_s:g}")
    if top_k < 1:
        raise UsageError(f"top_k must be at least 1, not {top_k}")
    if not 0 <= min_score <= 1:
        raise UsageError(f"min_score must be 0 to 1, not {min_score:g}")
    return parsed


def classification_settings(
    *, views: str, start_s: float, top_k: int, min_score: float = 0.0
) -> dict[str, Any]:
    """The settings that determine a classification, for its `Provenance`."""
    settings: dict[str, Any] = {"views": views, "start_s": start_s, "top_k": top_k}
    return settings | {"min_score": min_score} if min_score else settings


def _evenly(frames: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
    """`num_frames` frames, evenly sampled from the first to the last."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise UsageError(f"frames must be (T, H, W, 3) uint8 RGB, not {frames.shape} {frames.dtype}")
    return frames[linspace_indices(0, len(frames) - 1, num_frames)]
