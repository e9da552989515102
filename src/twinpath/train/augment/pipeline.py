"""What is done to the pictures of a training clip, in the order of PySlowFast: colours, RandAugment, crop.

    pixels = ClipPixels.of(clip, augmentation, crop_px=224)
    reduction = pixels.reduction(crop_px, seeds)    # makes pictures small where they are decoded
    frames = pixels.finish(read, crop_px, seeds)    # (R, T, crop, crop, 3) uint8: R copies of the clip

Where only the crop is taken, it is cut out of each picture as soon as that is decoded. Where whole pictures
are changed, they are resized first to the short side that the crop wants, if they are larger: what is changed
has the size that the network sees, as with PySlowFast's torchvision decoder. (Its PyAV decoder changes
pictures as large as they are, which costs more and changes the same.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from twinpath.errors import ConfigError
from twinpath.train.augment.colors import ColorChanges, lighting_shift
from twinpath.train.augment.crops import Cut, CutPictures, RandomCrops, fixed_cuts, whole_cut
from twinpath.train.augment.erasing import Erasing, Rectangles
from twinpath.train.augment.rand_augment import RandAugmentPolicy
from twinpath.train.sections import AugmentationSection, ClipSection

Pixels = NDArray[np.uint8]

# Streams of random numbers of one copy: what is drawn of one does not move the others.
_CROP, _COLORS, _OPERATIONS, _ERASING, _LIGHTING = range(5)


@dataclass(frozen=True)
class ClipPixels:
    """Changes of pixels in training, and crops.

    Attributes:
        crops: For clips of the recipe's side.
        colors: Changes of colours.
        policy: RandAugment; None: none.
        erasing: Rectangles; they are filled later, see `Erasing`.
        lighting: Deviation of the shift of colours, which is added later, see `lighting_shift`.
    """

    crops: RandomCrops
    colors: ColorChanges = field(default_factory=ColorChanges)
    policy: RandAugmentPolicy | None = None
    erasing: Erasing = field(default_factory=Erasing)
    lighting: float = 0.0

    @classmethod
    def of(cls, clip: ClipSection, augmentation: AugmentationSection | None, *, crop_px: int) -> ClipPixels:
        """Of a recipe.

        Args:
            clip: Section of the clips.
            augmentation: Section of the changes; None: none, only crops and mirrors.
            crop_px: The network's own, for a recipe that says none.
        Raises:
            ConfigError: See `RandomCrops` and `RandAugmentPolicy.parse`.
        """
        crops = RandomCrops.of(clip, crop_px=crop_px)
        if augmentation is None:
            return cls(crops)
        text = augmentation.rand_augment
        return cls(
            crops,
            ColorChanges.of(augmentation),
            RandAugmentPolicy.parse(text, interpolation=augmentation.interpolation) if text else None,
            Erasing.of(augmentation),
            augmentation.pca_lighting,
        )

    @property
    def changes_whole(self) -> bool:
        """Whether whole pictures are needed: an operation comes before the crop, or the crop moves."""
        return bool(self.colors) or self.policy is not None or self.crops.motion_shift

    def reduction(self, crop_px: int, seeds: Sequence[int], *, whole: bool = False) -> CutPictures:
        """What is made of each picture where it is decoded.

        Args:
            crop_px: Side of the clip.
            seeds: Of each copy.
            whole: Whether whole pictures are needed for another reason.
        """
        crops = self.crops.scaled(crop_px)
        if whole or self.changes_whole:
            wanted = crops.short_side_px[1]
            if crops.area is None:
                wanted = max(crops.short_side(_rng(seed, _CROP)) for seed in seeds)
            return CutPictures(
                lambda height, width: [whole_cut(height, width, short_side=min(wanted, height, width))]
            )
        return CutPictures(
            lambda height, width: [crops.draw(height, width, _rng(seed, _CROP)) for seed in seeds]
        )

    def finish(
        self, read_TKHWC: Pixels, crop_px: int, seeds: Sequence[int], *, whole: bool = False
    ) -> Pixels:
        """The copies of a clip whose pictures went through `reduction`; arguments as there.

        Args:
            read_TKHWC: (T, R, crop, crop, 3), or of whole pictures (T, 1, h, w, 3).
        Returns:
            (R, T, crop, crop, 3) uint8.
        """
        if not (whole or self.changes_whole):
            return np.ascontiguousarray(read_TKHWC.swapaxes(0, 1))
        frames = read_TKHWC[:, 0]
        copies = np.empty((len(seeds), len(frames), crop_px, crop_px, 3), dtype=np.uint8)
        crops = self.crops.scaled(crop_px)
        for seed, copy in zip(seeds, copies, strict=True):
            changed = frames
            if self.colors:
                changed = self.colors(changed, _rng(seed, _COLORS))
            if self.policy is not None:
                changed = self.policy(changed, _rng(seed, _OPERATIONS))
            height, width = changed.shape[1:3]
            cuts = crops.draw_frames(height, width, len(changed), _rng(seed, _CROP))
            for cut, frame, out in zip(cuts, changed, copy, strict=True):
                cut.apply(frame, out)
        return copies

    def cut(self, height: int, width: int, crop_px: int, seed: int) -> Cut:
        """The crop of one copy of whole pictures that stay as large as they are, for boxes.

        Raises:
            ConfigError: The crop moves, and boxes are of one frame.
        """
        if self.crops.motion_shift:
            raise ConfigError("clip.motion_shift is not for boxes, which are those of one frame")
        return self.crops.scaled(crop_px).draw(height, width, _rng(seed, _CROP))

    def changed(self, frames_THWC: Pixels, seed: int, cut: Cut) -> Pixels:
        """(T, crop, crop, 3) the part of whole pictures, for boxes.

        Colours change after it, as PySlowFast has it for AVA. RandAugment would move people out of their
        boxes, and is left out.
        """
        cropped = np.empty((len(frames_THWC), *cut.shape), dtype=np.uint8)
        for frame, out in zip(frames_THWC, cropped, strict=True):
            cut.apply(frame, out)
        return self.colors(cropped, _rng(seed, _COLORS)) if self.colors else cropped

    def rectangles(self, crop_px: int, seeds: Sequence[int]) -> Rectangles:
        """(R, E, 4) what is erased of each copy."""
        return np.stack([self.erasing.draw(crop_px, crop_px, _rng(seed, _ERASING)) for seed in seeds])

    def shifts(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """(R, 3) what is added to the colours of each copy, of values 0 to 1."""
        return np.stack([lighting_shift(self.lighting, _rng(seed, _LIGHTING)) for seed in seeds])


@dataclass(frozen=True)
class ViewPixels:
    """One crop of an evaluation during training, the same each time.

    Attributes:
        short_side_px: To which pictures are resized.
        first: See `fixed_cuts`.
    Source: PySlowFast tests one crop so: the least short side of training, and the centre.
    """

    short_side_px: int
    first: bool = False

    def reduction(self, crop_px: int) -> CutPictures:
        """What is made of each picture where it is decoded."""

        def cuts(height: int, width: int) -> list[Cut]:
            return fixed_cuts(height, width, short_side=self.short_side_px, crop_px=crop_px, first=self.first)

        return CutPictures(cuts)


def _rng(seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng((seed, stream))
