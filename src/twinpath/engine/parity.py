"""Whether an exported graph computes what the network computes in torch, on inputs that are made here.

`compare` takes any function that runs the graph, so this module imports neither torch nor a runtime.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import ExportDiffers
from twinpath.models.input_spec import InputSpec
from twinpath.zoo.model_card import ParityFigure

Array = NDArray[Any]
Run = Callable[..., Array]  # frames (N, T, h, w, 3) uint8 and perhaps boxes (P, 5) to scores

CLIPS = (1, 2, 5)  # at once
_BOXES = {1: 1, 2: 3, 5: 4}  # in so many clips; of five clips one has none
_TINY = 1e-30  # of a softmax: below it float32 has no exact values
_EDGE = 1e-3  # of a sigmoid: nearer to 0 or 1 a logit says more of float32 than of the graph


@dataclass(frozen=True)
class Tolerance:
    """How much a graph may differ.

    Attributes:
        scores: As in `ParityFigure`.
        logits: The same, for logits whose standard deviation is at most 1; otherwise times that: a trained
            network has larger logits than a random one, and rounds them as much more.
    """

    scores: float
    logits: float


TOLERANCES = {"fp32": Tolerance(1e-4, 2e-4), "fp16": Tolerance(1e-2, 5e-2)}


def compare(
    network: Run,
    graph: Run,
    spec: InputSpec,
    *,
    is_detector: bool,
    is_softmax: bool,
    tolerance: Tolerance,
    on_status: Callable[[str], None] = lambda _: None,
) -> tuple[ParityFigure, ...]:
    """Compare scores at 1, 2 and 5 clips, on random and on smooth frames.

    Args:
        network, graph: What is compared; both take the same inputs.
        spec: Their input. A detection network gets frames of two sizes and several numbers of boxes.
        is_detector: Whether there are boxes.
        is_softmax: Whether the scores of a clip add up to 1.
        tolerance: How much may differ.
        on_status: Called with a sentence before each comparison.
    Raises:
        ExportDiffers: Something differs by more, or another class is the best.
    """
    figures = []
    for kind, inputs in made_inputs(spec, is_detector=is_detector):
        clips, _, height, width, _ = inputs[0].shape
        on_status(f"comparing with torch: {clips} clips at once, {kind} frames of {width}x{height} ...")
        wanted, found = network(*inputs), graph(*inputs)
        if wanted.shape != found.shape or not np.isfinite(found).all():
            raise ExportDiffers(
                f"the exported graph gives scores of shape {found.shape} where torch gives {wanted.shape}, "
                "or numbers that are not finite; nothing was written"
            )
        exact = _logits(wanted, is_softmax)
        logits = np.abs(exact - _logits(found, is_softmax))
        figure = ParityFigure(
            inputs=kind,
            clips=clips,
            boxes=len(inputs[1]) if is_detector else None,
            height_px=height,
            width_px=width,
            scores=float(np.abs(wanted - found).max(initial=0)),
            logits=float(logits.max(initial=0)),
            same_top1=_same_top1(wanted, found, tolerance.scores),
        )
        spread = float(exact.std()) if exact.size else 0.0
        _check(figure, replace(tolerance, logits=tolerance.logits * max(spread, 1.0)))
        figures.append(figure)
    return tuple(figures)


def made_inputs(spec: InputSpec, *, is_detector: bool) -> Iterator[tuple[str, tuple[Array, ...]]]:
    """What is compared on: "random" or "smooth", and the inputs; the same in every run.

    Random frames are noise, each in a colour of its own. With one of 32 frames in place of its neighbour the
    logits of a SlowFast with random weights differ by 3e-3 then, with noise alone by 5e-4.
    """
    rng = np.random.default_rng(0)
    short, crop = spec.short_side_px, spec.crop_px
    sizes = [(short, short * 4 // 3 // 2 * 2), (short * 3 // 2, short)] if is_detector else [(crop, crop)]
    for clips in CLIPS:
        for number, kind in enumerate(("random", "smooth")):
            height, width = sizes[(number + clips) % len(sizes)]
            shape = (clips, spec.num_frames, height, width, 3)
            frames = _noise(rng, shape) if kind == "random" else _smooth(rng, shape)
            boxes = (_boxes(rng, clips, height, width),) if is_detector else ()
            yield kind, (frames, *boxes)


def _noise(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """No pixel is like another, and each frame has its colour: dark, bright, dark, bright, ..."""
    frames = rng.integers(0, 256, shape, dtype=np.uint8)
    clips, num_frames = shape[:2]
    colour = rng.integers(0, 96, (clips, num_frames, 1, 1, 3), dtype=np.uint16)
    colour[:, 1::2] += 160
    for clip, factor in zip(frames, colour, strict=True):
        clip[...] = clip * factor >> 8
    return frames


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Waves that move through the picture."""
    clips, num_frames, height, width, _ = shape
    frames = np.empty(shape, dtype=np.uint8)
    t, y, x = np.ogrid[0 : 1 : num_frames * 1j, 0 : 1 : height * 1j, 0 : 1 : width * 1j]
    for clip in range(clips):
        for channel in range(3):
            speed, down, across, phase = rng.uniform(-9, 9, 4)
            wave = np.sin(speed * t + down * y + across * x + phase)
            frames[clip, ..., channel] = np.rint(127.5 + 127 * wave)
    return frames


def _boxes(rng: np.random.Generator, clips: int, height: int, width: int) -> Array:
    """(P, 5): clip, x1, y1, x2, y2; small and large ones, not in the order of the clips."""
    count = _BOXES[clips]
    corners = np.sort(rng.uniform(0, 1, (count, 2, 2)), axis=1) * (width - 1, height - 1)
    index = np.arange(count)[::-1] % clips
    return np.concatenate([index[:, None], corners.reshape(count, 4)], axis=1).astype(np.float32)


def _logits(scores: Array, is_softmax: bool) -> Array:
    exact = scores.astype(np.float64)
    if is_softmax:
        return np.asarray(np.log(np.maximum(exact, _TINY)))
    inside = np.clip(exact, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(inside / (1 - inside)))


def _same_top1(wanted: Array, found: Array, tolerance: float) -> bool:
    """Whether each row has its largest score at the same class; of equal ones either counts."""
    if not len(wanted):
        return True
    best = wanted.max(axis=1)
    chosen = wanted[np.arange(len(wanted)), found.argmax(axis=1)]
    return bool((best - chosen <= min(tolerance, 1e-5)).all())


def _check(figure: ParityFigure, tolerance: Tolerance) -> None:
    if figure.scores <= tolerance.scores and figure.logits <= tolerance.logits and figure.same_top1:
        return
    boxes = "" if figure.boxes is None else f" and {figure.boxes} boxes"
    raise ExportDiffers(
        f"the exported graph differs from torch at {figure.clips} clips{boxes} of {figure.inputs} frames: "
        f"scores by {figure.scores:.2g} (allowed {tolerance.scores:g}), logits by {figure.logits:.2g} "
        f"(allowed {tolerance.logits:g}), best class {'the same' if figure.same_top1 else 'another'}; "
        "nothing was written"
    )
