"""What is done to the clips of a recipe, in its order, as lines for people. No torch."""

from __future__ import annotations

from collections.abc import Iterator

from twinpath.train.recipe import Recipe
from twinpath.train.sections import AugmentationSection, ClipSection, MixSection

ChangeLine = tuple[str, str]  # what, and how


def clip_changes(recipe: Recipe, *, crop_px: int) -> tuple[ChangeLine, ...]:
    """The changes that a recipe makes: which frames, colours, crop, erasing, mixing.

    Args:
        recipe: Settings.
        crop_px: Side of its clips.
    """
    clip, changes = recipe.clip, recipe.augmentation
    return (
        *_times(clip),
        *_colors(changes),
        *_crop(clip, crop_px),
        *_erasing(changes),
        *_mixing(recipe.mix),
    )


def _times(clip: ClipSection) -> Iterator[ChangeLine]:
    if clip.fps_jitter:
        yield "times", f"30 to {30 + clip.fps_jitter:g} frames per second"
    if clip.temporal_clips > 1:
        gap = "" if clip.gaps_s is None else f", {clip.gaps_s[0]:g} to {clip.gaps_s[1]:g} s apart"
        yield "times", f"{clip.temporal_clips} clips of each video{gap}"
    if clip.repeats > 1:
        yield "copies", f"{clip.repeats} of each clip, changed differently"


def _colors(changes: AugmentationSection) -> Iterator[ChangeLine]:
    strengths = {
        key: getattr(changes, key)
        for key in ("brightness", "contrast", "saturation", "hue")
        if getattr(changes, key)
    }
    if strengths:
        often = f", of {changes.color_probability:.0%}" if changes.color_probability < 1 else ""
        yield "colours", ", ".join(f"{key} {value:g}" for key, value in strengths.items()) + often
    if changes.grayscale:
        yield "gray", f"{changes.grayscale:.0%} of the clips"
    if changes.blur:
        yield "blur", f"{changes.blur:.0%} of the clips"
    if changes.rand_augment:
        yield "RandAugment", f"{changes.rand_augment}, {changes.interpolation}"


def _crop(clip: ClipSection, crop_px: int) -> Iterator[ChangeLine]:
    if clip.area is not None:
        low, high = clip.aspect
        moving = ", moving" if clip.motion_shift else ""
        yield (
            "crop",
            f"{crop_px} px, {clip.area[0]:.0%} to {clip.area[1]:.0%} of the area, width over height "
            f"{low:.2f} to {high:.2f}{moving}",
        )
    else:
        least, most = clip.short_side_px
        how = ", its inverse uniform" if clip.inverse_uniform else ""
        yield "crop", f"{crop_px} px of a short side of {least} to {most} px{how}"
    if clip.flip:
        yield "mirrored", "half of the clips"


def _erasing(changes: AugmentationSection) -> Iterator[ChangeLine]:
    if changes.pca_lighting:
        yield "lighting", f"deviation {changes.pca_lighting:g} along the colours' main axes"
    if changes.erasing:
        count = "a rectangle" if changes.erasing_count == 1 else f"{changes.erasing_count} rectangles"
        yield "erased", f"{count} of {changes.erasing:.0%} of the clips, filled by {changes.erasing_mode}"


def _mixing(mix: MixSection) -> Iterator[ChangeLine]:
    kinds = [
        f"{name} with alpha {alpha:g}"
        for name, alpha in (("MixUp", mix.mixup_alpha), ("CutMix", mix.cutmix_alpha))
        if alpha and mix.probability
    ]
    if kinds:
        share = f", {mix.cutmix_share:.0%} of them by CutMix" if len(kinds) > 1 else ""
        yield "mixed", f"{mix.probability:.0%} of the batches, by {' or '.join(kinds)}{share}"
    if mix.label_smoothing:
        yield "labels", f"smoothed by {mix.label_smoothing:g}"
