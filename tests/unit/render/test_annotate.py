"""An annotated video: the same pictures at the same times, with sound, and boxes where people are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import bad_videos
from twinpath.errors import LimitExceeded, NoFrames, NotAVideo, UsageError
from twinpath.render.annotate import annotate_video
from twinpath.render.contact_sheet import contact_sheet
from twinpath.render.people import colour_of
from twinpath.render.track_interpolator import TrackInterpolator
from twinpath.results.classification import Prediction
from twinpath.results.detections import BoxPx, Detections, Track, TrackPoint
from twinpath.video.decode import FrameStream
from twinpath.video.probe import probe
from twinpath.video.source import Limits

WAVE = Prediction("wave", 1, 0.9)
QUIET_UNTIL_S = 0.5  # then a tone


def seen(time_s: float, box: BoxPx, *actions: Prediction) -> TrackPoint:
    return TrackPoint(time_s, box, 0.9, actions)


def detections(
    *tracks: Track,
    size: tuple[int, int] = (320, 240),
    every_s: float = 1.0,
    keyframes_s: Sequence[float] = (0.5, 1.5),
) -> Detections:
    return Detections(
        video="v.mp4",
        model="m",
        dataset="ava2.2",
        engine="e",
        person_detector="p",
        tracker="t",
        width_px=size[0],
        height_px=size[1],
        duration_s=2.0,
        every_s=every_s,
        keyframes_s=tuple(keyframes_s),
        tracks=tracks,
        warnings=(),
        timing_s={"decode": 0.1, "people": 0.4, "actions": 0.5},
    )


ONE = Track(3, (seen(0.5, (20, 40, 80, 200), WAVE), seen(1.5, (220, 40, 280, 200))))


def grey_video(path: Path) -> Path:
    """Two seconds of grey, 320x240 at 25 fps."""
    return bad_videos.encode(path, size=(320, 240), numbers=[25] * 50)


def with_sound(path: Path, codec: str, *, offset_s: int = 0) -> Path:
    """Two seconds of 64x48 at 25 fps with a tone from `QUIET_UNTIL_S` on."""
    rate = 48_000
    t_s = np.arange(2 * rate) / rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * t_s) * (t_s >= QUIET_UNTIL_S)).astype(np.float32)
    with av.open(str(path), "w") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream(codec, rate=rate, layout="mono")
        for k in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 60 + k, np.uint8), format="rgb24")
            frame.pts, frame.time_base = k + 25 * offset_s, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
        samples = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = rate, offset_s * rate, Fraction(1, rate)
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
    return path


def heard(path: Path) -> tuple[str, float, float]:
    """Codec of a video's sound, when it ends, and when the tone begins, in seconds."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        frames = [(frame.time, frame.to_ndarray()[0]) for frame in container.decode(stream)]
        rate = stream.codec_context.sample_rate
        begins_s = next(
            time_s + np.flatnonzero(np.abs(samples) > 0.1)[0] / rate
            for time_s, samples in frames
            if np.abs(samples).max() > 0.1
        )
        ends_s = frames[-1][0] + len(frames[-1][1]) / rate
        return stream.codec_context.codec.canonical_name, ends_s, begins_s


def read(path: Path) -> tuple[list[float], list[np.ndarray]]:
    with FrameStream(path, strict=True) as stream:
        times_s, pictures = zip(*stream, strict=True)
    return list(times_s), list(pictures)


