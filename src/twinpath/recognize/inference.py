"""Step 3 of recognition: clips to scores, in batches of the device's size, also across videos.

for clip, scores in infer(model.engine, clips):            # one video
    clip.start_s, scores                                   # (crops, classes)

for video in infer_videos(model.engine, sources):          # many videos: batches span videos
    video.key, video.scores, video.error                   # (clips, crops, classes)

Other threads read clips during inference, of many videos a few at once. The clips in memory are limited in
bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import Boxes, Engine
from twinpath.errors import INPUT_FAILURES, InputError
from twinpath.prefetch import PrefetchEach, Prefetcher, Shares, batches
from twinpath.video.clips import Clip, ClipSource, Frames
from twinpath.video.source import DEFAULT_LIMITS

FULL_BATCH_CLIPS = 8  # the largest batch that is always filled: the same clips together in every run
Scores = NDArray[np.float32]
OpenSource = Callable[[], AbstractContextManager[ClipSource]]


def infer(
    engine: Engine, clips: Iterable[Clip], *, max_bytes: int = DEFAULT_LIMITS.max_bytes
) -> Iterator[tuple[Clip, Scores]]:
    """Score the clips of one video.

    Args:
        engine: See `load_model`.
        clips: An iterable that another thread reads; it must not be used elsewhere.
        max_bytes: As `Limits.max_bytes`: clips that wait and those that are scored take half of it at most;
            where one clip takes more than a quarter, the next is read when it is scored.
    Yields:
        Each clip with its (crops, classes) scores, or (crops, D) embeddings, in order.
    Raises:
        InputError: The network produced NaN or Inf; also the errors of reading the clips.
        LimitExceeded: A clip needs more memory than the device has.
    """
    for batch in infer_batches(engine, clips, max_bytes=max_bytes):
        yield from batch


def infer_batches(
    engine: Engine, clips: Iterable[Clip], *, max_bytes: int = DEFAULT_LIMITS.max_bytes
) -> Iterator[list[tuple[Clip, Scores]]]:
    """As `infer`, in batches."""
    shares = Shares.of(max_bytes)
    with prefetched_clips(clips, shares) as prefetched:
        for batch in batches(
            prefetched,
            engine.batch_clips,
            size_bytes=size_bytes,
            max_bytes=shares.batch_bytes,
            is_ready=batch_is_ready(engine, prefetched),
        ):
            yield list(zip(batch, scores_of(engine, [clip.frames for clip in batch]), strict=True))
            del batch  # free it before the next one is gathered


def prefetched_clips(clips: Iterable[Clip], shares: Shares) -> Prefetcher[Clip]:
    """Clips that another thread reads ahead."""
    return Prefetcher(
        clips, size_bytes=size_bytes, max_bytes=shares.prefetch_bytes, lone_bytes=shares.lone_bytes
    )


def batch_is_ready(engine: Engine, prefetched: Prefetcher[Any] | PrefetchEach[Any]) -> Callable[[], bool]:
    """The `is_ready` function for `prefetch.batches`: whether to wait for more clips to fill a batch.

    A large batch is not filled: decoding is often slower than a GPU, so the clips decoded so far are scored
    while the next ones are decoded.
    """
    return (lambda: True) if engine.batch_clips <= FULL_BATCH_CLIPS else prefetched.is_ready


def scores_of(
    engine: Engine, clips: Sequence[Frames], boxes_xyxy_px: Sequence[Boxes] | None = None
) -> list[Scores]:
    """Run a batch of any size.

    Args:
        engine: See `load_model`.
        clips: Each (T, H, W, 3) uint8, or resized with `engine.resize`.
        boxes_xyxy_px: For a detection model: (P, 4) boxes of each clip, in pixels.
    Returns:
        One array per clip: (crops, classes or D), or (P, classes) for boxes.
    Raises:
        InputError: The network produced NaN or Inf.
        LimitExceeded: A clip needs more memory than the device has.
    """
    scores = engine(clips, boxes_xyxy_px)
    if not all(np.isfinite(rows).all() for rows in scores):
        raise InputError("the network produced NaN or Inf; the checkpoint may be corrupt")
    return scores


@dataclass(eq=False)
class VideoScores:
    """The scores of the clips of one video, or its error.

    Attributes:
        key: The key of the video in `sources`.
        spans_s: Start and end of each clip in seconds.
        scores: One array per clip: (crops, classes or D).
        warnings: Warnings for the user about the file.
        decode_s, infer_s: Seconds spent on reading, and on inference by the video's share of the batches.
        error: Why the video was not read or scored to its end; None: it was.
    """

    key: Any
    spans_s: list[tuple[float, float]] = field(default_factory=list)
    scores: list[Scores] = field(default_factory=list)
    warnings: tuple[str, ...] = ()
    decode_s: float = 0.0
    infer_s: float = 0.0
    error: Exception | None = None

    def add(self, item: _ReadItem, result: Scores | Exception | None, infer_s: float) -> None:
        """Add the scores or the error of the next clip; at the end of the video, its warnings."""
        self.decode_s += item.decode_s
        self.infer_s += infer_s
        self.warnings = item.warnings
        if item.clip is None or isinstance(result, Exception):
            self.error = self.error or (item.error if item.clip is None else result)  # type: ignore[assignment]
        elif result is not None:
            self.spans_s.append((item.clip.start_s, item.clip.end_s))
            self.scores.append(result)


@dataclass(frozen=True, eq=False)
class _ReadItem:
    """A clip of a video; `clip` None: the end of the video, or its error."""

    key: Any
    clip: Clip | None
    decode_s: float
    warnings: tuple[str, ...] = ()
    error: Exception | None = None


def infer_videos(
    engine: Engine,
    sources: Iterable[tuple[Any, OpenSource]],
    *,
    on_clip: Callable[[Any, int], None] | None = None,
    max_bytes: int = DEFAULT_LIMITS.max_bytes,
    at_once: int = 1,
) -> Iterator[VideoScores]:
    """Score the clips of many videos. A video that fails does not affect the others.

    Args:
        engine: See `load_model`.
        sources: Pairs of a key and a function that opens the clips of the video, called in a reading
            thread.
        on_clip: Called with the key and the number of scored clips of that video so far.
        max_bytes: See `infer`.
        at_once: How many videos are read at once.
    Yields:
        The scores of each video, in order. `error` is one of `INPUT_FAILURES`; other errors are raised.
    """
    shares = Shares.of(max_bytes)
    with PrefetchEach(
        (_read(key, open_source) for key, open_source in sources),
        at_once=at_once,
        size_bytes=_item_bytes,
        max_bytes=shares.prefetch_bytes,
        lone_bytes=shares.lone_bytes,
    ) as prefetched:
        video: VideoScores | None = None
        for batch in _batches(prefetched, engine, shares.batch_bytes):
            results = iter(_results(engine, [item.clip for item in batch if item.clip is not None]))
            for item in batch:
                video = video or VideoScores(item.key)
                video.add(item, *(next(results) if item.clip is not None else (None, 0.0)))
                if item.clip is None:
                    yield video
                    video = None
                elif on_clip is not None:
                    on_clip(item.key, len(video.scores))
            del batch, item  # free the frames before the next batch is gathered


def _read(key: Any, open_source: OpenSource) -> Iterator[_ReadItem]:
    """All clips of a video, followed by an end item; runs in a reading thread."""
    began_s = time.perf_counter()
    warnings: tuple[str, ...] = ()
    failure = None
    try:
        with open_source() as source:
            for clip in source:
                yield _ReadItem(key, clip, time.perf_counter() - began_s)
                del clip
                began_s = time.perf_counter()
            warnings = tuple(source.warnings)
    except INPUT_FAILURES as error:
        failure = error
    yield _ReadItem(key, None, time.perf_counter() - began_s, warnings, failure)


def _batches(items: PrefetchEach[_ReadItem], engine: Engine, max_bytes: int) -> Iterator[list[_ReadItem]]:
    """Batches of up to `batch_clips` clips, limited in bytes, with the end items among them."""
    is_ready = batch_is_ready(engine, items)
    batch: list[_ReadItem] = []
    clips = batch_bytes = 0
    for item in items:
        batch.append(item)
        clips += item.clip is not None
        batch_bytes += _item_bytes(item)
        is_full = clips >= engine.batch_clips or batch_bytes + _item_bytes(item) > max_bytes
        if not clips or is_full or not is_ready():
            yield batch
            batch, clips, batch_bytes = [], 0, 0
        del item
    if batch:
        yield batch


def _results(engine: Engine, clips: list[Clip]) -> list[tuple[Scores | Exception, float]]:
    """For each clip its scores or error, and its share of the seconds of inference."""
    if not clips:
        return []
    began_s = time.perf_counter()
    results: Sequence[Scores | Exception]
    try:
        results = scores_of(engine, [clip.frames for clip in clips])
    except INPUT_FAILURES as error:
        if len(clips) > 1:  # the other clips may be of other videos
            return [result for clip in clips for result in _results(engine, [clip])]
        results = [error]
    took_s = (time.perf_counter() - began_s) / len(clips)
    return [(result, took_s) for result in results]


def size_bytes(clip: Clip) -> int:
    """Size of a clip's pixels in memory."""
    return clip.nbytes


def _item_bytes(item: _ReadItem) -> int:
    return 0 if item.clip is None else item.clip.nbytes
