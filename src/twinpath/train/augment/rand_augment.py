"""RandAugment for clips: a few random operations, drawn once and the same for all frames.

    policy = RandAugmentPolicy.parse("m7-n4-mstd0.5-inc1")
    policy(frames_THWC, rng)

m: magnitude, 0 to 10; n: operations; mstd: deviation of the magnitude; inc1: operations that all become
stronger with it; w0: operations that do little harm are drawn more often, each once at most.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import functional

from twinpath.errors import ConfigError

Frames = NDArray[np.uint8]  # (T, H, W, 3)
Interpolation = Literal["bilinear", "bicubic", "random"]

FILL = 128  # grey: of what comes in from outside
MOST_MAGNITUDE = 10.0
_PROBABILITY = 0.5  # of each operation that was drawn
_MOST_OPERATIONS = 100

_KEYS = re.compile(r"(mstd|inc|m|n|w)([0-9]+(?:\.[0-9]+)?)")
_INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}


def _auto_contrast(frames: Frames) -> Frames:
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2).contiguous()  # three times as fast as interleaved
    return np.ascontiguousarray(functional.autocontrast(planes).permute(0, 2, 3, 1).numpy())


def _equalize(frames: Frames) -> Frames:
    return _by_channel(functional.equalize, frames)


def _invert(frames: Frames) -> Frames:
    return ~frames


def _posterize(frames: Frames, bits: int) -> Frames:
    return frames & np.uint8(0xFF & ~(0xFF >> bits))


def _solarize(frames: Frames, threshold: int) -> Frames:
    return _by_table(frames, [v if v < threshold else 255 - v for v in range(256)])


def _solarize_add(frames: Frames, add: int) -> Frames:
    return _by_table(frames, [min(v + add, 255) if v < 128 else v for v in range(256)])


def _color(frames: Frames, factor: float) -> Frames:
    return _by_channel(functional.adjust_saturation, frames, factor)


def _contrast(frames: Frames, factor: float) -> Frames:
    return _by_channel(functional.adjust_contrast, frames, factor)


def _brightness(frames: Frames, factor: float) -> Frames:
    return _by_table(frames, [min(int(v * factor), 255) for v in range(256)])


def _sharpness(frames: Frames, factor: float) -> Frames:
    return _by_channel(functional.adjust_sharpness, frames, factor)


def _by_channel(change: Callable[..., Any], frames: Frames, *args: float) -> Frames:
    """An operation of torchvision."""
    changed = change(torch.from_numpy(frames).permute(0, 3, 1, 2), *args)
    return np.ascontiguousarray(changed.permute(0, 2, 3, 1).numpy())


def _by_table(frames: Frames, table: list[int]) -> Frames:
    """A new value for each value."""
    tall = frames.reshape(len(frames) * frames.shape[1], frames.shape[2], 3)
    return np.asarray(cv2.LUT(tall, np.array(table, dtype=np.uint8)), dtype=np.uint8).reshape(frames.shape)


def _warped(frames: Frames, interpolation: int, matrix: tuple[float, ...]) -> Frames:
    """Frames whose point (x, y) is that of the given ones at (a x + b y + c, d x + e y + f).

    Points are the middles of pixels: the first one is at 0.5. What lies outside is grey.
    """
    a, b, c, d, e, f = matrix
    # OpenCV counts from the middle of the first pixel.
    to_source = np.array([[a, b, c + (a + b - 1) / 2], [d, e, f + (d + e - 1) / 2]])
    height, width = frames.shape[1:3]
    warped = np.empty_like(frames)
    for frame, out in zip(frames, warped, strict=True):
        cv2.warpAffine(
            frame,
            to_source,
            (width, height),
            dst=out,
            flags=interpolation | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(FILL,) * 3,
        )
    return warped


def _rotation(height: int, width: int, degrees: float) -> tuple[float, ...]:
    """About the middle, counter-clockwise."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = width / 2, height / 2
    return (cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y)


class _Operation(NamedTuple):
    """One of the operations of RandAugment.

    Attributes:
        apply: Given the frames and the argument, if there is one.
        argument: Of a magnitude from 0 to 10 and whether it is increasing; None: it has none.
        is_signed: Whether the argument's sign is random; "about 1": whether it is 1 plus or minus that.
        matrix: Of a geometric operation, in place of `apply`: given height, width and the argument.
        weight: With w0.
    """

    apply: Callable[..., Frames] | None
    argument: Callable[[float, bool], float] | None = None
    is_signed: bool = False
    matrix: Callable[[int, int, float], tuple[float, ...]] | None = None
    weight: float = 0.0


def _factor(m: float, increasing: bool) -> float:
    return m / 10 * 0.9 if increasing else m / 10 * 1.8 + 0.1


_FACTORS = ("color", "contrast", "brightness", "sharpness")

#: Arguments at a magnitude, and weights of w0. Source: PySlowFast, datasets/rand_augment.py, after timm.
OPERATIONS: dict[str, _Operation] = {
    "auto_contrast": _Operation(_auto_contrast, weight=0.025),
    "equalize": _Operation(_equalize, weight=0.005),
    "invert": _Operation(_invert),
    "rotate": _Operation(None, lambda m, _: 30.0 * m / 10, True, _rotation, weight=0.3),
    "posterize": _Operation(_posterize, lambda m, inc: 4 - int(m / 10 * 4) if inc else int(m / 10 * 4)),
    "solarize": _Operation(
        _solarize, lambda m, inc: 256 - int(m / 10 * 256) if inc else int(m / 10 * 256), weight=0.005
    ),
    "solarize_add": _Operation(_solarize_add, lambda m, _: int(m / 10 * 110), weight=0.005),
    "color": _Operation(_color, _factor, weight=0.025),
    "contrast": _Operation(_contrast, _factor, weight=0.005),
    "brightness": _Operation(_brightness, _factor, weight=0.005),
    "sharpness": _Operation(_sharpness, _factor, weight=0.025),
    "shear_x": _Operation(
        None, lambda m, _: 0.3 * m / 10, True, lambda h, w, s: (1, s, 0, 0, 1, 0), weight=0.2
    ),
    "shear_y": _Operation(
        None, lambda m, _: 0.3 * m / 10, True, lambda h, w, s: (1, 0, 0, s, 1, 0), weight=0.2
    ),
    "translate_x": _Operation(
        None, lambda m, _: 0.45 * m / 10, True, lambda h, w, s: (1, 0, s * w, 0, 1, 0), weight=0.1
    ),
    "translate_y": _Operation(
        None, lambda m, _: 0.45 * m / 10, True, lambda h, w, s: (1, 0, 0, 0, 1, s * h), weight=0.1
    ),
}


