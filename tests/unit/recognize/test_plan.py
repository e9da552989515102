"""Which clips of a video are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.errors import UsageError
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.plan import Views, plan_keyframes, plan_views, plan_windows
from twinpath.video.probe import VideoInfo, probe
from twinpath.video.selection import AtTimes, EvenSpan, Selection
from twinpath.video.writer import VideoWriter
from twinpath.zoo.create import input_spec

SPEC = input_spec("slowfast_r50_8x8")  # 32 frames, each second one of 30 a second: 2.13 s
SEGMENTS = input_spec("slow_r50_8x8.ptv_ssv2")


def selections(
    views: Views, spec: InputSpec, *, start_s: float, info: VideoInfo | None
) -> tuple[Selection, ...]:
    return plan_views(views, spec, start_s=start_s, info=info).selections


@pytest.fixture(scope="module")
def ten_seconds(tmp_path_factory: pytest.TempPathFactory) -> VideoInfo:
    path = tmp_path_factory.mktemp("video") / "ten.mp4"
    with VideoWriter(path, width=32, height=32, fps=10) as writer:
        for grey in range(100):
            writer.write(np.full((32, 32, 3), grey, dtype=np.uint8))
    return probe(path)


@pytest.mark.parametrize("text", ["1x1", "3x1", "1x10", "3x10", "3x100"])
def test_views_read_as_they_are_written(text: str) -> None:
    assert str(Views.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "3", "x", "0x1", "1x0", "2x2", "3x101", "-1x1", "1x1x1", " 1x1", "1X1", "3x10\n", "٣x1"]
)
def test_other_views_are_refused_by_name(text: str) -> None:
    with pytest.raises(UsageError, match=r"views must be .* 1x1, 1x10 or 3x10"):
        Views.parse(text)


def test_one_clip_is_the_span_at_the_start() -> None:
    (only,) = selections(Views(1, 1), SPEC, start_s=1.5, info=None)
    assert only == EvenSpan(1.5, 64 / 30, 32)


def test_several_clips_spread_over_what_follows_the_start(ten_seconds: VideoInfo) -> None:
    views = selections(Views(3, 4), SPEC, start_s=2.0, info=ten_seconds)
    assert len(views) == 4  # crops in space are made later, of the same frames
    assert all(isinstance(view, AtTimes) and len(view.times_s) == 32 for view in views)
    starts_s = [view.start_s for view in views]
    assert starts_s[0] == pytest.approx(2.0, abs=0.1)
    assert np.diff(starts_s) == pytest.approx([(8 - 64 / 30) / 4] * 3, abs=0.11)
    assert views[-1].end_s <= 10.0


def test_clips_of_a_video_shorter_than_a_clip_stay_inside(ten_seconds: VideoInfo) -> None:
    for view in selections(Views(1, 10), SPEC, start_s=9.5, info=ten_seconds):
        assert 9.5 <= view.start_s <= view.end_s <= 10.1


def test_something_something_looks_at_the_whole_video(ten_seconds: VideoInfo) -> None:
    assert SEGMENTS.sampling == "segments"
    (view,) = selections(Views(1, 1), SEGMENTS, start_s=0.0, info=ten_seconds)
    assert isinstance(view, AtTimes)
    assert view.times_s == pytest.approx([0.625 + 1.25 * i for i in range(8)])


def test_torchvision_takes_frames_in_strides(ten_seconds: VideoInfo) -> None:
    """16 frames at 15 per second, whatever the rate of the video."""
    spec = input_spec("r3d_18.tv_k400")
    (at_start,) = selections(Views(1, 1), spec, start_s=2.0, info=None)
    assert isinstance(at_start, AtTimes)
    assert at_start.times_s == pytest.approx([2.0 + i / 15 for i in range(16)])
    views = selections(Views(1, 5), spec, start_s=0.0, info=ten_seconds)
    assert [view.start_s for view in views] == pytest.approx([i * (10 - 16 / 15) / 5 for i in range(5)])


def test_the_last_clip_ends_with_the_video_where_the_upstream_tests_so(ten_seconds: VideoInfo) -> None:
    spec = input_spec("mvit_v2_s_16x4.psf_k400")
    views = selections(Views(1, 5), spec, start_s=0.0, info=ten_seconds)
    assert views[0].start_s == pytest.approx(0.0, abs=0.1)
    assert views[-1].end_s == pytest.approx(10.0, abs=0.4)  # rounded down to whole frames, of 10 a second


def test_several_views_need_a_length() -> None:
    with pytest.raises(UsageError, match=r"duration of the video, which is unknown.*views='1x1'"):
        selections(Views(1, 2), InputSpec(8, 8, 256, 256), start_s=0.0, info=None)


@pytest.mark.parametrize("every_s", [0.0, -1.0, 1e-9, float("nan"), float("inf")])
def test_windows_and_keyframes_lie_a_distance_apart(every_s: float) -> None:
    for plan in (plan_windows, plan_keyframes):
        with pytest.raises(UsageError, match=r"every_s must be at least 0\.01 s, not"):
            plan(SPEC, every_s=every_s)
