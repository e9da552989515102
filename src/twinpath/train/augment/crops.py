"""Which part of the pictures of a clip becomes the frames: random crops of training, fixed ones of tests.

    cut = RandomCrops(crop_px=224).draw(height, width, rng)
    cut.apply(picture)                      # (224, 224, 3) uint8
    cut.boxes(boxes_xyxy_px)                # the same boxes in it, and which are left

Pictures are resized bilinearly, as `torch.nn.functional.interpolate` does without aligned corners, by OpenCV
in 8 bits: values differ by one grey level at most.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from twinpath.errors import ConfigError
from twinpath.train.sections import ClipSection
from twinpath.video.resize import scaled_size, spatial_crops

Picture = NDArray[np.uint8]  # (H, W, 3)
Boxes = NDArray[np.float32]  # (N, 4) xyxy, pixels

_TRIES = 10  # for an inception crop that lies within the picture


@dataclass(frozen=True)
class Cut:
    """A part of pictures of one size, resized, cropped and perhaps mirrored: in this order.

    Attributes:
        part: (top, left, height, width) of the picture, in pixels.
        size: (height, width) to which the part is resized.
        crop: (top, left, height, width) of the resized part.
        mirrored: Whether left and right are exchanged at last.
    """

    part: tuple[int, int, int, int]
    size: tuple[int, int]
    crop: tuple[int, int, int, int]
    mirrored: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """(h, w, 3) of what it makes."""
        return (self.crop[2], self.crop[3], 3)

    def apply(self, picture: Picture, out: Picture | None = None) -> Picture:
        """The part of one picture (H, W, 3), written to `out` if it is given."""
        top, left, height, width = self.part
        part = picture[top : top + height, left : left + width]
        if self.size != (height, width):
            part = np.asarray(
                cv2.resize(part, self.size[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8
            )
        top, left, height, width = self.crop
        cropped = part[top : top + height, left : left + width]
        if self.mirrored:
            cropped = cropped[:, ::-1]
        if out is None:
            return np.ascontiguousarray(cropped)
        out[:] = cropped
        return out

    def boxes(self, boxes_xyxy_px: NDArray[np.floating]) -> tuple[Boxes, NDArray[np.bool_]]:
        """Boxes of the picture in what is made of it.

        Better than the reference: a box of which nothing is left is removed; there it becomes a line at the
        border, and the network learns its action from what is not there.

        Args:
            boxes_xyxy_px: (N, 4) in pixels of the picture.
        Returns:
            (M, 4) clipped to the first and last pixel, and (N,) which boxes they are.
        Source: PySlowFast, datasets/transform.py: one factor for both axes of a whole picture, that of the
            longer side; mirrored x is width - 1 - x.
        """
        top, left, height, width = self.part
        factors = np.array([self.size[1] / width, self.size[0] / height] * 2)
        if min(self.size) == max(self.size) * min(height, width) // max(height, width):  # proportions stay
            factors[:] = factors[1] if width < height else factors[0]
        moved = (np.asarray(boxes_xyxy_px, dtype=np.float64) - [left, top, left, top]) * factors
        moved -= [self.crop[1], self.crop[0], self.crop[1], self.crop[0]]
        last_y, last_x = self.crop[2] - 1, self.crop[3] - 1
        if self.mirrored:
            moved = np.stack([last_x - moved[:, 2], moved[:, 1], last_x - moved[:, 0], moved[:, 3]], axis=1)
        clipped = np.clip(moved, 0, [last_x, last_y, last_x, last_y])
        kept = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
        return clipped[kept].astype(np.float32), kept


def whole_cut(height: int, width: int, *, short_side: int) -> Cut:
    """The whole picture, resized to a short side in pixels."""
    size = scaled_size(height, width, short_side=short_side)
    return Cut((0, 0, height, width), size, (0, 0, *size))


@dataclass(frozen=True)
class RandomCrops:
    """Random square crops of training.

    Attributes:
        crop_px: Side of the crops.
        short_side_px: Range of the short side to which pictures are resized, drawn for each clip.
        inverse_uniform: Its inverse is uniform.
        area: Range of a crop's share of the picture ("inception" crop), in place of a short side.
        aspect: Range of width over height of that crop; its logarithm is uniform.
        motion_shift: Such a crop moves evenly from one place to another in the course of the clip.
        flip: Whether every second clip is mirrored.
    Raises:
        ConfigError: A crop is larger than the least short side, or a range ends before it begins.
    Source: PySlowFast, datasets/transform.py.
    """

    crop_px: int
    short_side_px: tuple[int, int] = (256, 320)
    inverse_uniform: bool = False
    area: tuple[float, float] | None = None
    aspect: tuple[float, float] = (0.75, 4 / 3)
    motion_shift: bool = False
    flip: bool = True

    def __post_init__(self) -> None:
        least, most = self.short_side_px
        if self.area is None and not self.crop_px <= least <= most:
            raise ConfigError(
                f"clip.short_side_px is a range from {self.crop_px} (clip.crop_px) on, not {least} to {most}"
            )
        for key, limits in (("area", self.area), ("aspect", self.aspect)):
            if limits is not None and not 0 < limits[0] <= limits[1]:
                raise ConfigError(f"clip.{key} is a range above 0, not {limits[0]:g} to {limits[1]:g}")
        if self.motion_shift and self.area is None:
            raise ConfigError("clip.motion_shift needs clip.area: it moves crops of that kind")

    @classmethod
    def of(cls, section: ClipSection, *, crop_px: int) -> RandomCrops:
        """Of a recipe; `crop_px` is the network's own, for a recipe that says none."""
        return cls(
            section.crop_px or crop_px,
            section.short_side_px,
            section.inverse_uniform,
            section.area,
            section.aspect,
            section.motion_shift,
            section.flip,
        )

    def scaled(self, crop_px: int) -> RandomCrops:
        """For crops of another side, as multigrid wants them: the least short side changes with the crop, the
        largest one stays, so that a small crop has a larger share of the picture now and then."""
        if crop_px == self.crop_px:
            return self
        least, most = self.short_side_px
        least = round(least * crop_px / self.crop_px)
        return replace(self, crop_px=crop_px, short_side_px=(least, max(least, most)))

    def short_side(self, rng: np.random.Generator) -> int:
        """The short side of a clip, in pixels: the first number that `draw` takes from a generator."""
        least, most = self.short_side_px
        if self.inverse_uniform:
            return round(1.0 / rng.uniform(1.0 / most, 1.0 / least))
        return round(rng.uniform(least, most))

    def draw(self, height: int, width: int, rng: np.random.Generator) -> Cut:
        """The crop of a clip.

        Args:
            height, width: Of its pictures, in pixels.
            rng: Random numbers.
        """
        side = self.crop_px
        if self.area is not None:
            part = self._inception(height, width, rng)
            cut = Cut(part, (side, side), (0, 0, side, side))
        else:
            size = scaled_size(height, width, short_side=self.short_side(rng))
            # The last offset is never drawn, as in the reference.
            top, left = (int(rng.integers(0, length - side)) if length > side else 0 for length in size)
            cut = Cut((0, 0, height, width), size, (top, left, side, side))
        return replace(cut, mirrored=self.flip and bool(rng.random() < 0.5))

    def draw_frames(self, height: int, width: int, num_frames: int, rng: np.random.Generator) -> list[Cut]:
        """The crop of each frame of a clip: with `motion_shift` they differ. Arguments as `draw`."""
        if not self.motion_shift:
            return [self.draw(height, width, rng)] * num_frames
        first, last = self._inception(height, width, rng), self._inception(height, width, rng)
        mirrored = self.flip and bool(rng.random() < 0.5)
        parts = np.linspace(first, last, num_frames).astype(np.int64).tolist()
        side = self.crop_px
        return [Cut((t, y, h, w), (side, side), (0, 0, side, side), mirrored) for t, y, h, w in parts]

    def _inception(self, height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """(top, left, height, width)."""
        assert self.area is not None
        least, most = self.aspect
        for _ in range(_TRIES):
            area = rng.uniform(*self.area) * height * width
            aspect = math.exp(rng.uniform(math.log(least), math.log(most)))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                top = int(rng.integers(0, height - h, endpoint=True))
                return top, int(rng.integers(0, width - w, endpoint=True)), h, w
        h, w = height, width
        if width / height < least:
            h = round(width / least)
        elif width / height > most:
            w = round(height * most)
        return (height - h) // 2, (width - w) // 2, h, w


def fixed_cuts(
    height: int, width: int, *, short_side: int, crop_px: int, num_crops: int = 1, first: bool = False
) -> list[Cut]:
    """The crops of an evaluation.

    Args:
        height, width: Of the pictures, in pixels.
        short_side: To which they are resized.
        crop_px: Side of the crops, at most the short side.
        num_crops: 3: left, centre and right, or top, centre and bottom; 1: the centre.
        first: Of one crop the left or top one. The reference's data sets Something-Something and Charades
            take it with one crop, and figures of their recipes with one crop are of it.
    Source: PySlowFast, `uniform_crop`.
    """
    size, corners = spatial_crops(height, width, short_side=short_side, crop=crop_px)
    chosen = corners if num_crops == 3 else [corners[0 if first else 1]]
    return [Cut((0, 0, height, width), size, (top, left, crop_px, crop_px)) for top, left in chosen]


@dataclass(frozen=True)
class CutsOfSize:
    """`SizedReduction` to some cuts of one shape."""

    cuts: Sequence[Cut]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(K, h, w, 3)."""
        return (len(self.cuts), *self.cuts[0].shape)

    @property
    def dtype(self) -> DTypeLike:
        """Of the pixels."""
        return np.uint8

    def apply(self, picture: Picture, out: Picture, /) -> None:
        """Write the parts of a picture."""
        for cut, part in zip(self.cuts, out, strict=True):
            cut.apply(picture, part)


@dataclass(frozen=True)
class CutPictures:
    """`Reduction` that is decided when the size of the pictures is known, once.

    Attributes:
        cuts: Given height and width in pixels: the parts of each picture, of one shape.
    """

    cuts: Callable[[int, int], Sequence[Cut]]
    _plans: dict[tuple[int, int], CutsOfSize] = field(default_factory=dict)

    @property
    def keep_middle(self) -> bool:
        """No."""
        return False

    def plan(self, height: int, width: int, /) -> CutsOfSize:
        """For pictures of one size."""
        if (height, width) not in self._plans:
            self._plans[height, width] = CutsOfSize(tuple(self.cuts(height, width)))
        return self._plans[height, width]
