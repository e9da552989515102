"""Which frames and which crops: equal to the references' stored figures."""

import json
from pathlib import Path

import numpy as np
import pytest

from twinpath.errors import NoFrames
from twinpath.video.resize import spatial_crops
from twinpath.video.sampling import (
    clip_span_s,
    frame_indices,
    keyframe_grid,
    linspace_indices,
    on_screen_indices,
    temporal_view_indices,
    view_spans,
    view_times,
)

RULES = Path(__file__).parents[2] / "golden" / "rules"
VIEWS = json.loads((RULES / "temporal_views.json").read_text())["rows"]
CROPS = json.loads((RULES / "spatial_crops.json").read_text())["rows"]


def test_temporal_views_equal_every_row_of_the_reference():
    for fps, video_frames, num_frames, tau, num_views, use_offset, expected in VIEWS:
        got = temporal_view_indices(
            video_frames=video_frames,
            video_fps=fps,
            num_frames=num_frames,
            sampling_rate=tau,
            num_views=num_views,
            use_offset=use_offset,
        )
        assert got.dtype == np.int64
        assert got.tolist() == expected
    assert {row[5] for row in VIEWS} == {True, False}


def test_view_times_show_the_reference_frames_at_a_constant_rate():
    for fps, video_frames, num_frames, tau, num_views, use_offset, expected in VIEWS:
        times_s = view_times(
            video_frames / fps,
            video_fps=fps,
            num_frames=num_frames,
            sampling_rate=tau,
            num_views=num_views,
            use_offset=use_offset,
        )
        pts_s = np.round(np.arange(video_frames) / fps, 3)  # as Matroska rounds them
        assert on_screen_indices(pts_s, times_s).tolist() == expected


def test_spatial_crops_equal_every_row_of_the_reference():
    for height, width, side, scaled, corners in CROPS:
        got_scaled, got_corners = spatial_crops(height, width, short_side=side, crop=side)
        assert list(got_scaled) == scaled
        assert [list(corner) for corner in got_corners] == corners


def test_a_crop_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match="cannot take crops of 300"):
        spatial_crops(240, 320, short_side=256, crop=300)


@pytest.mark.parametrize(("fps", "in_clip"), [(30000 / 1001, 64), (28.0, 60), (30.0, 64), (25.0, 54)])
def test_a_clip_is_the_frames_before_the_end_of_its_span(fps, in_clip):
    pts_s = np.arange(300) / fps
    picked = frame_indices(pts_s, start_s=0, span_s=clip_span_s(32, 2), num_frames=32)
    assert picked.tolist() == linspace_indices(0, in_clip - 1, 32).tolist()
    assert picked[-1] == in_clip - 1


def test_linspace_truncates_as_float32_does():
    # float64 gives other indices here; these are torch.linspace(0, n - 1, T).long()
    float32_differs = [
        (n, t)
        for t in (8, 13, 32, 64)
        for n in range(1, 400)
        if linspace_indices(0, n - 1, t).tolist() != np.linspace(0, n - 1, t).astype(np.int64).tolist()
    ]
    assert float32_differs
    assert linspace_indices(0, 31, 8).tolist() == [0, 4, 8, 13, 17, 22, 26, 31]
    assert linspace_indices(3.7, 9, 1).tolist() == [3]


def test_a_clip_goes_by_time_not_by_index():
    pts_s = np.r_[np.arange(25) / 25, 1 + np.arange(25) / 10]
    picked = frame_indices(pts_s, start_s=1.0, span_s=1.0, num_frames=4)
    assert pts_s[picked].tolist() == pytest.approx([1.0, 1.3, 1.6, 1.9])


def test_a_short_video_repeats_its_frames():
    assert frame_indices([0.0, 0.04, 0.08], start_s=0, span_s=2, num_frames=6).tolist() == [0, 0, 0, 1, 1, 2]


def test_a_span_between_or_behind_frames_shows_the_frame_on_screen():
    pts_s = [0.0, 10.0, 20.0]
    assert frame_indices(pts_s, start_s=12, span_s=1, num_frames=2).tolist() == [1, 1]
    assert frame_indices(pts_s, start_s=99, span_s=1, num_frames=2).tolist() == [2, 2]
    assert frame_indices(pts_s, start_s=-5, span_s=1, num_frames=2).tolist() == [0, 0]


def test_no_frames_and_no_span_are_errors():
    with pytest.raises(NoFrames):
        frame_indices([], start_s=0, span_s=1, num_frames=8)
    with pytest.raises(ValueError, match="span_s"):
        frame_indices([0.0], start_s=0, span_s=0, num_frames=8)


def test_views_cover_the_video():
    assert view_spans(10.0, span_s=2.0, num_views=5, use_offset=True) == [
        (0.0, 2.0), (2.0, 2.0), (4.0, 2.0), (6.0, 2.0), (8.0, 2.0)
    ]  # fmt: skip
    assert [start for start, _ in view_spans(10.0, span_s=2.0, num_views=4)] == [0, 2, 4, 6]
    assert view_spans(10.0, span_s=2.0, num_views=1, use_offset=True) == [(4.0, 2.0)]
    assert view_spans(1.0, span_s=2.0, num_views=2) == [(0.0, 2.0), (0.0, 2.0)]


@pytest.mark.parametrize(
    ("pts_s", "end_s", "every_s", "expected"),
    [
        (np.arange(72) / 30, 2.4, 1.0, [0, 1, 2]),
        (np.arange(60) / 30, 2.0, 0.5, [0, 0.5, 1, 1.5]),
        (np.arange(6) * 3.4, 20.0, 1.0, [0, 3.4, 6.8, 10.2, 13.6, 17.0]),  # a time-lapse: each picture
        (np.arange(10) / 30, 10 / 30, 0.013, np.arange(10) / 30),  # nearer than frames: each once
        ([0, 0.1, 0.2, 0.3, 3.7, 3.8, 6.4, 6.5, 9.9], 10.0, 1.0, [0, 1, 3.7, 6.4, 9.9]),
        ([0.0], 0.04, 1.0, [0]),
    ],
)
def test_keyframes_lie_where_there_are_new_pictures(pts_s, end_s, every_s, expected):
    times_s = keyframe_grid(pts_s, end_s, every_s=every_s)
    assert times_s == pytest.approx(np.asarray(expected, dtype=float))
    shown = on_screen_indices(pts_s, times_s)
    assert len(set(shown.tolist())) == len(shown), "no picture twice"
