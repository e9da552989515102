"""Plans of many clips: the windows that hold a frame, by their definition, and no more than a limit."""

from __future__ import annotations

import numpy as np
import pytest

from twinpath.errors import LimitExceeded
from twinpath.video import clip_plan
from twinpath.video.clip_plan import ClipSampling, Keyframes, Windows, plan_grid, window_starts
from twinpath.video.sampling import TIME_TOLERANCE_S


@pytest.mark.parametrize("seed", range(20))
def test_windows_are_those_that_hold_a_frame(seed: int) -> None:
    random = np.random.default_rng(seed)
    times_s = np.unique(np.round(random.uniform(0, 30, random.integers(1, 60)) ** 1.5, 3))
    times_s -= times_s[0]
    end_s, span_s = float(times_s[-1]) + 0.04, float(random.choice([0.3, 2.0, 8.5]))
    every_s = float(random.choice([0.1, 0.5, 1.0, 7.0]))
    starts_s = window_starts(times_s, end_s, span_s=span_s, every_s=every_s)
    expected = []
    for number in range(10_000):  # up to the first window that reaches the end
        start_s = number * every_s
        after_s = times_s - start_s + TIME_TOLERANCE_S
        if ((after_s >= 0) & (after_s < span_s)).any():
            expected.append(start_s)
        if start_s + span_s >= end_s - TIME_TOLERANCE_S:
            break
    assert starts_s == pytest.approx(np.array(expected or [0.0]))


def test_a_plan_of_too_many_clips_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_plan, "MAX_CLIPS", 100)
    times_s = np.arange(0, 101) / 10
    for plan in (Windows(ClipSampling(8, 1), every_s=0.1), Keyframes(8, 1, every_s=0.1)):
        assert len(plan_grid(plan, times_s[:100], 10.0)) <= 100
        with pytest.raises(LimitExceeded, match="more than 100; raise every_s or cut the video"):
            plan_grid(plan, np.arange(0, 301) / 10, 30.1)


def test_windows_of_a_long_span_take_no_more_memory() -> None:
    """Each of 100,000 frames lies in 6,400 windows; there are 100,000 windows all the same."""
    starts_s = window_starts(np.arange(100_000) / 100, 1000.0, span_s=64.0, every_s=0.01)
    assert len(starts_s) == 93_601
    assert np.diff(starts_s) == pytest.approx(0.01)
