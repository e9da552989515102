"""A damaged file gives the same frames and warnings in every run, however many threads decode it."""

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext

from tests.support import bad_videos
from twinpath.errors import CorruptVideo, NotAFile
from twinpath.video import decode_pass
from twinpath.video.decode import EvenSpan, FrameStream, read_frames
from twinpath.video.decode_pass import DecodePass
from twinpath.video.source import VideoSource, open_video


@pytest.fixture
def decode_on(monkeypatch):
    """Call with a number: as many threads decode, as on a computer with as many cores."""
    wished = [0]
    open_as_ever = VideoSource._open

    def open_with_threads(self):
        open_as_ever(self)
        if not self.on_one_thread:
            self.stream.codec_context.thread_count = wished[0]

    monkeypatch.setattr(VideoSource, "_open", open_with_threads)

    def decode_on(threads):
        wished[0] = threads

    return decode_on


def every_frame(path):
    with FrameStream(path) as stream:
        frames = list(stream)
        return [time_s for time_s, _ in frames], np.stack([frame for _, frame in frames]), stream.warnings


def textured(path, *, seconds, **options):
    """With a texture in the middle: packets of a size that can be damaged."""
    random = np.random.default_rng(5)

    def paint(picture):
        picture[8:40, 8:56] = random.integers(0, 255, (32, 48, 3))

    numbers = (k % 50 for k in range(seconds * bad_videos.FPS))
    return bad_videos.encode(path, numbers=numbers, paint=paint, **options)


def noisy(folder, suffix, *, seconds):
    """From the middle on, every 200th byte or so of the packets is another one."""
    sound = textured(folder / f"sound{suffix}", seconds=seconds)
    with av.open(str(sound)) as given:
        noise = BitStreamFilterContext("noise=amount=200", given.streams.video[0])

        def change(number, packet):
            return noise.filter(packet)[0] if number >= seconds * bad_videos.FPS // 2 else packet

        return bad_videos.remux(sound, folder / f"noisy{suffix}", change)


