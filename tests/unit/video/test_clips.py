"""The whole of a video as clips: the right frames, each decoded once, whatever the file is like."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import CorruptVideo, NoFrames
from twinpath.video import clips as module
from twinpath.video.clips import Clip, ClipStream
from twinpath.video.decode import AtTimes, EvenSpan, read_frames
from twinpath.video.decode_pass import DecodePass


def select(start_s: float, *, span_s: float, num_frames: int = 6) -> EvenSpan:
    return EvenSpan(start_s, span_s, num_frames)


def clips_of(
    path: Path, *, span_s: float, every_s: float | None = None, num_frames: int = 6
) -> tuple[list[Clip], list[str]]:
    of_span = partial(select, span_s=span_s, num_frames=num_frames)
    with ClipStream(path, of_span, span_s=span_s, every_s=every_s) as stream:
        clips = list(stream)
        assert len(clips) <= len(stream)
        return clips, stream.warnings


@pytest.mark.parametrize(
    ("span_s", "every_s", "starts_s", "end_s"),
    [
        (0.8, None, [0.0, 0.8, 1.6], 2.0),
        (0.8, 0.4, [0.0, 0.4, 0.8, 1.2], 2.0),  # the last one ends with the video
        (0.8, 0.5, [0.0, 0.5, 1.0, 1.5], 2.0),
        (0.2, 0.75, [0.0, 0.75, 1.5], 1.7),  # gaps between clips
        (5.0, None, [0.0], 2.0),
        (2.0, None, [0.0], 2.0),
    ],
)
def test_clips_go_on_until_one_reaches_the_end(
    good_video: Path, span_s: float, every_s: float | None, starts_s: list[float], end_s: float
) -> None:
    found, warnings = clips_of(good_video, span_s=span_s, every_s=every_s)
    assert [clip.start_s for clip in found] == pytest.approx(starts_s)
    assert [clip.end_s for clip in found[:-1]] == pytest.approx([s + span_s for s in starts_s[:-1]])
    assert found[-1].end_s == pytest.approx(end_s)
    assert warnings == []


@pytest.mark.parametrize("every_s", [0.2, 0.8, 1.0])
@pytest.mark.parametrize("recipe", ["make_good", "make_variable_rate", "make_offset_ts", "make_vp9"])
def test_each_clip_is_what_reading_it_alone_gives(recipe: str, every_s: float, tmp_path: Path) -> None:
    path = getattr(bad_videos, recipe)(tmp_path)
    for clip in clips_of(path, span_s=0.8, every_s=every_s)[0]:
        alone = read_frames(path, [EvenSpan(clip.start_s, 0.8, 6)])
        assert np.array_equal(clip.frames, alone.clip())


def test_frames_at_exact_times(good_video: Path) -> None:
    with ClipStream(good_video, lambda s: AtTimes((s, s + 0.2, s + 0.4)), span_s=0.6) as stream:
        greys = [clip.frames[:, 24, 32, 0].astype(float) for clip in stream]
    numbers = [np.round((grey - 20) / 4).astype(int).tolist() for grey in greys]
    assert numbers == [[0, 5, 10], [15, 20, 25], [30, 35, 40], [45, 49, 49]]  # the last frame stays on screen


def test_frames_that_clips_share_are_decoded_once(good_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[DecodePass] = []

    class Counted(DecodePass):
        def __iter__(self) -> Iterator[tuple[float, object]]:  # type: ignore[override]
            made.append(self)
            return super().__iter__()

    monkeypatch.setattr(module, "DecodePass", Counted)
    assert len(clips_of(good_video, span_s=0.8, every_s=0.04)[0]) == 31
    (only,) = made
    assert only.decoded == 50


@pytest.mark.parametrize("start_s", [0.1, 1.4, 5.0, 7.2, 9.0])
@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.ts", "long.avi"])
def test_clips_from_a_time_on_are_those_of_the_whole_video(name: str, start_s: float, tmp_path: Path) -> None:
    path = bad_videos.encode(tmp_path / name, numbers=range(200))  # 8 s
    whole, _ = clips_of(path, span_s=0.8, every_s=0.2)
    of_span = partial(select, span_s=0.8)
    with ClipStream(path, of_span, span_s=0.8, every_s=0.2, start_s=start_s) as stream:
        rest = list(stream)
        assert len(stream) == len(rest)
        assert stream.warnings == []
        assert stream.end_s == pytest.approx(8.0, abs=0.05)
    expected = [clip for clip in whole if clip.start_s >= start_s]
    assert [clip.start_s for clip in rest] == [clip.start_s for clip in expected]
    assert all(np.array_equal(a.frames, b.frames) for a, b in zip(rest, expected, strict=True))


def test_clips_from_a_time_on_need_no_frames_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = bad_videos.encode(tmp_path / "long.mp4", numbers=range(200))
    made: list[DecodePass] = []

    class Kept(DecodePass):
        def __init__(self, *arguments: object, **options: object) -> None:
            super().__init__(*arguments, **options)  # type: ignore[arg-type]
            made.append(self)

    monkeypatch.setattr(module, "DecodePass", Kept)
    with ClipStream(path, partial(select, span_s=0.8), span_s=0.8, start_s=6.0) as stream:
        assert len(list(stream)) == 2
    assert made[0].decoded <= 2 * 25 + 12  # from the keyframe before


def test_what_is_known_of_the_damage_midway(tmp_path: Path) -> None:
    with ClipStream(bad_videos.make_lost_head(tmp_path), partial(select, span_s=0.1), span_s=0.1) as stream:
        first = next(iter(stream))
        assert any("do not decode" in warning for warning in stream.warnings_until(first.end_s))
        assert stream.warnings == []


def test_a_rest_that_does_not_decode_is_no_clip(tmp_path: Path) -> None:
    path = bad_videos.make_zeroed_tail(tmp_path)
    with ClipStream(path, partial(select, span_s=0.2), span_s=0.2, start_s=1.6) as stream:
        assert list(stream) == []
        assert any("damaged or incomplete" in warning for warning in stream.warnings)


def test_a_file_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    path = bad_videos.make_truncated(tmp_path)
    whole, _ = clips_of(tmp_path / "faststart.mp4", span_s=0.4)
    found, warnings = clips_of(path, span_s=0.4)
    assert 0 < len(found) < len(whole) == 5
    assert found[-1].end_s < 2.0
    assert "damaged or incomplete" in warnings[0]
    for ours, theirs in zip(found[:-1], whole, strict=False):
        assert np.array_equal(ours.frames, theirs.frames)


def test_a_head_that_does_not_decode_is_left_out(tmp_path: Path) -> None:
    found, warnings = clips_of(bad_videos.make_lost_head(tmp_path), span_s=0.1)
    assert found[0].start_s == pytest.approx(0.3)
    assert any("do not decode" in warning for warning in warnings)


def test_clips_without_a_frame_are_left_out(tmp_path: Path) -> None:
    """Three frames, ten hours apart: three clips, not a thousand copies."""
    found, _ = clips_of(bad_videos.make_huge_gaps(tmp_path), span_s=0.8)
    assert [clip.start_s for clip in found] == pytest.approx([0, 36_000, 72_000])


def test_nothing_to_see(tmp_path: Path) -> None:
    with pytest.raises(NoFrames):
        clips_of(bad_videos.make_headless_fragments(tmp_path), span_s=0.8)
    path = bad_videos.make_good_faststart(tmp_path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = bytes(len(data) - start)
    (tmp_path / "zeros.mp4").write_bytes(data)
    with pytest.raises(CorruptVideo, match="none of its frames decodes"):
        clips_of(tmp_path / "zeros.mp4", span_s=0.8)


def test_a_length_of_nothing(good_video: Path) -> None:
    for span_s, every_s in ((0.0, None), (1.0, 0.0), (1.0, -1.0), (float("inf"), None)):
        with pytest.raises(ValueError, match="above 0"):
            ClipStream(good_video, partial(select, span_s=1.0), span_s=span_s, every_s=every_s)
    with pytest.raises(ValueError, match="0 s or later"):
        ClipStream(good_video, partial(select, span_s=1.0), span_s=1.0, start_s=-1.0)


def test_colours_that_cannot_be_converted_are_told(tmp_path: Path) -> None:
    _, warnings = clips_of(bad_videos.make_unknown_colours(tmp_path), span_s=0.5)
    assert any("cannot convert the colours" in warning for warning in warnings)
