"""The right frames, upright, at the right times, and no more work than needed."""

import subprocess
import sys

import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.errors import LimitExceeded
from twinpath.video.decode import AtTimes, EvenSpan, FrameStream, read_frames
from twinpath.video.probe import probe
from twinpath.video.sampling import linspace_indices
from twinpath.video.source import Limits, VideoSource


def numbers(frames):
    """Frame numbers, read from the grey in the middle of each picture."""
    _, height, width, _ = frames.shape
    grey = frames[:, height // 2, width // 2].astype(float).mean(axis=-1)
    return np.round((grey - 20) / 4).astype(int).tolist()


def encode_long(folder, name="long.mp4", *, keyint=12):
    """20 s; the grey repeats every 50 frames. Keyframes every 0.48 s."""
    return bad_videos.encode(
        folder / name,
        numbers=(k % 50 for k in range(500)),
        codec_options={"g": str(keyint), "bf": "2", "preset": "ultrafast"},
    )


def test_a_clip_holds_the_frames_that_the_rule_names(good_video):
    decoded = read_frames(good_video, [EvenSpan(0.4, 0.8, num_frames=8)])
    expected = (10 + linspace_indices(0, 19, 8)).tolist()
    assert numbers(decoded.clip()) == expected
    assert decoded.clip_times_s().tolist() == pytest.approx([k / 25 for k in expected])
    assert decoded.frames.dtype == np.uint8
    assert decoded.frames.shape == (8, 48, 64, 3)
    assert decoded.warnings == []


def test_views_share_frames_and_one_pass(good_video):
    spans = [EvenSpan(start_s, 0.8, num_frames=10) for start_s in (0.8, 0.0, 0.4)]
    decoded = read_frames(good_video, spans)
    for i, first in enumerate((20, 0, 10)):
        assert numbers(decoded.clip(i)) == (first + linspace_indices(0, 19, 10)).tolist()
    assert decoded.frames_decoded <= 41
    assert len(decoded.frames) == len(set(decoded.times_s.tolist())) < 30


def test_decoding_stops_at_the_last_wanted_frame(good_video):
    decoded = read_frames(good_video, [EvenSpan(0, 0.2, num_frames=5)])
    assert decoded.frames_decoded == 5
    assert decoded.warnings == []


@pytest.mark.parametrize("name", ["long.mp4", "long.mkv", "long.ts", "long.avi"])
def test_a_late_span_starts_at_a_keyframe_near_it(video_folder, name):
    decoded = read_frames(encode_long(video_folder, name), [EvenSpan(15.0, 0.4, num_frames=10)])
    assert numbers(decoded.clip()) == [(375 + k) % 50 for k in range(10)]
    assert decoded.clip_times_s()[0] == pytest.approx(15.0, abs=0.001)
    if not name.endswith(".avi"):  # without presentation times, B-frames may belong to the group before
        assert decoded.frames_decoded <= 12 + 10
    assert decoded.warnings == []


def test_far_apart_spans_skip_what_lies_between(video_folder):
    decoded = read_frames(
        encode_long(video_folder), [EvenSpan(s, 0.2, num_frames=5) for s in (16.0, 0.0, 8.0)]
    )
    assert [numbers(decoded.clip(i))[0] for i in range(3)] == [0, 0, 0]
    assert decoded.clip_times_s(0)[0] == pytest.approx(16.0)
    assert decoded.clip_times_s(2)[0] == pytest.approx(8.0)
    assert decoded.frames_decoded <= 3 * (12 + 5)


def test_a_late_span_with_a_single_keyframe_starts_over(video_folder):
    path = encode_long(video_folder, "one_key.mp4", keyint=1000)
    decoded = read_frames(path, [EvenSpan(15.0, 0.4, num_frames=10)])
    assert numbers(decoded.clip()) == [(375 + k) % 50 for k in range(10)]


def test_frames_at_given_times_come_in_the_given_order(good_video):
    decoded = read_frames(good_video, [AtTimes((1.0, 0.05, 99.0, -1.0, 1.0))])
    assert numbers(decoded.clip()) == [25, 1, 49, 0, 25]
    assert len(decoded.frames) == 4


def test_a_variable_frame_rate_goes_by_time(video_folder):
    path = bad_videos.make_variable_rate(video_folder)
    decoded = read_frames(path, [EvenSpan(1.0, 1.0, num_frames=4)])
    assert numbers(decoded.clip()) == [25, 28, 31, 34]
    assert decoded.clip_times_s().tolist() == pytest.approx([1.0, 1.3, 1.6, 1.9])


@pytest.mark.parametrize(
    ("rotation_deg", "corner"),
    [(0, "top left"), (90, "bottom left"), (180, "bottom right"), (-90, "top right")],
)
def test_pictures_are_upright(video_folder, rotation_deg, corner):
    path = bad_videos.make_rotated(video_folder, rotation_deg=rotation_deg)
    picture = read_frames(path, [EvenSpan(0, 0.2, num_frames=1)]).frames[0]
    info = probe(path)
    assert picture.shape == ((64, 48, 3) if rotation_deg % 180 else (48, 64, 3))
    assert (info.height, info.width) == picture.shape[:2]
    assert info.rotation_deg == rotation_deg % 360
    corners = {
        "top left": picture[4, 4],
        "top right": picture[4, -4],
        "bottom left": picture[-4, 4],
        "bottom right": picture[-4, -4],
    }
    assert max(corners, key=lambda name: corners[name].sum()) == corner


def test_avi_with_b_frames_keeps_its_order(video_folder):
    path = bad_videos.make_b_frames_avi(video_folder)
    decoded = read_frames(path, [EvenSpan(0, 2.0, num_frames=50)])
    assert numbers(decoded.clip()) == list(range(50))


def test_a_stream_gives_every_frame_once(good_video):
    with FrameStream(good_video) as stream:
        frames = [(time_s, picture.shape) for time_s, picture in stream]
    assert [time_s for time_s, _ in frames] == pytest.approx([k / 25 for k in range(50)])
    assert {shape for _, shape in frames} == {(48, 64, 3)}
    assert stream.fps == 25.0
    assert stream.warnings == []


def test_probe_describes_the_file(good_video):
    info = probe(good_video)
    assert (info.container, info.codec, info.width, info.height) == ("mov", "h264", 64, 48)
    assert (info.average_fps, info.duration_s, info.frame_count_claimed) == (25.0, 2.0, 50)
    assert info.has_audio is False
    assert info.to_dict()["path"] == str(good_video)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (Limits(max_frames=20), "more than 20 frames"),
        (Limits(max_bytes=10_000), "more than 10000 bytes"),
        (Limits(max_pixels=64 * 47), "64x48"),
        (Limits(max_seconds=0.0), "longer than 0 s"),
    ],
)
def test_budgets_are_kept(good_video, limits, words):
    with pytest.raises(LimitExceeded, match=words):
        read_frames(good_video, [EvenSpan(0, 2, num_frames=32)], limits=limits)