def with_bad_packet(sound, target, bad):
    """One packet, by its number, holds a quarter of its data and nonsense."""

    def change(number, packet):
        if number != bad:
            return packet
        data = bytes(packet)
        cut = av.Packet(data[: max(8, len(data) // 4)] + b"\xff" * 20)
        cut.pts, cut.dts, cut.duration = packet.pts, packet.dts, packet.duration
        cut.time_base, cut.is_keyframe = packet.time_base, packet.is_keyframe
        return cut

    return bad_videos.remux(sound, target, change)


@pytest.mark.parametrize("recipe", ["make_truncated", "make_flipped_bytes", "make_zeroed_tail", "make_noise"])
def test_threads_lose_no_frame_that_one_gets(tmp_path, decode_on, recipe):  # 4, 5, 6
    path = getattr(bad_videos, recipe)(tmp_path)
    decode_on(1)
    times_s, frames, warnings = every_frame(path)
    views = [EvenSpan(0.0, 2.0, num_frames=30), EvenSpan(0.8, 0.5, num_frames=9)]
    clips = read_frames(path, views)
    assert warnings
    for threads in (2, 3, 16):
        decode_on(threads)
        others_s, others, same_warnings = every_frame(path)
        assert others_s == times_s
        assert np.array_equal(others, frames)
        assert same_warnings == warnings
        again = read_frames(path, views)
        assert again.warnings == clips.warnings
        assert np.array_equal(again.clip(0), clips.clip(0))
        assert np.array_equal(again.clip(1), clips.clip(1))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".h264"])
def test_every_container_goes_on_behind_the_damage(tmp_path, decode_on, suffix):
    path = noisy(tmp_path, suffix, seconds=8)
    decode_on(1)
    times_s, frames, warnings = every_frame(path)
    assert len(times_s) > 150
    assert any("corrupt" in warning or "could not be decoded" in warning for warning in warnings)
    for threads in (2, 16):
        decode_on(threads)
        others_s, others, same_warnings = every_frame(path)
        assert others_s == times_s
        assert np.array_equal(others, frames)
        assert same_warnings == warnings


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_what_was_decoded_before_the_damage_is_not_decoded_again(tmp_path, decode_on, monkeypatch, suffix):
    path = noisy(tmp_path, suffix, seconds=8)
    decode_on(4)
    packets = []
    decode = DecodePass._decode
    monkeypatch.setattr(DecodePass, "_decode", lambda *given: (packets.append(given[1]), decode(*given))[1])
    every_frame(path)
    twice = len(packets) - 2 - 8 * bad_videos.FPS  # at the end each of the two is told that it is the end
    assert 0 < twice <= 12 + 6  # a group of pictures, and those on their way through four threads


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_the_time_of_a_joined_recording_runs_back(tmp_path, decode_on, suffix, threads):
    """As by `cat a.mkv b.mkv`: behind the damage, which is in the second one, all pictures come."""
    one = textured(tmp_path / f"one{suffix}", seconds=2)
    two = noisy(tmp_path, suffix, seconds=4)
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    decode_on(threads)
    times_s, _, warnings = every_frame(joined)
    assert len(times_s) >= 150 - 12
    assert times_s[-1] == pytest.approx(5.96, abs=0.05)
    assert warnings


@pytest.mark.parametrize("threads", [1, 4, 16])
@pytest.mark.parametrize("bad", [60, 103])
def test_pictures_that_become_whole_little_by_little(tmp_path, decode_on, threads, bad):
    """The container calls the packet where that begins a keyframe; who starts there misses pictures."""
    options = {"x264-params": "intra-refresh=1:keyint=50:bframes=0:scenecut=0"}
    sound = textured(tmp_path / "sound.mp4", seconds=8, size=(320, 240), codec_options=options)
    decode_on(threads)
    times_s, _, _ = every_frame(with_bad_packet(sound, tmp_path / "bad.mp4", bad))
    assert len(times_s) == 199


@pytest.mark.parametrize("threads", [1, 4, 16])
def test_strict_reading_reaches_the_damage(tmp_path, decode_on, threads):
    sound = textured(tmp_path / "sound.mp4", seconds=2)
    path = with_bad_packet(sound, tmp_path / "bad.mp4", 8)
    decode_on(threads)
    given = []
    with FrameStream(path, strict=True) as stream, pytest.raises(CorruptVideo) as error:
        given += [time_s for time_s, _ in stream]
    tolerant, _, _ = every_frame(path)
    assert error.value.frames_decoded == stream.frames_decoded == 6
    assert len(tolerant) > 40


@pytest.mark.parametrize("threads", [1, 4])
def test_pictures_of_one_time_are_all_given(tmp_path, decode_on, threads):
    """Matroska counts milliseconds: at 2,000 pictures a second two share one."""
    sound = bad_videos.encode(tmp_path / "sound.mkv", numbers=(k % 50 for k in range(200)), rate=2000)
    decode_on(threads)
    for bad in range(50, 70, 3):
        path = with_bad_packet(sound, tmp_path / "bad.mkv", bad)
        times_s, _, _ = every_frame(path)
        assert len(times_s) == alone(path)


def alone(path):
    """How many pictures one decoder gives that never stops."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                count += len(stream.codec_context.decode(packet if packet.size else None))
            except av.FFmpegError:
                continue
    return count


@pytest.mark.parametrize(
    "recipe",
    [
        "make_good",
        "make_cut_without_reencoding",
        "make_variable_rate",
        "make_huge_gaps",
        "make_interlaced",
        "make_fields",
        "make_b_frames_avi",
        "make_open_gop_ts",
        "make_joined_ts",
        "make_raw_h264",
        "make_hevc_10_bit",
        "make_vp9",
        "make_gif",
        "make_one_frame",
    ],
)
def test_a_sound_file_keeps_its_threads(tmp_path, recipe):
    with FrameStream(getattr(bad_videos, recipe)(tmp_path)) as stream:
        assert list(stream)
        assert not stream._source.on_one_thread
        assert not any("damaged" in warning for warning in stream.warnings)


def test_few_pictures_wait(tmp_path, decode_on, monkeypatch):
    """Where nearly all are B-pictures, too, as some HEVC encoders write them."""
    monkeypatch.setattr(decode_pass, "REORDER_PACKETS", 3)
    path = textured(
        tmp_path / "b.mp4",
        seconds=4,
        codec_options={"x264-params": "bframes=16:b-adapt=0:keyint=100:scenecut=0", "preset": "ultrafast"},
    )
    decode_on(2)
    with open_video(path) as source:
        decoding = DecodePass(source)
        assert max(len(decoding._held) for _ in decoding) == 3
        assert decoding.decoded == 100


def test_a_file_that_vanishes_before_one_thread_takes_over(tmp_path, decode_on):
    path = noisy(tmp_path, ".mp4", seconds=4)
    decode_on(4)
    with FrameStream(path) as stream:
        frames = iter(stream)
        next(frames)
        path.unlink()
        with pytest.raises(NotAFile, match="cannot be opened again"):
            list(frames)
