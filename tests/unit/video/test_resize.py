"""Frames resized in NumPy: PyTorch's bilinear for every size, from all kinds of files, in little memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support import bad_videos
from twinpath.errors import LimitExceeded
from twinpath.video.clip_plan import ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import open_clips
from twinpath.video.color import Rgb
from twinpath.video.decode import EvenSpan
from twinpath.video.isolated import Sandbox
from twinpath.video.resize import Resize, ResizedFrames, crop_corners, scaled_size
from twinpath.video.source import Limits

SIZES = [(240, 320), (256, 340), (320, 240), (33, 34), (301, 207), (128, 900), (900, 70), (2, 2), (1, 640)]
CROPS = Resize(short_side_px=40, crop_px=32, num_crops=3)
WHOLE = Resize(short_side_px=40, crop_px=None, keep_middle=True)


def noise(height: int, width: int, frames: int = 2) -> Rgb:
    return np.random.default_rng(3).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def interpolated(frames: Rgb, size: tuple[int, int]) -> torch.Tensor:
    """(T, height, width, 3) as PyTorch resizes them."""
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    return F.interpolate(pictures, size=size, mode="bilinear", align_corners=False).permute(0, 2, 3, 1)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("num_crops", [1, 3])
def test_crops_are_those_of_the_picture_that_pytorch_resizes(height: int, width: int, num_crops: int) -> None:
    frames = noise(height, width)
    scaled, corners = crop_corners(height, width, short_side=40, crop=32, num_crops=num_crops)
    expected = interpolated(frames, scaled).numpy()
    found = Resize(short_side_px=40, crop_px=32, num_crops=num_crops).of_clip(frames)
    assert found.pixels.shape == (2, num_crops, 32, 32, 3)
    for k, (top, left) in enumerate(corners):
        crop = expected[:, top : top + 32, left : left + 32]
        assert np.abs(found.pixels[:, k] - crop).max() < 255 * 1e-5


@pytest.mark.parametrize(("height", "width"), [size for size in SIZES if max(size) <= 16 * min(size)])
def test_whole_pictures(height: int, width: int) -> None:
    frames, scaled = noise(height, width), scaled_size(height, width, short_side=40)
    found = WHOLE.of_clip(frames)
    assert np.abs(found.pixels[:, 0] - interpolated(frames, scaled).numpy()).max() < 255 * 1e-5
    assert (found.height_px, found.width_px) == (height, width)


def test_rows_and_columns_in_both_orders() -> None:
    """A picture much larger than the crop is cut to its columns first; the values are the same."""
    frames = noise(1080, 1920, 1)
    small, large = Resize(short_side_px=64, crop_px=64), Resize(short_side_px=540, crop_px=540)
    for resize in (small, large):
        side = resize.short_side_px
        scaled, ((top, left),) = crop_corners(1080, 1920, short_side=side, crop=side)
        expected = interpolated(frames, scaled)[:, top : top + side, left : left + side].numpy()
        assert np.abs(resize.of_clip(frames).pixels[:, 0] - expected).max() < 255 * 1e-5


@pytest.mark.parametrize(("height", "width"), [(2, 8192), (16, 1920), (2048, 100)])
def test_a_strip_is_no_whole_picture_for_a_network(height: int, width: int) -> None:
    with pytest.raises(LimitExceeded, match=f"pictures of {width}x{height} .* at most 16 times"):
        Resize(short_side_px=256, crop_px=None).plan(height, width)
    assert Resize(short_side_px=256, crop_px=224).plan(height, width).shape == (1, 224, 224, 3)


PLANS = [
    Windows(ClipSampling(8, 3), 0.2),
    Keyframes(8, 4, 0.3),
    Selections((EvenSpan(0.5, 1.0, 6), EvenSpan(0.0, 0.9, 8))),
]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("resize", [CROPS, WHOLE])
@pytest.mark.parametrize("recipe", ["make_good", "make_rotated", "make_truncated"])
def test_clips_hold_the_resized_frames_of_whole_clips(
    tmp_path: Path, sandbox: Sandbox, recipe: str, plan: Windows | Keyframes | Selections, resize: Resize
) -> None:
    video = getattr(bad_videos, recipe)(tmp_path)
    with (
        open_clips(video, plan) as whole,
        open_clips(video, plan, resize=resize) as small,
        sandbox.open_clips(video, plan, resize=resize) as apart,
    ):
        clips = 0
        for expected, here, there in zip(whole, small, apart, strict=True):
            assert not isinstance(expected.frames, ResizedFrames)
            wanted = resize.of_clip(expected.frames)
            for clip in (here, there):
                assert isinstance(clip.frames, ResizedFrames)
                assert np.array_equal(clip.frames.pixels, wanted.pixels)
                assert (clip.frames.height_px, clip.frames.width_px) == expected.frames.shape[1:3]
                assert (clip.start_s, clip.end_s, clip.number) == (
                    expected.start_s,
                    expected.end_s,
                    expected.number,
                )
                if resize.keep_middle:
                    assert np.array_equal(clip.middle, expected.frames[len(expected.frames) // 2])
                else:
                    assert clip.middle is None
            clips += 1
        assert clips >= 1
        assert small.warnings == apart.warnings == whole.warnings


def test_memory_follows_the_network_and_not_the_picture(tmp_path: Path) -> None:
    """32 frames of 1920x1080 are 200 MB; the clip of them takes less than 1."""
    video = bad_videos.encode(tmp_path / "large.mp4", size=(1920, 1080), numbers=range(4))
    plan = Selections((EvenSpan(0.0, 0.16, 32),))
    tracemalloc.start()
    with open_clips(video, plan, resize=CROPS, limits=Limits(max_bytes=20 << 20)) as clips:
        (clip,) = clips
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert clip.nbytes == 32 * 3 * 32 * 32 * 3 * 4
    assert peak_bytes < 40 << 20
    with pytest.raises(LimitExceeded, match=r"large\.mp4: 33 frames of 1920x1080 are more than 1048576"):
        list(open_clips(video, plan, resize=CROPS, limits=Limits(max_bytes=1 << 20)))


def test_a_strip_is_refused_with_the_name_of_its_file(tmp_path: Path, sandbox: Sandbox) -> None:
    video = bad_videos.encode(tmp_path / "strip.mp4", size=(640, 16), numbers=range(4))
    for opened in (open_clips, sandbox.open_clips):
        with (
            pytest.raises(LimitExceeded, match=r"strip\.mp4: pictures of 640x16"),
            opened(video, PLANS[1], resize=WHOLE) as clips,
        ):
            list(clips)
