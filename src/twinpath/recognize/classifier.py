"""Tell what happens in a video: the Classifier.

classify = Classifier("slowfast_r50_8x8")
answer = classify("archery.mp4")
answer.label, answer.predictions, answer.to_dict()
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.engine.base import Engine
from twinpath.engine.config import EngineConfig
from twinpath.errors import InputError, LimitExceeded, UsageError, WorkerDied
from twinpath.labels import labels
from twinpath.prefetch import Prefetcher
from twinpath.recognize.plan import Views, selections
from twinpath.results.classification import SYNTHETIC_WARNING, Classification, Prediction
from twinpath.video.decode import DecodedFrames, read_frames
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.sampling import linspace_indices
from twinpath.zoo.create import input_spec, resolve

if TYPE_CHECKING:
    from twinpath.weights.fetch import Progress
    from twinpath.zoo.records import Record

logger = logging.getLogger(__name__)

Frames = NDArray[np.uint8]
FAILURES = (InputError, LimitExceeded, WorkerDied, UsageError, OSError)  # of one file, which end no batch
PART_BYTES = 1 << 29  # of frames that are held at once, where one clip does not need more


@dataclass(frozen=True, eq=False)
class Part:
    """Some clips of a video, what to say of it, and how long decoding them took."""

    clips: list[Frames]
    warnings: list[str]
    decode_s: float


@dataclass(frozen=True, eq=False)
class _Opened:
    """A file that is being read: its first part, or what went wrong; and the rest."""

    path: Path
    first: Part | Exception
    rest: Iterator[Part]

    def size_bytes(self) -> int:
        return sum(clip.nbytes for clip in self.first.clips) if isinstance(self.first, Part) else 0

    def parts(self) -> Iterator[Part]:
        """All parts; raises what went wrong."""
        if isinstance(self.first, Exception):
            raise self.first
        yield self.first
        yield from self.rest


class Classifier:
    """Recognises the activity in videos. Make one, call it many times.

    Args:
        model: A network or a record (`twinpath models list`); a network alone takes its best weights.
        weights: A weight file to use in place of the record's.
        device: "auto", "cpu", "cuda", "cuda:1", …
        config: Which engine, device, precision and threads; in place of `device`.
        isolate: Read files in a process with limits, see `twinpath.video.isolated`: a file that crashes
            FFmpeg or exceeds a limit is then an error like any other.
        progress: Told the bytes done and expected while weights are downloaded.
        on_status: Told, in a sentence, of work that takes seconds and is done once.
    Raises:
        UnknownModel: No such name, or it has no published weights and none were given.
        UsageError: The engine, the device or the precision cannot be had here.
        WeightsError: The weights cannot be fetched, trusted or do not fit.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        config: EngineConfig | None = None,
        isolate: bool = False,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        architecture, record = resolve(model)
        if architecture.is_detector:
            raise UsageError(f"{model} tells what each of several persons does; it classifies no clip")
        if record is None and weights is None:
            raise UsageError(f"no weights are published for {model}; give a file with --weights")
        from twinpath.engine.open import open_engine

        self.model = record.name if record else architecture.name
        self.spec = input_spec(model)
        self.dataset = record.dataset if record else "kinetics400"
        self.labels = _class_names(record)
        self._take_highest = record is not None and record.views_pooling == "max"
        engine = open_engine(
            self.model,
            None if weights is None else Path(weights),
            config=config or EngineConfig(device=device),
            progress=progress,
            on_status=on_status or logger.info,
        )
        self._engines: dict[int, Engine] = {1: engine}
        self._read_frames: Callable[..., DecodedFrames]
        self._probe: Callable[..., VideoInfo]
        self._read_frames, self._probe = _isolated() if isolate else (read_frames, probe)
        if len(self.labels) != engine.num_classes:
            raise UsageError(
                f"{self.model} has {engine.num_classes} classes and {self.dataset} "
                f"{len(self.labels)} labels; no answer of it could be named"
            )

    def engine(self, num_crops: int = 1) -> Engine:
        """The machine that scores clips with so many crops; made on first use."""
        if num_crops not in self._engines:
            self._engines[num_crops] = self._engines[1].with_crops(num_crops)
        return self._engines[num_crops]

    def __call__(
        self,
        video: str | os.PathLike[str] | Frames,
        *,
        start_s: float = 0.0,
        views: str = "1x1",
        top_k: int = 5,
        progress: Callable[[int, int], None] | None = None,
    ) -> Classification:
        """Classify a video file, or frames that are already decoded.

        Args:
            video: A path; or (T, H, W, 3) uint8 RGB frames of one clip, any number of them: T of them are
                taken evenly.
            start_s: Where in the file to begin, in seconds.
            views: Crops in space x clips in time over which scores are averaged.
            top_k: How many labels to return.
            progress: Told how many clips in time are done, of how many.
        Raises:
            InputError: The file cannot be used; says why.
            UsageError: An argument makes no sense, or `start_s` lies behind the end.
            LimitExceeded: The file would cost too much.
            WorkerDied: With `isolate`: the file ended the process that read it twice.
        """
        wanted = _checked(views, start_s, top_k)
        parts: Iterator[Part]
        if isinstance(video, np.ndarray):
            if wanted.time != 1 or start_s:
                raise UsageError("frames are one clip: a start and views in time are for files")
            parts = iter([Part([_evenly(video, self.spec.num_frames)], [], 0.0)])
            return self._answer(None, parts, wanted, top_k, progress)
        return self._answer(
            os.fspath(video), self._decode(Path(video), wanted, start_s), wanted, top_k, progress
        )

    def each(
        self,
        videos: Iterable[str | os.PathLike[str]],
        *,
        start_s: float = 0.0,
        views: str = "1x1",
        top_k: int = 5,
    ) -> Iterator[Classification | Exception]:
        """Classify many files; each is decoded while the one before is classified.

        Args:
            videos: Paths.
            start_s, views, top_k: As for one.
        Yields:
            For each file, in order, its answer, or the InputError, LimitExceeded, WorkerDied, UsageError or
            OSError that kept it from one.
        """
        wanted = _checked(views, start_s, top_k)
        opened = (self._opened(Path(video), wanted, start_s) for video in videos)
        with Prefetcher(opened, size_bytes=_Opened.size_bytes, most_bytes=PART_BYTES, most_items=4) as ahead:
            for item in ahead:
                try:
                    yield self._answer(os.fspath(item.path), item.parts(), wanted, top_k, None)
                except FAILURES as error:
                    yield error

    def _opened(self, path: Path, views: Views, start_s: float) -> _Opened:
        """A file with its first part decoded, in most cases all of it; or what went wrong."""
        rest = self._decode(path, views, start_s)
        try:
            return _Opened(path, next(rest), rest)
        except FAILURES as error:
            return _Opened(path, error, rest)

    def _answer(
        self,
        video: str | None,
        parts: Iterator[Part],
        views: Views,
        top_k: int,
        progress: Callable[[int, int], None] | None,
    ) -> Classification:
        scores: list[NDArray[np.float32]] = []
        warnings: dict[str, None] = {}  # in order, each once
        decode_s = infer_s = 0.0
        done = 0
        for part in parts:
            began_s = time.perf_counter()
            scores += self.engine(views.space)(part.clips)
            infer_s += time.perf_counter() - began_s
            decode_s += part.decode_s
            warnings |= dict.fromkeys(part.warnings)
            done += len(part.clips)
            if progress is not None:
                progress(done, views.time)
        if self.dataset == "synthetic":
            warnings[SYNTHETIC_WARNING] = None
        return Classification(
            video=video,
            model=self.model,
            engine=self.engine(views.space).describe(),
            views=str(views),
            predictions=self._best(np.concatenate(scores), top_k),
            warnings=tuple(warnings),
            timing_s={"decode": round(decode_s, 4), "infer": round(infer_s, 4)},
        )

    def _decode(self, path: Path, views: Views, start_s: float) -> Iterator[Part]:
        """Clips in parts, since many views of a large picture would fill the memory."""
        began_s = time.perf_counter()
        needs_length = views.time > 1 or self.spec.sampling == "segments" or start_s > 0
        info = self._probe(path) if needs_length else None
        if info and info.duration_s is not None and start_s >= info.duration_s:
            raise UsageError(f"{path} lasts {info.duration_s:.2f} s; nothing starts at {start_s:g} s")
        wanted = selections(views, self.spec, start_s=start_s, info=info)
        clip_bytes = self.spec.num_frames * (info.width * info.height * 3 if info else 1)
        at_once = max(1, PART_BYTES // clip_bytes)
        for first in range(0, len(wanted), at_once):
            decoded = self._read_frames(path, wanted[first : first + at_once])
            clips = [decoded.clip(i) for i in range(len(decoded.picks))]
            yield Part(clips, decoded.warnings, time.perf_counter() - began_s)
            began_s = time.perf_counter()

    def _best(self, scores: NDArray[np.float32], top_k: int) -> tuple[Prediction, ...]:
        merged = scores.max(axis=0) if self._take_highest else scores.mean(axis=0)
        if not np.isfinite(merged).all():
            raise InputError(f"{self.model} gave scores that are not numbers; are its weights sound?")
        order = np.argsort(-merged, kind="stable")[:top_k]
        return tuple(Prediction(self.labels[i], int(i), round(float(merged[i]), 6)) for i in order)


def _isolated() -> tuple[Callable[..., DecodedFrames], Callable[..., VideoInfo]]:
    from twinpath.video.isolated.sandbox import probe_isolated, read_frames_isolated

    return read_frames_isolated, probe_isolated


def _checked(views: str, start_s: float, top_k: int) -> Views:
    """Raises: UsageError: one of them makes no sense."""
    wanted = Views.parse(views)
    if not 0 <= start_s < float("inf"):
        raise UsageError(f"a start of {start_s} s makes no sense; give seconds from 0")
    if top_k < 1:
        raise UsageError(f"the top {top_k} makes no sense; give a number from 1")
    return wanted


def _class_names(record: Record | None) -> tuple[str, ...]:
    """The labels of a record's classes; numbers where the dataset's names are not part of this package."""
    if record is None:
        return labels("kinetics400")
    if record.label_set is None:
        return tuple(f"{record.dataset} class {i}" for i in range(record.num_classes))
    return labels(record.label_set)


def _evenly(frames: Frames, num_frames: int) -> Frames:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise UsageError(f"frames must be (T, H, W, 3) uint8 RGB, not {frames.shape} {frames.dtype}")
    return frames[linspace_indices(0, len(frames) - 1, num_frames)]
