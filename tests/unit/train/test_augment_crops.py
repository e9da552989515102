"""Which part of the pictures a training clip shows, and where its boxes are then."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from twinpath.errors import ConfigError
from twinpath.train.augment.crops import Cut, RandomCrops, fixed_cuts, whole_cut
from twinpath.train.sections import ClipSection

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/rules/spatial_crops.json").read_text("utf-8"))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def noise(height: int, width: int) -> np.ndarray:
    return rng().integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_fixed_crops_are_pyslowfasts() -> None:
    for height, width, side, scaled, corners in GOLDEN["rows"]:
        cuts = fixed_cuts(height, width, short_side=side, crop_px=side, num_crops=3)
        assert [list(cut.crop[:2]) for cut in cuts] == corners
        assert {cut.size for cut in cuts} == {tuple(scaled)}
        for first, expected in ((False, corners[1]), (True, corners[0])):
            (cut,) = fixed_cuts(height, width, short_side=side, crop_px=side, first=first)
            assert list(cut.crop[:2]) == expected


@pytest.mark.parametrize(("size", "inverse"), [((240, 320), False), ((480, 270), True)])
def test_pixels_are_those_of_the_references_resize_crop_and_flip(
    size: tuple[int, int], inverse: bool
) -> None:
    picture = noise(*size)
    for seed in range(4):
        cut = RandomCrops(64, (70, 120), inverse).draw(*size, rng(seed))
        as_float = torch.from_numpy(picture).permute(2, 0, 1)[None].float()
        resized = torch.nn.functional.interpolate(as_float, cut.size, mode="bilinear", align_corners=False)
        top, left, height, width = cut.crop
        expected = resized[0, :, top : top + height, left : left + width]
        expected = (expected.flip(-1) if cut.mirrored else expected).permute(1, 2, 0).numpy()
        assert np.abs(cut.apply(picture) - expected).max() < 1.01
        assert cut.apply(picture).shape == (64, 64, 3)


def test_short_sides_and_offsets_are_drawn_as_in_the_reference() -> None:
    cuts = [RandomCrops(224).draw(360, 640, rng(seed)) for seed in range(600)]
    sides = [cut.size[0] for cut in cuts]
    assert (min(sides), max(sides)) == (256, 320)
    assert abs(np.mean(sides) - 288) < 3
    assert all(0 <= cut.crop[i] < cut.size[i] - 224 for cut in cuts for i in (0, 1))
    assert 0.4 < np.mean([cut.mirrored for cut in cuts]) < 0.6
    inverse = [
        RandomCrops(224, inverse_uniform=True).draw(360, 640, rng(seed)).size[0] for seed in range(600)
    ]
    assert abs(np.mean(inverse) - 285.6) < 3  # the mean of 1 / uniform(1 / 320, 1 / 256)
    exact = RandomCrops(256, (256, 256)).draw(256, 256, rng())
    assert exact.size == (256, 256)  # nothing is resized,
    assert exact.crop[:2] == (0, 0)  # and the only offset is none


def test_smaller_crops_of_multigrid_change_the_least_short_side_only() -> None:
    crops = RandomCrops(224)
    assert crops.scaled(112).short_side_px == (128, 320)
    assert crops.scaled(158).short_side_px == (181, 320)
    assert crops.scaled(224) is crops


def test_inception_crops_have_the_wanted_areas_and_shapes() -> None:
    crops = RandomCrops(32, area=(0.08, 0.5), aspect=(0.75, 4 / 3), flip=False)
    parts = [crops.draw(240, 320, rng(seed)).part for seed in range(400)]
    areas = [h * w / (240 * 320) for _, _, h, w in parts]
    assert 0.075 < min(areas) < 0.1
    assert 0.45 < max(areas) < 0.51
    ratios = [w / h for _, _, h, w in parts]
    assert 0.73 < min(ratios) < 0.8
    assert 1.28 < max(ratios) < 1.36
    assert abs(np.mean(np.log(ratios))) < 0.03  # their logarithm is even
    assert all(top + h <= 240 and left + w <= 320 for top, left, h, w in parts)
    narrow = RandomCrops(32, area=(1.0, 1.0)).draw(100, 1000, rng())
    assert narrow.part == (0, (1000 - 133) // 2, 100, 133)  # none lies within: the middle, as wide as allowed


def test_a_moving_crop_goes_evenly_from_one_place_to_another() -> None:
    crops = RandomCrops(32, area=(0.1, 0.3), motion_shift=True)
    parts = np.array([cut.part for cut in crops.draw_frames(240, 320, 9, rng(3))])
    assert (parts[0] != parts[-1]).any()
    expected = np.linspace(parts[0], parts[-1], 9)
    assert np.abs(parts - expected).max() < 1.01


def test_boxes_follow_the_crop_and_go_where_nothing_is_left_of_them() -> None:
    picture = np.zeros((240, 320, 3), dtype=np.uint8)
    picture[60:120, 200:260] = 255
    box = np.array([[200.0, 60.0, 260.0, 120.0], [0.0, 0.0, 5.0, 5.0]])
    seen = 0
    for seed in range(60):
        cut = RandomCrops(200, (220, 260)).draw(240, 320, rng(seed))
        boxes, kept = cut.boxes(box)
        ys, xs = np.nonzero(cut.apply(picture)[..., 0] > 127)
        if not kept[0]:
            assert not len(xs)
            continue
        found = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert np.abs(boxes[0] - found).max() < 2.1
        assert len(boxes) == kept.sum()
        seen += not kept[1]
    assert seen > 10
    outside = Cut((0, 0, 240, 320), (240, 320), (100, 0, 100, 100)).boxes(
        np.array([[10.0, 20.0, 50.0, 60.0]])
    )
    assert outside[0].shape == (0, 4)
    mirrored = Cut((0, 0, 8, 8), (8, 8), (0, 0, 8, 8), mirrored=True).boxes(np.array([[1.0, 2.0, 3.0, 4.0]]))
    assert mirrored[0].tolist() == [[4, 2, 6, 4]]  # x becomes width - 1 - x


def test_whole_pictures_keep_their_proportions() -> None:
    assert whole_cut(1080, 1920, short_side=256).shape == (256, 455, 3)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"short_side_px": (200, 320)}, "short_side_px"),
        ({"short_side_px": (320, 256)}, "short_side_px"),
        ({"area": (0.5, 0.1)}, "area"),
        ({"motion_shift": True}, "motion_shift"),
    ],
)
def test_crops_that_cannot_be_are_refused_by_the_name_of_the_key(
    values: dict[str, object], named: str
) -> None:
    with pytest.raises(ConfigError, match=named):
        RandomCrops.of(ClipSection.model_validate(values), crop_px=224)