@dataclass(frozen=True)
class RandAugmentPolicy:
    """What is drawn for each clip.

    Attributes:
        magnitude: 0 to 10.
        operations: How many are drawn; each is done with probability 0.5.
        deviation: Of the magnitude, which is drawn for each operation and clipped to 0 to 10.
        increasing: Whether colour operations, posterize and solarize become stronger with it, too.
        weighted: Whether operations are drawn by weight, each once at most; else all alike, also twice.
        interpolation: Of geometric operations; "random": one of the two for each.
    Source: Cubuk et al. 2019, arXiv:1909.13719; PySlowFast, datasets/rand_augment.py.
    """

    magnitude: float = MOST_MAGNITUDE
    operations: int = 2
    deviation: float = 0.0
    increasing: bool = False
    weighted: bool = False
    interpolation: Interpolation = "bicubic"

    @classmethod
    def parse(cls, text: str, *, interpolation: Interpolation = "bicubic") -> RandAugmentPolicy:
        """Of "m7-n4-mstd0.5-inc1-w0", parts in any order, each of them optional.

        Better than the reference, where any text is true: inc0 means not increasing.

        Args:
            text: May begin with "rand-", as PySlowFast and timm write it.
            interpolation: See the attribute.
        Raises:
            ConfigError: A part is unknown, twice, or not allowed; names it.
        """
        found: dict[str, float] = {}
        for part in text.removeprefix("rand-").split("-"):
            match = _KEYS.fullmatch(part)
            if match is None or match[1] in found:
                raise ConfigError(
                    f"augmentation.rand_augment is such as m7-n4-mstd0.5-inc1-w0, not with {part!r} in it"
                )
            found[match[1]] = float(match[2])
        weightless = sum(operation.weight > 0 for operation in OPERATIONS.values())
        most = weightless if "w" in found else _MOST_OPERATIONS
        allowed = {
            "m": ("0 to 10", 0 <= found.get("m", 10) <= MOST_MAGNITUDE),
            "n": (f"1 to {most}", found.get("n", 2) in range(1, most + 1)),
            "mstd": ("0 to 10", found.get("mstd", 0) <= MOST_MAGNITUDE),
            "inc": ("0 or 1", found.get("inc", 0) in (0, 1)),
            "w": ("0", found.get("w", 0) == 0),
        }
        for key, (limits, is_allowed) in allowed.items():
            if not is_allowed:
                raise ConfigError(
                    f"augmentation.rand_augment: {key} is {limits}, not {found[key]:g}, in {text!r}"
                )
        return cls(
            found.get("m", MOST_MAGNITUDE),
            int(found.get("n", 2)),
            found.get("mstd", 0.0),
            found.get("inc") == 1,
            "w" in found,
            interpolation,
        )

    def __call__(self, frames_THWC: Frames, rng: np.random.Generator) -> Frames:
        """Frames (T, H, W, 3) uint8 to the same, changed."""
        names = list(OPERATIONS)
        weights = np.array([OPERATIONS[name].weight for name in names])
        chosen = (
            rng.choice(len(names), self.operations, replace=False, p=weights / weights.sum())
            if self.weighted
            else rng.integers(0, len(names), self.operations)
        )
        for i in chosen.tolist():
            if rng.random() < _PROBABILITY:
                magnitude = min(max(rng.normal(self.magnitude, self.deviation), 0.0), MOST_MAGNITUDE)
                sign = 1.0 if rng.random() < 0.5 else -1.0
                frames_THWC = self.apply(names[i], frames_THWC, magnitude, sign, rng)
        return frames_THWC

    def apply(
        self, name: str, frames: Frames, magnitude: float, sign: float, rng: np.random.Generator
    ) -> Frames:
        """One operation.

        Args:
            name: A key of `OPERATIONS`.
            frames: (T, H, W, 3) uint8.
            magnitude: 0 to 10.
            sign: 1 or -1, where it matters.
            rng: Draws a random interpolation.
        """
        operation = OPERATIONS[name]
        argument = self.argument(name, magnitude, sign)
        if operation.matrix is not None:
            assert argument is not None
            height, width = frames.shape[1:3]
            kind = self.interpolation
            if kind == "random":
                kind = "bilinear" if rng.random() < 0.5 else "bicubic"
            return _warped(frames, _INTERPOLATIONS[kind], operation.matrix(height, width, argument))
        assert operation.apply is not None
        return operation.apply(frames) if argument is None else operation.apply(frames, argument)

    def argument(self, name: str, magnitude: float, sign: float) -> float | None:
        """What an operation gets at a magnitude: see the table of the module; None: nothing."""
        operation = OPERATIONS[name]
        if operation.argument is None:
            return None
        value = operation.argument(magnitude, self.increasing)
        if operation.is_signed:
            return sign * value
        return 1.0 + sign * value if self.increasing and name in _FACTORS else value
