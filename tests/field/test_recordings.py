"""Cases from the field: recordings of cameras, screens and browsers. Numbers as in README.md."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import bad_videos
from tests.support.bad_videos import FPS, HEIGHT, WIDTH, encode
from twinpath.render.annotate import annotate_video
from twinpath.results.detections import Detections
from twinpath.video.clip_plan import ClipSampling, Windows
from twinpath.video.clips import open_clips
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.probe import probe

LATE = EvenSpan(3.5, 0.4, num_frames=8)


def paint_number(picture: np.ndarray) -> None:
    """A white square at a place that follows from the picture's grey value."""
    left = int(picture[0, 0, 0]) % 48
    picture[16:32, left : left + 16] = 255


def make_palette(folder: Path, *, container: str) -> Path:
    """Uncompressed pictures of 8 bits, as high-speed cameras and ultrasound machines write them."""
    path = folder / f"palette.{container}"
    palette = np.stack([np.arange(256)] * 3 + [np.full(256, 255)], axis=1).astype(np.uint8)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "pal8"
        for number in range(100):
            picture = np.full((HEIGHT, WIDTH), 2 * number, np.uint8)
            picture[:16, :16] = 255
            frame = av.VideoFrame.from_ndarray((picture, palette), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def make_intra_refresh(folder: Path, *, container: str) -> Path:
    """No picture but the first is complete; a recovery point every second looks like a keyframe."""
    options = {"x264-params": "intra-refresh=1:keyint=25:bframes=0", "preset": "ultrafast"}
    path = folder / f"refresh.{container}"
    return encode(path, codec_options=options, numbers=range(100), paint=paint_number)


def make_wrong_keyframes(folder: Path, *, container: str) -> Path:
    """Every picture is called a keyframe."""
    path = encode(folder / f"keyframes.{container}", numbers=range(100), paint=paint_number)
    path.write_bytes(path.read_bytes().replace(b"stss", b"free"))
    return path


def make_xvid(folder: Path, *, container: str) -> Path:
    """B-frames behind a keyframe refer to what is before it, and AVI has no presentation times."""
    options = {"g": "12", "bf": "2"}
    path = folder / f"xvid.{container}"
    return encode(path, codec="mpeg4", codec_options=options, numbers=range(100), paint=paint_number)


def make_raw_open_groups(folder: Path, *, container: str) -> Path:
    options = {"x264-params": "open-gop=1:keyint=12:bframes=2:scenecut=0", "preset": "ultrafast"}
    path = folder / "raw.h264"
    return encode(path, container=container, codec_options=options, numbers=range(100), paint=paint_number)


@pytest.mark.parametrize(
    ("make", "container"),
    [  # 1, 2, 3, 45
        (make_xvid, "avi"),
        (make_raw_open_groups, "h264"),
        (make_palette, "avi"),
        (make_palette, "mov"),
        (make_intra_refresh, "mp4"),
        (make_intra_refresh, "ts"),
        (make_wrong_keyframes, "mp4"),
    ],
)
def test_a_late_part_has_the_pictures_of_the_whole(
    tmp_path: Path, make: Callable[..., Path], container: str
) -> None:
    path = make(tmp_path, container=container)
    with FrameStream(path) as stream:
        pictures = {round(time_s, 4): picture for time_s, picture in stream}
    late = read_frames(path, [LATE])
    for time_s, picture in zip(late.clip_times_s(), late.clip(), strict=True):
        assert time_s >= 3.5
        assert np.array_equal(picture, pictures[round(time_s, 4)])
    assert pictures[3.6].max() > 200
    assert late.warnings == stream.warnings
    assert not any("damaged" in warning for warning in stream.warnings)


def test_resuming_where_pictures_become_whole_little_by_little(tmp_path: Path) -> None:  # 2
    path = make_intra_refresh(tmp_path, container="mp4")
    sampling = ClipSampling(4, 2)
    with open_clips(path, Windows(sampling, every_s=0.2)) as clips:
        whole = {round(clip.start_s, 4): clip.frames for clip in clips}
    with open_clips(path, Windows(sampling, every_s=0.2, start_s=3.2)) as clips:
        rest = {round(clip.start_s, 4): clip.frames for clip in clips}
    assert min(rest) == 3.2
    assert all(np.array_equal(frames, whole[start_s]) for start_s, frames in rest.items())
    assert clips.warnings == []


def whole_transport_stream(folder: Path) -> bytes:
    return encode(folder / "whole.ts", numbers=range(50)).read_bytes()


def transport_stream(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    path = folder / "recording.ts"
    path.write_bytes(change(whole_transport_stream(folder)))
    return path


def id3_tag(data: bytes) -> bytes:
    return b"ID3\x04\x00\x00\x00\x00\x00\x3fPRIV" + bytes(59) + data


def error_correction(data: bytes) -> bytes:
    return b"".join(data[i : i + 188] + bytes(16) for i in range(0, len(data), 188))


@pytest.mark.parametrize(
    "change",
    [  # 6, 7, 8
        lambda data: data[100:],
        lambda data: b"\r\n" + data,
        lambda data: b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n" + data,
        id3_tag,
        error_correction,
    ],
)
def test_a_transport_stream_that_does_not_begin_with_a_packet(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = transport_stream(tmp_path, change)
    info = probe(path)
    assert (info.container, info.duration_s) == ("mpegts", pytest.approx(2.0))
    with FrameStream(path) as stream:
        assert len(list(stream)) == 50
    assert stream.warnings == []


@pytest.mark.parametrize(
    ("codec", "head"),
    [  # 9
        ("libx264", b"\x00"),
        ("libx264", bytes(3)),
        ("libx264", b"HXVS" + bytes(12)),
        ("libx264", b"\x00\x00\x01\xfc\x02\x19\x50\x2d" + bytes(8)),
        ("libx265", b"HXVS" + bytes(12)),
    ],
)
def test_a_raw_stream_behind_a_recorders_own_header(tmp_path: Path, codec: str, head: bytes) -> None:
    container = "h264" if codec == "libx264" else "hevc"
    quiet = {} if codec == "libx264" else {"x265-params": "log-level=none"}
    options = {"preset": "ultrafast", **quiet}
    path = encode(tmp_path / "a.264", container=container, codec=codec, codec_options=options)
    path.write_bytes(head + path.read_bytes())
    assert probe(path).container == container
    with FrameStream(path) as stream:
        assert len(list(stream)) == 50
    assert stream.warnings == ["the file has no timestamps: 25 frames per second assumed"]


def test_a_recorders_mp4_is_a_program_stream(tmp_path: Path) -> None:  # 14
    """Hikvision calls MPEG-PS behind a header of 40 bytes "….mp4"."""
    stream = encode(tmp_path / "a.mpg", container="vob", codec="mpeg2video", codec_options={"g": "12"})
    path = tmp_path / "ch01.mp4"
    path.write_bytes(b"IMKH\x01\x01\x00\x00" + bytes(32) + stream.read_bytes())
    assert probe(path).container == "mpeg"
    with FrameStream(path) as frames:
        assert len(list(frames)) == 50


def test_the_last_picture_of_a_screen_recording_stays(tmp_path: Path) -> None:  # 5
    path = tmp_path / "screen.mp4"
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.options = {"bf": "0", "preset": "ultrafast"}
        packets = []
        for number in range(10):
            picture = np.full((HEIGHT, WIDTH, 3), bad_videos.grey_of(number), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        packets[-1].duration = round(8 / packets[-1].time_base)
        output.mux(packets)
    info = probe(path)
    assert info.duration_s == pytest.approx(8.36, abs=0.01)
    nobody = Detections(
        video=str(path), model="", dataset="ava", engine="", person_detector="", tracker="",
        width_px=WIDTH, height_px=HEIGHT, duration_s=8.36, every_s=1.0, keyframes_s=(0.0,), tracks=(),
        warnings=(), timing_s={},
    )  # fmt: skip
    annotate_video(path, nobody, tmp_path / "out.mp4")
    assert probe(tmp_path / "out.mp4").duration_s == pytest.approx(8.36, abs=0.05)
    with FrameStream(tmp_path / "out.mp4") as frames:
        times_s = [time_s for time_s, _ in frames]
    assert len(times_s) == 11


def not_coded(increment: int) -> bytes:
    """A picture of MPEG-4 at 25 fps that repeats the one before it: vop_coded is 0."""
    bits = f"010{1:b}{increment:05b}100"
    bits += "1" * (-len(bits) % 8)
    return b"\x00\x00\x01\xb6" + int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("container", ["avi", "mp4"])
def test_pictures_that_are_not_coded_are_no_damage(tmp_path: Path, container: str) -> None:  # 4
    """As phones and DivX write them: every tenth packet repeats the picture before it."""
    whole = encode(tmp_path / "whole.avi", codec="mpeg4", codec_options={"g": "12", "bf": "0"})
    path = tmp_path / f"phone.{container}"
    with av.open(str(whole)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(packet for packet in given.demux(video=0) if packet.size):
            written = packet
            if number % 10 == 5:
                written = av.Packet(not_coded(number % 25))
                written.pts, written.dts, written.time_base = packet.pts, packet.dts, packet.time_base
            written.stream = stream
            output.mux(written)
    with FrameStream(path) as frames:
        times_s = [time_s for time_s, _ in frames]
    assert times_s == pytest.approx([number / FPS for number in range(50) if number % 10 != 5])
    assert frames.warnings == []
    assert read_frames(path, [EvenSpan(0, 2, num_frames=50)], strict=True).warnings == []


def test_chroma_that_changes_midway(tmp_path: Path) -> None:  # 43
    def red(picture: np.ndarray) -> None:
        picture[:] = (200, 30, 30)

    parts = [
        encode(
            tmp_path / f"{pixels}.avi", codec="mjpeg", pixels=pixels, codec_options={"color_range": "pc"},
            numbers=range(count), paint=red,
        )
        for pixels, count in (("yuvj422p", 1), ("yuvj420p", 5))
    ]  # fmt: skip
    path = tmp_path / "camera.avi"
    number = 0
    with av.open(str(path), "w") as output:
        stream = None
        for part in parts:
            with av.open(str(part)) as given:
                stream = stream or output.add_stream_from_template(given.streams.video[0])
                for packet in given.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = number
                        packet.time_base, packet.stream = Fraction(1, FPS), stream
                        output.mux(packet)
                        number += 1
    with FrameStream(path) as frames:
        for _, picture in frames:
            assert np.abs(picture.astype(int) - (200, 30, 30)).max() <= 6
    assert (frames.frames_decoded, frames.warnings) == (6, [])


def test_the_end_of_a_slow_video_is_as_full_as_the_rest(tmp_path: Path) -> None:  # 44
    path = encode(tmp_path / "slow.mp4", rate=2, numbers=range(20))
    with open_clips(path, Windows(ClipSampling(16, 4), every_s=1.0)) as clips:
        assert len(list(clips)) == 9
    assert clips.warnings == []


def test_a_writer_that_was_killed(tmp_path: Path) -> None:  # 15
    """AVI keeps its lengths and its index for the end."""
    data = bytearray(encode(tmp_path / "a.avi", codec="mpeg4", codec_options={"g": "12"}).read_bytes())
    del data[data.index(b"idx1") :]
    for name, at, size in ((b"RIFF", 4, 4), (b"avih", 24, 4), (b"strh", 40, 4), (b"movi", -4, 4)):
        start = data.index(name) + at
        data[start : start + size] = bytes(size)
    path = tmp_path / "killed.avi"
    path.write_bytes(data)
    with FrameStream(path) as frames:
        assert len(list(frames)) == 50
    assert frames.warnings == []


def make_alternate_references(folder: Path) -> Path:
    options = {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "good", "cpu-used": "5"}
    return encode(folder / "hidden.webm", codec="libvpx", codec_options=options)


def make_wrapping_clock(folder: Path) -> Path:
    """MPEG-TS counts 2^33 ticks of 90 kHz: 95443.7 s."""
    return encode(folder / "wrap.ts", offset_s=95_442)


def make_cut_hevc(folder: Path) -> Path:
    """From the second keyframe on, whose leading pictures refer to what is cut away."""
    options = {
        "x265-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:log-level=none",
        "preset": "ultrafast",
    }
    whole = encode(folder / "whole.mkv", codec="libx265", codec_options=options, numbers=range(62))
    keyframes: list[int] = []

    def behind(number: int, packet: av.Packet) -> av.Packet | None:
        keyframes.extend([number] * packet.is_keyframe)
        return packet if len(keyframes) > 1 else None

    return bad_videos.remux(whole, folder / "cut.ts", behind)


@pytest.mark.parametrize("make", [make_alternate_references, make_wrapping_clock, make_cut_hevc])
def test_every_picture_that_a_player_shows(tmp_path: Path, make: Callable[[Path], Path]) -> None:  # 40
    with FrameStream(make(tmp_path)) as frames:
        times_s = [time_s for time_s, _ in frames]
    assert times_s == pytest.approx([number / FPS for number in range(50)], abs=1e-3)
    assert [w for w in frames.warnings if "open group" not in w] == []


def test_a_phone_that_is_turned_while_it_records(tmp_path: Path) -> None:  # 42
    vp8 = {"codec": "libvpx", "codec_options": {"deadline": "realtime", "cpu-used": "8"}}
    parts = [
        encode(tmp_path / "wide.webm", size=(128, 96), numbers=range(25), **vp8),
        encode(tmp_path / "high.webm", size=(96, 128), numbers=range(25), **vp8),
    ]
    path = tmp_path / "call.webm"
    number = 0
    with av.open(str(path), "w") as output:
        stream = None
        for part in parts:
            with av.open(str(part)) as given:
                stream = stream or output.add_stream_from_template(given.streams.video[0])
                for packet in given.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = number * 40
                        packet.time_base, packet.stream = Fraction(1, 1000), stream
                        output.mux(packet)
                        number += 1
    with FrameStream(path) as frames:
        assert {picture.shape for _, picture in frames} == {(96, 128, 3)}
    assert frames.warnings == ["the frame size changes midway: 25 frames scaled to the size of the first"]


def test_two_files_that_were_joined_with_cat(tmp_path: Path) -> None:  # 13
    part = encode(tmp_path / "part.mp4")
    joined = tmp_path / "joined.mp4"
    joined.write_bytes(part.read_bytes() * 2)
    decoded = read_frames(joined, [EvenSpan(0, 2, num_frames=50)], strict=True)
    assert decoded.frames_decoded == 50
    (warning,) = decoded.warnings
    assert "another video follows in the file" in warning
    assert read_frames(part, [EvenSpan(0, 2, num_frames=50)]).warnings == []


def test_a_recording_on_the_clock_of_the_wall(tmp_path: Path) -> None:  # 41
    path = encode(tmp_path / "wall.mkv", offset_s=1_700_000_000)
    assert probe(path).duration_s == pytest.approx(2.0, abs=0.05)
    with FrameStream(path) as frames:
        times_s = [time_s for time_s, _ in frames]
    assert times_s == pytest.approx([number / FPS for number in range(50)], abs=1e-3)
    assert frames.warnings == []
