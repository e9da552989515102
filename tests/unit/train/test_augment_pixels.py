"""Changes of pixels in training: RandAugment, colours, erasing; all frames of a clip alike."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from twinpath.errors import ConfigError
from twinpath.train.augment.colors import ColorChanges, lighting_shift
from twinpath.train.augment.erasing import Erasing
from twinpath.train.augment.rand_augment import OPERATIONS, RandAugmentPolicy


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def smooth_picture(height: int = 48, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    channels = [127 + 90 * np.sin(x / 9 + y / 13 + phase) for phase in (0, 1, 2)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def by_pillow(name: str, picture: Image.Image, value: float) -> Image.Image:
    """The operation as the reference does it."""
    width, height = picture.size

    def warped(*matrix: float) -> Image.Image:
        return picture.transform(
            picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=(128,) * 3
        )

    match name:
        case "auto_contrast":
            return ImageOps.autocontrast(picture)
        case "equalize":
            return ImageOps.equalize(picture)
        case "invert":
            return ImageOps.invert(picture)
        case "rotate":
            return picture.rotate(value, Image.Resampling.BILINEAR, fillcolor=(128,) * 3)
        case "posterize":
            return ImageOps.posterize(picture, int(value))
        case "solarize":
            return ImageOps.solarize(picture, int(value))
        case "solarize_add":
            return picture.point([min(v + int(value), 255) if v < 128 else v for v in range(256)] * 3)
        case "color" | "contrast" | "brightness" | "sharpness":
            return getattr(ImageEnhance, name.capitalize())(picture).enhance(value)
        case "shear_x":
            return warped(1, value, 0, 0, 1, 0)
        case "shear_y":
            return warped(1, 0, 0, value, 1, 0)
        case "translate_x":
            return warped(1, 0, value * width, 0, 1, 0)
        case _:
            return warped(1, 0, 0, 0, 1, value * height)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_operations_are_those_of_the_reference(name: str, sign: float) -> None:
    picture = smooth_picture()
    policy = RandAugmentPolicy(increasing=True, interpolation="bilinear")
    value = policy.argument(name, 6.5, sign)
    changed = policy.apply(name, np.stack([picture, 255 - picture]), 6.5, sign, rng())
    for frame, given in zip(changed, (picture, 255 - picture), strict=True):
        expected = np.asarray(by_pillow(name, Image.fromarray(given), value or 0.0)).astype(int)
        difference = np.abs(frame - expected)
        assert np.quantile(difference, 0.97) <= 3, name  # the border of a warped picture is mixed otherwise
        assert difference.mean() < 2


@pytest.mark.parametrize(
    ("name", "increasing", "values"),
    [
        ("rotate", True, (0, 15, 30)),
        ("shear_x", True, (0, 0.15, 0.3)),
        ("translate_y", False, (0, 0.225, 0.45)),
        ("color", True, (1, 1.45, 1.9)),
        ("sharpness", False, (0.1, 1.0, 1.9)),
        ("posterize", True, (4, 2, 0)),
        ("posterize", False, (0, 2, 4)),
        ("solarize", True, (256, 128, 0)),
        ("solarize", False, (0, 128, 256)),
        ("solarize_add", True, (0, 55, 110)),
        ("invert", True, (None, None, None)),
    ],
)
def test_arguments_at_a_magnitude(name: str, increasing: bool, values: tuple[float | None, ...]) -> None:
    policy = RandAugmentPolicy(increasing=increasing)
    assert tuple(policy.argument(name, m, 1.0) for m in (0, 5, 10)) == pytest.approx(values)
    if values[0] == 0 and isinstance(policy.argument(name, 10, 1.0), float):
        assert policy.argument(name, 10, -1.0) == pytest.approx(-(values[-1] or 0))


def test_a_policy_is_read_from_its_text() -> None:
    policy = RandAugmentPolicy.parse("rand-m7-n4-mstd0.5-inc1", interpolation="random")
    assert policy == RandAugmentPolicy(7, 4, 0.5, increasing=True, weighted=False, interpolation="random")
    assert RandAugmentPolicy.parse("m9-inc0") == RandAugmentPolicy(9)  # inc0 is not increasing
    assert RandAugmentPolicy.parse("n3-w0").weighted


@pytest.mark.parametrize(
    "text", ["m11", "n0", "inc2", "w1", "n14-w0", "x3", "m7-m8", "m7--n2", "m", "mstd11"]
)
def test_a_text_that_is_no_policy_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"augmentation\.rand_augment"):
        RandAugmentPolicy.parse(text)


@pytest.mark.parametrize("seed", range(6))
def test_all_frames_change_alike_and_as_the_seed_says(seed: int) -> None:
    still = np.repeat(smooth_picture()[None], 4, axis=0)
    state = torch.get_rng_state()
    changes = (
        RandAugmentPolicy.parse("m9-n4-mstd0.5-inc1", interpolation="random"),
        ColorChanges(0.6, 0.6, 0.6, 0.15, probability=0.8, grayscale=0.2, blur=0.5),
    )
    for change in changes:
        once = change(still, rng(seed))
        assert once.shape == still.shape
        assert once.dtype == np.uint8
        assert (once == once[:1]).all()
        assert (once == change(still, rng(seed))).all()
    assert torch.equal(torch.get_rng_state(), state)


def test_a_blur_does_not_mix_frames() -> None:
    clip = np.zeros((3, 40, 40, 3), dtype=np.uint8)
    clip[1] = 255
    blurred = ColorChanges(blur=1.0)(clip, rng())
    assert (blurred == clip).all()  # the reference has grey lines at the borders of the frames
    assert not ColorChanges()
    assert ColorChanges(grayscale=0.2)


def test_grey_clips_are_as_many_as_wanted_and_jitter_keeps_its_range() -> None:
    clip = np.full((1, 8, 8, 3), (200, 100, 50), dtype=np.uint8)
    grey = [
        np.ptp(ColorChanges(grayscale=0.3)(clip, rng(seed))[0, 0, 0].astype(int)) == 0 for seed in range(200)
    ]
    assert 0.2 < np.mean(grey) < 0.4
    bright = [ColorChanges(brightness=0.4)(clip, rng(seed))[0, 0, 0, 1] for seed in range(200)]
    assert 58 <= min(bright) <= 65
    assert 135 <= max(bright) <= 140


def test_lighting_moves_along_the_axes_of_colours() -> None:
    shifts = np.array([lighting_shift(0.1, rng(seed)) for seed in range(2000)])
    covariance = np.cov(shifts.T) / 0.1**2
    axes = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
    expected = axes @ np.diag(np.square([0.225, 0.224, 0.229])) @ axes.T
    assert np.abs(covariance - expected).max() < 0.006
    assert not lighting_shift(0.0, rng()).any()


def test_rectangles_are_as_many_large_and_wide_as_the_reference_draws() -> None:
    drawn = [Erasing(0.25).draw(100, 120, rng(seed))[0] for seed in range(2000)]
    some = np.array([rectangle for rectangle in drawn if rectangle.any()])
    assert 0.21 < len(some) / len(drawn) < 0.29
    areas, ratios = some[:, 2] * some[:, 3] / 12000, some[:, 2] / some[:, 3]
    assert 0.015 < areas.min() < 0.04
    assert 0.3 < areas.max() < 0.35
    assert ratios.min() > 0.25
    assert ratios.max() < 4
    assert (some[:, :2] + some[:, 2:] <= [100, 120]).all()
    assert {len(Erasing(1.0, most=3).draw(50, 50, rng(s))) for s in range(5)} == {3}


def test_erasing_fills_the_same_rectangle_of_all_frames_with_other_noise() -> None:
    rectangles = torch.tensor([[[2, 3, 10, 12]], [[0, 0, 0, 0]]])
    clips = torch.full((2, 3, 4, 20, 24), 7.0)
    seeds = torch.tensor([5, 6])
    erased = Erasing(1.0).erase_(clips.clone(), rectangles, seeds)
    part = erased[0, :, :, 2:12, 3:15]
    assert abs(float(part.mean())) < 0.15
    assert abs(float(part.std()) - 1) < 0.1
    assert not torch.equal(part[:, 0], part[:, 1])
    assert int((erased != 7).sum()) == part.numel()
    assert torch.equal(erased, Erasing(1.0).erase_(clips.clone(), rectangles, seeds))
    color = Erasing(1.0, "color").erase_(clips.clone(), rectangles, seeds)[0, :, :, 2:12, 3:15]
    assert float(color.std(dim=(-1, -2)).max()) == 0
    assert len(color.mean(dim=(-1, -2)).unique()) == 12
    assert float(Erasing(1.0, "zero").erase_(clips.clone(), rectangles, seeds)[0, 0, 0, 2, 3]) == 0
    two = torch.cat([rectangles, torch.zeros_like(rectangles)], dim=1)
    late = Erasing(1.0, most=2).erase_(clips.clone(), two, seeds)
    assert (late[0, :, :2] == 7).all()  # of several the first frames stay clean, as in the reference
    assert (late[0, :, 2:, 2:12, 3:15] != 7).all()
    assert math.isclose(float(late[1].mean()), 7.0)
