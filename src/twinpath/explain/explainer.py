"""The Explainer: why a model gave a label its score.

explain = Explainer("slowfast_r50_8x8")
result = explain("archery.mp4")
result.label, result.peak_s, result.maps["whole"]
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from twinpath.engine.config import EngineConfig
from twinpath.engine.torch_engine import TorchEngine
from twinpath.errors import UsageError
from twinpath.explain.faithfulness import faithfulness
from twinpath.explain.when import occlusion_losses, over_frames, without_pathway
from twinpath.explain.where import WHOLE, class_maps
from twinpath.recognize.model import load_model
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.results.explanation import Explanation
from twinpath.suggest import did_you_mean
from twinpath.video.clips import Clip
from twinpath.video.resize import ResizedFrames
from twinpath.video.source import DEFAULT_LIMITS, Limits

if TYPE_CHECKING:
    from twinpath.weights.callbacks import Progress


class Explainer:
    """Explains the scores of a model. Create one and call it many times. It needs torch.

    Args:
        model: A network or a record (`list_models`), or a model folder with weights.
        weights: A weight file that replaces the one of the record.
        config: Device and threads; the engine is torch, in fp32.
        limits, isolate, fps: See `VideoReader`.
        progress, on_status: See `load_model`.
    Attributes:
        model, labels, weights_sha256: See `LoadedModel`.
        reader: Reads the files.
    Raises:
        UnknownModel, UsageError, WeightsError: See `load_model`; or another engine is named.
    """

    def __init__(
        self,
        model: str,
        weights: str | os.PathLike[str] | None = None,
        *,
        config: EngineConfig = EngineConfig(),
        limits: Limits = DEFAULT_LIMITS,
        isolate: bool = False,
        fps: float | None = None,
        progress: Progress | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        if config.engine not in ("auto", "torch"):
            raise UsageError(
                f"explanations follow gradients, which {config.engine} has not; take engine 'torch'"
            )
        config = replace(config, engine="torch", precision="fp32")
        loaded = load_model(model, weights, config=config, progress=progress, on_status=on_status)
        assert isinstance(loaded.engine, TorchEngine)
        self.model, self.labels, self._spec = loaded.name, loaded.labels, loaded.spec
        self.weights_sha256 = loaded.weights_sha256
        self._engine, self.reader = loaded.engine, VideoReader(limits, isolate, fps)
        self._network = loaded.engine.network.requires_grad_(False)

    def describe(self) -> str:
        """Backend, version, device and precision, human-readable."""
        return self._engine.describe()

    def __call__(
        self,
        video: str | os.PathLike[str],
        *,
        label: str | None = None,
        start_s: float = 0.0,
        is_measured: bool = True,
        progress: Callable[[int, int], None] | None = None,
    ) -> Explanation:
        """Explain the score of the clip that a classification with one view takes.

        Args:
            video: A path.
            label: Whose score; None: the best one's.
            start_s: Skip this many seconds at the start of the file.
            is_measured: Whether the faithfulness of the map is measured; it takes most of the time.
            progress: Called with the number of parts that are done, and of all.
        Raises:
            InputError, LimitExceeded, WorkerDied: The file cannot be used.
            UsageError: No such label, or `start_s` lies behind the end.
        """
        index = None if label is None else self._index(label)
        done = iter(range(1, 5))
        report = progress or (lambda _done, _of: None)
        found, warnings = self._read(Path(video), start_s)
        clip = self._normalised(found)
        scores = self.scores(clip)[0]
        best = int(scores.argmax())
        target = best if index is None else index

        def logits(clips: Tensor) -> Tensor:
            with torch.no_grad():
                return self._network(clips)[:, target].float()  # type: ignore[no-any-return]

        report(next(done), 4)
        t, h, w = (int(side) for side in clip.shape[2:])
        maps = class_maps(self._network, lambda: self._network(clip)[0, target], (t, h, w))
        report(next(done), 4)
        losses = over_frames(occlusion_losses(clip, logits), t)
        without = without_pathway(self._network, clip, lambda part: self.scores(part)[:, target])
        report(next(done), 4)
        measured = faithfulness(maps[WHOLE], clip, logits) if is_measured else None
        report(next(done), 4)
        if measured is not None and not measured.beats_random:
            warnings += ("the map does not mark what the network uses better than a random one does",)
        return Explanation(
            video=os.fspath(video),
            model=self.model,
            label=self.labels[target],
            score=float(scores[target]),
            best_label=self.labels[best],
            best_score=float(scores[best]),
            times_s=np.asarray(found.times_s, dtype=np.float64),
            maps=maps,
            losses=losses,
            score_without=without,
            faithfulness=measured,
            crop=self._crop(found),
            warnings=warnings,
        )

    def clip(self, video: str | os.PathLike[str], *, start_s: float = 0.0) -> Tensor:
        """(1, 3, T, H, W) the clip that is explained, normalised, on the device. Raises as `__call__`."""
        return self._normalised(self._read(Path(video), start_s)[0])

    def scores(self, clips: Tensor) -> Tensor:
        """(N, classes) of (N, 3, T, H, W) normalised clips."""
        with torch.no_grad():
            return self._network.scores(clips).float()

    def _index(self, label: str) -> int:
        try:
            return self.labels.index(label)
        except ValueError:
            hint = did_you_mean(label, self.labels)
            raise UsageError(f"{self.model} has no label {label!r}{hint}") from None

    def _read(self, path: Path, start_s: float) -> tuple[Clip, tuple[str, ...]]:
        """The clip of a single view, resized."""
        with self.reader.open_views(path, self._spec, Views(1, 1), start_s=start_s) as source:
            (clip,) = source
        return clip, tuple(source.warnings)

    def _normalised(self, clip: Clip) -> Tensor:
        """(1, 3, T, H, W) on the device."""
        assert isinstance(clip.frames, ResizedFrames)
        pixels = torch.from_numpy(clip.frames.pixels[:, 0]).to(self._engine.device)
        normalised: Tensor = self._engine.normalise(pixels[None]).contiguous()
        return normalised

    def _crop(self, clip: Clip) -> tuple[float, float, float, float]:
        """Of the picture, as shares."""
        frames = clip.frames
        assert isinstance(frames, ResizedFrames)
        return crop_shares(self._spec.short_side_px, frames.pixels.shape[2:4], self._spec.resize_px, frames)


def crop_shares(
    short_side_px: int,
    crop: Sequence[int],
    resize_px: tuple[int, int] | None,
    frames: ResizedFrames,
) -> tuple[float, float, float, float]:
    """(top, left, height, width) of the centre crop (h, w) of resized pictures, as shares of them."""
    height, width = frames.height_px, frames.width_px
    scale = short_side_px / min(height, width)
    resized = resize_px or (round(height * scale), round(width * scale))
    shares = [crop[i] / resized[i] for i in (0, 1)]
    return ((1 - shares[0]) / 2, (1 - shares[1]) / 2, shares[0], shares[1])