def is_near(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """(H, W) where a colour is, as far as the encoder left it one."""
    return (np.abs(picture.astype(int) - colour) < 60).all(axis=-1)


@pytest.mark.parametrize(
    "make",
    [
        bad_videos.make_good,
        bad_videos.make_variable_rate,
        bad_videos.make_offset_ts,
        bad_videos.make_cut_without_reencoding,
        bad_videos.make_b_frames_avi,
        bad_videos.make_odd_size,
        bad_videos.make_gif,
        bad_videos.make_hevc_10_bit,
    ],
)
def test_every_picture_is_there_at_its_time(tmp_path: Path, make) -> None:
    source, out = make(tmp_path), tmp_path / "out.mp4"
    annotate_video(source, detections(size=(64, 48)), out)
    times_s, pictures = read(source)
    new_times_s, new_pictures = read(out)
    assert new_times_s == pytest.approx(times_s, abs=1e-4)
    for old, new in zip(pictures, new_pictures, strict=True):
        height, width = old.shape[:2]
        assert new.shape[:2] == (height + height % 2, width + width % 2)
        assert abs(float(old.mean()) - float(new.mean())) < 4


@pytest.mark.parametrize(
    ("name", "codec", "becomes", "offset_s"),
    [
        ("a.mp4", "aac", "aac", 0),
        ("a.mkv", "libopus", "opus", 0),
        ("a.ts", "aac", "aac", 9),
        ("pcm.mkv", "pcm_s16le", "aac", 0),
        ("mp2.ts", "mp2", "aac", 9),
    ],
)
def test_the_sound_is_kept_and_in_time(
    tmp_path: Path, name: str, codec: str, becomes: str, offset_s: int
) -> None:
    source, out = with_sound(tmp_path / name, codec, offset_s=offset_s), tmp_path / "out.mp4"
    assert annotate_video(source, detections(size=(64, 48)), out) == ()
    kept, ends_s, begins_s = heard(out)
    assert kept == becomes
    assert ends_s == pytest.approx(2.0, abs=0.05)
    assert begins_s == pytest.approx(QUIET_UNTIL_S, abs=0.01)
    assert probe(out).duration_s == pytest.approx(2.0, abs=0.001)


def test_a_copied_sound_is_the_same_to_the_bit(tmp_path: Path) -> None:
    source, out = with_sound(tmp_path / "a.mp4", "aac"), tmp_path / "out.mp4"
    annotate_video(source, detections(size=(64, 48)), out)

    def packets(path: Path) -> list[tuple[int, bytes]]:
        with av.open(str(path)) as container:
            return [(packet.pts, bytes(packet)) for packet in container.demux(audio=0) if packet.size]

    assert packets(out) == packets(source)


@pytest.mark.parametrize("matrix", [(-1, 0, 0, 1), (0, 1, 1, 0)])
def test_a_mirrored_video_comes_out_as_players_show_it(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    source, out = bad_videos.make_oriented(tmp_path, matrix), tmp_path / "out.mp4"
    annotate_video(source, detections(), out)
    old, new = read(source)[1][10], read(out)[1][10]
    assert old.shape == new.shape
    assert np.abs(old.astype(int) - new).mean() < 5


@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_a_rotated_video_comes_out_upright(tmp_path: Path, rotation_deg: int) -> None:
    source, out = bad_videos.make_rotated(tmp_path, rotation_deg=rotation_deg), tmp_path / "out.mp4"
    annotate_video(source, detections(), out)
    info = probe(out)
    assert info.rotation_deg == 0
    assert (info.width, info.height) == ((64, 48) if rotation_deg == 180 else (48, 64))
    old, new = read(source)[1][10], read(out)[1][10]
    assert np.abs(old.astype(int) - new).mean() < 5


def test_pixels_keep_their_shape(tmp_path: Path) -> None:
    annotate_video(bad_videos.make_wide_pixels(tmp_path), detections(), tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").sample_aspect_ratio == 2


def test_colours_stay_and_players_are_told_which_they_are(tmp_path: Path) -> None:
    def paint(picture: np.ndarray) -> None:
        picture[:] = (20, 200, 40)

    options = {**bad_videos.TINY_GOPS, "colorspace": "bt709"}
    source = bad_videos.encode(tmp_path / "a.mp4", codec_options=options, paint=paint, numbers=range(5))
    annotate_video(source, detections(), tmp_path / "out.mp4")
    assert np.abs(read(source)[1][2].astype(int) - read(tmp_path / "out.mp4")[1][2]).max() < 6
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert next(container.decode(video=0)).colorspace == 6  # SMPTE 170M, in H.264's numbers


def test_boxes_move_evenly_between_keyframes_and_are_held_for_half_a_distance(tmp_path: Path) -> None:
    annotate_video(grey_video(tmp_path / "a.mp4"), detections(ONE), tmp_path / "out.mp4")
    pictures = read(tmp_path / "out.mp4")[1]
    for frame, left in ((1, 20), (12, 20), (25, 120), (30, 160), (48, 220)):
        columns = np.flatnonzero(is_near(pictures[frame], colour_of(3))[120:180].mean(axis=0) > 0.5)
        assert columns.min() == pytest.approx(left, abs=3)
        assert columns.max() == pytest.approx(left + 60, abs=3)


def test_a_box_ends_half_a_distance_after_the_last_sight_and_in_a_long_gap() -> None:
    track = Track(1, (seen(1, (0, 0, 9, 9)), seen(2, (9, 9, 18, 18)), seen(5, (0, 0, 9, 9), WAVE)))
    found = detections(track, size=(64, 48), keyframes_s=tuple(range(7)))
    people = TrackInterpolator(found, size_px=(48, 64))
    there = [time_s for time_s in np.arange(0, 7, 0.25) if people.at(time_s)]
    assert there == [0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.25, 2.5, 4.5, 4.75, 5, 5.25, 5.5]


def test_keyframes_may_be_farther_apart_than_asked_for() -> None:
    """Pictures that come slower than keyframes are looked at one by one, and each has its boxes."""
    times_s = (0.0, 3.3, 6.6)
    track = Track(1, tuple(seen(time_s, (i, 0, i + 9, 9)) for i, time_s in enumerate(times_s)))
    found = detections(track, size=(64, 48), keyframes_s=times_s)
    people = TrackInterpolator(found, size_px=(48, 64))
    assert [people.at(time_s)[0].box_xyxy_px[0] for time_s in times_s] == pytest.approx([0, 1, 2])
    assert people.at(5.0)[0].box_xyxy_px[0] == pytest.approx(1.515, abs=0.01)


def test_labels_are_those_of_the_nearest_keyframe_and_boxes_fit_another_size() -> None:
    people = TrackInterpolator(detections(ONE), size_px=(480, 640))
    (early,), (late,) = people.at(0.9), people.at(1.1)
    assert early.labels == (("wave", 0.9),)
    assert late.labels == ()
    assert early.box_xyxy_px == pytest.approx((200, 80, 320, 400))


def test_without_people_the_video_plays_as_it_is(tmp_path: Path) -> None:
    source = bad_videos.make_good(tmp_path)
    annotate_video(source, detections(keyframes_s=()), tmp_path / "out.mp4")
    for old, new in zip(read(source)[1], read(tmp_path / "out.mp4")[1], strict=True):
        assert np.abs(old.astype(int) - new).max() < 12


def test_the_display_is_on_every_picture(tmp_path: Path) -> None:
    annotate_video(grey_video(tmp_path / "a.mp4"), detections(), tmp_path / "out.mp4", hud=True)
    assert all(picture[:40, :60].max() > 200 for picture in read(tmp_path / "out.mp4")[1])


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("old", [b"old", None])
def test_an_interrupted_run_leaves_what_was_there(
    tmp_path: Path, interruption: type[BaseException], old: bytes | None
) -> None:
    source, folder = bad_videos.make_good(tmp_path), tmp_path / "out"
    folder.mkdir()
    if old:
        (folder / "out.mp4").write_bytes(old)

    def stop(done: int, expected: int) -> None:
        if done == 20:
            raise interruption

    with pytest.raises(interruption):
        annotate_video(source, detections(), folder / "out.mp4", progress=stop)
    assert [path.read_bytes() for path in folder.iterdir()] == ([old] if old else [])


def test_progress_counts_every_picture(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    annotate_video(
        bad_videos.make_good(tmp_path),
        detections(),
        tmp_path / "out.mp4",
        progress=lambda done, expected: calls.append((done, expected)),
    )
    assert calls == [(done, 50) for done in range(1, 51)]


@pytest.mark.parametrize(
    "make",
    [bad_videos.make_truncated, bad_videos.make_lost_head, bad_videos.make_noise, bad_videos.make_joined_ts],
)
def test_a_damaged_video_is_annotated_as_far_as_it_goes(tmp_path: Path, make) -> None:
    source = make(tmp_path)
    with FrameStream(source) as stream:
        times_s = [time_s for time_s, _ in stream]
        warnings = tuple(stream.warnings)
    assert warnings
    assert annotate_video(source, detections(), tmp_path / "out.mp4") == warnings
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert len(list(container.decode(video=0))) == len(times_s)


def test_damaged_sound_is_told(tmp_path: Path) -> None:
    data = bytearray(with_sound(tmp_path / "a.ts", "mp2").read_bytes())
    for position in range(len(data) // 2, len(data), 4 * 188):  # in place of a packet of the stream: noise
        data[position + 8 : position + 180] = bytes(172)
    (tmp_path / "b.ts").write_bytes(data)
    annotate_video(tmp_path / "b.ts", detections(), tmp_path / "out.mp4")
    assert heard(tmp_path / "out.mp4")[2] == pytest.approx(QUIET_UNTIL_S, abs=0.05)


def test_what_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with pytest.raises(NotAVideo):
        annotate_video(bad_videos.make_text(tmp_path), detections(), out)
    with pytest.raises(NoFrames):
        annotate_video(bad_videos.make_headless_fragments(tmp_path), detections(), out)
    assert not out.exists()


def test_limits_hold_for_drawing(tmp_path: Path) -> None:
    source, limits = bad_videos.make_good(tmp_path), Limits(max_frames=5)
    with pytest.raises(LimitExceeded, match="good"):
        annotate_video(source, detections(), tmp_path / "out.mp4", limits=limits)
    with pytest.raises(LimitExceeded, match="good"):
        annotate_video(source, detections(), tmp_path / "out.png", limits=limits)
    assert [path.name for path in tmp_path.iterdir()] == [source.name]


def test_a_contact_sheet_from_another_process_is_the_same(tmp_path: Path) -> None:
    source = grey_video(tmp_path / "a.mp4")
    for name, isolate in (("here.png", False), ("there.png", True)):
        contact_sheet(source, detections(ONE), tmp_path / name, isolate=isolate)
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()


def test_an_unusable_target_is_a_usage_error(tmp_path: Path) -> None:
    source = bad_videos.make_one_frame(tmp_path)
    with pytest.raises(UsageError, match="video itself"):
        annotate_video(source, detections(), source)
    with pytest.raises(UsageError, match=r"ends in \.mp4"):
        annotate_video(source, detections(), tmp_path / "out.avi")
    with pytest.raises(UsageError, match="make it first"):
        annotate_video(source, detections(), tmp_path / "none" / "out.mp4")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_contact_sheet_shows_the_fullest_keyframes_in_order_of_time(tmp_path: Path, suffix: str) -> None:
    keyframes_s = [round(0.1 + 0.15 * k, 2) for k in range(12)]
    crowd = [Track(1, tuple(seen(time_s, (60, 60, 120, 220)) for time_s in keyframes_s[3:]))]
    out = tmp_path / f"sheet{suffix}"
    given = detections(*crowd, every_s=0.15, keyframes_s=keyframes_s)
    assert annotate_video(grey_video(tmp_path / "a.mp4"), given, out) == ()
    with Image.open(out) as image:
        sheet = np.asarray(image.convert("RGB"))
    assert sheet.shape == (3 * 360 + 12, 3 * 480 + 12, 3)
    for row in range(3):
        for column in range(3):
            tile = sheet[366 * row : 366 * row + 360, 486 * column : 486 * column + 480]
            assert is_near(tile, colour_of(1)).sum() > 500
            assert tile[:30, :60].max() > 200  # its time


def test_a_contact_sheet_of_a_video_with_one_keyframe(tmp_path: Path) -> None:
    contact_sheet(
        bad_videos.make_one_frame(tmp_path),
        detections(size=(64, 48), keyframes_s=(0.0,)),
        tmp_path / "one.png",
    )
    with Image.open(tmp_path / "one.png") as sheet:
        assert sheet.size == (480, 360)
