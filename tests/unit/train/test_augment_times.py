"""Which frames a training clip has: PySlowFast's at a constant rate, undistorted at another one."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from twinpath.train.augment.times import TimeRule, _on_screen, mean_fps, span_frames
from twinpath.train.sample_request import ClipShape

GOLDEN = json.loads((Path(__file__).parents[2] / "golden/rules/temporal_views.json").read_text("utf-8"))


def frames_at(fps: float, count: int) -> np.ndarray:
    return np.arange(count) / fps


def rngs(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng(seed) for seed in range(count)]


def test_clips_that_start_where_pyslowfasts_views_do_have_its_frames() -> None:
    for fps, count, num_frames, rate, num_views, use_offset, views in GOLDEN["rows"]:
        times_s = 7.0 + frames_at(fps, count)
        span = span_frames(num_frames, rate, fps=mean_fps(times_s))
        room = max(count - span, 0)
        if use_offset and num_views == 1:
            assert TimeRule("span", rate).centre(times_s, num_frames).tolist() == views[0]
        for view, expected in enumerate(views) if not use_offset else ():
            found = _on_screen(times_s, room * view / num_views, span, num_frames, mean_fps(times_s))
            assert found.tolist() == expected, (fps, count, num_frames, rate, num_views)


def test_random_clips_begin_anywhere_and_span_what_the_rate_says() -> None:
    times_s = frames_at(25.0, 250)
    picks = [TimeRule("span", 4).random(times_s, ClipShape(8, 224), rng)[0] for rng in rngs(300)]
    assert {len(pick) for pick in picks} == {8}
    assert {int(pick[-1] - pick[0]) for pick in picks} <= {25, 26}  # 8 * 4 / 30 s at 25 fps, less a frame
    assert min(pick[0] for pick in picks) < 5
    assert max(pick[-1] for pick in picks) > 244
    longer = [TimeRule("span", 4).random(times_s, ClipShape(8, 224, 16), rng)[0] for rng in rngs(300)]
    spans = sorted({int(pick[-1] - pick[0]) for pick in longer})
    assert spans[0] in (25, 26)
    assert spans[-1] in (105, 106)  # sampling rates from 4 to 16, both included
    jittered = [
        TimeRule("span", 4, fps_jitter=30.0).random(times_s, ClipShape(8, 224), rng)[0] for rng in rngs(300)
    ]
    assert 12 <= min(pick[-1] - pick[0] for pick in jittered) <= 14  # twice as slow at most
    assert max(pick[-1] - pick[0] for pick in jittered) >= 24


def test_a_varying_frame_rate_does_not_distort_time() -> None:
    times_s = np.concatenate([np.arange(0, 5, 0.1), np.arange(5, 10, 0.02)])  # 10, then 50 frames a second
    for rng in rngs(50):
        (pick,) = TimeRule("span", 6).random(times_s, ClipShape(10, 224), rng)
        assert np.abs(np.diff(times_s[pick]) - 0.2).max() <= 0.13  # 2 s in 10 steps, to the frame on screen


def test_a_clip_longer_than_its_video_ends_with_the_last_frame_repeated() -> None:
    for count in (1, 5):
        (pick,) = TimeRule("span", 2).random(
            frames_at(30, count), ClipShape(8, 224), np.random.default_rng(0)
        )
        assert pick[0] == 0
        assert pick[-1] == count - 1
        assert len(pick) == 8


def test_several_clips_of_a_video_keep_their_distance_where_that_is_possible() -> None:
    times_s = frames_at(30.0, 300)
    rule = TimeRule("span", 2, clips=3, gaps_s=(0.0, 1.0))
    orders = set()
    for rng in rngs(40):
        starts = np.array([pick[0] for pick in rule.random(times_s, ClipShape(8, 224), rng)])
        gaps = [b - a - 15 for a, b in pairwise(sorted(starts))]
        assert min(gaps) >= -1  # frames; starts are fractions
        assert max(gaps) <= 31
        orders.add(tuple(np.argsort(starts)))
    assert len(orders) == 6
    impossible = TimeRule("span", 2, clips=2, gaps_s=(5.0, 5.0)).random(
        frames_at(30, 100), ClipShape(8, 224), np.random.default_rng(0)
    )
    starts = sorted(int(pick[0]) for pick in impossible)
    assert starts[1] - starts[0] > 60  # the nearest of all tries


def test_segments_have_one_frame_of_each_part() -> None:
    # 46 frames, 8 parts: bounds 0, 6, 11, 17, 22, 28, 34, 39, 45 (5.625 each, rounded half to even)
    bounds = np.array([0, 6, 11, 17, 22, 28, 34, 39, 45])
    rule, times_s = TimeRule("segments", 1), frames_at(12.0, 46)
    assert rule.centre(times_s, 8).tolist() == ((bounds[:-1] + bounds[1:]) // 2).tolist()
    drawn = np.array([rule.random(times_s, ClipShape(8, 224), rng)[0] for rng in rngs(400)])
    assert drawn.min(axis=0).tolist() == bounds[:-1].tolist()
    assert drawn.max(axis=0).tolist() == bounds[1:].tolist()


@pytest.mark.parametrize(("count", "firsts"), [(40, range(12)), (20, range(1))])
def test_strided_clips_are_those_of_charades(count: int, firsts: range) -> None:
    rule, times_s = TimeRule("stride", 4), frames_at(24.0, count)
    drawn = [rule.random(times_s, ClipShape(8, 224), rng)[0].tolist() for rng in rngs(200)]
    shorter = count < 29  # (8 - 1) * 4 + 1
    starts = range(count - 29, 1) if shorter else firsts
    expected = [[min(max(start + 4 * i, 0), count - 1) for i in range(8)] for start in starts]
    assert sorted(map(list, {tuple(pick) for pick in drawn})) == sorted(
        map(list, {tuple(pick) for pick in expected})
    )
    assert rule.centre(times_s, 8).tolist() in expected
