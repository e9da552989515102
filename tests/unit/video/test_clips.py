"""The whole of a video as clips: the right frames, each decoded once, whatever the file is like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import CorruptVideo, LimitExceeded, NoFrames
from twinpath.video import nearest_frames as module
from twinpath.video.clip_plan import ClipPlan, ClipSampling, Keyframes, Selections, Windows
from twinpath.video.clips import Clip, open_clips
from twinpath.video.color import RgbConverter
from twinpath.video.decode import read_frames
from twinpath.video.decode_pass import DecodePass
from twinpath.video.selection import AtTimes, EvenSpan
from twinpath.video.source import Limits


def windows(
    span_s: float, every_s: float | None = None, *, start_s: float = 0.0, num_frames: int = 6
) -> Windows:
    sampling = ClipSampling(num_frames, 30 * span_s / num_frames)
    return Windows(sampling, span_s if every_s is None else every_s, start_s)


def clips_of(
    path: Path, *, span_s: float, every_s: float | None = None, num_frames: int = 6
) -> tuple[list[Clip], list[str]]:
    with open_clips(path, windows(span_s, every_s, num_frames=num_frames)) as stream:
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
    with open_clips(good_video, Windows(ClipSampling(3, 6, "strided"), 0.6)) as stream:
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
    with open_clips(path, windows(0.8, 0.2, start_s=start_s)) as stream:
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
    with open_clips(path, windows(0.8, start_s=6.0)) as stream:
        assert len(list(stream)) == 2
    assert made[0].decoded <= 2 * 25 + 12  # from the keyframe before


def test_what_is_known_of_the_damage_midway(tmp_path: Path) -> None:
    with open_clips(bad_videos.make_lost_head(tmp_path), windows(0.1)) as stream:
        first = next(iter(stream))
        assert any("do not decode" in warning for warning in stream.warnings_until(first.end_s))
        assert stream.warnings == []


def test_a_rest_that_does_not_decode_is_no_clip(tmp_path: Path) -> None:
    path = bad_videos.make_zeroed_tail(tmp_path)
    with open_clips(path, windows(0.2, start_s=1.6)) as stream:
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
            open_clips(good_video, windows(span_s, every_s))
    with pytest.raises(ValueError, match="0 s or later"):
        open_clips(good_video, windows(1.0, start_s=-1.0))
    with pytest.raises(ValueError, match="at least one"):
        Selections(())


def test_colours_that_cannot_be_converted_are_told(tmp_path: Path) -> None:
    _, warnings = clips_of(bad_videos.make_unknown_colours(tmp_path), span_s=0.5)
    assert any("cannot convert the colours" in warning for warning in warnings)


# A start midway


def greys(clip: Clip) -> list[int]:
    return clip.frames[:, 24, 32, 0].tolist()


@pytest.fixture(scope="module", params=[12, 25, 50, 250])
def long(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """10 s with texture, so that a frame which is decoded from elsewhere would differ; keyframes apart."""
    random = np.random.default_rng(1)

    def paint(picture: np.ndarray) -> None:
        picture[8:40, 8:56] = random.integers(0, 255, (32, 48, 3))

    options = {"g": str(request.param), "bf": "2", "sc_threshold": "0", "preset": "ultrafast"}
    path = tmp_path_factory.mktemp("gop") / f"gop{request.param}.mp4"
    numbers = (k % 50 for k in range(250))
    return bad_videos.encode(path, numbers=numbers, codec_options=options, paint=paint)


@pytest.mark.parametrize(
    "plan",
    [
        Windows(ClipSampling(8, 4), 0.4),
        Windows(ClipSampling(8, 4, "strided"), 0.2),
        Windows(ClipSampling(8, 8, "segments"), 0.5),
        Keyframes(32, 2, 0.2),
        Keyframes(8, 8, 1.0),
    ],
)
def test_clips_from_a_start_are_those_of_an_uninterrupted_pass(long: Path, plan: Windows | Keyframes) -> None:
    """Clips around keyframes reach half a clip back, before the keyframe where decoding would start."""
    with open_clips(long, plan) as stream:
        whole = list(stream)
    for start_s in (0.5, 3.2, np.nextafter(5.0, 6.0), 7.7, 9.9):
        later = [clip for clip in whole if clip.start_s >= start_s]
        changed = {"start_s": float(start_s)}
        with open_clips(long, type(plan)(**(vars(plan) | changed))) as stream:
            resumed = list(stream)
            assert stream.warnings == []
        assert [(clip.start_s, clip.end_s) for clip in resumed] == [(c.start_s, c.end_s) for c in later]
        for ours, theirs in zip(resumed, later, strict=True):
            assert np.array_equal(ours.frames, theirs.frames)
            assert np.array_equal(ours.times_s, theirs.times_s)


def test_a_start_midway_keeps_the_keyframes_of_a_slow_video(tmp_path: Path) -> None:
    """Where pictures come slower than keyframes each is one, at its own time, wherever reading starts."""
    path = bad_videos.encode(tmp_path / "slow.mkv", numbers=range(8), rate=1)
    with open_clips(path, Keyframes(4, 1, 0.3)) as stream:
        whole = [clip.start_s for clip in stream]
    with open_clips(path, Keyframes(4, 1, 0.3, start_s=whole[4])) as stream:
        assert [clip.start_s for clip in stream] == whole[4:]


# A few clips


@pytest.mark.parametrize(
    "recipe",
    ["make_good", "make_truncated", "make_zeroed_tail", "make_lost_head", "make_rotated", "make_joined_ts"],
)
def test_selections_are_what_read_frames_gives(recipe: str, tmp_path: Path) -> None:
    path = getattr(bad_videos, recipe)(tmp_path)
    wanted = (EvenSpan(1.0, 0.9, 8), AtTimes((0.3, 0.1, 1.9)), EvenSpan(0.0, 3.0, 6), EvenSpan(0.0, 0.3, 6))
    alone = read_frames(path, wanted)
    with open_clips(path, Selections(wanted)) as stream:
        clips = list(stream)
        assert len(stream) == 4
        assert stream.warnings[: len(alone.warnings)] == alone.warnings
    assert [clip.number for clip in clips] == [0, 1, 2, 3]
    assert [clip.start_s for clip in clips] == [1.0, 0.1, 0.0, 0.0]
    for i, clip in enumerate(clips):
        assert np.array_equal(clip.frames, alone.clip(i))
        assert np.array_equal(clip.times_s, alone.clip_times_s(i))


def test_selections_far_apart_skip_what_lies_between(tmp_path: Path) -> None:
    path = bad_videos.encode(tmp_path / "long.mp4", numbers=(k % 50 for k in range(1000)))
    wanted = (EvenSpan(36.0, 0.4, 4), EvenSpan(0.0, 0.4, 4), EvenSpan(20.0, 0.4, 4))
    with open_clips(path, Selections(wanted)) as stream:
        clips = list(stream)
        assert stream._source.budget.frames < 100  # type: ignore[attr-defined]
    assert [clip.start_s for clip in clips] == [36.0, 0.0, 20.0]
    assert [greys(clip) for clip in clips] == [greys(clips[0])] * 3


def test_a_part_that_does_not_decode_shows_frames_of_another(tmp_path: Path) -> None:
    """A recording that starts without its first keyframe; the next one is 8 s away."""
    options = {"g": "200", "bf": "0", "sc_threshold": "0", "preset": "ultrafast"}
    whole = bad_videos.encode(
        tmp_path / "whole.mkv", numbers=(k % 50 for k in range(300)), codec_options=options
    )
    path = bad_videos.remux(whole, tmp_path / "headless.mkv", lambda k, packet: packet if k else None)
    wanted = (EvenSpan(0.0, 0.4, 4), EvenSpan(9.0, 0.4, 4))
    with open_clips(path, Selections(wanted)) as stream:
        clips = list(stream)
        assert any("do not decode" in warning or "damaged" in warning for warning in stream.warnings)
    assert [clip.number for clip in clips] == [0, 1]
    assert clips[0].times_s.min() > 7.9


def test_a_clip_of_few_frames_at_the_end_of_the_video_is_told(good_video: Path) -> None:
    with open_clips(good_video, Selections((EvenSpan(1.99, 2.1, 16),))) as stream:
        (clip,) = stream
        assert stream.warnings == ["the clip at 1.99 s holds 1 of 16 frames: the video ends at 2.00 s"]
    assert len(set(greys(clip))) == 1
    with open_clips(good_video, Selections((EvenSpan(1.8, 2.1, 16), EvenSpan(1.9, 2.1, 16)))) as stream:
        assert len(list(stream)) == 2
        assert stream.warnings == ["the clip at 1.90 s holds 2 of 16 frames: the video ends at 2.00 s"]


def test_a_video_of_one_frame_is_whole(tmp_path: Path) -> None:
    for plan in (Selections((EvenSpan(0.0, 2.0, 16),)), windows(2.0, num_frames=16)):
        with open_clips(bad_videos.make_one_frame(tmp_path), plan) as stream:
            list(stream)
            assert stream.warnings == []


def test_few_frames_because_the_video_is_slow_are_no_news(tmp_path: Path) -> None:
    path = bad_videos.encode(tmp_path / "slow.mp4", numbers=range(20), rate=1)
    with open_clips(path, Selections((EvenSpan(4.0, 2.0, 16),))) as stream:
        list(stream)
        assert stream.warnings == []


def test_frames_shorter_than_the_ticks_of_the_container(tmp_path: Path) -> None:
    """Ten frames of a high-speed camera have one time in Matroska, which counts milliseconds."""
    path = bad_videos.encode(tmp_path / "fast.mkv", numbers=range(200), rate=10_000)
    with open_clips(path, windows(0.004, 0.004, num_frames=8)) as stream:
        starts_s = [clip.start_s for clip in stream]
    assert starts_s == pytest.approx([0.004 * k for k in range(len(starts_s))])
    assert len(starts_s) >= 4


# Limits


def test_frames_that_are_held_at_once_are_bounded(good_video: Path) -> None:
    frame = 64 * 48 * 3
    for plan, most in (
        (Selections((EvenSpan(0.0, 2.0, 32),)), 32 * frame),
        (windows(0.8, num_frames=20), 20 * frame),
        (windows(0.8, 0.2, num_frames=20), 34 * frame),
        (Selections((EvenSpan(1.0, 0.4, 10), EvenSpan(0.0, 0.4, 10))), 20 * frame),
    ):
        with (
            open_clips(good_video, plan, limits=Limits(max_bytes=most)) as stream,
            pytest.raises(LimitExceeded, match=r"good\.mp4: .* frames of 64x48 are more than .* bytes"),
        ):
            list(stream)
        with open_clips(good_video, plan, limits=Limits(max_bytes=most + 2 * frame)) as stream:
            assert list(stream)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_frames=20), "more than 20 frames"),
        (Limits(max_pixels=64 * 47), "64x48"),
        (Limits(max_seconds=0.0), "longer than 0 s"),
    ],
)
def test_the_other_limits(good_video: Path, limits: Limits, words: str) -> None:
    plan: ClipPlan
    for plan in (windows(0.8), Selections((EvenSpan(0.0, 2.0, 8),)), Keyframes(8, 2, 0.5)):
        with pytest.raises(LimitExceeded, match=words), open_clips(good_video, plan, limits=limits) as stream:
            list(stream)


@pytest.mark.parametrize("recipe", ["picture", "video"])
def test_large_pictures_are_a_limit_not_a_memory_error(tmp_path: Path, recipe: str) -> None:
    """One picture of 8192x8192 pixels would be a clip of 6 GB."""
    path = bad_videos.encode(
        tmp_path / "huge.gif" if recipe == "picture" else tmp_path / "huge.mp4",
        size=(8192, 8192),
        numbers=range(1),
        **({"codec": "gif", "pixels": "gray", "codec_options": {}} if recipe == "picture" else {}),
    )
    for plan in (Selections((EvenSpan(0.0, 2.1, 32),)), windows(2.1, num_frames=32), Keyframes(32, 2, 1.0)):
        with (
            open_clips(path, plan) as stream,
            pytest.raises(LimitExceeded, match=r"huge\.\w+: 33 frames of 8192x8192 are more than"),
        ):
            list(stream)
    with pytest.raises(LimitExceeded, match="32 frames of 8192x8192"):
        read_frames(path, [EvenSpan(0.0, 2.1, 32)])


def test_memory_that_runs_out_names_the_file(good_video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: RgbConverter, frame: object) -> None:
        raise MemoryError

    monkeypatch.setattr(RgbConverter, "__call__", fails)
    with (
        open_clips(good_video, windows(0.8)) as stream,
        pytest.raises(LimitExceeded, match=r"good\.mp4: .*memory"),
    ):
        list(stream)
    with pytest.raises(LimitExceeded, match=r"good\.mp4: .* memory"):
        read_frames(good_video, [EvenSpan(0.0, 1.0, 4)])


def test_a_clip_is_not_held_when_the_next_one_is_made(good_video: Path) -> None:
    held: list[int] = []
    with open_clips(good_video, windows(0.4)) as stream:
        for clip in stream:
            held.append(id(clip.frames))
            clip.frames[:] = 7  # the caller's own
            del clip
    assert len(held) == 5
