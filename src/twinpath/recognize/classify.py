"""Tell what happens in a video: the Classifier.

classify = Classifier("slowfast_r50_8x8")
answer = classify("archery.mp4")
answer.label, answer.predictions, answer.to_dict()
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import InputError, UsageError
from twinpath.labels import labels
from twinpath.recognize.results import Classification, Prediction
from twinpath.recognize.views import Views, selections
from twinpath.video.decode import read_frames
from twinpath.video.probe import probe
from twinpath.video.sampling import linspace_indices
from twinpath.zoo.create import input_spec, load_network, resolve

if TYPE_CHECKING:
    from torch import nn

    from twinpath.engine.torch_engine import TorchEngine
    from twinpath.weights.fetch import Progress
    from twinpath.zoo.records import Record

Frames = NDArray[np.uint8]
PART_BYTES = 1 << 29  # of frames that are held at once, where one clip does not need more
SYNTHETIC_WARNING = (
    "this model knows Twinpath's synthetic world only; its answer on a real video means nothing. "
    "Use --model slowfast_r50_8x8 for real video"
)


class Classifier:
    """Recognises the activity in videos. Make one, call it many times.

    Args:
        model: A network or a record (`twinpath models list`); a network alone takes its best weights.
        weights: A weight file to use in place of the record's.
        device: "auto", "cpu", "cuda", "cuda:1", …
        progress: Told the bytes done and expected while weights are downloaded.
    Raises:
        UnknownModel: No such name, or it has no published weights and none were given.
        UsageError: The device cannot be used here.
        WeightsError: The weights cannot be fetched, trusted or do not fit.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        device: str = "auto",
        *,
        progress: Progress | None = None,
    ) -> None:
        architecture, record = resolve(model)
        if architecture.is_detector:
            raise UsageError(f"{model} tells what each of several persons does; it classifies no clip")
        from twinpath.engine.torch_engine import choose_device

        self.model = record.name if record else architecture.name
        self.spec = input_spec(model)
        self.dataset = record.dataset if record else "kinetics400"
        self.labels = _class_names(record)
        self._take_highest = record is not None and record.views_pooling == "max"
        self._device = str(choose_device(device))  # before the load, which takes long
        self._network = load_network(self.model, weights, progress=progress)
        self._engines: dict[int, TorchEngine] = {}
        if len(self.labels) != _num_classes(self._network):
            raise UsageError(
                f"{self.model} has {_num_classes(self._network)} classes and {self.dataset} "
                f"{len(self.labels)} labels; no answer of it could be named"
            )

    def engine(self, num_crops: int = 1) -> TorchEngine:
        """The machine that scores clips with so many crops; made on first use."""
        from twinpath.engine.torch_engine import TorchEngine

        if num_crops not in self._engines:
            self._engines[num_crops] = TorchEngine(
                self._network, self.spec, num_crops=num_crops, device=self._device
            )
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
        """
        wanted = Views.parse(views)
        if not 0 <= start_s < float("inf"):
            raise UsageError(f"a start of {start_s} s makes no sense; give seconds from 0")
        if top_k < 1:
            raise UsageError(f"the top {top_k} makes no sense; give a number from 1")
        parts: Iterator[tuple[list[Frames], list[str]]]
        if isinstance(video, np.ndarray):
            if wanted.time != 1 or start_s:
                raise UsageError("frames are one clip: a start and views in time are for files")
            parts = iter([([_evenly(video, self.spec.num_frames)], [])])
        else:
            parts = self._decode(Path(video), wanted, start_s)
        scores: list[NDArray[np.float32]] = []
        warnings: dict[str, None] = {}  # in order, each once
        took_s = {"decode": 0.0, "infer": 0.0}
        done, before_s = 0, time.perf_counter()
        for clips, remarks in parts:
            decoded_s = time.perf_counter()
            scores.append(self.engine(wanted.space)(clips))
            took_s["decode"] += decoded_s - before_s
            before_s = time.perf_counter()
            took_s["infer"] += before_s - decoded_s
            warnings |= dict.fromkeys(remarks)
            done += len(clips)
            if progress is not None:
                progress(done, wanted.time)
        if self.dataset == "synthetic":
            warnings[SYNTHETIC_WARNING] = None
        return Classification(
            video=None if isinstance(video, np.ndarray) else os.fspath(video),
            model=self.model,
            engine=self.engine(wanted.space).describe(),
            views=str(wanted),
            predictions=self._best(np.concatenate(scores), top_k),
            warnings=tuple(warnings),
            timing_s={what: round(s, 4) for what, s in took_s.items()},
        )

    def _decode(self, path: Path, views: Views, start_s: float) -> Iterator[tuple[list[Frames], list[str]]]:
        """Clips and warnings in parts, since many views of a large picture would fill the memory."""
        needs_length = views.time > 1 or self.spec.sampling == "segments" or start_s > 0
        info = probe(path) if needs_length else None
        if info and info.duration_s is not None and start_s >= info.duration_s:
            raise UsageError(f"{path} lasts {info.duration_s:.2f} s; nothing starts at {start_s:g} s")
        wanted = selections(views, self.spec, start_s=start_s, info=info)
        clip_bytes = self.spec.num_frames * (info.width * info.height * 3 if info else 1)
        at_once = max(1, PART_BYTES // clip_bytes)
        for first in range(0, len(wanted), at_once):
            decoded = read_frames(path, wanted[first : first + at_once])
            yield [decoded.clip(i) for i in range(len(decoded.picks))], decoded.warnings

    def _best(self, scores: NDArray[np.float32], top_k: int) -> tuple[Prediction, ...]:
        merged = scores.max(axis=0) if self._take_highest else scores.mean(axis=0)
        if not np.isfinite(merged).all():
            raise InputError(f"{self.model} gave scores that are not numbers; are its weights sound?")
        order = np.argsort(-merged, kind="stable")[:top_k]
        return tuple(Prediction(self.labels[i], int(i), round(float(merged[i]), 6)) for i in order)


def _class_names(record: Record | None) -> tuple[str, ...]:
    """The labels of a record's classes; numbers where the dataset's names are not part of this package."""
    if record is None:
        return labels("kinetics400")
    if record.label_set is None:
        return tuple(f"{record.dataset} class {i}" for i in range(record.num_classes))
    return labels(record.label_set)


def _num_classes(network: nn.Module) -> int:
    return int(network.get_parameter("head.projection.weight").shape[0])


def _evenly(frames: Frames, num_frames: int) -> Frames:
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise UsageError(f"frames must be (T, H, W, 3) uint8 RGB, not {frames.shape} {frames.dtype}")
    return frames[linspace_indices(0, len(frames) - 1, num_frames)]
