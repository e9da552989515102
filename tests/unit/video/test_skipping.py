"""Packets that no wanted frame needs are not decoded, and every frame is the one that decoding all gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import bad_videos
from twinpath.video import skipping
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.clips import ClipReader, whole_frames
from twinpath.video.decode import AtTimes, DecodedFrames, EvenSpan, FrameStream, read_frames
from twinpath.video.source import open_video

NUM_FRAMES = 75
PYRAMID = {"x264-params": "bframes=3:b-pyramid=normal:b-adapt=0:keyint=30:scenecut=0"}
OPEN = {"x264-params": PYRAMID["x264-params"] + ":open-gop=1"}


def moving(path: Path, *, codec: str = "libx264", pixels: str = "yuv420p", **codec_options: str) -> Path:
    """Texture that moves, so that pictures really refer to each other."""
    texture = np.random.default_rng(3).integers(0, 255, (bad_videos.HEIGHT, 200, 3), np.uint8)
    drawn = iter(range(NUM_FRAMES))

    def paint(picture: np.ndarray) -> None:
        left = next(drawn)
        picture[:] = texture[:, left : left + picture.shape[1]]

    numbers = (k % 50 for k in range(NUM_FRAMES))
    return bad_videos.encode(
        path, numbers=numbers, paint=paint, codec=codec, pixels=pixels, codec_options=codec_options
    )


def hevc(path: Path, *, layers: int) -> Path:
    parameters = f"bframes=3:b-adapt=0:keyint=30:open-gop=1:temporal-layers={layers}:log-level=none"
    return moving(path, codec="libx265", **{"preset": "fast", "x265-params": parameters})


def num_unreferenced(path: Path) -> int:
    with open_video(path) as source:
        tells = skipping.unreferenced(source)
        return 0 if tells is None else sum(tells(packet) for packet in source.packets())


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return moving(tmp_path_factory.mktemp("pyramid") / "pyramid.mp4", **PYRAMID)


@pytest.mark.parametrize(
    ("make", "fewest"),
    [
        (lambda folder: moving(folder / "pyramid.mkv", **PYRAMID), 30),
        (lambda folder: moving(folder / "open.mp4", **OPEN), 30),
        (lambda folder: hevc(folder / "one.mp4", layers=1), 30),
        (
            lambda folder: bad_videos.make_frames(folder / "pictures", range(NUM_FRAMES), name="{:02d}.png"),
            NUM_FRAMES,
        ),
        (lambda folder: moving(folder / "intra.mov", codec="mjpeg", pixels="yuvj420p"), NUM_FRAMES),
    ],
    ids=["h264", "h264 open", "hevc", "pictures", "mjpeg"],
)
def test_wanted_frames_are_those_of_the_whole_file(
    tmp_path: Path, make: Callable[[Path], Path], fewest: int
) -> None:
    path = make(tmp_path)
    assert num_unreferenced(path) >= fewest
    with FrameStream(path) as stream:
        every = np.stack([frame for _, frame in stream])
        assert stream.frames_decoded == NUM_FRAMES
    random = np.random.default_rng(11)
    for count in (1, 1, 2, 5, 20):
        wanted = np.sort(random.choice(NUM_FRAMES, count, replace=False))
        decoded = read_frames(path, [AtTimes(tuple((wanted / bad_videos.FPS).tolist()))])
        assert np.array_equal(decoded.clip(), every[wanted])
        assert decoded.warnings == ["pictures have no times: 25 frames per second assumed"] * path.is_dir()
    assert count <= decoded.frames_decoded <= NUM_FRAMES - (fewest - count) // 2


def test_windows_skip_what_none_of_them_wants(pyramid: Path) -> None:
    with FrameStream(pyramid) as stream:
        every = np.stack([frame for _, frame in stream])
    with ClipReader(pyramid, Windows(ClipSampling(5, 6), every_s=1.0)) as clips:
        for clip in clips:
            numbers = np.round(clip.times_s * bad_videos.FPS).astype(int)
            assert np.array_equal(whole_frames(clip), every[numbers])
        assert clips._source.budget.frames < 0.8 * NUM_FRAMES
        assert clips.warnings == []


def test_hevc_of_two_layers_is_decoded_whole(tmp_path: Path) -> None:
    # A picture without references in its own layer may have some in the layer above.
    assert num_unreferenced(hevc(tmp_path / "two.mp4", layers=2)) == 0


@pytest.mark.parametrize("make", [bad_videos.make_b_frames_avi, bad_videos.make_raw_h264])
def test_nothing_is_skipped_where_frames_are_counted(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    assert read_frames(path, [AtTimes((0.0, 1.0))]).frames_decoded >= 26


def damage(sound: Path, target: Path, *, unreferenced: bool, number: int) -> float:
    """Fill the body of one packet, the first of its kind from `number` on, and return its time."""
    with open_video(sound) as source:
        tells = skipping.unreferenced(source)
        assert tells is not None
        kinds = [(tells(packet), packet.pts) for packet in source.packets()]
        at = next(i for i, (kind, _) in enumerate(kinds) if i >= number and kind is unreferenced)
        time_s = float((kinds[at][1] or 0) * source.time_base)

    def change(number: int, packet: av.Packet) -> av.Packet:
        if number != at:
            return packet
        data = bytes(packet)
        bad = av.Packet(data[:8] + b"\xff" * (len(data) - 8))
        bad.pts, bad.dts, bad.duration = packet.pts, packet.dts, packet.duration
        bad.time_base, bad.is_keyframe = packet.time_base, packet.is_keyframe
        return bad

    bad_videos.remux(sound, target, change)
    return time_s


def decoded_whole(
    monkeypatch: pytest.MonkeyPatch, path: Path, *selections: EvenSpan | AtTimes
) -> DecodedFrames:
    """As it is without skipping."""
    with monkeypatch.context() as patch:
        patch.setattr(skipping, "unreferenced", lambda source: None)
        return read_frames(path, selections)


def test_damage_to_what_is_needed_is_found_and_told(
    tmp_path: Path, pyramid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "damaged.mp4"
    damage(pyramid, path, unreferenced=False, number=34)
    views = [EvenSpan(0.0, 3.0, 10), AtTimes((0.2, 1.6, 1.64, 2.9))]
    here, whole = read_frames(path, views), decoded_whole(monkeypatch, path, *views)
    assert here.warnings == whole.warnings != []
    assert np.array_equal(here.times_s, whole.times_s)
    assert np.array_equal(here.frames, whole.frames)


def test_a_wanted_frame_that_is_damaged_gets_its_neighbour(
    tmp_path: Path, pyramid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "damaged.mp4"
    time_s = damage(pyramid, path, unreferenced=True, number=34)
    view = AtTimes((0.2, time_s, 2.9))
    here, whole = read_frames(path, [view]), decoded_whole(monkeypatch, path, view)
    assert here.warnings == whole.warnings != []
    assert np.array_equal(here.clip_times_s(), whole.clip_times_s())
    assert np.array_equal(here.clip(), whole.clip())


def test_damage_to_what_nothing_needs_does_no_harm(tmp_path: Path, pyramid: Path) -> None:
    path = tmp_path / "damaged.mp4"
    time_s = damage(pyramid, path, unreferenced=True, number=34)
    view = AtTimes((0.2, time_s + 0.4, 2.9))
    here = read_frames(path, [view])
    assert here.warnings == []
    assert np.array_equal(here.clip(), read_frames(pyramid, [view]).clip())
    assert read_frames(path, [AtTimes((0.2, time_s, 2.9))]).warnings != []
