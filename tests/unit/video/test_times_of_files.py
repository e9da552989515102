"""When a player shows the first picture, and how long a video is, whatever its header claims."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support import bad_videos, clock_videos
from twinpath.models.input_spec import InputSpec
from twinpath.recognize.plan import Views
from twinpath.recognize.read import VideoReader
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import AtTimes, EvenSpan, FrameStream, read_frames
from twinpath.video.isolated import probe_isolated
from twinpath.video.probe import frame_times, probe
from twinpath.video.source import open_video

LEAD_S = Fraction(5, 2)
SPEC = InputSpec(num_frames=4, sampling_rate=2, short_side_px=48, crop_px=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("times")


@pytest.fixture(scope="module")
def plain(folder: Path) -> Path:
    """50 frames at 25 fps."""
    return bad_videos.encode(folder / "plain.mp4")


@pytest.fixture(scope="module")
def late(folder: Path, plain: Path) -> dict[str, Path]:
    """The same pictures 2.5 s after the sound, by container."""
    return {
        ending: clock_videos.with_sound(plain, folder / f"late.{ending}", lead_s=LEAD_S)
        for ending in ("mp4", "mov", "mkv", "ts")
    }


def views_of(video: Path) -> list[list[int]]:
    """The frames of five views, by their brightness."""
    with VideoReader().open_views(video, SPEC, Views(1, 5)) as clips:
        return [[round(float(frame.mean())) for frame in clip.frames.pixels] for clip in clips]


def check_whole(video: Path, *, seconds: float = 2.0, frames: int = 50) -> None:
    """All frames are there, without a warning, from 0 on, and the length is that of the frames."""
    with FrameStream(video, strict=True) as stream:
        times_s = [time_s for time_s, _ in stream]
        assert stream.warnings == []
    assert len(times_s) == frames
    assert times_s[0] == 0
    assert probe(video).duration_s == pytest.approx(seconds, abs=0.002)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "ts"])
def test_pictures_that_begin_after_the_sound(late: dict[str, Path], plain: Path, ending: str) -> None:
    video = late[ending]
    check_whole(video)
    tolerance_s = 0.03  # an encoder of sound may begin before its first sample
    assert probe(video).first_frame_s == pytest.approx(2.5, abs=tolerance_s)
    assert probe_isolated(video) == probe(video)
    sampling = ClipSampling(num_frames=4, sampling_rate=2)
    for isolate in (False, True):
        with open_clips(video, Windows(sampling, every_s=1.0), isolate=isolate) as clips:
            assert clips.first_frame_s == pytest.approx(2.5, abs=tolerance_s)
            assert clips.end_s == pytest.approx(2.0, abs=0.002)
    assert views_of(video) == views_of(plain)


def test_a_clock_that_starts_anywhere_is_no_delay(folder: Path, plain: Path) -> None:
    """MPEG-TS may start at any time; its players show the first stream at 0."""
    video = clock_videos.transport_stream(plain, folder / "anywhere.ts", first_s=Fraction(5000))
    with open_video(video) as source:
        assert source.origin * source.time_base > 5000
    assert probe(video).first_frame_s == 0
    check_whole(video)


@pytest.mark.parametrize("first_s", [Fraction(2**33, 90_000) - Fraction(before) for before in ("0.3", "1.9")])
def test_a_clock_of_33_bits_that_wraps(folder: Path, plain: Path, first_s: Fraction) -> None:
    video = clock_videos.transport_stream(plain, folder / "wrap.ts", first_s=first_s)
    check_whole(video)
    assert views_of(video) == views_of(plain)


@pytest.mark.parametrize("times", [0.1, 10])
def test_matroska_that_claims_another_length(folder: Path, plain: Path, times: float) -> None:
    mkv = bad_videos.remux(plain, folder / "plain.mkv", lambda number, packet: packet)
    video = clock_videos.mkv_that_claims(mkv, folder / "lie.mkv", times=times)
    with open_video(video) as source:
        assert source.claimed_duration_s == pytest.approx(2 * times)
    assert probe(video).duration_s == pytest.approx(2.0, abs=0.002)
    assert probe(video).average_fps == pytest.approx(25, abs=0.01)
    assert views_of(video) == views_of(plain)


@pytest.mark.parametrize("boxes", [(b"mvhd",), (b"mdhd",), (b"tkhd",), (b"mvhd", b"mdhd", b"tkhd")])
def test_mp4_that_claims_another_length(folder: Path, plain: Path, boxes: tuple[bytes, ...]) -> None:
    video = clock_videos.mp4_that_claims(plain, folder / "lie.mp4", times=7, boxes=boxes)
    check_whole(video)
    assert probe(video).average_fps == pytest.approx(25, abs=0.01)
    assert views_of(video) == views_of(plain)


def test_fragments(folder: Path, plain: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    video = bad_videos.encode(folder / "fragments.mp4", container_options=options)
    check_whole(video)
    assert views_of(video) == views_of(plain)


def test_a_video_that_is_cut_off_has_the_length_of_what_is_there(folder: Path) -> None:
    video = bad_videos.make_truncated(folder)
    with FrameStream(video) as stream:
        last_s = [time_s for time_s, _ in stream][-1]
        assert "damaged or incomplete" in stream.warnings[0]
    assert probe(video).duration_s == pytest.approx(last_s + 0.04, abs=0.13)
    assert views_of(video)[4] > views_of(video)[3]


def avi_with_pauses(out: Path) -> Path:
    """10 frames, a pause as long, again and again: empty chunks in the pauses."""
    numbers = [number for number in range(50) if number // 10 % 2 == 0]
    mjpeg = {"codec": "mjpeg", "pixels": "yuvj420p", "codec_options": {}}
    return bad_videos.encode(out, numbers=numbers, pts=numbers, **mjpeg)


def test_empty_chunks_repeat_a_picture(folder: Path) -> None:
    """As a camera writes frames that it drops; players show the last picture on."""
    video = avi_with_pauses(folder / "pauses.avi")
    assert video.read_bytes().count(b"00dc\0\0\0\0") >= 20
    check_whole(video, frames=30)
    times_s = frame_times(video)
    assert np.diff(times_s).max() == pytest.approx(11 / 25)
    assert probe(video).average_fps == pytest.approx(25)
    shown = read_frames(video, [AtTimes((0.3, 0.37, 0.6, 0.79, 0.81))])
    greys = [frame.mean() for frame in shown.clip()]
    assert greys == pytest.approx([bad_videos.grey_of(n) for n in (7, 9, 9, 9, 20)], abs=3)


def test_empty_samples_of_mp4_repeat_a_picture(folder: Path, plain: Path) -> None:
    """As QuickTime's recordings of a screen have them where nothing changes."""
    data = plain.read_bytes()
    table = data.index(b"stsz") + 16  # 4 bytes for each sample; the last one of the only chunk
    video = clock_videos.patched(plain, folder / "empty.mp4", (b"stsz", 16 + 4 * 49, bytes(4)))
    assert data[table : table + 4 * 49] == video.read_bytes()[table : table + 4 * 49]
    check_whole(video, frames=49)