def test_a_stream_keeps_its_frame_budget(good_video):
    with FrameStream(good_video, limits=Limits(max_frames=20)) as stream, pytest.raises(LimitExceeded):
        for _ in stream:
            pass
    assert stream.frames_decoded == 20


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="a span needs"):
        EvenSpan(0, float("nan"), num_frames=8)
    with pytest.raises(ValueError, match="AtTimes needs"):
        AtTimes(())


def test_the_package_needs_no_torch():
    modules = [
        "clock",
        "damage",
        "decode",
        "find",
        "decode_plan",
        "probe",
        "sampling",
        "sniff",
        "source",
        "writer",
    ]
    code = "import sys\n" + "".join(f"import twinpath.video.{name}\n" for name in modules)
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True, timeout=60)


@pytest.mark.parametrize(
    "make", [bad_videos.make_good, bad_videos.make_cut_without_reencoding, bad_videos.make_variable_rate]
)
def test_a_file_is_opened_once(video_folder, monkeypatch, make):
    path = make(video_folder)
    with FrameStream(path) as stream:
        every = [(time_s, frame) for time_s, frame in stream]
    opened = []
    open_as_ever = VideoSource._open
    monkeypatch.setattr(VideoSource, "_open", lambda source: (opened.append(source), open_as_ever(source)))
    decoded = read_frames(path, [AtTimes((every[0][0], every[-1][0]))])  # planned, then decoded
    assert len(opened) == 1
    assert np.array_equal(decoded.clip(), np.stack([every[0][1], every[-1][1]]))
