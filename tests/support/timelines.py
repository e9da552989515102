"""Timelines for tests: a classifier that tells light from dark, scores made by hand, strict parsers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tests.support import bad_videos
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.read import VideoReader
from twinpath.results.provenance import FileFacts, Provenance
from twinpath.results.window_scores import WindowScores
from twinpath.video.resize import ResizedFrames

SHADES = ("dark", "light")


class ShadeClassifier:
    """Scores a clip by how light it is. Windows last 0.8 s."""

    model = "shade.test"
    dataset = "test"
    labels = SHADES
    weights_sha256 = None
    reader = VideoReader()
    spec = InputSpec(num_frames=6, sampling_rate=4, short_side_px=48, crop_px=48)
    resize = spec.resize()

    def __init__(self, *, batch_clips: int = 2, at_call: Callable[[int], None] | None = None) -> None:
        self.batch_clips = batch_clips
        self.calls = 0
        self._at_call = at_call

    def engine(self, num_crops: int = 1) -> ShadeClassifier:
        assert num_crops == 1
        return self

    def describe(self) -> str:
        return "by eye"

    def __call__(
        self, clips: Sequence[ResizedFrames], boxes_xyxy_px: None = None
    ) -> list[NDArray[np.float32]]:
        self.calls += 1
        if self._at_call is not None:
            self._at_call(self.calls)
        light = np.array([clip.pixels.mean() / 255 for clip in clips], dtype=np.float32)
        return [np.array([[1 - of_clip, of_clip]]) for of_clip in light]


def grey_film(path: Path, *, seconds: float = 8.0, container: str | None = None) -> Path:
    """Ever lighter pictures at 25 fps, a keyframe every 12; another grey in every frame."""
    frames = round(seconds * bad_videos.FPS)

    def grey(number: int) -> int:
        return (250 * number // frames - 20) // 4

    return bad_videos.encode(path, numbers=[grey(k) for k in range(frames)], container=container)


def scores_by_hand(
    scores: ArrayLike,
    labels: Sequence[str],
    *,
    video: str = "match.mp4",
    complete: bool = True,
    duration_s: float | None = None,
    warnings: tuple[str, ...] = (),
    first_frame_s: float = 0.0,
) -> WindowScores:
    """Windows of 2 s, one every second."""
    columns = np.asarray(scores, dtype=np.float16).reshape(-1, len(labels))
    starts_s = np.arange(len(columns), dtype=np.float64)
    if duration_s is None:
        duration_s = float(len(columns) + 1)
    return WindowScores(
        video=video,
        provenance=Provenance(FileFacts(1000, 1.5), "net.weights", None, {"every_s": 1.0}),
        dataset="test",
        engine="by hand",
        duration_s=duration_s,
        every_s=1.0,
        span_s=2.0,
        labels=tuple(labels),
        starts_s=starts_s,
        ends_s=starts_s + 2,
        scores=columns,
        windows_expected=len(columns),
        complete=complete,
        warnings=warnings,
        settings={},
        first_frame_s=first_frame_s,
    )


def read_srt(text: str) -> list[tuple[int, int, list[str]]]:
    """(start ms, end ms, lines) of each subtitle; asserts everything that a player may rely on."""
    assert "\r" not in text
    if not text:
        return []
    assert text.endswith("\n\n")
    assert not text.endswith("\n\n\n")
    found = []
    for number, block in enumerate(text.removesuffix("\n\n").split("\n\n"), start=1):
        first, times, *lines = block.split("\n")
        assert first == str(number)
        start, end = times.split(" --> ")
        assert lines
        assert all(line.strip() == line != "" for line in lines)
        found.append((_ms(start, ","), _ms(end, ","), lines))
    _assert_in_order(found)
    return found


def read_vtt(text: str) -> list[tuple[int, int, list[str]]]:
    """The same for WebVTT, whose text has entities."""
    header, *blocks = text.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    found = []
    for block in blocks:
        times, *lines = block.split("\n")
        start, end = times.split(" --> ")
        assert lines
        for line in lines:
            assert "-->" not in line
            assert "<" not in line
            assert re.fullmatch(r"([^&]|&(amp|lt|gt);)+", line)
        plain = [line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") for line in lines]
        found.append((_ms(start, "."), _ms(end, "."), plain))
    _assert_in_order(found)
    return found


def _ms(text: str, mark: str) -> int:
    match = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(mark)}(\d\d\d)", text)
    assert match, text
    hours, minutes, seconds, ms = map(int, match.groups())
    return ((60 * hours + minutes) * 60 + seconds) * 1000 + ms


def _assert_in_order(found: list[tuple[int, int, list[str]]]) -> None:
    end_before = 0
    for start, end, _ in found:
        assert end_before <= start < end
        end_before = end