def test_an_empty_chunk_behind_every_picture(folder: Path, plain: Path) -> None:
    """As FFmpeg copies H.264 into AVI: 50 chunks a second, 25 pictures."""
    pts = [2 * number for number in range(50)]
    mjpeg = {"codec": "mjpeg", "pixels": "yuvj420p", "codec_options": {}}
    video = bad_videos.encode(folder / "double.avi", numbers=range(50), pts=pts, rate=50, **mjpeg)
    check_whole(video)
    assert probe(video).average_fps == pytest.approx(25)
    assert np.abs(np.asarray(views_of(video)) - views_of(plain)).max() <= 3


@pytest.mark.parametrize("frames", [0, 7, 500])
def test_avi_that_claims_another_number_of_frames(folder: Path, frames: int) -> None:
    whole = avi_with_pauses(folder / "whole.avi")
    video = clock_videos.avi_that_claims(whole, folder / "lie.avi", frames)
    check_whole(video, frames=30)
    assert views_of(video) == views_of(whole)


def test_avi_without_its_end_is_incomplete(folder: Path) -> None:
    data = avi_with_pauses(folder / "uncut.avi").read_bytes()
    video = folder / "cut.avi"
    video.write_bytes(data[: len(data) // 2])
    with FrameStream(video) as stream:
        assert 5 < len(list(stream)) < 30
        assert "damaged or incomplete" in stream.warnings[0]


def test_a_damaged_chunk_of_avi_is_damage(folder: Path) -> None:
    """The index knows how many there are."""
    data = bytearray(avi_with_pauses(folder / "sound.avi").read_bytes())
    chunks = [
        at for at in range(len(data)) if data[at : at + 4] == b"00dc" and data[at + 4 : at + 8] != b"\0" * 4
    ]
    data[chunks[12] + 8 : chunks[12] + 600] = bytes(592)
    video = folder / "damaged.avi"
    video.write_bytes(data)
    with FrameStream(video) as stream:
        assert len(list(stream)) < 30
        assert stream.warnings


def test_an_edit_list_that_hides_whole_groups_of_pictures(folder: Path, plain: Path) -> None:
    """What the author cut away is no damage."""
    video = folder / "edited.mp4"

    def earlier(number: int, packet: object) -> object:
        shift = round(Fraction(9, 10) / packet.time_base)  # type: ignore[attr-defined]
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift  # type: ignore[attr-defined]
        return packet

    bad_videos.remux(plain, video, earlier)  # type: ignore[arg-type]
    with FrameStream(video, strict=True) as stream:
        times_s = [time_s for time_s, _ in stream]
        (warning,) = stream.warnings
    assert len(times_s) == 27
    assert warning.startswith("23 frames are cut away by the file's edit list")
    assert "(50 in the header)" in warning
    assert probe(video).duration_s == pytest.approx(1.1, abs=0.03)


@pytest.mark.parametrize("fps", [3_000, 90_000])
def test_frames_nearer_to_each_other_than_the_usual_tolerance(folder: Path, plain: Path, fps: int) -> None:
    """A high-speed recording: the frames that are asked for are read, and none is missed."""
    video = bad_videos.encode(
        folder / f"{fps}.mp4",
        rate=fps,
        codec_options={"bf": "0", "g": "12"},
        container_options={"video_track_timescale": "90000"},
    )
    every = read_frames(video, [EvenSpan(0, 1, 50)], strict=True)
    assert np.round(every.times_s * fps).astype(int).tolist() == list(range(50))
    usual = read_frames(plain, [EvenSpan(0, 9, 50)])
    assert brightness(every.clip()) == brightness(usual.clip())
    few = read_frames(video, [EvenSpan(0, 30 / fps + 0.0005, 4)], strict=True)
    assert few.warnings == []


def brightness(frames: np.ndarray) -> list[int]:
    return [round(float(frame.mean())) for frame in frames]


@pytest.mark.parametrize("codec", ["wmv2", "msmpeg4"])
def test_a_cut_wmv_is_incomplete(tmp_path: Path, codec: str) -> None:
    """Also where it is cut between two packets of its container, which all decode."""

    def add_detail(picture: np.ndarray) -> None:
        picture[:] = np.random.default_rng(int(picture[0, 0, 0])).integers(0, 255, picture.shape)

    video = bad_videos.encode(tmp_path / "windows.wmv", codec=codec, codec_options={}, paint=add_detail)
    with FrameStream(video) as stream:
        whole = len(list(stream))
        assert stream.warnings == []
    data = video.read_bytes()
    header = int.from_bytes(data[16:24], "little") + 50
    video.write_bytes(data[: header + 3200 * ((len(data) - header) // 3200 // 2)])
    with FrameStream(video) as stream:
        assert 0 < len(list(stream)) < whole
        assert any("incomplete" in line for line in stream.warnings)
    assert any("incomplete" in line for line in read_frames(video, [EvenSpan(0, 9, 4)]).warnings)
